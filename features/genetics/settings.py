"""Check the settings of the genetic set before any file is opened."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath

from features.errors import BadInput
from features.genetics.matching import PALINDROMIC_POLICIES


def check_settings(
    files: Sequence[str], scores: Mapping[str, str], *, minimum_match: float, palindromic: str
) -> None:
    """Check the genetic set's settings, which come from YAML: types first, then values.

    Raises:
        BadInput: every setting that cannot be used, among them paths that lead out of the study's source folder.
    """
    problems = []
    if isinstance(files, str) or not isinstance(files, Sequence) or not files:
        problems.append("genetic: files must list at least one PLINK prefix, such as [genotypes/fr].")
        files = []
    if not isinstance(scores, Mapping) or not scores:
        problems.append("genetic: scores must map at least one name to a scoring file.")
        scores = {}
    if len({str(file) for file in files}) < len(files):
        problems.append("genetic: files names the same PLINK prefix twice.")
    problems += [
        f"genetic: the score name {name!r} may hold only a-z, 0-9 and _."
        for name in scores
        if not re.fullmatch("[a-z0-9_]+", str(name))
    ]
    problems += [
        f"genetic: {path!r} must be a path inside the study's source folder, without '..' and not absolute."
        for path in (*files, *scores.values())
        if not (isinstance(path, str) and _inside(path))
    ]
    if not (isinstance(minimum_match, int | float) and 0 < minimum_match <= 1):
        problems.append(f"genetic: minimum_match must be above 0 and at most 1, got: {minimum_match!r}.")
    if palindromic not in PALINDROMIC_POLICIES:
        problems.append(
            f"genetic: palindromic must be one of {', '.join(PALINDROMIC_POLICIES)}, got: {palindromic!r}."
        )
    if problems:
        raise BadInput(*problems)


def _inside(path: str) -> bool:
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    absolute = posix.is_absolute() or bool(windows.anchor)
    return bool(posix.name) and not absolute and ".." not in windows.parts and "\0" not in path
