"""Slow studies of whether the methods keep their promises, on data whose truth is known."""
