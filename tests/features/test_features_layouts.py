"""Feature files of the field: ours open in the peers' readers, theirs in ours."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.bags import FRAME, ORIGIN, make_bag, put, same, store
from features.peer_readers import (
    read_as_clam,
    read_as_stamp,
    read_as_trident,
    write_as_clam,
    write_as_stamp,
    write_as_trident,
)
from metastra.errors import ConfigError, DataError, SchemaError
from metastra.features.bag import BagFrame
from metastra.features.hdf5_layouts import read_h5
from metastra.features.hints import Hints
from metastra.features.joining import join_by_place
from metastra.features.writing import write_clam, write_own, write_stamp


def code_of(error):
    return error.value.problems[0].code


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("n", [0, 1, 37, 5000])
def test_our_file_comes_back_as_it_was(tmp_path, n, dtype):
    """Features, places, frame, origin; no tile at all is a file too."""
    bag = make_bag(n, dtype=dtype)
    found = read_h5(store(tmp_path / "a.h5", write_own(bag)))

    assert same(found, bag)
    assert found.origin == bag.origin
    assert found.features.dtype == dtype
    assert found.layout == "metastra"


def test_our_file_is_mapped_not_read(tmp_path):
    """The features lie in the file uncompressed, in one piece, on a page of their own."""
    bag = make_bag(5000)
    found = read_h5(store(tmp_path / "a.h5", write_own(bag)))

    assert isinstance(found.features, np.memmap)
    assert found.features.offset % 4096 == 0
    rows = np.array([4999, 3, 17])
    assert np.array_equal(found.rows(rows), bag.features[rows].astype(np.float32))


def test_the_same_bag_gives_the_same_bytes(tmp_path):
    """No time, no random padding: the file is a function of the bag."""
    paths = [store(tmp_path / name, write_own(make_bag(100))) for name in ("a.h5", "b.h5")]

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_reader_of_trident_opens_our_file(tmp_path):
    """With the attributes it looks for, in its own words."""
    bag = make_bag()
    found = read_as_trident(store(tmp_path / "a.h5", write_own(bag)))

    assert np.array_equal(found["features"], bag.features)
    assert np.array_equal(found["coords"], bag.coords)
    assert found["side_px0"] == 445
    assert (found["encoder"], found["name"]) == ("morphology", "Präparat 7")
    assert (found["attrs"]["level0_width"], found["attrs"]["overlap"]) == (98_000, 0)
    assert (found["attrs"]["level0_magnification"], found["attrs"]["target_magnification"]) == (
        40,
        20,
    )


def test_a_reader_of_stamp_opens_our_export(tmp_path):
    """µm from the corner, each axis by its own scale."""
    bag = make_bag()
    found = read_as_stamp(put(tmp_path / "a.h5", write_stamp(bag)))

    assert np.array_equal(found["features"], bag.features)
    assert np.allclose(found["coords_um"], bag.coords * np.array(FRAME.mpp), atol=0.01)
    assert (found["side_um"], found["tile_px"], found["extractor"]) == (112.0, 224, "morphology")


def test_a_reader_of_clam_opens_our_export(tmp_path):
    """Single precision, 32-bit places, no attribute."""
    bag = make_bag()
    found = read_as_clam(put(tmp_path / "a.h5", write_clam(bag)))

    assert found["features"].dtype == np.float32
    assert found["coords"].dtype == np.int32
    assert np.array_equal(found["features"], bag.features.astype(np.float32))
    assert np.array_equal(found["coords"], bag.coords)


@settings(max_examples=40)
@given(
    n=st.integers(0, 60),
    mpp=st.tuples(st.floats(0.05, 2.0), st.floats(0.05, 2.0)),
    largest=st.integers(1, 400_000),
    seed=st.integers(0, 2**32 - 1),
)
def test_places_survive_the_way_through_micrometres(tmp_path_factory, n, mpp, largest, seed):
    """Level-0 pixels → µm in single precision → level-0 pixels, on any slide that exists."""
    places = np.random.default_rng(seed).integers(0, largest, (n, 2))
    coords = np.unique(places, axis=0).astype(np.int64).reshape(-1, 2)
    bag = make_bag(len(coords), 2, frame=BagFrame(mpp=mpp, tile_side_um=112.0))
    bag = replace(bag, coords=coords)
    path = tmp_path_factory.mktemp("um") / "a.h5"
    found = read_h5(put(path, write_stamp(bag)))

    assert np.array_equal(found.coords, bag.coords)
    assert np.array_equal(np.asarray(found.features), bag.features)
    assert found.frame.mpp == mpp


def test_clam_files_come_back_with_what_the_user_knows(tmp_path):
    """Scale and side are not in the file; without them the bag opens, but has no scale."""
    bag = make_bag(dtype=np.float32, frame=BagFrame(mpp=(0.25, 0.25), tile_side_px0=(448.0, 448.0)))
    path = put(tmp_path / "a.h5", write_clam(bag))
    bare = read_h5(path)
    told = read_h5(path, Hints(mpp=(0.25, 0.25), tile_side_px0=448.0, encoder="resnet50"))

    assert bare.layout == "clam"
    assert bare.frame == BagFrame()
    assert same(told, bag)
    assert told.frame.tile_side_um == 112.0
    assert told.origin.encoder == "resnet50"
    with pytest.raises(DataError, match="--slide-mpp") as error:
        write_stamp(bare)
    assert code_of(error) == "SL056"
    with pytest.raises(DataError, match="--tile-px0"):
        write_stamp(read_h5(path, Hints(mpp=(0.25, 0.25))))


def test_a_file_of_trident_opens(tmp_path):
    """Pieces of one row, single precision, its attributes."""
    bag = make_bag(dtype=np.float32)
    write_as_trident(tmp_path / "t.h5", bag.features, bag.coords)
    found = read_h5(tmp_path / "t.h5", Hints(mpp=(0.25, 0.25)))

    assert found.layout == "trident"
    assert np.array_equal(found.coords, bag.coords)
    assert np.array_equal(np.asarray(found.features), bag.features)
    assert found.frame.tile_side_px0 == (512.0, 512.0)
    assert found.frame.tile_side_um == 128.0
    assert found.frame.tile_px == 256
    assert found.frame.slide_size_px0 == (20000, 10000)
    assert (found.origin.name, found.origin.encoder) == ("slide-1", "uni_v1")


def test_trident_files_with_none_and_with_no_tiles_open(tmp_path):
    """TRIDENT writes None as text, and an empty slide as (0, D) and (0, 2)."""
    write_as_trident(
        tmp_path / "t.h5",
        np.zeros((0, 1024), np.float32),
        np.zeros((0, 2), np.int64),
        level0_width="None",
        patch_size_level0="None",
        name="None",
    )
    found = read_h5(tmp_path / "t.h5")

    assert (len(found), found.dimension) == (0, 1024)
    assert found.frame == BagFrame(tile_px=256)
    assert found.origin.name == "t"


def test_attributes_of_clams_places_give_the_side_of_a_tile(tmp_path):
    """patch_size × downsample × custom_downsample, as TRIDENT reads them."""
    bag = make_bag(dtype=np.float32)
    write_as_clam(tmp_path / "c.h5", bag.features, bag.coords)
    with h5py.File(tmp_path / "c.h5", "a") as file:
        file["coords"].attrs["patch_size"] = 256
        file["coords"].attrs["patch_level"] = 1
        file["coords"].attrs["downsample"] = (4.0, 4.0)
        file["coords"].attrs["custom_downsample"] = 2

    assert read_h5(tmp_path / "c.h5").frame.tile_side_px0 == (2048.0, 2048.0)


GENERATIONS = {
    "2.0: tile_size and unit": ({"tile_size": 256.0, "unit": "um"}, 1.0, 256.0),
    "2.2: tile_size_um": ({"tile_size_um": 128.0, "tile_size_px": 224, "unit": "um"}, 1.0, 128.0),
    "1: stride of 224": ({}, 256 / 224, 256.0),
    "1: tile_size of 224": ({"tile_size": 224}, 256 / 224, 256.0),
}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_three_generations_of_stamp_open(tmp_path, generation):
    """Each says in its own way what its numbers are."""
    attributes, factor, side = GENERATIONS[generation]
    grid = np.array([[0, 0], [224, 0], [448, 224], [0, 672]], dtype=np.float32)
    write_as_stamp(tmp_path / "s.h5", np.ones((4, 3), np.float16), grid, **attributes)
    found = read_h5(tmp_path / "s.h5", Hints(mpp=(0.25, 0.25)))

    assert found.layout == "stamp"
    assert np.array_equal(found.coords, np.rint(grid * factor / 0.25).astype(np.int64))
    assert found.frame.tile_side_um == side
    with pytest.raises(DataError, match="--slide-mpp") as error:
        read_h5(tmp_path / "s.h5")
    assert code_of(error) == "SL056"


def test_stamp_coordinates_of_unknown_unit_are_refused(tmp_path):
    """A guess would put every tile somewhere else."""
    grid = np.array([[0.5, 0], [100.5, 0]], dtype=np.float32)
    write_as_stamp(tmp_path / "s.h5", np.ones((2, 3), np.float16), grid)

    with pytest.raises(DataError, match="does not say their unit") as error:
        read_h5(tmp_path / "s.h5", Hints(mpp=(0.25, 0.25)))
    assert code_of(error) == "SL056"


def test_the_real_bag_opens(shared):
    """777 tiles of a TCGA colon slide, whole pixels, and its three tiles are members."""
    path = shared / "data/features/mopadi_TCGA-AD-6964-01Z-00-DX1.h5"
    bag = read_h5(path)
    places = {tuple(place) for place in bag.coords.tolist()}
    tiles = [
        tuple(int(part) for part in tile.stem.split("_")[-2:])
        for tile in (shared / "data/tiles/tcga_crc_msih").glob("*.jpg")
    ]

    assert (len(bag), bag.dimension) == (777, 512)
    assert bag.features.dtype == np.float32
    bag.check()
    with h5py.File(path) as file:
        assert np.array_equal(np.asarray(bag.features), file["feats"][:])
        assert np.array_equal(bag.coords, file["coords"][:])
    assert len(tiles) == 3
    assert places.issuperset(tiles)


REFUSED = {
    "whole slide (TRIDENT)": ({"features": np.zeros(8), "coords": np.zeros((3, 2), int)}, {}),
    "whole slide or patient": ({"feats": np.zeros((1, 8))}, {"encoder": "titan"}),
    "without coordinates": ({"features": np.zeros((3, 8))}, {}),
    "coordinates without features": ({"coords": np.zeros((3, 2), int)}, {}),
    "KRONOS": ({"patch_embeddings": np.zeros((3, 8))}, {}),
    "expected `features`": ({"something": np.zeros(3)}, {}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_files_are_refused_with_what_they_are(tmp_path, what):
    """Features of slides, features without places, places without features, other things."""
    datasets, attributes = REFUSED[what]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
        file.attrs.update(attributes)

    with pytest.raises(DataError, match=what.split(" (")[0]) as error:
        read_h5(tmp_path / "x.h5")
    assert code_of(error) == "SL052"


def test_rows_that_do_not_fit_are_refused(tmp_path):
    """Counts, fractions of pixels, negative places, text."""
    features = np.zeros((3, 4), np.float32)
    good = np.array([[0, 0], [1, 0], [2, 0]])
    for number, (values, places) in enumerate(
        [
            (features, good[:2]),
            (features, good + 0.5),
            (features, good - 1),
            (features.astype(int), good),
            (features, good.ravel()),
        ]
    ):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file["features"], file["coords"] = values, places
        with pytest.raises(DataError) as error:
            read_h5(path)
        assert code_of(error) == "SL055", number


def test_a_newer_layout_is_refused(tmp_path):
    """It could mean anything."""
    path = store(tmp_path / "a.h5", write_own(make_bag()))
    with h5py.File(path, "a") as file:
        file.attrs["metastra_layout"] = 2

    with pytest.raises(SchemaError, match="this metastra knows 1"):
        read_h5(path)


def test_old_byte_orders_and_double_precision_are_read(tmp_path):
    """Big-endian and float64 files of other programs."""
    bag = make_bag(dtype=np.float32)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["features"] = bag.features.astype(">f8")
        file["coords"] = bag.coords.astype(">i4")
    found = read_h5(tmp_path / "b.h5")

    assert found.features.dtype == np.float32
    assert np.array_equal(found.features, bag.features)
    assert np.array_equal(found.coords, bag.coords)


def test_bags_are_joined_by_place_whatever_the_order_of_rows():
    """Rows of one tile find each other; tiles that only one has are left out."""
    one = make_bag(60, dtype=np.float32)
    order = np.random.default_rng(5).permutation(60)[:41]
    other = replace(one, features=one.features[order], coords=one.coords[order])
    mine, theirs = join_by_place(one, other)

    assert len(mine) == 41
    assert np.array_equal(one.coords[mine], other.coords[theirs])
    assert np.array_equal(one.features[mine], other.features[theirs])
    assert np.array_equal(mine, np.sort(mine))


def test_bags_that_cannot_be_joined_are_refused():
    """A place that occurs twice; tiles of another size."""
    bag = make_bag(10)
    twice = replace(bag, coords=np.zeros_like(bag.coords))
    wide = replace(bag, frame=BagFrame(tile_side_px0=(900.0, 900.0)))

    for pair in ((bag, twice), (twice, bag)):
        with pytest.raises(DataError, match="9 tiles have the place of another"):
            join_by_place(*pair)
    with pytest.raises(DataError, match="level-0 px"):
        join_by_place(bag, wide)


def test_hints_are_positive():
    """A scale of nothing is a slip."""
    with pytest.raises(ConfigError, match="above 0"):
        Hints(mpp=(0.25, 0.0))


def test_names_of_features_are_kept(tmp_path):
    """Our encoder's features have names; they may hold any letter."""
    names = tuple(f"fläche µm² {number}" for number in range(5))
    bag = make_bag(origin=replace(ORIGIN, feature_names=names))

    assert read_h5(store(tmp_path / "a.h5", write_own(bag))).origin.feature_names == names
