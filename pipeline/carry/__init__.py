"""Carrying a model to another site: what goes into a bundle, and how a site runs one."""
