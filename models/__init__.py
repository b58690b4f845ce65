"""Everything with fit: preprocessing, learners, clusterers."""
