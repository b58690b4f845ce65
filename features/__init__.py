"""Rows to rows, nothing fitted: prediction times, feature sets, windows, outcomes."""
