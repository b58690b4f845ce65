"""The dials of the simulated cohort: what a study's `simulation:` block may say."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from pipeline.errors import BadSettings
from pipeline.settings.base import Settings
from pipeline.simulation.variables import Panel

Share = Annotated[float, Field(ge=0, le=1)]
NETWORKS = ("bipolar", "schizophrenia", "treatment_resistant_depression", "autism")


class Strata(Settings):
    """Groups of patients planted in cognition, inflammation and metabolism; they carry no risk of their own."""

    separation: float = Field(default=3.0, ge=0, le=8)  # SD between nearest centroids; 0: a continuum
    shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.5, 0.3, 0.2), min_length=2, max_length=4
    )

    curved: Share = 0.0  # of a continuum: how far inflammation and metabolism follow curves of cognition
    change: float = Field(
        default=0.0, ge=-3, le=3
    )  # SD a year by which the last stratum gets worse in depression (MADRS) and functioning (GAF)

    @model_validator(mode="after")
    def _only_a_continuum_is_curved(self) -> Self:
        if self.curved > 0 and self.separation > 0:
            raise ValueError("a continuum is curved, strata are not: set separation to 0, or curved to 0")
        return self

    @model_validator(mode="after")
    def _only_strata_change(self) -> Self:
        if self.change != 0 and self.separation == 0:
            raise ValueError(
                "a continuum has no stratum that gets worse: set change to 0, or separation above 0"
            )
        return self

    @model_validator(mode="after")
    def _shares_fill_the_cohort(self) -> Self:
        if abs(sum(self.shares) - 1) > 1e-9:
            raise ValueError("the shares of the strata must add up to 1")
        return self


class Ancestry(Settings):
    """Populations, relatives and errors of the genotypes: none of them touches an outcome or another table."""

    others: Annotated[float, Field(ge=0, le=0.5)] = (
        0.08  # share of patients of populations B and C; it differs by centre
    )
    fst: Annotated[float, Field(ge=0, le=0.3)] = 0.1  # between population A and each of the others
    cline: Annotated[float, Field(ge=0, le=0.1)] = 0.003  # Fst between the two countries' patients of A
    score_shift: float = Field(
        default=1.0, ge=0, le=4
    )  # SD by which the mean score of schizophrenia lies higher in B and lower in C than in A; risks do not follow
    related: Share = 0.04  # share of genotyped patients with a relative among them
    duplicates: int = Field(default=3, ge=0, le=1000)  # pairs of patients who are one person by their genes
    sex_mix_ups: int = Field(default=2, ge=0, le=1000)  # samples with the other sex's chromosomes
    low_call: int = Field(default=3, ge=0, le=1000)  # samples with a fifth of their genotypes missing
    linked: Annotated[float, Field(ge=0, le=2)] = 0.25  # variants added that follow another one, per variant
    neutral: Annotated[float, Field(ge=0, le=20)] = 0.5  # variants added that carry no weight, per variant
    variants_of_x: int = Field(default=400, ge=0, le=10_000)
    out_of_equilibrium: int = Field(default=8, ge=0, le=10_000)  # variants with too few heterozygotes
    reference: int = Field(default=150, ge=0, le=10_000)  # people of each population in the reference panel


class Simulation(Settings):
    """All dials; a dial that is not named keeps its default.

    Defaults follow the published figures and suggestions gathered for this cohort: 1-year relapse 0.35 in schizophrenia
    (Godin 2018) and 0.44 in bipolar disorder (meta-analysis of 12 studies, Psychother Psychosom 2017;86:90), 61 % with a
    follow-up visit (FACE-BD), CRP above 3 mg/L in 28 % (Bulzacka 2016), no direct effect of CRP.
    """

    patients: int = Field(default=2400, ge=40, le=100_000)
    french_centres: int = Field(default=12, ge=1, le=60)
    german_centres: int = Field(default=12, ge=1, le=60)
    first_baseline: date = date(2016, 1, 4)
    last_baseline: date = date(2021, 6, 30)
    extract_date: date = date(2022, 12, 31)  # follow-up ends here; keep equal to cohort.extract_date

    signal: float = Field(default=1.0, ge=0, le=3)  # multiplies every effect on relapse, stays and death
    interactions: float = Field(default=0.3, ge=0, le=2)  # log HR of substance use with poor adherence, extra
    proxies: Share = 0.3  # correlation of noise markers with the drivers they stand beside
    centre_baseline: float = Field(default=0.3, ge=0, le=2)  # SD of the centres' log baseline hazard
    marker_centre_shift: float = Field(
        default=0.25, ge=0, le=3
    )  # SD of a centre's shift, in SD of each marker
    centre_shift_correlation: float = Field(default=0.0, ge=-1, le=1)  # of marker shift and baseline hazard
    centre_signal_only: float = Field(
        default=0.0, ge=0, le=3
    )  # above 0: SD of centre baselines, patient effects off, markers shifted by centre
    country_shift: float = Field(default=0.35, ge=0, le=3)  # SD of a country's shift, in SD of each marker
    country_baseline: float = Field(
        default=0.2, ge=0, le=2
    )  # difference of the countries' log baseline hazard
    country_slope: float = Field(
        default=0.55, ge=0, le=1
    )  # share by which a driver's effect differs by country
    measurement_error: float = Field(default=0.35, ge=0, le=3)  # SD of error, in SD of each marker
    panel_errors: dict[Panel, Annotated[float, Field(ge=0, le=3)]] = Field(
        default_factory=dict
    )  # the same of a panel, in its place
    limit_of_detection: float = Field(
        default=1.0, ge=0, le=1.8
    )  # multiplies the published shares of values under the limit
    plate_shift: float = Field(default=0.0, ge=0, le=3)  # SD of a plate's shift, in SD of each marker
    plate_with_outcome: Share = 0.0  # share of samples that were sorted to plates by relapse in the next year
    treatment_by_indication: float = Field(
        default=0.0, ge=0, le=2
    )  # above 0: severity raises the antipsychotic's dose, the dose weight and lipids; it lowers the relapse hazard
    dropout_by_severity: float = Field(default=0.3, ge=-2, le=2)  # log odds of drop-out per SD of severity
    attendance_by_country: float = Field(
        default=0.0, ge=-4, le=4
    )  # log odds of coming back in France against Germany
    relapse_told: Share = 0.9  # probability that a relapse since the last visit is told at a visit
    relapse_told_by_country: float = Field(default=0.1, ge=-1, le=1)  # more of it in France than in Germany
    relapse_answer_unknown: Share = 0.03  # share of visits at which nobody can say
    treatment_changes: float = Field(
        default=0.06, ge=0, le=2
    )  # starts of clozapine or a depot per year of a patient of average severity; they touch no risk
    death: float = Field(default=1.0, ge=0, le=50)  # multiplies the death hazard of 1.2 % a year
    frailty: float = Field(
        default=0.0, ge=0, le=2
    )  # SD of a log-normal frailty shared by relapse, stays, death
    strata: Strata = Strata()

    joint_ratings: int = Field(
        default=12, ge=0, le=200
    )  # interviews that several raters rate, of each centre and half-year; 0: none
    variants: int = Field(default=2000, ge=50, le=100_000)
    ancestry: Ancestry = Ancestry()
    genotyped: Share = 0.85
    missing_genotypes: Share = 0.01
    missing_values: Share = 0.06  # mean share of empty cells; it differs by centre
    consent_refused: Share = 0.02
    consent_unknown: Share = 0.01
    withdrawn: Share = 0.015
    bad_rows: float = Field(default=0.004, ge=0, le=0.2)  # share of a file's rows, per kind of bad row
    broken_rows: int = Field(default=0, ge=0, le=100)  # rows for which intake refuses a file, per kind


def read_dials(values: Mapping[str, Any]) -> Simulation:
    """Return typed dials.

    Raises:
        BadSettings: a dial is unknown (the known ones are named) or its value is out of range; all problems at once.
    """
    try:
        return Simulation.model_validate(dict(values))
    except ValidationError as problem:
        raise BadSettings(*(_sentence(error) for error in problem.errors())) from None


def _sentence(error: Any) -> str:
    place = ".".join(["simulation", *map(str, error["loc"])])
    if error["type"] == "extra_forbidden":
        blocks: dict[str, type[Settings]] = {"strata": Strata, "ancestry": Ancestry}
        model = blocks.get(str(error["loc"][0]), Simulation)
        return f"{place} is not a known dial; known: {', '.join(sorted(model.model_fields))}."
    return f"{place}: {str(error['msg']).removeprefix('Value error, ')}. Mend that dial."
