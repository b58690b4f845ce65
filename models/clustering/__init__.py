"""Clusterers: divisions of patients into a given number of strata."""
