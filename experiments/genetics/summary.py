"""Scores by network and ancestry, fit to leave the site: no small group, none that follows from others, no tail of few."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from experiments.disclosure import SUPPRESSED, hidden_in_linked_tables
from experiments.genetics.schemas import FORMS, SCHEMA_VERSION, ScoreSummary

DIGITS = 2  # of an SD: enough to compare groups, too few to work genotypes back from a score
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
NO_NETWORK = "no network"
_ALL, _LEFT_OUT = "\x00all", "\x00left out"

Row = dict[str, Any]


def score_summary(
    people: pl.DataFrame, values: Mapping[tuple[str, str], str], *, study: str, smallest_cell: int
) -> pl.DataFrame:
    """Return n, mean, SD and quantiles of every score by network and ancestry, schema ScoreSummary.

    A patient counts once. The same patients stand behind every score, those who have all of them, so that no table can
    be taken from another. A quantile is a patient's own score, or lies between two, and a score of few variants gives its
    genotypes away: where counts are hidden, figures are rounded to hundredths of an SD. Patients with a sample and without scores are a hidden cell of every table, because how many
    have a sample is known from the account of files; where they are few the sums over ancestries are not told either.

    Args:
        people: one row per patient with a sample: `network`, `ancestry` (null in every row: nobody asked) and the columns
            of `values`, null for who is left out by quality control.
        values: score and form (one of FORMS) to the column that holds it.
        study: its name.
        smallest_cell: the smallest count that may be published; 0 hides nothing.
    """
    columns = sorted(set(values.values()))
    complete = pl.all_horizontal(pl.col(columns).is_not_null())
    placed = people.with_columns(
        pl.col("network").fill_null(NO_NETWORK),
        ancestry=pl.when(complete).then(pl.col("ancestry").fill_null(_ALL)).otherwise(pl.lit(_LEFT_OUT)),
    )
    named = sorted(placed["network"].unique())
    networks = [None, *(named if len(named) > 1 else [])]  # one network is all patients
    ancestries = sorted(set(placed["ancestry"].unique()) - {_LEFT_OUT})
    parts = [placed if name is None else placed.filter(pl.col("network") == name) for name in networks]
    counts = np.array(
        [
            [part.filter(pl.col("ancestry") == name).height for name in (*ancestries, _LEFT_OUT)]
            for part in parts
        ],
        dtype=np.int64,
    ).reshape(len(parts), len(ancestries) + 1)
    hidden = hidden_in_linked_tables(counts[:, :, None], counts > 0, smallest_cell)
    sums = _hidden_sums(counts[:, :-1], hidden[:, :-1], smallest_cell)
    rows = []
    for score, form in sorted(values, key=lambda key: (key[0], FORMS.index(key[1]))):
        for place, (network, part) in enumerate(zip(networks, parts, strict=True)):
            own = {"score": score, "form": form, "network": network}
            kept = part.filter(pl.col("ancestry") != _LEFT_OUT).select(
                "ancestry", value=pl.col(values[score, form])
            )
            whole = kept["value"].to_numpy()
            if len(whole):
                rows.append({**own, **_figures(whole, smallest_cell, bool(sums[place]))})
                if hidden[place, -1]:
                    rows[-1]["n"] = None
            if ancestries != [_ALL]:
                rows += [
                    {**own, "ancestry": name, **figures}
                    for name, figures in _by_ancestry(kept, ancestries, hidden[place], smallest_cell)
                ]
    every = {"schema_version": SCHEMA_VERSION, "study": study}
    empty = ScoreSummary.create_empty()
    return pl.DataFrame(
        [{**dict.fromkeys(empty.columns), **every, **row} for row in rows], schema=empty.schema, orient="row"
    )


def _by_ancestry(
    kept: pl.DataFrame, ancestries: Sequence[str], hidden: NDArray[np.bool_], smallest_cell: int
) -> Iterator[tuple[str, Row]]:
    for name, hide in zip(ancestries, hidden, strict=False):
        values = kept.filter(pl.col("ancestry") == name)["value"].to_numpy()
        if len(values):
            yield name, _figures(values, smallest_cell, bool(hide))


def _hidden_sums(
    counts: NDArray[np.int64], hidden: NDArray[np.bool_], smallest_cell: int
) -> NDArray[np.bool_]:
    """Return of which networks the sum over ancestries is hidden, shape (1 + networks,), all networks first.

    A sum less its published cells is the sum of the hidden ones. Where that is of a few patients it is not told, nor are
    others from which it would follow.
    """
    few = np.where(hidden, counts, 0).sum(axis=1)
    unsafe = (few > 0) & (few < smallest_cell)
    told = np.ones(len(few), dtype=np.bool_)
    if unsafe.any():
        # A network without a hidden cell is the sum of what is told of it: hiding that sum would hide nothing.
        told[1:] = few[1:] == 0
        several = (~told[1:]).sum() > 1 and few[1:].sum() >= smallest_cell
        told[0] = not unsafe[0] and several
    return ~told


def _figures(values: NDArray[np.float64], smallest_cell: int, hide: bool) -> Row:
    if hide:
        return {"note": SUPPRESSED}
    told = {
        name: float(np.quantile(values, share))
        for name, share in QUANTILES.items()
        if min(share, 1 - share) * len(values) >= smallest_cell
    }
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    figures: Row = {"mean": float(values.mean()), "sd": spread, **told}
    if smallest_cell and spread:
        places = DIGITS - int(np.floor(np.log10(spread)))
        figures = {name: round(figure, places) for name, figure in figures.items()}
    return {"n": len(values), **figures}
