"""Bags of patients: several slides, blocks, chosen rows, and what is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from metastra.errors import DataError
from metastra.training.patient_bags import PatientBags
from training.slide_cases import a_bag


def a_trident_file(path, tiles):
    with h5py.File(path, "w") as file:
        file["features"] = tiles
        coords = file.create_dataset("coords", data=np.arange(2 * len(tiles)).reshape(-1, 2) * 512)
        coords.attrs["patch_size_level0"] = 512
        coords.attrs["patch_size"] = 256
    return path


def test_all_slides_of_a_patient_are_one_bag_in_their_order():
    rng = np.random.default_rng(1)
    slides = [rng.normal(size=(k, 3)).astype(np.float32) for k in (5000, 1, 0, 7)]
    bags = PatientBags.of_bags([[], [a_bag(tiles) for tiles in slides], [a_bag(slides[1])]])
    assert bags.counts.tolist() == [0, 5008, 1]
    assert (bags.n, bags.dimension) == (3, 3)
    blocks = list(bags.blocks(1))
    assert max(map(len, blocks)) <= 4096
    whole = np.concatenate(slides)
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    rows = np.array([0, 4999, 5000, 5001, 5007])
    np.testing.assert_array_equal(bags.tiles(1, rows), whole[rows])
    assert list(bags.blocks(0)) == []
    assert bags.tiles(0, []).shape == (0, 3)


def test_moments_are_those_of_each_patient_and_every_patient_weighs_the_same():
    rng = np.random.default_rng(2)
    slides = [rng.normal(3, 2, size=(k, 3)).astype(np.float32) for k in (50, 5)]
    for tiles in slides:
        tiles[:, 2] = 7.5
    bags = PatientBags.of_bags([[a_bag(tiles)] for tiles in slides] + [[]])
    moments = bags.moments()
    centre, scale = moments.standard(bags.counts > 0)
    expected = np.mean([tiles.astype(float).mean(axis=0) for tiles in slides], axis=0)
    np.testing.assert_allclose(centre, expected)
    spread = np.mean([((tiles - centre) ** 2).mean(axis=0) for tiles in slides], axis=0)
    np.testing.assert_allclose(scale[:2], np.sqrt(spread[:2]))
    assert scale[2] == 1.0  # a constant feature
    assert bags.moments() is moments


def test_files_are_opened_when_needed_and_few_stay_open(tmp_path, monkeypatch):
    from metastra.training import patient_bags

    monkeypatch.setattr(patient_bags, "getrlimit", lambda _: (4, 4))
    rng = np.random.default_rng(3)
    slides = [rng.normal(size=(4, 3)).astype(np.float32) for _ in range(5)]
    paths = [[a_trident_file(tmp_path / f"s{i}.h5", tiles)] for i, tiles in enumerate(slides)]
    bags = PatientBags.of_files(paths)
    assert bags.counts.tolist() == [4] * 5
    assert len(bags._open) == 2
    np.testing.assert_array_equal(bags.tiles(0, [1, 3]), slides[0][[1, 3]])
    np.testing.assert_array_equal(bags.tiles(4, [0]), slides[4][:1])
    assert len(bags._open) == 2
    assert isinstance(bags._bag(0, 0).features, np.memmap)


def test_a_feature_that_is_not_finite_is_named():
    tiles = np.zeros((6, 3), np.float32)
    tiles[4, 1] = np.nan
    bags = PatientBags.of_bags([[a_bag(np.zeros((2, 3))), a_bag(tiles, name="S-17")]])
    with pytest.raises(DataError, match=r"SL054 S-17: row 4, feature 1 is nan"):
        bags.moments()


def test_features_of_two_encoders_are_refused():
    one = a_bag(np.zeros((2, 3)), name="one", encoder="hand", encoder_digest="1" * 64)
    wide = a_bag(np.zeros((2, 4)), name="wide")
    with pytest.raises(DataError, match=r"SL059 wide: 4 features; expected 3, as in one"):
        _ = PatientBags.of_bags([[one], [wide]]).counts
    other = a_bag(
        np.zeros((2, 3)), name="two", encoder="hand", precision="bf16", encoder_digest="2" * 64
    )
    with pytest.raises(
        DataError, match=r"SL059 two: made by hand bf16 222222222222; expected hand"
    ):
        _ = PatientBags.of_bags([[one], [other]]).counts
