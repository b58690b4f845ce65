"""Learners and clusterers by name. To add one: a factory in a module of its own and a line here."""

import json
from collections.abc import Mapping

from models.base_rate import BaseRate
from models.clinical import Clinical
from models.clustering.consensus_of_methods import ConsensusClusterer
from models.clustering.contract import ClustererKind
from models.clustering.distances import prepare_distances
from models.clustering.fusion import FusionClusterer, prepare_network
from models.clustering.gaussian_mixture import GaussianMixtureClusterer
from models.clustering.hierarchical import HierarchicalClusterer
from models.clustering.k_means import KMeansClusterer
from models.clustering.k_medoids import KMedoidsClusterer
from models.clustering.latent_class import LatentClassClusterer, prepare_design
from models.clustering.representation import prepare
from models.contract import Learner, LearnerKind
from models.cox_learners import DEFAULTS as COX_DEFAULTS
from models.cox_learners import ClinicalCox, Cox, cox_space
from models.elastic_net import DEFAULTS as ELASTIC_NET_DEFAULTS
from models.elastic_net import ElasticNet, elastic_net_space
from models.errors import BadTarget
from models.fixed_horizon import STATE_FILE
from models.light_gbm import DEFAULTS as LIGHT_GBM_DEFAULTS
from models.light_gbm import LightGbm, light_gbm_space
from models.light_gbm_hazard import DEFAULTS as LIGHT_GBM_HAZARD_DEFAULTS
from models.light_gbm_hazard import LightGbmHazard, light_gbm_hazard_space
from models.preprocessing import SMALLEST_GROUP
from models.stacking import DEFAULTS as STACKING_DEFAULTS
from models.stacking import Stacking, stacking_space
from models.trajectories.growth_clusterer import GrowthMixtureClusterer, prepare_growth
from models.xg_boost import DEFAULTS as XG_BOOST_DEFAULTS
from models.xg_boost import XgBoost, xg_boost_space
from models.xg_boost_cox import DEFAULTS as XG_BOOST_COX_DEFAULTS
from models.xg_boost_cox import XgBoostCox, xg_boost_cox_space

TIMES = frozenset({"time"})

LEARNERS: dict[str, LearnerKind] = {
    "base_rate": LearnerKind(
        build=BaseRate,
        space=None,
        load=BaseRate.from_parts,
        description="Base rate: the training rows' weighted event rate for everybody.",
    ),
    "clinical": LearnerKind(
        build=Clinical,
        space=None,
        load=Clinical.from_parts,
        description="Clinical model: logistic regression on a few named predictors.",
        monotone=True,
    ),
    "elastic_net": LearnerKind(
        build=ElasticNet,
        space=elastic_net_space,
        load=ElasticNet.from_parts,
        description="Elastic net: logistic regression with L1 and L2 penalties on scaled columns.",
        monotone=True,
        defaults=ELASTIC_NET_DEFAULTS,
    ),
    "lightgbm": LearnerKind(
        build=LightGbm,
        space=light_gbm_space,
        load=LightGbm.from_parts,
        description="LightGBM: gradient-boosted trees with few leaves of at least 20 rows and strong shrinkage.",
        monotone=True,
        defaults=LIGHT_GBM_DEFAULTS,
    ),
    "xgboost": LearnerKind(
        build=XgBoost,
        space=xg_boost_space,
        load=XgBoost.from_parts,
        description="XGBoost: gradient-boosted trees of depth at most 3 with large leaves and strong shrinkage.",
        monotone=True,
        defaults=XG_BOOST_DEFAULTS,
    ),
    "cox": LearnerKind(
        build=Cox,
        space=cox_space,
        load=Cox.from_parts,
        description="Elastic-net Cox: a proportional hazard per cause with L1 and L2 penalties, combined to absolute risks.",
        defaults=COX_DEFAULTS,
        targets=TIMES,
    ),
    "clinical_cox": LearnerKind(
        build=ClinicalCox,
        space=None,
        load=ClinicalCox.from_parts,
        description="Clinical Cox model: a proportional hazard per cause of a few named predictors.",
        targets=TIMES,
    ),
    "xgboost_cox": LearnerKind(
        build=XgBoostCox,
        space=xg_boost_cox_space,
        load=XgBoostCox.from_parts,
        description="XGBoost Cox: boosted trees of depth at most 3 for the log hazard of each cause.",
        defaults=XG_BOOST_COX_DEFAULTS,
        targets=TIMES,
    ),
    "lightgbm_hazard": LearnerKind(
        build=LightGbmHazard,
        space=light_gbm_hazard_space,
        load=LightGbmHazard.from_parts,
        description="LightGBM hazards: boosted trees for which cause happens in each interval of time, if any.",
        defaults=LIGHT_GBM_HAZARD_DEFAULTS,
        targets=TIMES,
    ),
    "stacking": LearnerKind(
        build=Stacking,
        space=stacking_space,
        load=Stacking.from_parts,
        description="Stack: an elastic net of each feature set, combined; predicts with any feature set missing.",
        defaults=STACKING_DEFAULTS,
        uses_modalities=True,
        monotone=True,
    ),
}


