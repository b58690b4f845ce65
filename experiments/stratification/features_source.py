"""Patients described by columns, and draws of one group that resemble them."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.seeds import seed_for
from experiments.stratification.continuum import Continuum, continuum_of
from experiments.stratification.latent_answers import latent_answers
from experiments.stratification.marginals import Column, Numbers, column_of
from experiments.stratification.one_group import LatentNormal, latent_normal, score_correlation
from experiments.stratification.source import NULLS
from models.adjustment.limits import pairs
from models.clustering.answers import Answers
from models.clustering.representation import WIDEST
from models.columns import is_category
from models.strata_model import Recipe

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class FeatureSource:
    """Patients by their columns (source.Source).

    Every column of the recipe is drawn anew. Columns that the adjustment needs beside them (age, sex) stay as they are and what is
    drawn follows them; context columns stay. Centres keep their means and spreads, or where values are tied their own values.
    """

    def __init__(self, X: pl.DataFrame, centres: Integers, recipe: Recipe, seed: int) -> None:
        """Take patients.

        Args:
            X: one row per patient, with the columns of `recipe.needed`.
            centres: code of each patient's centre, shape (patients,).
            recipe: what is done to them.
            seed: study's seed, of the fit of the continuum.
        """
        self._X = X.select(recipe.needed)
        self._centres = np.asarray(centres, dtype=np.int64)
        self._recipe, self._seed = recipe, seed
        self._columns: tuple[tuple[Column, ...], tuple[Column, ...]] | None = None
        self._copula: LatentNormal | None = None
        self._continuum: Continuum | None = None

    @property
    def X(self) -> pl.DataFrame:  # noqa: N802
        """One row per patient."""
        return self._X

    @property
    def centres(self) -> Integers:
        """Code of each patient's centre."""
        return self._centres

    def draw(self, null: str, generator: np.random.Generator) -> pl.DataFrame:
        """Return X as one group would give it (source.Source); raises ValueError for an unknown null."""
        if null not in NULLS:
            raise ValueError(f"the nulls are {', '.join(NULLS)}; got {null!r}")
        drawn, _ = self._known()
        if not drawn:
            return self._X
        if null == "copula":
            latent = self._latent_normal().draw(self._X.height, generator)
            shares = np.column_stack(
                [column.marginal.ranked(values) for column, values in zip(drawn, latent.T, strict=True)]
            )
            return self._restored(shares, [True] * len(drawn))
        found = self._shape()
        one_mode = [not several for several in found.two_modes]
        return self._restored(found.draw(self._X.height, generator), one_mode)

    def _restored(self, shares: Floats, one_mode: Sequence[bool]) -> pl.DataFrame:
        drawn, _ = self._known()
        made = self._X
        flags = dict(pairs(self._recipe.columns))
        for place, column in enumerate(drawn):
            values = self._X[column.name]
            made = made.with_columns(column.marginal.restored(values, shares[:, place], one_mode[place]))
            flag = flags.get(column.name)
            if flag is not None and not isinstance(column.marginal, Numbers):
                # Who is under the limit of detection is told by the value: both come from one patient.
                donors = column.marginal.donors(shares[:, place], one_mode[place])
                made = made.with_columns(self._X[flag].gather(donors).alias(flag))
        return made

    def _known(self) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
        """Return the columns that are drawn and those that are kept."""
        if self._columns is None:
            context = set() if self._recipe.plan is None else set(self._recipe.plan.context)
            kept = [name for name in self._X.columns if name not in {*self._recipe.columns, *context}]
            drawn = self._columns_of(self._drawn_names())
            self._columns = drawn, self._columns_of(kept)
        return self._columns

    def _drawn_names(self) -> list[str]:
        """Return the recipe's columns without flags that follow from a value with ties at the limit."""
        following = set()
        for value, flag in pairs(self._recipe.columns):
            column = column_of(self._X[value], self._centres)
            if column is not None and not isinstance(column.marginal, Numbers):
                following.add(flag)
        return [name for name in self._recipe.columns if name not in following]

    def _columns_of(self, names: Sequence[str]) -> tuple[Column, ...]:
        direction = self._direction()
        found = []
        for name in names:
            order = _levels(self._X[name], direction) if is_category(self._X[name].dtype) else None
            found.append(column_of(self._X[name], self._centres, order))
        return tuple(column for column in found if column is not None)

    def _direction(self) -> Floats:
        """Return patients' scores by which the levels of categories are ordered, shape (patients,).

        The mean over the columns of numbers; of categories alone what they have most in common.
        """
        numbers = [name for name in self._recipe.columns if not is_category(self._X[name].dtype)]
        found = [column_of(self._X[name], self._centres) for name in numbers]
        scores = [np.nan_to_num(column.scores) for column in found if column is not None]
        if scores:
            return np.asarray(np.mean(scores, axis=0), dtype=np.float64)
        answers = Answers.fit(self._X.select(self._recipe.columns))
        return _first_component(answers.values(self._X)) if answers.columns else np.zeros(self._X.height)

    def _latent_normal(self) -> LatentNormal:
        if self._copula is None:
            self._copula = latent_normal(*self._known())
        return self._copula

    def _shape(self) -> Continuum:
        if self._continuum is None:
            drawn, kept = self._known()
            generator = np.random.default_rng(seed_for(self._seed, "stratify", "continuum", "missing"))
            scores = [np.nan_to_num(column.scores) for column in kept]
            answers = all(column.few for column in drawn)
            self._continuum = continuum_of(
                latent_answers(drawn, generator) if answers else filled(drawn, generator),
                seed_for(self._seed, "stratify", "continuum"),
                np.column_stack(scores) if scores else None,
            )
        return self._continuum


