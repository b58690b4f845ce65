"""Splits, tuning, nested validation and the leakage certificate."""
