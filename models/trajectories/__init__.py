"""Courses of repeated measures: mixed models of level and change, and classes of growth."""
