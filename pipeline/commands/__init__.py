"""The commands a user types; the stages that DVC runs are in pipeline.stages."""
