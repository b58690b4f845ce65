"""Closer examination of one learner's out-of-fold predictions."""
