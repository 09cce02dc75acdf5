"""The space of the linear model: what is not of the patient is shrunk, without any outcome."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import DataError, NotEstimable
from metastra.training.patient_bags import PatientBags
from metastra.training.slide_space import (
    against_nuisance,
    plain_space,
    source_spread,
    tile_spread,
)
from training.slide_cases import a_bag, patients


def spaced(tiles, sources=None):
    bags = PatientBags.of_bags([[a_bag(one)] for one in tiles], sources)
    at = np.arange(bags.n)
    space = plain_space(bags.moments().means)
    return space, bags, at


def test_the_plain_space_is_that_of_principal_components():
    """Orthonormal directions, variances descending, as an eigenvalue problem has them."""
    rng = np.random.default_rng(1)
    means = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6))
    space = plain_space(means)
    np.testing.assert_allclose(space.basis.T @ space.basis, np.eye(6), atol=1e-12)
    turned = space.components(means)
    values = np.linalg.eigvalsh(np.corrcoef(means.T))[::-1]
    np.testing.assert_allclose((turned**2).mean(axis=0), values, rtol=1e-9)
    with pytest.raises(NotEstimable, match="the same for all patients"):
        plain_space(np.ones((5, 3)))


def test_the_spread_of_tiles_is_by_brute_force_what_chance_does_to_a_mean():
    """The covariance of tiles over their number, patient by patient; one tile says nothing."""
    rng = np.random.default_rng(2)
    tiles = [rng.normal(size=(n, 3)).astype(np.float32) for n in (1, 2, 7, 30)]
    space, bags, at = spaced(tiles)
    wanted = np.mean(
        [np.cov(space.components(one.astype(float)).T) / len(one) for one in tiles[1:]], axis=0
    )
    np.testing.assert_allclose(tile_spread(space, bags, at), wanted, rtol=1e-9, atol=1e-12)
    # of many tiles some are read, and the number is that of all
    long = [rng.normal(size=(3000, 2)).astype(np.float32) for _ in range(6)]
    space, bags, at = spaced(long)
    scale = space.scale @ np.abs(space.basis) ** 2
    assert np.diag(tile_spread(space, bags, at)) == pytest.approx(1.0 / 3000 / scale**2, rel=0.25)


def test_the_spread_of_hospitals_needs_ten_patients_each():
    """Smaller ones count as one; a single one has no spread."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(36, 2))
    names = np.array(["a"] * 12 + ["b"] * 12 + ["c"] * 6 + ["d"] * 6)
    joined = np.array(["a"] * 12 + ["b"] * 12 + ["small"] * 12)
    np.testing.assert_allclose(source_spread(values, names), source_spread(values, joined))
    blocks = [values[:12], values[12:24], values[24:]]
    wanted = np.cov(np.array([one.mean(axis=0) for one in blocks]).T, bias=True)
    np.testing.assert_allclose(source_spread(values, names), wanted, rtol=1e-12)
    assert not source_spread(values, np.full(36, "a")).any()


def test_nuisance_is_the_same_in_every_direction_afterwards():
    """But for the floor: the sum of both spreads has turned into nearly the identity."""
    made = patients(n=60, n_tiles=12, d=5)
    names = [("x", "y", "z")[row % 3] for row in range(60)]
    bags = PatientBags.of_bags([[a_bag(one)] for one in made.tiles], names)
    at = np.arange(60)
    space = against_nuisance(plain_space(bags.moments().means), bags, at)
    means = space.components(bags.moments().means)
    left = tile_spread(space, bags, at) + 3.0 * source_spread(means, bags.sources)
    values = np.linalg.eigvalsh(left)
    assert values.max() < 1.0
    np.testing.assert_allclose(left, np.diag(np.diag(left)), atol=1e-9)


def test_without_nuisance_the_space_stays_as_it_was():
    """One tile each, from one place: nothing says what is not of the patient."""
    rng = np.random.default_rng(4)
    space, bags, at = spaced([rng.normal(size=(1, 4)).astype(np.float32) for _ in range(20)])
    assert against_nuisance(space, bags, at) is space
    with pytest.raises(DataError, match="3 sources do not fit 2 patients"):
        PatientBags.of_bags([[], []], ["a", "b", "c"])


def test_a_stain_of_hospitals_is_shrunk_where_hospitals_are_known():
    """What hospitals differ in becomes short beside what patients differ in: a ridge drops it."""
    rng = np.random.default_rng(5)
    n = 160
    hospital = np.arange(n) % 4
    level = rng.normal(size=n)
    tiles = []
    for row in range(n):
        one = rng.normal(size=(15, 8))
        one[:, 0] += 0.7 * level[row]
        # four features follow the stain, which differs by hospital and a little by patient
        one[:, 4:] += 4.0 * hospital[row] + 0.5 * rng.normal()
        tiles.append(one.astype(np.float32))
    stain, signal = np.repeat([0.0, 1.0], 4), np.eye(8)[0]
    lengths = {}
    for known in (False, True):
        names = [f"h{one}" for one in hospital] if known else None
        bags = PatientBags.of_bags([[a_bag(one)] for one in tiles], names)
        space = against_nuisance(plain_space(bags.moments().means), bags, np.arange(n))
        lengths[known] = np.linalg.norm((stain / space.scale) @ space.basis) / np.linalg.norm(
            (signal / space.scale) @ space.basis
        )
    assert lengths[True] < 0.25 * lengths[False]
