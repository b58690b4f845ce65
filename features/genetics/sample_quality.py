"""What quality control says of a sample: the table, and the reasons for which a sample has no score."""

import polars as pl

LOW_CALL_RATE = "low call rate"
HETEROZYGOSITY = "outlying heterozygosity"
SEX = "another sex than the patient's"
TWO_PEOPLE = "samples of one patient are of two people"
SAMPLE_REASONS = (LOW_CALL_RATE, HETEROZYGOSITY, SEX, TWO_PEOPLE)  # a sample has the first that holds
SAMPLE_QUALITY = {
    "file": pl.String,
    "sample_id": pl.String,
    "patient_id": pl.String,
    "call_rate": pl.Float64,
    "heterozygosity_f": pl.Float64,  # inbreeding coefficient; null: not known
    "heterozygosity_distance": pl.Float64,  # robust standard deviations from what ancestry lets expect; null: not judged
    "x_f": pl.Float64,  # inbreeding coefficient on chromosome X; null: not known
    "sex_check": pl.String,  # one of sex_check.SEX_CHECKS
    "kept": pl.Boolean,
    "reason": pl.String,  # one of SAMPLE_REASONS; null: kept
}
