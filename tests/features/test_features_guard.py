"""Damaged and hostile feature files: refused with the reason, before they can do harm."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from features.bags import make_bag, store
from metastra.errors import DataError, DigestMismatch, IntegrityError
from metastra.features.hdf5_layouts import read_h5
from metastra.features.store import FeatureStore, features_recipe
from metastra.features.writing import BagWriter, write_own
from metastra.storage import Depth


def refused(path):
    with pytest.raises(DataError) as error:
        read_h5(path)
    return error.value.problems[0].code, str(error.value)


def bomb(path, **settings):
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (10**9, 1536), np.float32, **settings)
        file["coords"] = np.zeros((5, 2), np.int64)


def test_a_file_that_declares_terabytes_is_refused_before_it_is_read(tmp_path):
    """10⁹ rows in a few kilobytes, in one piece and in pieces."""
    bomb(tmp_path / "a.h5")
    bomb(tmp_path / "b.h5", chunks=(1024, 1536))
    tracemalloc.start()
    for name in ("a.h5", "b.h5"):
        code, text = refused(tmp_path / name)
        assert code == "SL053"
        assert "declares 6,144,000,000,000 bytes" in text
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_dataset_that_unpacks_to_much_more_than_its_file_is_refused(tmp_path):
    """184 MB of zeros in half a megabyte."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        features = file.create_dataset(
            "features", (30_000, 1536), np.float32, chunks=(5000, 1536), compression="gzip"
        )
        for start in range(0, 30_000, 5000):
            features[start : start + 5000] = 0
        file["coords"] = np.zeros((30_000, 2), np.int64)
    assert (tmp_path / "a.h5").stat().st_size < 3_000_000

    code, text = refused(tmp_path / "a.h5")
    assert (code, "at most 20 times the file" in text) == ("SL053", True)


def test_what_was_declared_and_never_written_is_not_read_as_zeros(tmp_path):
    """A file that a crash left behind: allocated late, or with pieces missing."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", (100, 8), np.float32)
        file["coords"] = np.zeros((100, 2), np.int64)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("features", (100, 8), np.float32, chunks=(10, 8))[:70] = 1
        file["coords"] = np.zeros((100, 2), np.int64)

    assert refused(tmp_path / "a.h5")[0] == "SL053"
    code, text = refused(tmp_path / "b.h5")
    assert (code, "has 7 of its 10 pieces" in text) == ("SL053", True)


def test_data_that_lie_elsewhere_are_refused(tmp_path):
    """Links, external storage and virtual datasets could show any file of the machine."""
    (tmp_path / "secret").write_bytes(bytes(800))
    coords = np.zeros((100, 2), np.int64)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["features"] = np.ones((100, 2), np.float32)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["features"] = h5py.ExternalLink("other.h5", "/features")
        file["coords"] = coords
    with h5py.File(tmp_path / "soft.h5", "w") as file:
        file["real"] = np.ones((100, 2), np.float32)
        file["features"] = h5py.SoftLink("/real")
        file["coords"] = coords
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset(
            "features", (100, 2), np.float32, external=[(str(tmp_path / "secret"), 0, 800)]
        )
        file["coords"] = coords
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((100, 2), np.float32)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "features", (100, 2))
        file.create_virtual_dataset("features", layout)
        file["coords"] = coords

    for name in ("link", "soft", "raw", "virtual"):
        assert refused(tmp_path / f"{name}.h5")[0] == "SL053", name


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, kept):
    """However little is missing."""
    whole = store(tmp_path / "a.h5", write_own(make_bag(3000))).read_bytes()
    (tmp_path / "b.h5").write_bytes(whole[: int(kept * len(whole))])

    assert refused(tmp_path / "b.h5")[0] in ("SL051", "SL052")


def test_random_damage_never_passes_for_another_error(tmp_path):
    """Flipped bytes give a refusal or a bag of the right shape, never a crash."""
    whole = store(tmp_path / "a.h5", write_own(make_bag(50))).read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(150):
        damaged = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 4096), 8):
            damaged[at] = rng.integers(256)
        (tmp_path / "b.h5").write_bytes(damaged)
        try:
            bag = read_h5(tmp_path / "b.h5")
        except (DataError, IntegrityError):
            continue
        assert len(bag) == len(bag.coords)


def test_a_pickle_is_refused_with_the_reason(tmp_path):
    """A .pt file is an archive with a pickle, and has no coordinates."""
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
    (tmp_path / "b.h5").write_bytes(b"\x80\x04K\x01.")

    for name in ("a.pt", "b.h5"):
        code, text = refused(tmp_path / name)
        assert code == "SL052"
        assert "could run code" in text
        assert "h5_files" in text


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    """A pipe, a folder, nothing at all."""
    os.mkfifo(tmp_path / "pipe.h5")

    assert refused(tmp_path / "pipe.h5") == refused(tmp_path / "pipe.h5")
    assert "no regular file" in refused(tmp_path)[1]
    assert "no such file" in refused(tmp_path / "no.h5")[1]


def test_a_file_that_is_being_written_says_so(tmp_path):
    """The system's words would be: unable to lock file, errno 11."""
    code = (
        "import h5py, sys, numpy as np\n"
        "f = h5py.File(sys.argv[1], 'w'); f['features'] = np.ones((3, 2))\n"
        "f.flush(); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.h5")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        writer.stdout.readline()
        found, text = refused(tmp_path / "a.h5")
        writer.stdin.close()

    assert found == "SL051"
    assert "another program is writing it now" in text


