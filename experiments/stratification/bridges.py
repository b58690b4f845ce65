"""Mixtures of Gaussians, the ridges between their components, and components that fill the valleys."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHALLOW = 0.98  # a ridge this high over the lower peak has no valley
STEPS = 25  # places along a ridge
APART = 1.5  # standard deviations between bridging components
STRETCHED = 0.5  # variance along the ridge that a bridging component has beside that of its ends
ROUNDS = 20


@dataclass(frozen=True)
class Components:
    """A mixture of Gaussians: weights (k,), means (k, d), covariances (k, d, d)."""

    weights: Floats
    means: Floats
    covariances: Floats

    def densities(self, points: Floats) -> Floats:
        """Return each component's own density at the points, shape (points, k)."""
        columns = []
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            root = np.linalg.cholesky(covariance)
            scaled = np.linalg.solve(root, (points - mean).T)
            constant = np.log(np.diagonal(root)).sum() + len(mean) / 2 * np.log(2 * np.pi)
            columns.append(np.exp(-(scaled**2).sum(axis=0) / 2 - constant))
        return np.column_stack(columns)

    def density(self, points: Floats) -> Floats:
        """Return the density, shape (points,)."""
        return np.asarray(self.densities(points) @ self.weights, dtype=np.float64)

    def draw(self, patients: int, generator: np.random.Generator) -> Floats:
        """Return points, shape (patients, d)."""
        labels = generator.choice(len(self.weights), size=patients, p=self.weights)
        normal = generator.standard_normal((patients, self.means.shape[1]))
        points = np.empty_like(normal)
        for label, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            rows = labels == label
            points[rows] = mean + normal[rows] @ np.linalg.cholesky(covariance).T
        return points


def fill_valleys(fitted: Components) -> tuple[Components, int]:
    """Return the mixture with bridging components, and how many groups had a valley between them.

    Components are joined by the tree of highest ridges; every edge of it that falls below the lower peak is filled. Where all
    edges are level, the mixture stays as it is.
    """
    k = len(fitted.weights)
    if k == 1:
        return fitted, 1
    heights = np.zeros((k, k))
    for one in range(k):
        for other in range(one + 1, k):
            heights[one, other] = heights[other, one] = _height(fitted, ridge(fitted, one, other))
    edges = [edge for edge in _highest_tree(heights) if heights[edge] < SHALLOW]
    made = fitted
    for one, other in edges:
        made = _bridged(made, fitted, one, other)
    return made, 1 + len(edges)


def ridge(mixture: Components, one: int, other: int, steps: int = STEPS) -> Floats:
    """Return places from one mean to another along which both components fall as slowly as possible, shape (steps, d)."""
    first, second = np.linalg.inv(mixture.covariances[one]), np.linalg.inv(mixture.covariances[other])
    pulls = first @ mixture.means[one], second @ mixture.means[other]
    return np.stack(
        [
            np.linalg.solve((1 - share) * first + share * second, (1 - share) * pulls[0] + share * pulls[1])
            for share in np.linspace(0.0, 1.0, steps)
        ]
    )


def _height(mixture: Components, places: Floats) -> float:
    """Return the lowest density along a ridge over the lower of the peaks on its two sides."""
    density = mixture.density(places)
    lowest = int(density.argmin())
    return float(density[lowest] / min(density[: lowest + 1].max(), density[lowest:].max()))


def _highest_tree(heights: Floats) -> Iterator[tuple[int, int]]:
    """Yield the edges of the spanning tree that keeps to the highest ridges (Prim)."""
    inside, outside = [0], list(range(1, len(heights)))
    while outside:
        one, other = max(
            ((a, b) for a in inside for b in outside), key=lambda edge: (heights[edge], -edge[0], -edge[1])
        )
        inside.append(other)
        outside.remove(other)
        yield one, other


def _bridged(made: Components, fitted: Components, one: int, other: int) -> Components:
    """Return `made` with components along a ridge, as heavy as it takes for the density not to fall below the lower peak."""
    path = ridge(fitted, one, other)
    inverse = np.linalg.inv((fitted.covariances[one] + fitted.covariances[other]) / 2)
    legs = np.diff(path, axis=0)
    lengths = np.sqrt(np.einsum("si,ij,sj->s", legs, inverse, legs))
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    number = max(1, round(float(along[-1]) / APART) - 1)
    shares = np.searchsorted(along, along[-1] * np.arange(1, number + 1) / (number + 1)) / (len(path) - 1)
    means, covariances = [], []
    for share in shares:
        place = round(share * (len(path) - 1))
        leg = path[min(place + 1, len(path) - 1)] - path[place - 1]
        leg = leg / np.sqrt(leg @ inverse @ leg)
        across = np.linalg.inv(
            (1 - share) * np.linalg.inv(fitted.covariances[one])
            + share * np.linalg.inv(fitted.covariances[other])
        )
        means.append(path[place])
        covariances.append(across + np.outer(leg, leg) * STRETCHED)
    bridge = Components(np.zeros(number), np.stack(means), np.stack(covariances))
    wanted = float(fitted.density(fitted.means[[one, other]]).min())
    own, weights = bridge.densities(path), np.zeros(number)
    there = made.density(path)
    nearest = own.argmax(axis=0)
    for _ in range(ROUNDS):
        lacking = np.maximum(wanted - there - own @ weights, 0.0)
        if lacking.max() < 0.02 * wanted:
            break
        weights += lacking[nearest] / own[nearest, np.arange(number)]
    return _joined(made, Components(weights, bridge.means, bridge.covariances))


def _joined(first: Components, second: Components) -> Components:
    """Return both mixtures as one; its weights sum to more than 1 until they are scaled."""
    return Components(
        np.concatenate([first.weights, second.weights]),
        np.vstack([first.means, second.means]),
        np.concatenate([first.covariances, second.covariances]),
    )
