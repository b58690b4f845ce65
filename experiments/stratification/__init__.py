"""Strata of patients, and whether there are any."""
