"""The feature sets by name. To add one: a function in a module of its own and a line here."""

from features import clinical, cognitive, digital, genetic, inflammatory, metabolic
from features.clinical_definitions import DEFINITIONS as CLINICAL
from features.clinical_definitions import WITH_SETTINGS
from features.cognitive_tests import NORMED_DEFINITIONS
from features.contract import FeatureSet
from features.genetics.portable import portable as genetic_files

FEATURE_SETS: dict[str, FeatureSet] = {
    "clinical": FeatureSet(clinical.build, definitions=CLINICAL, with_settings=WITH_SETTINGS),
    "cognitive": FeatureSet(
        cognitive.build,
        definitions=cognitive.DEFINITIONS,
        file_settings=("norms",),
        with_settings=NORMED_DEFINITIONS,
    ),
    "digital": FeatureSet(digital.build, reads_source=True, definitions=digital.DEFINITIONS),
    "genetic": FeatureSet(
        genetic.build, reads_genotypes=True, check=genetic.check_settings, portable=genetic_files
    ),
    "inflammatory": FeatureSet(
        inflammatory.build, definitions=inflammatory.DEFINITIONS, file_settings=("bridge",)
    ),
    "metabolic": FeatureSet(metabolic.build, definitions=metabolic.DEFINITIONS),
}
