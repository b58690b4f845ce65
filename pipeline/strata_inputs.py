"""What the stages of a stratification share: who is stratified, by which columns, with which recipe."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.stratification.search_settings import SearchSettings
from features.schema import ColumnDescriptions, Rows
from models.adjustment.plan import AdjustmentPlan
from models.clustering.answers import FEWEST_PATTERNS, FEWEST_VALUES, answers_of, densities
from models.clustering.contract import ClusterOptions
from models.preprocessing import SMALLEST_GROUP
from models.strata_model import Recipe
from pipeline.errors import BadInput, BadSettings
from pipeline.files import read_frame, read_table
from pipeline.settings.stratification import Stratification
from pipeline.settings.study import Study

ROW_COLUMNS = (
    "prediction_id",
    "patient_id",
    "position",  # shared by rows that are suspected of being one person
    "family",
    "centre",
    "country",
    "network",
    "sex",
    "age_band",
)


@dataclass(frozen=True)
class Assembled:
    """The assembled files of a study.

    Attributes:
        rows: features.schema.Rows.
        columns: features.schema.ColumnDescriptions.
        frame: prediction_id, every predictor and every context column.
    """

    rows: pl.DataFrame
    columns: pl.DataFrame
    frame: pl.DataFrame


@dataclass(frozen=True)
class Patients:
    """The patients of a stratification.

    Attributes:
        rows: who they are, one row per patient: ROW_COLUMNS.
        X: every column that the recipe needs, in the same order.
        recipe: what is done to them.
    """

    rows: pl.DataFrame
    X: pl.DataFrame
    recipe: Recipe

    @property
    def centres(self) -> NDArray[np.int64]:
        """Return a code of each patient's centre; those without one share a code."""
        names = self.rows["centre"]
        known = names.is_not_null()
        codes = names.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
        return np.where(known.to_numpy(), codes, 0).astype(np.int64)


def stratification_of(study: Study, name: str) -> Stratification:
    """Return a stratification's settings; an unknown name is answered with the known ones."""
    if name not in study.stratifications:
        raise BadSettings(
            f"The stratification {name!r} is not known; known: {', '.join(sorted(study.stratifications)) or 'none'}. Name one "
            "of them."
        )
    return study.stratifications[name]


def require_beside(asked: Stratification, files: Assembled, name: str) -> None:
    """Refuse columns to relate strata to that the study does not have, before anything is searched."""
    known = sorted(set(files.frame.columns) - {"prediction_id"})
    if asked.value.held_out:
        matching(asked.value.held_out, known, f"stratifications.{name}.value.held_out")
    if asked.value.covariates:
        matching(asked.value.covariates, known, f"stratifications.{name}.value.covariates")


def read_assembled(folder: Path) -> Assembled:
    """Read the assembled files of a study."""
    matrix, context = read_frame(folder / "matrix.parquet"), read_frame(folder / "context.parquet")
    return Assembled(
        rows=read_table(folder / "rows.parquet", Rows),
        columns=read_table(folder / "columns.parquet", ColumnDescriptions),
        frame=matrix.join(context, on="prediction_id", how="left", validate="1:1", maintain_order="left"),
    )


def first_rows(rows: pl.DataFrame, name: str, index: str, more: Sequence[str] = ()) -> pl.DataFrame:
    """Return each patient's first prediction under the index rule, in the order of the cohort; `more` names further columns."""
    first = (
        rows.filter(pl.col("index_rule") == index)
        .sort("position", "number")
        .unique("patient_id", keep="first", maintain_order=True)
    )
    if first.is_empty():
        raise BadInput(
            f"stratifications.{name}.index: the rule {index} has no prediction. Choose another in the study file."
        )
    return first.select(*ROW_COLUMNS, *more)


def rows_of(rows: pl.DataFrame, predictions: pl.Series) -> pl.DataFrame:
    """Return who the given predictions are of, in their order."""
    return pl.DataFrame({"prediction_id": predictions}).join(
        rows.select(ROW_COLUMNS), on="prediction_id", how="left", validate="1:1", maintain_order="left"
    )


def feature_patients(study: Study, name: str, assembled: Assembled) -> Patients:
    """Return the patients of a stratification by feature sets: at the first prediction time of its index rule."""
    asked = study.stratifications[name]
    rows = first_rows(assembled.rows, name, asked.index)
    recipe = feature_recipe(study, name, assembled.columns)
    X = beside_rows(rows, assembled.frame, recipe.needed, name)
    _require_points(X.select(recipe.columns), name)
    return Patients(rows, X, recipe)


