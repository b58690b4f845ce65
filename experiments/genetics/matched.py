"""Which matched variants enter a score once quality control has spoken, and the log that tells why others do not."""

from collections.abc import Sequence

import polars as pl

from features.genetics.inputs import GeneticInputs, MatchedScores
from features.genetics.match_log import match_log
from features.genetics.matching import Match, common_lines
from features.genetics.settings import GeneticSettings

NOT_EVERYWHERE = "not in every file"


def used_matches(matched: MatchedScores, variants: pl.DataFrame, settings: GeneticSettings) -> MatchedScores:
    """Leave variants that failed quality control out of every score: of all files alike under `variants: common`.

    A reference panel's variants are not judged: its people are no patients, and who made it has done so.

    Args:
        matched: as `match_scores` gives them.
        variants: schema GenotypeVariants.
        settings: of the genetic set.
    """
    sound = {
        name: _sound(of_file, variants.filter((pl.col("file") == name) & ~pl.col("kept")))
        for name, of_file in matched.used.items()
    }
    if settings.variants == "each":
        return MatchedScores(matched.whole, sound)
    count = len(next(iter(sound.values())))
    shared = [common_lines([of_file[place] for of_file in sound.values()]) for place in range(count)]
    return MatchedScores(
        matched.whole,
        {
            name: tuple(match.restricted(lines) for match, lines in zip(of_file, shared, strict=True))
            for name, of_file in sound.items()
        },
    )


def _sound(matches: Sequence[Match], failed: pl.DataFrame) -> tuple[Match, ...]:
    bad = failed["variant"].implode()
    return tuple(
        match.restricted(match.used.filter(~pl.col("variant").is_in(bad))["line"]) for match in matches
    )


def whole_log(inputs: GeneticInputs, matched: MatchedScores, variants: pl.DataFrame) -> pl.DataFrame:
    """Return the match log of every file and score, schema MatchLog.

    Args:
        inputs: files and scores.
        matched: as `used_matches` gives them.
        variants: schema GenotypeVariants.
    """
    logs = []
    for file in inputs.all_files:
        failed = variants.filter((pl.col("file") == file.name) & ~pl.col("kept")).select("variant", "reason")
        for score, whole, used in zip(
            inputs.scoring, matched.whole[file.name], matched.used[file.name], strict=True
        ):
            why = whole.used.select("line", "variant").join(failed, on="variant", how="left")
            logs.append(
                match_log(score, whole, file)
                .with_columns(
                    pl.col("verdict").cast(pl.String), used=pl.col("line").is_in(used.used["line"].implode())
                )
                .join(why.select("line", "reason"), on="line", how="left", maintain_order="left")
                .with_columns(left_out=_left_out())
                .drop("reason")
            )
    return pl.concat(logs)


def _left_out() -> pl.Expr:
    unused = pl.col("verdict").str.starts_with("matched") & ~pl.col("used")
    return pl.when(unused).then(pl.coalesce("reason", pl.lit(NOT_EVERYWHERE)))
