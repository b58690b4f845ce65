"""Model cards and their index."""
