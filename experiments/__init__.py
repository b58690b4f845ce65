"""What is done with models: splits, tuning, validation, metrics, explanation, comparison, tracking."""
