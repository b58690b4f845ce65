"""The settings of the genetic set, checked before any file is opened."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal

from features.errors import BadInput
from features.genetics.thresholds import QualityThresholds

BUILDS = ("GRCh37", "GRCh38")
PALINDROMIC_POLICIES = ("drop", "keep", "frequency")
SHARED_VARIANTS = ("common", "each")
IMPUTATIONS = ("mean", "none", "hardy_weinberg")
NORMALISATIONS: tuple[Literal["mean", "mean_variance"], ...] = ("mean", "mean_variance")
VCF_FIELDS = ("GT", "DS")
SCORING_FILE, COHORT = "scoring_file", "cohort"  # sources of frequencies that are no file of their own
MOST_COMPONENTS = 40
_SCORE_NAME = "[a-z0-9_]{1,60}"
# Scores of these names would have the names of the set's other columns, or of what an adjustment makes of another score.
_TAKEN = re.compile(
    "(component_|variants|genotypes).*|ancestry|family|.*_(ancestry_mean|ancestry_mean_variance|missing|raw)"
)

Entry = str | tuple[str, ...]  # one genotype file, or several with different variants of the same samples


@dataclass(frozen=True)
class MissingSettings:
    """What stands in for a missing genotype.

    Attributes:
        imputation: `mean`: plink2's mean imputation, the expected dosage 2f, of a dominant or recessive row f; `none`: plink2's no-mean-imputation, the average over called alleles; `hardy_weinberg`: the expected state.
        frequencies: where f comes from: `scoring_file` (rows that state none are left to `none`), `cohort` (counted in the
            training fold by an adjustment), or the path of a plink2 .afreq or PLINK 1 .frq file.
    """

    imputation: str = "hardy_weinberg"
    frequencies: str = SCORING_FILE

    @property
    def file(self) -> str | None:
        """The path of a frequency file; None: frequencies come from elsewhere."""
        return (
            None
            if self.frequencies in (SCORING_FILE, COHORT) or self.imputation == "none"
            else self.frequencies
        )

    @property
    def in_fold(self) -> bool:
        """Tell whether frequencies are counted in the training fold."""
        return self.frequencies == COHORT and self.imputation != "none"


@dataclass(frozen=True)
class AncestrySettings:
    """Where components come from.

    Attributes:
        reference: genotypes of a reference panel, people of no cohort; None: components are fitted in the training fold.
        populations: tab-separated table of the reference's samples: sample_id, population; None: no populations are named.
        components: their number.
        normalise: which of the two normalised scores is the predictor; both are kept. Only with a reference.
        raw_as_predictor: the raw score stays a predictor beside it.
        components_as_predictors: the components are predictors; otherwise they stand as context, for adjustments.
    """

    reference: Entry | None = None
    populations: str | None = None
    components: int = 10
    normalise: str = "mean_variance"
    raw_as_predictor: bool = False
    components_as_predictors: bool = False

    @property
    def in_fold(self) -> bool:
        """Tell whether components are fitted in the training fold."""
        return self.reference is None


@dataclass(frozen=True)
class ControlsSettings:
    """Who is a control for Hardy-Weinberg: patients with one of these values of a measured category."""

    variable: str
    levels: tuple[str, ...]


@dataclass(frozen=True)
class GeneticSettings:
    """The settings of `feature_sets.genetic`.

    Attributes:
        files: genotype files of the cohort, relative to the study's source folder.
        scores: name of a score to its scoring file, relative to the source folder.
        genome_build: of the genotypes, where the study declares it; None: as far as the files tell.
        minimum_match: least share of a score's rows that must match in each genotype file, above 0, at most 1.
        palindromic: what to do with A/T and C/G variants.
        variants: `common`: a score uses the variants matched in every genotype file and the reference; `each`: each file its own.
        vcf_field: the field of VCF files; None: DS where every variant has it, otherwise GT.
        missing: what stands in for missing genotypes.
        quality: thresholds of quality control by name, those that differ from the defaults.
        controls: who is a control for Hardy-Weinberg; None: nobody is declared.
        ancestry: None: scores are not looked at by ancestry.
    """

    files: tuple[Entry, ...]
    scores: Mapping[str, str]
    genome_build: str | None = None
    minimum_match: float = 0.75
    palindromic: str = "drop"
    variants: str = "common"
    vcf_field: str | None = None
    missing: MissingSettings = MissingSettings()
    quality: Mapping[str, float] = field(default_factory=dict)
    controls: ControlsSettings | None = None
    ancestry: AncestrySettings | None = None

    @classmethod
    def from_study(cls, settings: Mapping[str, Any]) -> "GeneticSettings":
        """Check what stands under `feature_sets.genetic`, which comes from YAML: types first, then values.

        Raises:
            BadInput: every setting that cannot be used, among them paths that lead out of the study's source folder.
        """
        checked = _Checked(settings)
        made = cls(
            files=checked.entries("files"),
            scores=checked.scores(),
            genome_build=checked.choice("genome_build", BUILDS, None),
            minimum_match=checked.share("minimum_match", 0.75),
            palindromic=checked.choice("palindromic", PALINDROMIC_POLICIES, "drop") or "drop",
            variants=checked.choice("variants", SHARED_VARIANTS, "common") or "common",
            vcf_field=checked.choice("vcf_field", VCF_FIELDS, None),
            missing=checked.missing(),
            quality=checked.quality(),
            controls=checked.controls(),
            ancestry=checked.ancestry(),
        )
        if made.missing.in_fold and made.variants == "each":
            checked.problems.append(
                "genetic: missing.frequencies: cohort counts the same variants in every file; take variants: each out."
            )
        if made.palindromic == "frequency" and made.missing.file is None:
            checked.problems.append(
                "genetic: palindromic: frequency needs a table of allele frequencies of people like the genotypes'; name it "
                "under missing.frequencies, or choose drop or keep."
            )
        checked.refuse()
        return made


class _Checked:
    """Reads settings one by one and gathers what is wrong with them."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.problems: list[str] = []
        self._unknown("", settings, set(GeneticSettings.__dataclass_fields__))

    def refuse(self) -> None:
        """Raise BadInput with all problems."""
        if self.problems:
            raise BadInput(*self.problems)

    def entries(self, key: str) -> tuple[Entry, ...]:
        given = self.settings.get(key)
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            self.problems.append(
                f"genetic: {key} must list at least one genotype file, such as [genotypes/fr]."
            )
            return ()
        entries = tuple(self._entry(entry) for entry in given)
        paths = [path for entry in entries for path in ((entry,) if isinstance(entry, str) else entry)]
        if len({*paths}) < len(paths):
            self.problems.append(f"genetic: {key} names the same genotype file twice.")
        return entries

    def scores(self) -> dict[str, str]:
        given = self.settings.get("scores")
        if not isinstance(given, Mapping) or not given:
            self.problems.append("genetic: scores must map at least one name to a scoring file.")
            return {}
        self.problems += [
            f"genetic: the score name {name!r} may hold only a-z, 0-9 and _, and at most 60 of them."
            for name in given
            if not re.fullmatch(_SCORE_NAME, str(name))
        ]
        self.problems += [
            f"genetic: a score cannot be named {name}: its column would have the name of another column of the set; name it "
            "otherwise."
            for name in given
            if _TAKEN.fullmatch(str(name))
        ]
        return {str(name): self._path(path) for name, path in given.items()}

    def choice(self, key: str, known: Sequence[str], default: str | None, within: str = "") -> str | None:
        part = self.settings if not within else self.settings.get(within)
        given = part.get(key, default) if isinstance(part, Mapping) else default
        if given == default or given in known:
            return given
        self.problems.append(
            f"genetic: {within}{'.' if within else ''}{key} must be one of {', '.join(known)}, got: {given!r}."
        )
        return default

    def share(self, key: str, default: float) -> float:
        given = self.settings.get(key, default)
        if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given <= 1:
            return float(given)
        self.problems.append(f"genetic: {key} must be above 0 and at most 1, got: {given!r}.")
        return default

    def missing(self) -> MissingSettings:
        part = self._part("missing", set(MissingSettings.__dataclass_fields__))
        default = MissingSettings()
        if part is None:
            return default
        frequencies = part.get("frequencies", default.frequencies)
        if frequencies not in (SCORING_FILE, COHORT):
            frequencies = self._path(frequencies)
        chosen = self.choice("imputation", IMPUTATIONS, default.imputation, "missing")
        return MissingSettings(chosen or default.imputation, frequencies)

    def quality(self) -> dict[str, float]:
        part = self._part("quality", None) or {}
        numbers = {str(key): value for key, value in part.items() if key != "controls"}
        odd = {
            key
            for key, value in numbers.items()
            if isinstance(value, bool) or not isinstance(value, int | float)
        }
        self.problems += [
            f"genetic: quality.{key} must be a number, got: {numbers[key]!r}." for key in sorted(odd)
        ]
        try:
            QualityThresholds.from_settings({key: numbers[key] for key in numbers if key not in odd})
        except BadInput as bad:
            self.problems += bad.problems
            return {}
        return {key: float(value) for key, value in numbers.items() if key not in odd}

    def controls(self) -> ControlsSettings | None:
        quality = self.settings.get("quality")
        given = quality.get("controls") if isinstance(quality, Mapping) else None
        if given is None:
            return None
        levels = given.get("levels") if isinstance(given, Mapping) else None
        if (
            not isinstance(given, Mapping)
            or set(given) != {"variable", "levels"}
            or not _texts([given["variable"]])
            or not _texts(levels)
        ):
            self.problems.append(
                "genetic: quality.controls must be {variable: <a measured category>, levels: [<its values of controls>]}, "
                "all of them text."
            )
            return None
        return ControlsSettings(str(given["variable"]), tuple(map(str, levels or ())))

    def ancestry(self) -> AncestrySettings | None:
        known = set(AncestrySettings.__dataclass_fields__) | {"in_fold"}
        part = self._part("ancestry", known)
        if part is None:
            return None
        reference, in_fold = part.get("reference"), self._flag(part, "in_fold")
        if (reference is None) != in_fold:
            self.problems.append(
                "genetic: ancestry needs either reference (genotypes of a panel) or in_fold: true, and not both."
            )
        for key in ("populations", "normalise", "raw_as_predictor"):
            if in_fold and key in part:
                self.problems.append(f"genetic: ancestry.{key} needs a reference; take it out.")
        count = part.get("components", 10)
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_COMPONENTS:
            self.problems.append(
                f"genetic: ancestry.components must be 1 to {MOST_COMPONENTS}, got: {count!r}."
            )
            count = 10
        populations = part.get("populations")
        return AncestrySettings(
            reference=None if reference is None else self._entry(reference),
            populations=None if populations is None else self._path(populations),
            components=count,
            normalise=self.choice("normalise", NORMALISATIONS, "mean_variance", "ancestry")
            or "mean_variance",
            raw_as_predictor=self._flag(part, "raw_as_predictor"),
            components_as_predictors=self._flag(part, "components_as_predictors"),
        )

    def _flag(self, part: Mapping[str, Any], key: str) -> bool:
        given = part.get(key, False)
        if not isinstance(given, bool):
            self.problems.append(f"genetic: ancestry.{key} must be true or false, got: {given!r}.")
        return given is True

    def _part(self, key: str, known: set[str] | None) -> Mapping[str, Any] | None:
        given = self.settings.get(key)
        if given is None:
            return None
        if not isinstance(given, Mapping):
            self.problems.append(f"genetic: {key} must be a mapping, got: {given!r}.")
            return None
        if known is not None:
            self._unknown(f"{key}.", given, known)
        return given

    def _unknown(self, place: str, given: Mapping[str, Any], known: set[str]) -> None:
        odd = sorted(str(key) for key in given if key not in known - {"controls"})
        if odd:
            self.problems.append(
                f"genetic: {', '.join(place + key for key in odd)} is not a setting; known: "
                f"{', '.join(place + key for key in sorted(known - {'controls'}))}."
            )

    def _entry(self, given: Any) -> Entry:
        if isinstance(given, Sequence) and not isinstance(given, str):
            if not given:
                self.problems.append("genetic: a list of genotype files of the same people is empty.")
            return tuple(self._path(path) for path in given)
        return self._path(given)

    def _path(self, given: Any) -> str:
        if not (isinstance(given, str) and _inside(given)):
            self.problems.append(
                f"genetic: {given!r} must be a path inside the study's source folder, without '..', not absolute and all printable."
            )
        return str(given)


def _texts(given: Any) -> bool:
    if isinstance(given, str) or not isinstance(given, Sequence):
        return False
    return bool(given) and all(isinstance(one, str) and bool(one) for one in given)


def _inside(path: str) -> bool:
    posix, windows = PurePosixPath(path), PureWindowsPath(path)
    absolute = posix.is_absolute() or bool(windows.anchor)
    return bool(posix.name) and not absolute and ".." not in windows.parts and path.isprintable()