def writer(features, bag, **settings):
    return BagWriter(
        coords=bag.coords,
        frame=bag.frame,
        origin=bag.origin,
        dimension=bag.dimension,
        blocks=[features],
        **settings,
    )


@pytest.mark.parametrize(
    ("value", "told"), [(np.nan, "is nan"), (-np.inf, "is -inf"), (65520.0, "up to 65504")]
)
def test_numbers_that_half_precision_cannot_hold_are_refused_at_writing(tmp_path, value, told):
    """The row and the feature are named; nothing is left behind."""
    bag = make_bag(20, dtype=np.float32)
    features = bag.features.copy()
    features[13, 2] = value

    with pytest.raises(DataError, match=told) as error:
        store(tmp_path / "a.h5", writer(features, bag))
    assert "row 13, feature 2" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_not_finite_are_refused_at_reading(tmp_path):
    """In the rows that are taken, and in all by `check`."""
    path = tmp_path / "a.h5"
    features = np.ones((9000, 3), np.float16)
    features[8500, 1] = np.nan
    with h5py.File(path, "w") as file:
        file["features"], file["coords"] = features, np.zeros((9000, 2), int)
    bag = read_h5(path)

    assert bag.rows([0, 1]).sum() == 6
    for look in (lambda: bag.rows(slice(8000, 9000)), bag.check):
        with pytest.raises(DataError, match="feature 1 is nan"):
            look()
    with pytest.raises(DataError, match="row 8500"):
        bag.check()


def test_too_few_too_many_and_too_wide_rows_are_refused(tmp_path):
    """The file has a row for each tile, in every case."""
    bag = make_bag(20)
    more = np.concatenate([bag.features, bag.features])
    for features in (bag.features[:19], more, bag.features[:, :4]):
        with pytest.raises(DataError) as error:
            store(tmp_path / "a.h5", writer(features, bag))
        assert error.value.problems[0].code == "SL055"
    assert list(tmp_path.iterdir()) == []


def test_a_tile_that_is_there_twice_is_refused():
    """Half the bag would weigh double."""
    bag = make_bag(20)
    coords = bag.coords.copy()
    coords[3] = coords[7]
    with pytest.raises(DataError, match="1 tiles have the place of another"):
        BagWriter(
            coords=coords, frame=bag.frame, origin=bag.origin, dimension=5, blocks=[bag.features]
        )


