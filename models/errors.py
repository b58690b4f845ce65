"""What a target or learner says when it cannot be built or fitted."""


class BadTarget(Exception):
    """A target, column or setting that no model can be fitted on; a plain sentence with what to do."""
