"""Metrics, intervals, calibration, decision curves and comparisons."""
