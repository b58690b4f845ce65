"""Schemas of what the strata are like, what tells them apart and where they are; Profile stands in `schemas`."""

from collections.abc import Sequence
from typing import Any

import dataframely as dy
import polars as pl


class Importance(dy.Schema):
    """What an out-of-fold classifier of the stratum goes by: mean |SHAP| per stratum and column; stratum 0 is their mean."""

    stratum = dy.Int32(primary_key=True, min=0)
    column = dy.String(primary_key=True)
    feature_set = dy.String(nullable=False)  # "" where the column is of none
    rank = dy.Int32(nullable=False, min=1)  # within the stratum
    mean_absolute = dy.Float64(nullable=False, min=0)  # log-odds of the stratum; mean over folds
    fold_spread = dy.Float64(nullable=True, min=0)  # standard deviation between folds
    direction = dy.Float64(
        nullable=True, min=-1, max=1
    )  # Spearman of value and contribution; null: categories
    used = dy.Float64(nullable=False, min=0, max=1)  # share of the folds whose classifier uses the column


class Accuracy(dy.Schema):
    """How well the stratum is told out of fold, balanced over strata."""

    classifier = dy.Enum(["all_columns", "panel"], primary_key=True)
    size = dy.Int32(primary_key=True, min=0)  # columns
    accuracy = dy.Float64(nullable=False, min=0, max=1)  # mean over folds of the mean recall of the strata
    lower = dy.Float64(nullable=True)  # 95 % interval over folds
    upper = dy.Float64(nullable=True)
    declared = dy.Float64(nullable=False)  # the accuracy that was asked for
    chance = dy.Float64(nullable=False)  # 1 / k
    chosen = dy.Bool(nullable=False)  # the smallest panel whose lower bound reaches what was declared


class PanelColumns(dy.Schema):
    """The columns of the panel, and those that some fold would have taken instead, at the chosen size."""

    column = dy.String(primary_key=True)
    feature_set = dy.String(nullable=False)
    step = dy.Int32(nullable=True, min=1)  # in the selection on all patients; null: not in the panel
    share = dy.Float64(nullable=False, min=0, max=1)  # of the outer folds that choose it


class Places(dy.Schema):
    """How far the strata follow a place."""

    place = dy.String(primary_key=True)  # centre, country, network; centre within country
    levels = dy.Int32(nullable=False, min=1)
    patients = dy.Int64(nullable=True)  # of a known place; null where suppressed
    mutual_information = dy.Float64(nullable=False, min=0)  # nats
    adjusted = dy.Float64(nullable=True)  # 0 by chance, 1 where one tells the other; null within country
    p = dy.Float64(nullable=False, min=0, max=1)  # patients shuffled over places
    permutations = dy.Int32(nullable=False, min=1)
    follows = dy.Enum(["no", "somewhat", "strongly"], nullable=False)


class PlaceShares(dy.Schema):
    """Where the patients of each stratum are."""

    place = dy.String(primary_key=True)
    level = dy.String(primary_key=True)
    stratum = dy.Int32(primary_key=True, min=1)
    n = dy.Int64(nullable=True)  # null where suppressed, with the shares
    of_stratum = dy.Float64(nullable=True, min=0, max=1)  # of the stratum's patients, the share at the level
    of_level = dy.Float64(nullable=True, min=0, max=1)  # of the level's patients, the share in the stratum
    verdict = dy.Enum(["is", "lies in", ""], nullable=False)  # the stratum is the place; it lies in it


class Regions(dy.Schema):
    """Where each stratum lies in the two directions of largest spread: an ellipse, no patient."""

    stratum = dy.Int32(primary_key=True, min=1)
    n = dy.Int64(nullable=True)
    centre_first = dy.Float64(nullable=False)
    centre_second = dy.Float64(nullable=False)
    variance_first = dy.Float64(nullable=False, min=0)
    variance_second = dy.Float64(nullable=False, min=0)
    covariance = dy.Float64(nullable=False)


class RegionAxes(dy.Schema):
    """What the two directions are made of."""

    axis = dy.Int32(primary_key=True, min=1, max=2)
    column = dy.String(primary_key=True)
    correlation = dy.Float64(nullable=False, min=-1, max=1)
    share = dy.Float64(nullable=False, min=0, max=1)  # of the points' variance that lies along the axis


class Centroids(dy.Schema):
    """The strata's means in each country, in standard deviations from the country's mean."""

    country = dy.String(primary_key=True)
    stratum = dy.Int32(primary_key=True, min=1)
    column = dy.String(primary_key=True)
    effect = dy.Float64(nullable=True)  # null where suppressed


def table_of(schema: type[dy.Schema], records: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return the records as a frame that holds to the schema; none gives an empty one, a missing entry is null."""
    kinds = {name: kind.dtype for name, kind in schema.columns().items()}
    return schema.validate(pl.DataFrame(records, schema=kinds))
