"""Tables of cards on polygenic scores and genotypes."""

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from experiments.genetics.schemas import RELATIONS
from pipeline.cards.flow import HIDDEN, Table, worded_steps
from pipeline.cards.section import count, same_columns, without_empty_columns
from pipeline.cards.wording import number

FORMS = {
    "raw": "sum of weights",
    "mean": "normalised, mean",
    "mean_variance": "normalised, mean and variance",
}


def score_table(report: Mapping[str, Any]) -> Table:
    """One row per score."""
    rows = [
        {
            "score": item["score"],
            "trait": item["trait"] or "",
            "source": item["source"],
            "file": item["file"],
            "format": item["format"],
            "genome build": item["genome_build"],
            "matched by": item["matched_by"],
            "columns not used": ", ".join(item["unused_columns"]),
            "variants": count(item["rows"]),
            "repeated rows": count(item["repeated_rows"]),
            "in the score": count(item["used"]),
        }
        for item in report["scores"]
    ]
    return without_empty_columns(rows)


def match_table(report: Mapping[str, Any], scores: Collection[str]) -> Table:
    """One row per score, of those named, and file, with the reasons for what did not match."""
    rows = []
    for item in report["matches"]:
        if item["score"] not in scores:
            continue
        reasons = {name.replace("_", " "): count(number) for name, number in item["unused"].items() if number}
        rows.append(
            {
                "score": item["score"],
                "file": item["file"] + (" (reference)" if item["reference"] else ""),
                "matched": f"{item['matched']:,} of {item['rows']:,} ({100 * item['rate']:.1f} %)",
                "share of weights": ""
                if item["weight_share"] is None
                else f"{100 * item['weight_share']:.1f} %",
                "alleles turned": count(item["alleles_flipped"]),
                "other strand": count(item["strand_flipped"]),
                "not matched": ", ".join(f"{name} {number}" for name, number in reasons.items()),
            }
        )
    return rows


def summary_table(summary: pl.DataFrame) -> Table:
    """One row per score and group: n, and mean and SD of each form."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in summary.iter_rows(named=True):
        key = (row["score"], row["network"] or "all", row["ancestry"] or "all")
        cells = rows.setdefault(
            key,
            {
                "score": key[0],
                "network": key[1],
                "ancestry": key[2],
                "n": HIDDEN if row["n"] is None else count(row["n"]),
            },
        )
        told = row["mean"] is not None
        spread = "" if row["sd"] is None else f" ({number(row['sd'], digits=2)})"
        cells[f"{FORMS[row['form']]}: mean (SD)"] = (
            f"{number(row['mean'], digits=2, signed=True)}{spread}" if told else HIDDEN
        )
    return without_empty_columns(list(rows.values()))


def ancestry_table(summary: pl.DataFrame) -> Table:
    """One row per ancestry, one column per network; empty where ancestry was not asked for."""
    if summary.is_empty():
        return []
    first = summary.filter((pl.col("score") == summary["score"].item(0)) & (pl.col("form") == "raw"))
    cells = {(row["ancestry"], row["network"]): row["n"] for row in first.iter_rows(named=True)}
    ancestries = sorted({name for name, _ in cells if name is not None})
    networks = [None, *sorted({name for _, name in cells if name is not None})]
    return [
        {
            "ancestry": ancestry,
            **{
                network or "all": HIDDEN
                if cells.get((ancestry, network), 0) is None
                else count(cells.get((ancestry, network), 0))
                for network in networks
            },
        }
        for ancestry in ancestries
    ]


def sample_flow(flow: Mapping[str, Any], smallest: int) -> Table:
    """Word the samples' steps through quality control.

    Where counts are suppressed it begins with the samples of the table genotypes, which the account of files tells too: a
    start of its own would tell what is hidden there.
    """
    steps = flow["samples"]
    if smallest:
        mapped = {"step": "samples of the table genotypes", "samples": flow["mapped_samples"]}
        steps = [mapped, {**steps[1], "step": "in a genotype file"}, *steps[2:]]
    removed, left = worded_steps([int(step["samples"]) for step in steps], smallest)
    return [
        {"step": str(step["step"]), "removed": gone, "samples": remaining}
        for step, gone, remaining in zip(steps, removed, left, strict=True)
    ]


def variant_flow(flow: Mapping[str, Any]) -> Table:
    """Word the variants' steps by file, and those to the variants of kinship; variants are no patients: none is hidden."""
    rows: dict[str, dict[str, str]] = {}
    for item in flow["variants"]:
        for step in item["steps"]:
            rows.setdefault(step["step"], {"step": step["step"]})[item["file"]] = count(step["variants"])
    pruning = [{"step": str(step["step"]), "all files": count(step["variants"])} for step in flow["pruning"]]
    return same_columns([*rows.values(), *pruning])


def file_table(report: Mapping[str, Any]) -> Table:
    """One row per genotype file."""
    return [
        {
            "file": item["file"] + (" (reference)" if item["reference"] else ""),
            "variants": count(item["variants"]),
            "genome build": item["genome_build"] or "not stated",
            "holds": "dosages" if item["dosages"] else "hard calls",
        }
        for item in report["files"]
    ]


def relative_table(report: Mapping[str, Any]) -> Table:
    """One row per relation."""
    pairs = report["relatives"]
    return [
        {"relation": name, "pairs": HIDDEN if pairs[name] is None else count(pairs[name])}
        for name in RELATIONS
        if name in pairs
    ]
