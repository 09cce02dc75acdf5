"""``metastra convert``: feature files of the peers, both ways, and nothing lost on the way."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import warnings
from dataclasses import replace

import h5py
import numpy as np
import pytest

from features.bags import FRAME, make_bag, store
from features.peer_readers import (
    read_as_clam,
    read_as_stamp,
    read_as_trident,
    write_as_clam,
    write_as_trident,
)
from metastra.errors import ConfigError, DataError
from metastra.executor import Serial
from metastra.features.files import ENDINGS, read_bag, write_bag
from metastra.features.hints import Hints
from metastra.features.writing import write_own
from metastra.pipeline.convert import ConvertRequest, convert


def run(source, target, layout, **hints):
    request = ConvertRequest(source=source, target=target, layout=layout, hints=Hints(**hints))
    return convert(request, executor=Serial())


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "metastra", "convert", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(ENDINGS, 2)))
def test_the_way_through_any_two_layouts_loses_nothing(tmp_path, first, second):
    """Features and places come back exactly; scale and side where the layout can hold them."""
    bag = make_bag(60, 7, dtype=np.float32)
    bag = replace(bag, frame=replace(FRAME, tile_side_px0=(445.0, 445.0), tile_side_um=None))
    start = store(tmp_path / "start.h5", write_own(bag))
    hints = {"mpp": FRAME.mpp, "tile_side_px0": 445.0, "encoder": "morphology"}
    one, two, end = (
        tmp_path / f"{name}{ENDINGS[layout]}"
        for name, layout in (("one", first), ("two", second), ("end", "trident"))
    )
    run(start, one, first, **hints)
    run(one, two, second, **hints)
    run(two, end, "trident", **hints)
    found = read_bag(end)

    assert np.array_equal(np.asarray(found.features), bag.features)
    assert np.array_equal(found.coords, bag.coords)
    assert found.frame.mpp == pytest.approx(FRAME.mpp)
    assert found.frame.tile_side_px0[0] == pytest.approx(445.0)
    assert found.origin.encoder == "morphology"


def test_half_precision_stays_half_precision(tmp_path):
    """Where the layout has a precision of its own choice."""
    start = store(tmp_path / "start.h5", write_own(make_bag()))
    for layout in ("trident", "stamp"):
        run(start, tmp_path / f"{layout}.h5", layout)
        assert read_bag(tmp_path / f"{layout}.h5").features.dtype == np.float16


def test_spatialdata_itself_opens_our_store(tmp_path):
    """Tiles as shapes in level-0 pixels, features as a table that annotates them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spatialdata = pytest.importorskip("spatialdata")
        bag = make_bag(40, 6)
        write_bag(bag, tmp_path / "a.zarr", "spatialdata")
        found = spatialdata.read_zarr(tmp_path / "a.zarr")
        table = found.tables["morphology_tiles"]
        bounds = found.shapes["tiles"].geometry.bounds.to_numpy()

    assert np.array_equal(bounds[:, :2], bag.coords)
    assert np.allclose(bounds[:, 2:] - bounds[:, :2], FRAME.tile_side_px0)
    assert np.array_equal(table.X, bag.features.astype(np.float32))
    assert list(table.obs.columns) == ["tile_id", "library_id"]
    assert table.uns["spatialdata_attrs"]["region"] == "tiles"
    assert found.attrs["tile_spec"]["tiles"]["mpp"] == 0.5
    assert found.attrs["slide_properties"]["shape"] == [71_000, 98_000]