def test_damage_between_writing_and_reading_back_is_found(tmp_path):
    """One flipped bit in the features of the part file."""
    bag = make_bag(500)
    making = write_own(bag)

    def write(stream):
        making.write(stream)
        stream.seek(-3, os.SEEK_END)
        stream.write(b"\x11")

    making_verify = making.verify
    from metastra.storage import write_atomically

    with pytest.raises(DigestMismatch, match="not what was written"):
        write_atomically(tmp_path / "a.h5", write, verify=making_verify)
    assert list(tmp_path.iterdir()) == []


PARTS = {
    "slide_digest": "1" * 64,
    "tiling": {"target_mpp": 0.5, "tile_px": 224},
    "encoder_digest": "2" * 64,
    "quality": {"rule": "v1"},
}


def test_the_store_keeps_a_file_until_its_key_changes(tmp_path):
    """Slide, tiling, encoder and quality rule are the key."""
    feature_store = FeatureStore(tmp_path, "features/")
    recipe = features_recipe(**PARTS)
    assert feature_store.state("s1", recipe).reasons == ("it was never finished",)
    feature_store.write("s1", recipe, write_own(make_bag()))

    assert feature_store.names() == ("s1",)
    assert feature_store.state("s1", recipe)
    assert feature_store.path("s1").read_bytes()[:4] == b"\x89HDF"
    for changed in (
        {"slide_digest": "3" * 64},
        {"tiling": {"target_mpp": 0.5, "tile_px": 256}},
        {"encoder_digest": "3" * 64},
        {"quality": {"rule": "v2"}},
    ):
        assert not feature_store.state("s1", features_recipe(**(PARTS | changed))), changed


def test_the_store_gives_out_nothing_that_is_not_whole(tmp_path):
    """Never finished, grown, or changed by one bit."""
    feature_store = FeatureStore(tmp_path)
    with pytest.raises(IntegrityError, match="never finished"):
        feature_store.open("s1")
    feature_store.write("s1", features_recipe(**PARTS), write_own(make_bag()))
    assert len(feature_store.open("s1", depth=Depth.DIGEST)) == 37
    path = feature_store.path("s1")
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)

    with pytest.raises(DigestMismatch, match="changed after it was finished"):
        feature_store.open("s1", depth=Depth.DIGEST)
    path.write_bytes(data + b"x")
    with pytest.raises(DigestMismatch, match="bytes, recorded"):
        feature_store.open("s1")


MEMORY = """
import resource, sys
import numpy as np
from pathlib import Path
from metastra.features.bag import BagFrame, BagOrigin
from metastra.features.store import FeatureStore, features_recipe
from metastra.features.writing import BagWriter
def peak(what="VmHWM"):
    return int(next(l for l in open("/proc/self/status") if l.startswith(what)).split()[1])
n, d = 120_000, 768
coords = np.stack([np.arange(n) % 400 * 448, np.arange(n) // 400 * 448], axis=1)
block = np.random.default_rng(0).normal(size=(256, d)).astype(np.float32)
blocks = (block[: min(256, n - s)] for s in range(0, n, 256))
store = FeatureStore(Path(sys.argv[1]))
recipe = features_recipe(slide_digest="1"*64, tiling={}, encoder_digest="2"*64, quality={})
before = peak()
store.write("s", recipe, BagWriter(coords=coords, frame=BagFrame(), origin=BagOrigin(name="s"),
            dimension=d, blocks=blocks))
written = peak()
bag = store.open("s")
bag.rows([0])  # loads what is compiled
start = peak("RssAnon")
rows = bag.rows(np.random.default_rng(1).choice(n, 4096, replace=False))
print(written - before, peak("RssAnon") - start, bag.features.nbytes // 1024, rows.shape[0])
"""


def test_memory_is_bounded_by_a_block_at_writing_and_by_the_rows_at_reading(tmp_path):
    """A bag of 184 MB is written within 60 MB; 4,096 rows of it take 30 MB of memory.

    Pages of the file that the kernel keeps are not counted: it can drop them at any time.
    """
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    writing_kb, reading_kb, size_kb, n_rows = (int(part) for part in found.stdout.split())

    assert size_kb > 170_000
    assert n_rows == 4096
    assert writing_kb < 60_000
    assert reading_kb < 30_000