def _require_points(X: pl.DataFrame, name: str) -> None:
    """Refuse columns that tell too few kinds of patients apart: valleys, draws of one group and dimensions are of points."""
    if densities(X) or answers_of(X) is not None:
        return
    raise BadInput(
        f"stratifications.{name}: none of its {X.width} columns is a number with {FEWEST_VALUES} or more distinct values known of "
        f"{SMALLEST_GROUP} or more patients, and together they tell fewer than {FEWEST_PATTERNS} kinds of patients apart; whether "
        "so few kinds are strata cannot be tested. Add columns or feature sets, such as a score or the items of a questionnaire."
    )


def feature_recipe(study: Study, name: str, columns: pl.DataFrame) -> Recipe:
    """Return what is done to feature columns; `columns` is ColumnDescriptions."""
    asked = study.stratifications[name]
    predictors = columns.filter(pl.col("role") == "predictor")
    own = predictors.filter(pl.col("feature_set").is_in(asked.feature_sets))["column"].to_list()
    chosen = own if asked.columns is None else matching(asked.columns, own, f"stratifications.{name}.columns")
    modalities = dict(
        predictors.filter(pl.col("column").is_in(chosen)).select("column", "feature_set").iter_rows()
    )
    return Recipe(
        clusterer=asked.clusterer,
        columns=tuple(sorted(chosen)),
        options=ClusterOptions(modalities, dict(asked.weights), dict(asked.parameters)),
        plan=None
        if asked.adjustment is None
        else plan_for(study.adjustments[asked.adjustment].plan(), chosen),
    )


def plan_for(plan: AdjustmentPlan, columns: Sequence[str]) -> AdjustmentPlan:
    """Return the part of an adjustment that concerns some columns.

    Composites are left out, or they would count twice, and so are components and raw scores: strata are not of ancestry.
    """
    known = set(columns)
    plates = {plate: tuple(one for one in own if one in known) for plate, own in plan.plates.items()}
    norms = plan.norms
    if norms is not None:
        kept = tuple(one for one in norms.columns if one in known)
        norms = replace(norms, columns=kept) if kept else None
    return replace(
        plan,
        columns=None if plan.columns is None else tuple(one for one in plan.columns if one in known),
        plates={plate: own for plate, own in plates.items() if own},
        norms=norms,
        composites={},
        genetics=None if plan.genetics is None else plan.genetics.concerning(columns),
    )


def matching(patterns: Sequence[str], known: Sequence[str], place: str) -> list[str]:
    """Return the columns that names or patterns mean, sorted; one that means none is refused."""
    found: set[str] = set()
    for pattern in patterns:
        hits = {name for name in known if fnmatchcase(name, pattern)}
        if not hits:
            raise BadSettings(f"{place}: {pattern!r} is no column there; known: {', '.join(sorted(known))}.")
        found |= hits
    return sorted(found)


def beside_rows(rows: pl.DataFrame, frame: pl.DataFrame, columns: Sequence[str], name: str) -> pl.DataFrame:
    """Return columns of the given rows, in their order; one that no feature set gives is refused."""
    absent = sorted(set(columns) - set(frame.columns))
    if absent:
        raise BadInput(
            f"stratifications.{name} needs {', '.join(absent)}, which no feature set of the study gives. Mend its adjustment, or "
            "add the set."
        )
    own = frame.select("prediction_id", *columns)
    return (
        rows.select("prediction_id")
        .join(own, on="prediction_id", how="left", validate="1:1", maintain_order="left")
        .drop("prediction_id")
    )


def search_settings(asked: Stratification) -> SearchSettings:
    """Return the thresholds of the chain as the study file declares them."""
    return SearchSettings(
        most_strata=asked.most_strata,
        smallest_share=asked.smallest_share,
        draws=asked.one_group.draws,
        null_level=asked.one_group.level,
        prediction_strength=asked.number.prediction_strength,
        splits=asked.number.splits,
        resamples=asked.number.resamples,
        number_level=asked.number.level,
        bootstraps=asked.stability.bootstraps,
        jaccard=asked.stability.jaccard,
        between=asked.replication.between,
        strength_alone=asked.replication.prediction_strength,
        agreement=asked.replication.agreement,
        centroid_correlation=asked.replication.centroid_correlation,
        fewest=asked.replication.fewest,
        required=asked.required,
    )
