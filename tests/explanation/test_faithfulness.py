"""Tile flipping: a true map beats chance, a false one does not, numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from explanation.weighted_tiles import Rescored
from metastra.errors import ConfigError, NotEstimable
from metastra.explanation.faithfulness import flip_tiles


def explained(n: int = 80, seed: int = 1) -> Rescored:
    rng = np.random.default_rng(seed)
    return Rescored(rng.normal(size=n), rng.uniform(0.5, 2.0, n))


def test_the_models_own_map_beats_random_order():
    tiles = explained()
    found = flip_tiles(tiles, tiles.leave_one_out, orders=30)
    assert found.beats_random
    assert found.p == pytest.approx(1 / 31)
    assert found.area > 0.3
    assert found.area_lowering > 0.3
    assert (found.raising_first <= found.random_high + 1e-12).all()
    assert found.shares[0] == found.raising_first[0] == 0.0


def test_a_map_that_is_noise_and_a_map_turned_round_do_not():
    """Twenty noisy maps: no more beat random order than the level of the test lets by."""
    tiles = explained()
    turned = flip_tiles(tiles, -tiles.leave_one_out)
    assert turned.area < 0.0
    assert turned.p == 1.0
    assert not turned.beats_random
    rng = np.random.default_rng(3)
    beaten = [flip_tiles(tiles, rng.normal(size=80), seed=k).beats_random for k in range(20)]
    assert sum(beaten) <= 4


def test_attention_alone_can_fail_where_leaving_out_does_not():
    """The model looks most at tiles that neither raise nor lower; its weights are no map."""
    rng = np.random.default_rng(0)
    values = np.concatenate([np.full(40, 0.0), rng.normal(size=40)])
    tiles = Rescored(values, np.concatenate([np.full(40, 3.0), np.full(40, 1.0)]))
    assert not flip_tiles(tiles, tiles.attention).beats_random
    assert flip_tiles(tiles, tiles.leave_one_out).beats_random


def test_the_curve_is_the_change_of_the_score_by_hand():
    """Ten tiles of equal weight with values 0 to 9, the highest taken away first."""
    tiles = Rescored(np.arange(10.0), np.ones(10))
    found = flip_tiles(tiles, tiles.leave_one_out, per_score=2.0)
    for share, change in zip(found.shares, found.raising_first, strict=True):
        left = np.arange(10 - round(share * 10))
        assert change == pytest.approx(2.0 * (left.mean() - 4.5))
    assert found.shares.tolist() == [k / 10 for k in range(10)]
    area = np.trapezoid(found.random_mean - found.raising_first, found.shares) / 0.9
    assert found.area == pytest.approx(area)


def test_random_orders_come_again_with_their_seed():
    tiles = explained()
    one, two = (flip_tiles(tiles, tiles.leave_one_out, seed=7) for _ in range(2))
    other = flip_tiles(tiles, tiles.leave_one_out, seed=8)
    assert one.random_mean.tolist() == two.random_mean.tolist()
    assert one.random_mean.tolist() != other.random_mean.tolist()


def test_too_few_tiles_and_too_few_orders_are_refused():
    tiles = explained(9)
    with pytest.raises(NotEstimable, match="9 tiles are too few"):
        flip_tiles(tiles, tiles.leave_one_out)
    with pytest.raises(ConfigError, match="at least 20 random orders"):
        flip_tiles(explained(), explained().leave_one_out, orders=19)


def test_tiles_that_are_all_the_same_beat_nothing():
    tiles = Rescored(np.ones(30), np.ones(30))
    found = flip_tiles(tiles, tiles.leave_one_out)
    assert found.area == pytest.approx(0.0, abs=1e-12)
    assert not found.beats_random
