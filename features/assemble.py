"""From feature sets to one matrix, with who and where each prediction is beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from features.errors import BadInput
from features.prediction_times import TimeKind, calendar_age
from features.schema import ColumnDescriptions, Rows

# Upper limits, exclusive, and names of the age bands where the cohort gives ages.
AGE_BANDS = (
    (18.0, "under 18"),
    (35.0, "18-34"),
    (50.0, "35-49"),
    (65.0, "50-64"),
    (float("inf"), "65 and over"),
)
# Upper limits, inclusive, in years: compulsory schooling, upper secondary school, and what comes after.
EDUCATION_BANDS = ((9.0, "9 years or less"), (12.0, "10-12 years"), (float("inf"), "more than 12 years"))


CONTEXT = "context_"
PLACES = ("centre", "country", "network")  # of the rows, as context columns


@dataclass(frozen=True)
class Assembled:
    """All that splits and learners read.

    Attributes:
        rows: as in features.schema.Rows, by rule, position and number.
        matrix: prediction_id and all feature columns sorted by name, in the order of the rows.
        columns: as in features.schema.ColumnDescriptions, sorted by column: predictors alone.
        context: prediction_id, context_centre, context_country, context_network and the sets' context columns, in the
            order of the rows: what adjustments in the fold may know of a row besides its predictors.
    """

    rows: pl.DataFrame
    matrix: pl.DataFrame
    columns: pl.DataFrame
    context: pl.DataFrame


def assemble(
    prediction_times: pl.DataFrame,
    patients: pl.DataFrame,
    sets: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]],
    *,
    time: TimeKind = "date",
    families: pl.DataFrame | None = None,
) -> Assembled:
    """Join feature sets (name -> frame, descriptions) over the prediction times.

    `families`, as features.schema.Families, says who is related; None: nobody is known to be. The age band is the cohort's own; else it follows from the age at baseline or, where times are dates, from the year
    of birth. The band of education follows from its years.

    Raises:
        BadInput: a column stands in two sets, is not described, a set has other predictions or families other patients.
    """
    order = _by_person(prediction_times, patients)
    problems = [*_not_described(sets), *_twice(sets), *_other_predictions(order, sets)]
    if problems:
        raise BadInput(*problems)
    matrix = order.select("prediction_id")
    for name in sorted(sets):
        matrix = matrix.join(sets[name][0], on="prediction_id", how="left", maintain_order="left")
    columns = ColumnDescriptions.validate(
        pl.concat([sets[name][1] for name in sorted(sets)]).sort("column"), cast=True
    )
    predictors = columns.filter(pl.col("role") == "predictor")
    beside = columns.filter(pl.col("role") == "context")["column"].to_list()
    rows = _rows(with_family(order, patients, families), patients, time)
    places = rows.select(pl.col(name).alias(f"{CONTEXT}{name}") for name in PLACES)
    return Assembled(
        rows=rows,
        matrix=matrix.select("prediction_id", *predictors["column"]),
        columns=predictors,
        context=pl.concat([matrix.select("prediction_id", *beside), places], how="horizontal"),
    )


def _by_person(times: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    """Give patients suspected of being one person one position, and number their predictions together.

    Whatever keeps a patient whole (folds, bootstraps, permutations, counts of patients) then keeps the person whole.
    """
    persons = patients.select("position", "person").drop_nulls()
    known = times.join(persons, on="position", how="left", maintain_order="left").with_columns(
        pl.coalesce("person", "position").alias("position")
    )
    together = known.sort("index_rule", "position", "time", "number", "prediction_id").with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("index_rule", "position").alias("_number")
    )
    number = pl.when(pl.col("person").is_null()).then("number").otherwise("_number").alias("number")
    return together.with_columns(number).drop("person", "_number").sort("index_rule", "position", "number")


def with_family(times: pl.DataFrame, patients: pl.DataFrame, families: pl.DataFrame | None) -> pl.DataFrame:
    """Add `family`: the smallest position among the patients who are related, directly or through others; null: nobody is.

    Args:
        times: with positions by person.
        patients: as features.schema.Patients; who is suspected of being one person is one node of a family.
        families: as features.schema.Families.

    Raises:
        BadInput: families hold patients who are not in the cohort.
    """
    if families is None or families.is_empty():
        return times.with_columns(family=pl.lit(None, dtype=pl.Int64))
    known = families.join(
        patients.select("patient_id", pl.coalesce("person", "position").alias("position")),
        on="patient_id",
        how="left",
    )
    lost = known["position"].null_count()
    if lost:
        raise BadInput(
            f"The families of the genotypes hold {lost} patients who are not in the patients table. Run dvc repro."
        )
    family = known["family"].rank("dense").to_numpy().astype(np.int64) - 1
    positions, place = np.unique(known["position"].to_numpy(), return_inverse=True)
    count = len(positions) + int(family.max()) + 1
    edges = coo_matrix((np.ones(len(place)), (place, len(positions) + family)), shape=(count, count))
    _, component = connected_components(edges, directed=False)
    named = (
        pl.DataFrame({"position": positions, "component": component[: len(positions)]})
        .with_columns(family=pl.col("position").min().over("component"), members=pl.len().over("component"))
        .filter(pl.col("members") > 1)
    )
    return times.join(named.select("position", "family"), on="position", how="left", maintain_order="left")


def _place_of_person(patients: pl.DataFrame) -> pl.DataFrame:
    """Give patients suspected of being one person the centre, country and network of the first: a person lies in one."""
    first = patients.select(
        pl.col("position").alias("person"), *[pl.col(name).alias(f"_{name}") for name in PLACES]
    )
    joined = patients.join(first, on="person", how="left", maintain_order="left")
    suspected = pl.col("person").is_not_null()
    return joined.with_columns(
        pl.when(suspected).then(f"_{name}").otherwise(name).alias(name) for name in PLACES
    ).drop([f"_{name}" for name in PLACES])


def _rows(order: pl.DataFrame, patients: pl.DataFrame, time: TimeKind) -> pl.DataFrame:
    joined = order.join(
        _place_of_person(patients).drop("position", "person"),
        on="patient_id",
        how="left",
        maintain_order="left",
    )
    if time == "date":
        joined = joined.with_columns(pl.coalesce("age", calendar_age()).alias("age"))
    band = pl.lit(None, dtype=pl.String)
    for limit, words in reversed(AGE_BANDS):
        band = pl.when(pl.col("age") < limit).then(pl.lit(words)).otherwise(band)
    school = pl.lit(None, dtype=pl.String)
    for limit, words in reversed(EDUCATION_BANDS):
        school = pl.when(pl.col("education_years") <= limit).then(pl.lit(words)).otherwise(school)
    joined = joined.with_columns(pl.coalesce("age_band", band).alias("age_band"), school.alias("education"))
    return Rows.validate(joined.select(Rows.column_names()), cast=True)


def _twice(sets: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]]) -> list[str]:
    first: dict[str, str] = {}
    problems = []
    for name in sorted(sets):
        for column in sets[name][0].columns:
            if column == "prediction_id":
                continue
            if column in first:
                problems.append(
                    f"The column {column} stands in the sets {first[column]} and {name}. Rename one."
                )
            first.setdefault(column, name)
    return problems


def _not_described(sets: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]]) -> list[str]:
    problems = []
    for name, (frame, columns) in sorted(sets.items()):
        built, described = set(frame.columns) - {"prediction_id"}, set(columns["column"])
        if built != described:
            odd = ", ".join(sorted(built ^ described))
            problems.append(f"The set {name} and its column descriptions differ: {odd}. Run dvc repro.")
    return problems


def _other_predictions(
    order: pl.DataFrame, sets: Mapping[str, tuple[pl.DataFrame, pl.DataFrame]]
) -> list[str]:
    wanted = order["prediction_id"].sort()
    return [
        f"The set {name} was built for other prediction times. Run dvc repro."
        for name, (frame, _) in sorted(sets.items())
        if not frame["prediction_id"].sort().equals(wanted)
    ]
