"""Slow validity studies that run the whole pipeline on simulated cohorts."""
