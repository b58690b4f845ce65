"""Genetic ancestry, fitted: principal components, reference populations, scores normalised for ancestry."""
