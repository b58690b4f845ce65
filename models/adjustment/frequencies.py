"""Missing genotypes of polygenic scores, filled by the allele frequencies of the training rows.

As plink2's --score with --read-freq of the training samples' frequencies (Chang et al. 2015, doi 10.1186/s13742-015-0047-8),
or by the state expected under Hardy-Weinberg proportions.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.adjustment.frames import Frame
from models.adjustment.genetic_plan import MISSING, FrequencyPlan
from models.adjustment.genotype_columns import first_of, read_genotypes, require_same_variants
from models.adjustment.genotype_counts import count_genotypes
from models.adjustment.plan import FEWEST_PATIENTS
from models.errors import BadTarget

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# A missing genotype of one row and score: index among the variants, weight, and what is weighted.
ENTRY = np.dtype([("variant", "<u4"), ("weight", "<f8"), ("kind", "u1")])
ADDITIVE, DOMINANT, RECESSIVE = range(3)  # kind // 2; kind % 2: 0 the counted allele's, 1 the other's
KINDS = 6


@dataclass(frozen=True)
class FrequencyFill:
    """Frequencies of training people.

    Attributes:
        plan: what was declared.
        order: the name of the variants and their order.
        frequencies: of the counted allele, shape (variants,), four a byte; NaN where fewer than 11 people were called.
    """

    plan: FrequencyPlan
    order: str
    frequencies: Floats

    @classmethod
    def fit(cls, X: pl.DataFrame, plan: FrequencyPlan, patients: Integers) -> Self:
        """Count over training rows, each patient once; raises BadTarget where fewer than 11 have genotypes."""
        found = read_genotypes(X, plan.column)
        places = first_of(found.rows, patients)
        if len(places) < FEWEST_PATIENTS:
            raise BadTarget(
                f"genetics.frequencies: fewer than {FEWEST_PATIENTS} patients of the training rows have genotypes ({plan.column}), so "
                "no frequency can be counted. Use fewer folds, or take frequencies of a reference file."
            )
        return cls(plan, found.order, count_genotypes(found.packed[places]).frequencies())

    @property
    def unknown(self) -> int:
        """How many variants too few training people were called for: their missing genotypes add nothing."""
        return int(np.isnan(self.frequencies).sum())

    def apply(self, X: pl.DataFrame, values: Frame) -> None:
        """Add the expectation of the missing genotypes to each score; a row without genotypes has no score."""
        found = read_genotypes(X, self.plan.column)
        require_same_variants(found, self.order, len(self.frequencies) // 4, self.plan.column)
        for score in self.plan.scores:
            values[score] = values[score] + self._added(X[f"{score}{MISSING}"])

    def _added(self, column: pl.Series) -> Floats:
        """Return what each row's missing genotypes are expected to add, shape (rows,), NaN for a row without genotypes."""
        added = np.zeros(len(column))
        if column.dtype == pl.Binary:
            sizes = column.bin.size().fill_null(0).to_numpy().astype(np.int64)
            lost = np.frombuffer(b"".join(column.drop_nulls().to_list()), dtype=np.uint8)
            known = sizes % ENTRY.itemsize == 0
            entries = lost.view(ENTRY) if known.all() else np.zeros(0, dtype=ENTRY)
            variant = entries["variant"].astype(np.int64)
            bad = (
                ~np.isfinite(entries["weight"])
                | (entries["kind"] >= KINDS)
                | (variant >= len(self.frequencies))
            )
            if not known.all() or bad.any():
                raise BadTarget(
                    f"The column {column.name} does not tell missing genotypes as the genetic feature set writes them; build the "
                    "set again."
                )
            expected = expectation(self.frequencies[variant], entries["kind"], self.plan.imputation)
            rows = np.repeat(np.arange(len(column)), sizes // ENTRY.itemsize)
            added += np.bincount(rows, weights=entries["weight"] * expected, minlength=len(column))
        elif column.null_count() < len(column):
            raise BadTarget(
                f"The column {column.name} should hold missing genotypes as bytes but is {column.dtype}; build the genetic "
                "feature set again."
            )
        added[column.is_null().to_numpy()] = np.nan
        return added

    def to_state(self) -> dict[str, Any]:
        """Return the frequencies as JSON values: little-endian float64 in base 64."""
        return {
            "order": self.order,
            "frequencies": base64.b64encode(self.frequencies.astype("<f8").tobytes()).decode("ascii"),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], plan: FrequencyPlan) -> Self:
        """Rebuild from `to_state`; raises KeyError, TypeError or ValueError where it is damaged."""
        found = np.frombuffer(base64.b64decode(state["frequencies"], validate=True), dtype="<f8").astype(
            np.float64
        )
        known = found[~np.isnan(found)]
        if not len(found) or len(found) % 4 or (known < 0).any() or (known > 1).any():
            raise ValueError("a frequency lies between 0 and 1, and there are four a byte")
        return cls(plan, str(state["order"]), found)


def expectation(frequencies: Floats, kinds: NDArray[np.uint8], imputation: str) -> Floats:
    """Return what missing genotypes are expected to count, shape (genotypes,); 0 where the frequency is NaN.

    Args:
        frequencies: of the counted allele.
        kinds: 0 dosage, 2 dominant, 4 recessive state of the counted allele, one more: of the other allele.
        imputation: hardy_weinberg: 2f, of a dominant state 1 - (1 - f)^2, of a recessive one f^2. mean: 2f, and f of either
            state, which is what plink2 2.00a3.5 counts under `dominant` and `recessive` (one allele stands there, not two).
    """
    f = np.where(kinds % 2 == 0, frequencies, 1.0 - frequencies)
    states = (2 * f, f, f) if imputation == "mean" else (2 * f, 1.0 - (1.0 - f) ** 2, f**2)
    return np.asarray(np.nan_to_num(np.choose(kinds // 2, states), nan=0.0), dtype=np.float64)
