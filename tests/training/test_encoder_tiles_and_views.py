"""Tiles on disk and the views that are drawn from them."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, IntegrityError
from metastra.training.encoder_pool import LEAST_TILES, TilePool
from metastra.training.encoder_task import EncoderTask
from metastra.training.encoder_views import view_pair


def some_tiles(n, side=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def stored(folder, *counts, side=64):
    paths = []
    for number, count in enumerate(counts):
        paths.append(folder / f"{number}.npy")
        np.save(paths[-1], some_tiles(count, side, seed=number))
    return paths


def test_tiles_are_counted_across_files(tmp_path):
    paths = stored(tmp_path, 20, 1, 15)
    pool = TilePool(paths)
    whole = np.concatenate([np.load(path) for path in paths])
    assert len(pool) == 36
    assert pool.tile_px == 64
    for number in (0, 19, 20, 21, 35):
        np.testing.assert_array_equal(pool.tile(number), whole[number])
    for number in (-1, 36):
        with pytest.raises(IndexError, match=f"tile {number} of 36"):
            pool.tile(number)
    np.testing.assert_array_equal(pool.tiles(100), whole)
    assert len(pool.tiles(5)) == 5


def test_channels_are_those_of_all_pixels(tmp_path):
    paths = stored(tmp_path, 40)
    mean, std = TilePool(paths).channels()
    pixels = np.load(paths[0]).reshape(-1, 3) / 255.0
    np.testing.assert_allclose(mean, pixels.mean(axis=0), atol=6e-5)
    np.testing.assert_allclose(std, pixels.std(axis=0), atol=6e-5)


def test_tiles_of_one_colour_have_a_spread_that_can_be_divided_by(tmp_path):
    path = tmp_path / "grey.npy"
    np.save(path, np.full((LEAST_TILES, 64, 64, 3), 128, np.uint8))
    _, std = TilePool([path]).channels()
    assert min(std) >= 0.01


def test_what_is_no_training_set_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"31 tiles are too few.*at least 32"):
        TilePool(stored(tmp_path, 31))
    with pytest.raises(ConfigError, match="0 tiles are too few"):
        TilePool([])
    other = tmp_path / "other.npy"
    np.save(other, some_tiles(40, side=96))
    with pytest.raises(ConfigError, match=r"tiles of 2 sizes: \[64, 96\] px"):
        TilePool([*stored(tmp_path, 40), other])
    np.save(other, np.zeros((40, 64, 64, 3), np.float32))
    with pytest.raises(IntegrityError, match=r"other\.npy: float32"):
        TilePool([other])
    np.save(other, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(IntegrityError, match=r"other\.npy: cannot be read"):
        TilePool([other])


def test_a_seed_decides_both_views_and_they_differ():
    tile = some_tiles(1)[0]
    before = tile.copy()
    first, second = view_pair(tile, seed=(1, 2))
    again = view_pair(tile, seed=(1, 2))
    np.testing.assert_array_equal(first, again[0])
    np.testing.assert_array_equal(second, again[1])
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, view_pair(tile, seed=(1, 3))[0])
    np.testing.assert_array_equal(tile, before)
    assert first.shape == (32, 32, 3)
    assert first.dtype == np.uint8


def test_views_cover_the_whole_tile_and_nothing_beside_it():
    """A tile whose colour says where it is: views see all of it, and never black or white."""
    side = 64
    y, x = np.mgrid[:side, :side] / (side - 1)
    tile = np.stack([200 - 60 * x, 140 + 0 * x, 200 - 60 * y], axis=-1).astype(np.uint8)
    views = [view for seed in range(60) for view in view_pair(tile, seed=(seed,))]
    lowest = min(int(view.min()) for view in views)
    highest = max(int(view.max()) for view in views)
    assert lowest > 20
    assert highest < 255
    means = np.array([view.mean(axis=(0, 1)) for view in views])
    assert (means.std(axis=0) > 5).all()


def test_the_length_of_a_training_becomes_steps():
    assert EncoderTask(epochs=3).steps_for(1000) == 3 * 15
    assert EncoderTask(epochs=2).steps_for(40) == 2
    assert EncoderTask(steps=7).steps_for(1000) == 7
    assert EncoderTask(minutes=2.0).steps_for(1000, step_s=0.5) == 240
    assert EncoderTask(minutes=0.001).steps_for(1000, step_s=9.0) == 1
    with pytest.raises(ValueError, match="seconds of one step"):
        EncoderTask(minutes=1.0).steps_for(1000)


def test_the_rate_rises_then_falls_to_nothing():
    task = EncoderTask(steps=100, learning_rate=2.0)
    rates = [task.rate(step, 100) for step in range(100)]
    assert np.argmax(rates) == 9
    assert rates[0] == pytest.approx(0.2)
    assert rates[50] == pytest.approx(1.0)
    assert rates[-1] < 0.001
    assert np.all(np.diff(rates[10:]) < 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give one of --minutes, --epochs and --steps"),
        ({"epochs": 1, "steps": 1}, "give one of"),
        ({"minutes": 0.0}, "0 long"),
        ({"minutes": float("nan")}, "nan long"),
        ({"steps": 1, "workers": 0}, "0 workers"),
        ({"steps": 1, "seed": -1}, "seed -1"),
    ],
)
def test_impossible_trainings_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        EncoderTask(**given)


def test_cores_are_no_part_of_the_plan_but_all_else_is():
    one = EncoderTask(steps=5)
    assert one.plan("a") == EncoderTask(steps=5, workers=2).plan("a")
    others = [
        one.plan("b"),
        EncoderTask(steps=6).plan("a"),
        EncoderTask(epochs=5).plan("a"),
        EncoderTask(steps=5, seed=1).plan("a"),
        EncoderTask(steps=5, learning_rate=0.1).plan("a"),
    ]
    assert len({one.plan("a"), *others}) == 6
