"""The study file: typed, frozen, unknown keys refused."""