def _first_component(values: Floats) -> Floats:
    """Return scores of the first principal component of scaled columns, means for what is missing, shape (rows,)."""
    centred = np.nan_to_num(values - np.nanmean(values, axis=0))
    spread = centred.std(axis=0)
    scaled = centred / np.where(spread > 0, spread, 1.0)
    return np.asarray(scaled @ np.linalg.eigh(scaled.T @ scaled)[1][:, -1], dtype=np.float64)


def filled(columns: Sequence[Column], generator: np.random.Generator) -> Floats:
    """Return winsorised residuals of SD 1, shape (patients, columns); missing ones drawn given the patient's known ones."""
    values = np.column_stack([np.clip(column.residual, -WIDEST, WIDEST) for column in columns])
    correlation = score_correlation(columns)
    unknown = np.isnan(values)
    patterns, which = np.unique(unknown, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if not pattern.any():
            continue
        rows = np.flatnonzero(which.ravel() == number)
        inner = correlation[np.ix_(~pattern, ~pattern)]
        across = correlation[np.ix_(pattern, ~pattern)]
        slopes = np.linalg.solve(inner, across.T).T if inner.size else np.empty((int(pattern.sum()), 0))
        spread = correlation[np.ix_(pattern, pattern)] - slopes @ across.T
        eigenvalues, vectors = np.linalg.eigh(spread)
        root = vectors * np.sqrt(np.clip(eigenvalues, 0.0, None))
        noise = generator.standard_normal((len(rows), int(pattern.sum()))) @ root.T
        values[np.ix_(rows, np.flatnonzero(pattern))] = (
            values[np.ix_(rows, np.flatnonzero(~pattern))] @ slopes.T + noise
        )
    return np.asarray(values, dtype=np.float64)


def _levels(column: pl.Series, direction: Floats) -> list[str]:
    frame = pl.DataFrame({"level": column, "score": direction}).drop_nulls("level")
    means = frame.group_by("level").agg(pl.col("score").mean()).sort("score", "level")
    return [str(level) for level in means["level"].to_list()]
