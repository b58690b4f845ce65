"""What the command line says when it refuses: plain sentences, exit code 2, no traceback."""

from features.errors import BadInput

__all__ = ["BadInput", "BadSettings"]


class BadSettings(BadInput):
    """A study file, parameter or command that cannot be used."""
