"""Refits that tell how much a model owes to its sample: instability, the null by permutation, the learning curve."""