def load_registered(parts: Mapping[str, bytes]) -> Learner:
    """Rebuild a learner of any registered kind from its parts; raises BadTarget on anything else."""
    try:
        kind = json.loads(parts[STATE_FILE].decode("utf-8"))["kind"]
        known = LEARNERS[kind]
    except (KeyError, TypeError, ValueError, RecursionError) as problem:
        raise BadTarget(
            f"This is not a stored learner: its {STATE_FILE} must name one of {', '.join(sorted(LEARNERS))}."
        ) from problem
    return known.load(parts)


CLUSTERERS: dict[str, ClustererKind] = {
    "gaussian_mixture": ClustererKind(
        build=GaussianMixtureClusterer,
        prepare=prepare,
        load=GaussianMixtureClusterer.from_parts,
        description="Gaussian mixture with parsimonious covariances on imputed, scaled, winsorised and reduced columns.",
        likelihood=True,
        fewest=11,
    ),
    "k_means": ClustererKind(
        build=KMeansClusterer,
        prepare=prepare,
        load=KMeansClusterer.from_parts,
        description="k-means with soft membership on imputed, scaled, winsorised and reduced columns.",
        fewest=11,
    ),
    "k_medoids": ClustererKind(
        build=KMedoidsClusterer,
        prepare=prepare_distances,
        load=KMedoidsClusterer.from_parts,
        description="K-medoids on distances over numbers and categories, each pair of patients over what both have.",
        categories=True,
        fewest=SMALLEST_GROUP,
    ),
    "hierarchical": ClustererKind(
        build=HierarchicalClusterer,
        prepare=prepare_distances,
        load=HierarchicalClusterer.from_parts,
        description="Branches of a tree of distances over numbers and categories, outlying patients joined to the nearest.",
        categories=True,
        fewest=SMALLEST_GROUP,
    ),
    "latent_class": ClustererKind(
        build=LatentClassClusterer,
        prepare=prepare_design,
        load=LatentClassClusterer.from_parts,
        description="Latent classes and profiles over numbers and categories, by the cells that each patient has.",
        categories=True,
        likelihood=True,
        fewest=SMALLEST_GROUP,
    ),
    "fusion": ClustererKind(
        build=FusionClusterer,
        prepare=prepare_network,
        load=FusionClusterer.from_parts,
        description="Spectral clustering of a similarity network fused of the modalities, assigned by centre profiles.",
        categories=True,
        fewest=SMALLEST_GROUP,
    ),
    "consensus": ClustererKind(
        build=ConsensusClusterer,
        prepare=ConsensusClusterer.prepare,
        load=ConsensusClusterer.from_parts,
        description="Strata on which several clusterers agree, by average linkage on how often they part two patients.",
        categories=True,
        fewest=SMALLEST_GROUP,
    ),
    "growth_mixture": ClustererKind(
        build=GrowthMixtureClusterer,
        prepare=prepare_growth,
        load=GrowthMixtureClusterer.from_parts,
        description="Classes of growth: mean courses of repeated measures, with drop-out by class; for a `course` only.",
        likelihood=True,
        fewest=SMALLEST_GROUP,
    ),
}
