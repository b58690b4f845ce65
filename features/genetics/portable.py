"""What of the genetic set's settings another site can compare: rules as they are, files by their content."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from features.genetics.scoring_files import split_column
from features.genetics.settings import Entry, GeneticSettings

_PARTS = ("", ".bed", ".bim", ".fam", ".pgen", ".pvar", ".pvar.zst", ".psam")


def portable(settings: Mapping[str, Any], source: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the rules, without what is the site's own (its files, build, field and quality), and the files by name.

    A score's file, a file of frequencies, and the reference panel are of the definition: with others of the same name the
    columns would mean something else.

    Args:
        settings: of the study, checked.
        source: its source folder, where the parts of a reference are looked up.

    Returns:
        Rules as JSON values; and name to a path relative to `source`.
    """
    checked = GeneticSettings.from_study(settings)
    files_of_scores = {name: split_column(path) for name, path in checked.scores.items()}
    rules: dict[str, Any] = {
        "scores": sorted(checked.scores),
        "weights": {
            name: path.partition("#")[2] for name, path in sorted(checked.scores.items()) if "#" in path
        },
        "minimum_match": checked.minimum_match,
        "palindromic": checked.palindromic,
        "variants": checked.variants,
        "missing": {"imputation": checked.missing.imputation},
    }
    files = {f"scores.{name}": file for name, (file, _) in files_of_scores.items()}
    if checked.missing.file is None:
        rules["missing"]["frequencies"] = checked.missing.frequencies
    else:
        files["missing.frequencies"] = checked.missing.file
    if checked.ancestry is not None:
        own = asdict(checked.ancestry)
        reference, populations = own.pop("reference"), own.pop("populations")
        rules["ancestry"] = {**own, "in_fold": checked.ancestry.in_fold}
        files |= {f"ancestry.reference.{path}": path for path in _files_of(reference, source)}
        files |= {} if populations is None else {"ancestry.populations": populations}
    return rules, files


def _files_of(entry: Entry | None, source: Path) -> list[str]:
    if entry is None:
        return []
    given: Sequence[str] = (entry,) if isinstance(entry, str) else entry
    return [f"{one}{part}" for one in given for part in _PARTS if (source / f"{one}{part}").is_file()]
