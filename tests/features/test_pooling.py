"""Slides as one row: against loops, every way to put tiles together, and scikit-learn."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from features.bags import make_bag
from metastra.errors import ConfigError, DataError, IntegrityError, NotEstimable
from metastra.features.pooling import Prototypes, mean_vector, nearest, prototype_vector
from metastra.features.prototypes import (
    draw_tiles,
    fit_prototypes,
    read_prototypes,
    write_prototypes,
)


def some_prototypes(k=3, d=5, seed=0):
    rng = np.random.default_rng(seed)
    return Prototypes(
        centre=rng.normal(size=d), scale=rng.uniform(20, 60, d), points=rng.normal(size=(k, d))
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_mean_is_that_of_every_tile(dtype):
    bag = make_bag(9001, 4, dtype=dtype)
    slow = np.zeros(4)
    for row in np.asarray(bag.features, np.float64):
        slow += row
    np.testing.assert_allclose(mean_vector(bag), slow / 9001, rtol=1e-6)


def test_shares_and_residuals_are_those_of_a_loop():
    bag, known = make_bag(301, 5), some_prototypes()
    counts, sums = np.zeros(3), np.zeros((3, 5))
    for row in np.asarray(bag.features, np.float64):
        point = (row - known.centre) / known.scale
        label = min(range(3), key=lambda one: float(((point - known.points[one]) ** 2).sum()))
        counts[label] += 1
        sums[label] += point - known.points[label]
    expected = [*(counts / 301), *(sums / np.maximum(counts, 1)[:, None]).ravel()]
    found = prototype_vector(bag, known)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert found[:3].sum() == pytest.approx(1.0)


def test_a_prototype_without_tiles_has_share_and_residual_nought():
    bag = make_bag(30, 5)
    far = some_prototypes()
    moved = far.points + np.array([[0.0], [0.0], [1e6]])
    far = Prototypes(centre=far.centre, scale=far.scale, points=moved)
    vector = prototype_vector(bag, far)
    assert vector[2] == 0.0
    assert (vector[3 + 10 :] == 0.0).all()


def test_the_order_of_tiles_does_not_count_and_doubling_them_changes_nothing():
    bag, known = make_bag(64, 5, dtype=np.float32), some_prototypes()
    turned = make_bag(64, 5, dtype=np.float32)
    object.__setattr__(turned, "features", bag.features[::-1])
    np.testing.assert_allclose(prototype_vector(turned, known), prototype_vector(bag, known))
    doubled = make_bag(128, 5, dtype=np.float32)
    object.__setattr__(doubled, "features", np.concatenate([bag.features, bag.features]))
    np.testing.assert_allclose(prototype_vector(doubled, known), prototype_vector(bag, known))
    np.testing.assert_allclose(mean_vector(doubled), mean_vector(bag), rtol=1e-6)


def test_what_cannot_be_pooled_is_refused():
    known = some_prototypes()
    with pytest.raises(DataError, match="there is no tile"):
        mean_vector(make_bag(0, 5))
    with pytest.raises(DataError, match="4 features a tile; expected 5"):
        prototype_vector(make_bag(9, 4), known)
    bad = make_bag(9, 5, dtype=np.float32)
    bad.features[3, 2] = np.nan
    with pytest.raises(DataError, match="SL054"):
        mean_vector(bad)
    with pytest.raises(ValueError, match="do not fit"):
        Prototypes(centre=np.zeros(2), scale=np.ones(3), points=np.ones((1, 2)))
    with pytest.raises(ValueError, match="above 0"):
        Prototypes(centre=np.zeros(2), scale=np.zeros(2), points=np.ones((1, 2)))


def inertia(rows, known):
    standardised = known.standardised(rows)
    label = nearest(standardised, known.points)
    return float(((standardised - known.points[label]) ** 2).sum())


def test_no_way_to_put_nine_tiles_into_two_groups_is_better():
    """Every partition is tried; the best of a few seeds is the best there is."""
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.normal(0, 1, (5, 2)), rng.normal(3, 1, (4, 2))]).astype(np.float32)
    standardised = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    best = min(
        sum(
            ((standardised[side] - standardised[side].mean(axis=0)) ** 2).sum()
            for side in (np.array(mask), ~np.array(mask))
        )
        for mask in itertools.product([False, True], repeat=9)
        if 0 < sum(mask) < 9
    )
    found = min(inertia(rows, fit_prototypes(rows, 2, seed=seed)) for seed in range(5))
    assert found == pytest.approx(float(best), rel=1e-5)


def test_clusters_that_stand_apart_are_found_the_most_frequent_first():
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0, 9], [9, 0, 0], [0, 9, 0]])
    sizes = (50, 120, 80)
    rows = np.concatenate([rng.normal(m, 0.3, (n, 3)) for m, n in zip(middles, sizes, strict=True)])
    known = fit_prototypes(rows.astype(np.float32), 3, seed=1)
    found = known.points * known.scale + known.centre
    np.testing.assert_allclose(found, middles[[1, 2, 0]], atol=0.2)


def test_it_is_as_good_as_scikit_learn():
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(5)
    rows = (rng.normal(size=(400, 6)) * [1, 2, 3, 4, 5, 60]).astype(np.float32)
    found = min(inertia(rows, fit_prototypes(rows, 6, seed=seed)) for seed in range(5))
    standardised = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    referee = cluster.KMeans(6, n_init=5, random_state=0).fit(standardised)
    assert found < 1.03 * referee.inertia_


def test_the_same_seed_gives_the_same_points_and_constant_features_do_no_harm():
    rows = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
    rows[:, 2] = 1e6
    one, two = (fit_prototypes(rows, 5, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one.points, two.points)
    assert one.scale[2] == 1.0
    with pytest.raises(NotEstimable, match="3 different tiles do not make 4 prototypes"):
        fit_prototypes(np.repeat(rows[:3], 9, axis=0), 4, seed=0)


def test_tiles_are_drawn_by_the_seed_without_repetition():
    bag = make_bag(50, 5, dtype=np.float32)
    drawn = draw_tiles(bag, 20, seed=(1, 2))
    np.testing.assert_array_equal(drawn, draw_tiles(bag, 20, seed=(1, 2)))
    assert len(np.unique(drawn, axis=0)) == 20
    assert not np.array_equal(drawn, draw_tiles(bag, 20, seed=(1, 3)))
    np.testing.assert_array_equal(draw_tiles(bag, 99, seed=(0,)), bag.rows(slice(None)))


def test_prototypes_come_back_as_they_were_written(tmp_path):
    known, card = some_prototypes(), {"k": 3, "rule": "a test"}
    digest = write_prototypes(tmp_path, known, card)
    found, told, again = read_prototypes(tmp_path)
    assert (told, again) == (card, digest)
    np.testing.assert_array_equal(found.points, known.points)
    assert json.loads((tmp_path / "prototypes.json").read_text()) == card
    assert write_prototypes(tmp_path, known, card) == digest
    with pytest.raises(ConfigError, match="holds prototypes that were learned otherwise"):
        write_prototypes(tmp_path, known, {"k": 3, "rule": "another"})
    with pytest.raises(ConfigError, match="holds no prototypes; learn them with --learn"):
        read_prototypes(tmp_path / "nowhere")
    (tmp_path / "prototypes.safetensors").write_bytes(b"spoiled")
    with pytest.raises(IntegrityError):
        read_prototypes(tmp_path)
