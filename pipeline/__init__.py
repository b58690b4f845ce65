"""The outside world: settings, cohort intake, files, stages, command line, cards, simulation."""
