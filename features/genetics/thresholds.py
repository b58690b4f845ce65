"""Thresholds of the quality control of genotypes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from features.errors import BadInput


@dataclass(frozen=True)
class QualityThresholds:
    """What a variant, a sample or a pair must reach; the defaults are the field's.

    Sources: Anderson et al., Nature Protocols 2010, 5:1564-1573, doi 10.1038/nprot.2010.116; Marees et al., International
    Journal of Methods in Psychiatric Research 2018, 27:e1608, doi 10.1002/mpr.1608; Manichaikul et al., Bioinformatics
    2010, 26:2867-2873, doi 10.1093/bioinformatics/btq559; Purcell et al., American Journal of Human Genetics 2007,
    81:559-575 (the sex check of PLINK).

    Attributes:
        variant_call_rate: least share of samples with a genotype. Anderson and Marees end at 0.95 to 0.98.
        sample_call_rate: least share of variants with a genotype. Anderson: 0.97 to 0.95.
        minor_allele_frequency: least; 0 because scores keep rare variants.
        hardy_weinberg: least exact p among controls. Marees: 1e-6.
        hardy_weinberg_everybody: least p where too few controls are declared, patients among the tested. Marees: 1e-10.
        heterozygosity_sd: samples further from what their ancestry lets expect than this many standard deviations fail, if F is
            beyond heterozygosity_f too. Marees: 3.
        heterozygosity_f: samples whose F lies between minus this and this do not fail. With tens of thousands of variants a standard
            deviation is so small that admixed people and children of cousins (F 1/16) lie beyond three of them without any fault
            of the sample. Lam et al., Bioinformatics 2020, 36:930-933, doi 10.1093/bioinformatics/btz633 (RICOPILI): 0.2.
        kinship_duplicate: above: the same person or a monozygotic twin. Manichaikul, table 1: 2^(-3/2).
        kinship_first_degree: above: parent, child or sibling. Manichaikul: 2^(-5/2).
        kinship_relative: above: second degree. Manichaikul: 2^(-7/2).
        female_f: below: two X chromosomes. PLINK: 0.2.
        male_f: above: one X chromosome. PLINK: 0.8.
        pruning_r2: no two variants for components and kinship in one window are correlated more. Anderson: 0.2.
        pruning_window: variants a window. Anderson: 50.
        pruning_step: variants from one window to the next. Anderson: 5.
        pruning_frequency: least minor allele frequency of variants for components and kinship. Marees: 0.05.
        pruning_call_rate: least call rate of variants for components and kinship, in every file.
        largest_family: greatest share of the patients that may be related to each other, directly or through others.
    """

    variant_call_rate: float = 0.95
    sample_call_rate: float = 0.95
    minor_allele_frequency: float = 0.0
    hardy_weinberg: float = 1e-6
    hardy_weinberg_everybody: float = 1e-10
    heterozygosity_sd: float = 3.0
    heterozygosity_f: float = 0.2
    kinship_duplicate: float = 0.354
    kinship_first_degree: float = 0.177
    kinship_relative: float = 0.0884
    female_f: float = 0.2
    male_f: float = 0.8
    pruning_r2: float = 0.2
    pruning_window: int = 50
    pruning_step: int = 5
    pruning_frequency: float = 0.05
    pruning_call_rate: float = 0.98
    largest_family: float = 0.05

    @classmethod
    def from_settings(cls, given: Mapping[str, float]) -> "QualityThresholds":
        """Take thresholds that differ from the defaults, by name, as under `feature_sets.genetic.quality`.

        Raises:
            BadInput: every one that is not a threshold, or not in its range.
        """
        known = {field.name: field.default for field in fields(cls)}
        problems = [
            f"genetic: quality.{name} is not a threshold; known: {', '.join(known)}."
            for name in given
            if name not in known
        ]
        chosen: dict[str, float] = {name: value for name, value in given.items() if name in known}
        for name, value in chosen.items():
            most, whole = _range(name)
            if not 0 <= value <= most or (whole and (value != int(value) or value < 1)):
                problems.append(
                    f"genetic: quality.{name} must be {'a whole number from 1' if whole else 'from 0'} to {most:g}, got: {value!r}."
                )
            elif whole:
                chosen[name] = int(value)
        made = cls() if problems else cls(**chosen)  # type: ignore[arg-type]
        problems += _orders(made)
        if problems:
            raise BadInput(*problems)
        return made


def _range(name: str) -> tuple[float, bool]:
    """The greatest value, and whether it must be a whole number."""
    if name in ("pruning_window", "pruning_step"):
        return 10_000, True
    if name == "heterozygosity_sd":
        return 1000, False
    return (0.5 if name.startswith("kinship") or name.endswith("frequency") else 1.0), False


def _orders(made: QualityThresholds) -> list[str]:
    problems = []
    if not made.kinship_relative <= made.kinship_first_degree <= made.kinship_duplicate:
        problems.append(
            "genetic: quality.kinship_relative, kinship_first_degree and kinship_duplicate must rise."
        )
    if made.female_f > made.male_f:
        problems.append("genetic: quality.female_f must not be above quality.male_f.")
    return problems