def test_a_store_of_others_opens_in_any_order_of_rows(tmp_path):
    """Rows of the table find their tile by its id; our attributes are not needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spatialdata = pytest.importorskip("spatialdata")
        bag = make_bag(20, 3)
        write_bag(bag, tmp_path / "a.zarr", "spatialdata")
        theirs = spatialdata.read_zarr(tmp_path / "a.zarr")
        order = np.random.default_rng(2).permutation(20)
        table = theirs.tables["morphology_tiles"][order].copy()
        attrs = {"slide_properties": {"mpp": 0.25, "shape": [5, 6]}, "tile_spec": {}}
        spatialdata.SpatialData(
            shapes={"tiles": theirs.shapes["tiles"]}, tables={"uni_tiles": table}, attrs=attrs
        ).write(tmp_path / "b.zarr")
    found = read_bag(tmp_path / "b.zarr")

    assert np.array_equal(found.coords, bag.coords[order])
    assert np.array_equal(found.features, bag.features[order].astype(np.float32))
    assert found.frame.mpp == (0.25, 0.25)
    assert found.frame.slide_size_px0 == (6, 5)


def test_a_store_that_is_there_is_not_written_over(tmp_path):
    """And nothing is left beside it."""
    write_bag(make_bag(), tmp_path / "a.zarr", "spatialdata")
    with pytest.raises(ConfigError, match="something has this name"):
        write_bag(make_bag(), tmp_path / "a.zarr", "spatialdata")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]


def test_a_bag_without_tiles_goes_into_every_hdf5_layout(tmp_path):
    """As the peers write them; SpatialData has no table of nothing."""
    bag = make_bag(0)
    for layout in ("trident", "stamp", "clam"):
        write_bag(bag, tmp_path / f"{layout}.h5", layout)
        found = read_bag(tmp_path / f"{layout}.h5")
        assert (len(found), found.dimension) == (0, 5)
    with pytest.raises(DataError, match="no tiles"):
        write_bag(bag, tmp_path / "a.zarr", "spatialdata")


def test_the_real_bag_goes_to_every_program(tmp_path, shared):
    """777 tiles of a TCGA slide, with the scale and side that its file leaves out."""
    path = shared / "data/features/mopadi_TCGA-AD-6964-01Z-00-DX1.h5"
    with h5py.File(path) as file:
        feats, coords = file["feats"][:], file["coords"][:]
    with pytest.raises(DataError, match="--slide-mpp"):
        run(path, tmp_path / "s.h5", "stamp")
    known = {"mpp": (0.2525, 0.2525), "tile_side_px0": 512.0, "encoder": "mopadi"}
    run(path, tmp_path / "s.h5", "stamp", **known)
    run(tmp_path / "s.h5", tmp_path / "t.h5", "trident")
    run(tmp_path / "t.h5", tmp_path / "c.h5", "clam")
    stamp, trident = read_as_stamp(tmp_path / "s.h5"), read_as_trident(tmp_path / "t.h5")
    clam = read_as_clam(tmp_path / "c.h5")

    assert np.allclose(stamp["coords_um"], coords * 0.2525, rtol=1e-6)
    assert stamp["side_um"] == pytest.approx(129.28)
    assert (trident["side_px0"], trident["encoder"]) == (512, "mopadi")
    for found in (stamp, trident, clam):
        assert np.array_equal(found["features"], feats)
    for found in (trident, clam):
        assert np.array_equal(found["coords"], coords)


@pytest.fixture
def folder(tmp_path):
    """Files of three programs, one pickle, one bomb, and something else."""
    bag = make_bag(30, dtype=np.float32)
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    write_as_trident(source / "t.h5", bag.features, bag.coords)
    write_as_clam(source / "sub/c.h5", bag.features, bag.coords)
    store(source / "m.h5", write_own(bag))
    (source / "p.pt").write_bytes(b"PK\x03\x04")
    with h5py.File(source / "bomb.h5", "w") as file:
        file.create_dataset("features", (10**9, 1536), np.float32)
        file["coords"] = np.zeros((5, 2), np.int64)
    (source / "notes.txt").write_text("not a feature file")
    return source


def test_a_folder_is_converted_file_by_file_and_failures_are_exit_4(folder, tmp_path):
    """The way inside the folder is kept; each failure has its code."""
    made = command(folder, tmp_path / "out", "--to", "clam", "--json")
    found = {
        item["source"].removeprefix(str(folder)): item for item in json.loads(made.stdout)["files"]
    }

    assert made.returncode == 4
    assert sorted(found) == ["/bomb.h5", "/m.h5", "/p.pt", "/sub/c.h5", "/t.h5"]
    assert found["/bomb.h5"]["problems"][0]["code"] == "SL053"
    assert found["/p.pt"]["problems"][0]["code"] == "SL052"
    assert (found["/m.h5"]["from"], found["/t.h5"]["from"]) == ("metastra", "trident")
    assert found["/sub/c.h5"]["n_tiles"] == 30
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.h5")) == [
        "c.h5",
        "m.h5",
        "t.h5",
    ]


def test_one_file_that_cannot_be_converted_is_exit_3(folder, tmp_path):
    """With the reason and the next step; nothing is left behind."""
    made = command(folder / "p.pt", tmp_path / "p.h5", "--to", "trident")
    assert made.returncode == 3
    assert "could run code" in made.stderr
    made = command(folder / "sub/c.h5", tmp_path / "s.h5", "--to", "stamp")
    assert made.returncode == 3
    assert "SL056" in made.stderr
    assert "--slide-mpp MPP" in made.stderr
    assert not (tmp_path / "s.h5").exists()
    made = command(
        *(folder / "sub/c.h5", tmp_path / "s.h5", "--to", "stamp"),
        *("--slide-mpp", 0.25, "--tile-px0", 448),
    )
    assert made.returncode == 0, made.stderr
    assert read_as_stamp(tmp_path / "s.h5")["side_um"] == 112.0
    assert "clam → stamp  30 tiles × 5" in made.stdout


def test_mistakes_are_said_before_work(folder, tmp_path):
    """An unknown layout, an empty folder, a file onto itself, two onto one."""
    (tmp_path / "empty").mkdir()
    write_bag(make_bag(), folder / "sub/t.zarr", "spatialdata")
    store(folder / "sub/t.h5", write_own(make_bag()))
    for source, target, layout, told in (
        (folder, tmp_path / "out", "tridant", "choose from trident, stamp"),
        (tmp_path / "empty", tmp_path / "out", "stamp", "no feature file in it"),
        (folder / "m.h5", folder / "m.h5", "stamp", "would replace itself"),
        (folder, folder, "stamp", "would replace itself"),
        (folder / "sub", tmp_path / "out", "clam", "would both become"),
    ):
        with pytest.raises(ConfigError, match=told):
            run(source, target, layout)
    assert not (tmp_path / "out").exists()
