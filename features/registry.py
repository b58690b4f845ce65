"""The feature sets by name. To add one: a function in a module of its own and a line here."""

from features.contract import FeatureSet

FEATURE_SETS: dict[str, FeatureSet] = {}
