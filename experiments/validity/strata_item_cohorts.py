"""Simulated cohorts of answers alone: traits without classes, and latent classes whose best rule is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import adjusted_rand_score

from experiments.validity.strata_cohorts import CENTRES, SimulatedPatients, patients_of
from models.strata_model import Recipe

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CLUSTERER = "latent_class"
ITEMS, MORE_ITEMS, STEPS = 12, 24, 5
CUTS = {
    2: np.zeros(1),
    STEPS: np.array([-1.2, -0.4, 0.4, 1.2]),
}  # of an item's latent number, about its middle
RARE, FREQUENT = 0.15, 0.6  # shares of patients who have a symptom, evenly over the items
LOADING, CROSSED = 0.7, 0.5  # of items on one trait; on each of two
SHIFT = 0.5  # of centres, standard deviations of the trait, uniform
WITHOUT = 0.1  # answers missing at random


@dataclass(frozen=True)
class Classes:
    """Latent classes: within one, items are independent.

    Attributes:
        classes: number; each has its own share of the items frequent and the others rare.
        items: number.
        rare: probability of a symptom that is rare in a class.
        frequent: and of one that is frequent there.
    """

    classes: int
    items: int
    rare: float
    frequent: float


def one_trait(patients: int, items: int, generator: np.random.Generator) -> Floats:
    """Return latent answers on one trait, shape (patients, items)."""
    trait = generator.normal(size=(patients, 1))
    return np.asarray(
        LOADING * trait + np.sqrt(1 - LOADING**2) * generator.normal(size=(patients, items)), dtype=np.float64
    )


def two_traits(patients: int, items: int, generator: np.random.Generator) -> Floats:
    """Return latent answers of which each half hangs on a trait of its own, and the traits on each other."""
    common = generator.normal(size=(patients, 1))
    own = generator.normal(size=(patients, 2))
    traits = CROSSED * common + np.sqrt(1 - CROSSED**2) * own
    half = np.arange(items) * 2 // items
    noise = generator.normal(size=(patients, items))
    return np.asarray(LOADING * traits[:, half] + np.sqrt(1 - LOADING**2) * noise, dtype=np.float64)


def skewed_trait(patients: int, items: int, generator: np.random.Generator) -> Floats:
    """Return latent answers on one trait that few have much of."""
    trait = generator.exponential(size=(patients, 1)) - 1
    return np.asarray(
        LOADING * trait + np.sqrt(1 - LOADING**2) * generator.normal(size=(patients, items)), dtype=np.float64
    )


@dataclass(frozen=True)
class TraitDesign:
    """How answers without classes are drawn.

    Attributes:
        draw: called as draw(patients, items, generator).
        items: number.
        steps: of each answer.
        shift: of centres, standard deviations.
        missing: share of the answers.
    """

    draw: Callable[[int, int, np.random.Generator], Floats]
    items: int = ITEMS
    steps: int = 2
    shift: float = 0.0
    missing: float = 0.0


TRAITS: Mapping[str, TraitDesign] = {
    "one trait, 12 symptoms": TraitDesign(one_trait),
    "one trait, 24 symptoms": TraitDesign(one_trait, MORE_ITEMS),
    "two traits, 24 symptoms": TraitDesign(two_traits, MORE_ITEMS),
    "a trait few have much of, 12 symptoms": TraitDesign(skewed_trait),
    "one trait, 12 items of five steps": TraitDesign(one_trait, steps=STEPS),
    "a trait few have much of, 12 items of five steps": TraitDesign(skewed_trait, steps=STEPS),
    "one trait, centres shifted, 12 symptoms": TraitDesign(one_trait, shift=SHIFT),
    "one trait, a tenth missing, 24 symptoms": TraitDesign(one_trait, MORE_ITEMS, missing=WITHOUT),
}
CLASSES: Mapping[str, Classes] = {
    "2 classes, 12 symptoms": Classes(2, ITEMS, 0.15, 0.75),
    "2 classes, 24 symptoms": Classes(2, MORE_ITEMS, 0.2, 0.7),
    "3 classes, 24 symptoms": Classes(3, MORE_ITEMS, 0.15, 0.8),
}


def answers_without_classes(name: str, patients: int, generator: np.random.Generator) -> SimulatedPatients:
    """Draw a cohort in which no classes are planted; `name` is one of TRAITS."""
    design = TRAITS[name]
    centres = _centres(patients, generator)
    latent = design.draw(patients, design.items, generator)
    latent = latent + (generator.uniform(-1, 1, size=CENTRES) * design.shift)[centres][:, None]
    middle = norm.ppf(1 - np.linspace(RARE, FREQUENT, design.items))
    values = (latent[:, :, None] > middle[:, None] + CUTS[design.steps]).sum(axis=2).astype(np.float64)
    gone = generator.random(values.shape) < design.missing
    return _cohort(np.where(gone, np.nan, values), centres, np.zeros(patients, dtype=np.int64), None)


def latent_classes(asked: Classes, patients: int, generator: np.random.Generator) -> SimulatedPatients:
    """Draw a cohort of latent classes of equal shares, with centres that make no difference."""
    truth = generator.integers(asked.classes, size=patients)
    block = np.arange(asked.items) * asked.classes // asked.items
    probability = np.where(block == np.arange(asked.classes)[:, None], asked.frequent, asked.rare)
    values = (generator.random((patients, asked.items)) < probability[truth]).astype(np.float64)
    likelihood = values @ np.log(probability).T + (1 - values) @ np.log(1 - probability).T
    oracle = float(adjusted_rand_score(truth, likelihood.argmax(axis=1)))
    return _cohort(values, _centres(patients, generator), truth.astype(np.int64), oracle)


def _centres(patients: int, generator: np.random.Generator) -> Integers:
    return np.sort(generator.integers(CENTRES, size=patients)).astype(np.int64)


def _cohort(values: Floats, centres: Integers, truth: Integers, oracle: float | None) -> SimulatedPatients:
    names = tuple(f"item_{place:02}" for place in range(values.shape[1]))
    return patients_of(values, centres, truth, oracle, Recipe(CLUSTERER, names))
