"""Genotypes of a cohort before any feature is made of them: what was checked, matched and projected, and what may be shown."""
