"""What holds for every test."""

from hypothesis import settings

# The same examples on every run and machine, and no timing: a slow machine is not a fault.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
