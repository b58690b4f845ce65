"""From a centre's files to the canonical tables."""
