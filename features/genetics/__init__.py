"""Polygenic scores from PLINK 1 genotypes and PGS Catalog scoring files."""
