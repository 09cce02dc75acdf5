"""A random part of a large bag: memory map against the peers' files; an epoch over many bags.

``OMP_NUM_THREADS=1 python -m benchmarks.bags`` prints the tables of docs/benchmarks.md.  Every way
reads the file that its program writes, as its data loader does: the whole dataset, then the rows;
the file is in the page cache.  CPU times of one process with one thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch

from benchmarks.features import forget_peak, memory_mb
from benchmarks.machine import load
from metastra.features.bag import Bag, BagFrame
from metastra.features.hdf5_layouts import read_h5
from metastra.features.store import FeatureStore, features_recipe
from metastra.features.writing import write_own

N_TILES, DIMENSION, SUBSET = 50_000, 1536, 4096
N_BAGS, N_FILES = 1000, 20
ROUNDS = 7


def make_bag(seed: int) -> Bag:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N_TILES, DIMENSION), dtype=np.float32).astype(np.float16)
    places = np.arange(N_TILES)
    coords = np.stack([places % 250, places // 250], axis=1).astype(np.int64) * 448
    return Bag(features=features, coords=coords, frame=BagFrame())


def write_own_file(folder: Path, name: str, bag: Bag) -> None:
    recipe = features_recipe(slide_digest="0" * 64, tiling={}, encoder_digest="0" * 64, quality={})
    FeatureStore(folder).write(name, recipe, write_own(bag))


def write_peers(folder: Path, bag: Bag) -> None:
    """TRIDENT: float32, pieces of one row, compressed by nothing; STAMP: float16 in one piece."""
    wide = bag.features.astype(np.float32)
    with h5py.File(folder / "trident.h5", "w") as file:
        file.create_dataset("features", data=wide, chunks=(1, DIMENSION))
        file.create_dataset("coords", data=bag.coords)
    with h5py.File(folder / "stamp.h5", "w") as file:
        file["feats"], file["coords"] = bag.features, bag.coords.astype(np.float32)
    torch.save(torch.from_numpy(wide), folder / "clam.pt")


def subsets(folder: Path) -> list[str]:
    bag = make_bag(0)
    write_own_file(folder, "own", bag)
    write_peers(folder, bag)
    rows = np.random.default_rng(1).choice(N_TILES, SUBSET, replace=False)
    expected = bag.features[rows].astype(np.float32)
    del bag

    def h5(name: str, dataset: str) -> np.ndarray:
        with h5py.File(folder / name, "r") as file:
            return file[dataset][:][rows]

    def pt() -> np.ndarray:
        whole = torch.load(folder / "clam.pt", weights_only=True)
        return whole[torch.from_numpy(rows)].numpy()

    def by_rows() -> np.ndarray:
        order = np.argsort(rows)
        with h5py.File(folder / "trident.h5", "r") as file:
            found = file["features"][rows[order]]
        return found[np.argsort(order)]

    own = read_h5(folder / "own.h5")
    ways: dict[str, Callable[[], np.ndarray]] = {
        "metastra, open bag, as stored": lambda: own.rows(rows, as_stored=True),
        "metastra, open bag, widened to float32": lambda: own.rows(rows),
        "metastra, opened each time, as stored": lambda: read_h5(folder / "own.h5").rows(
            rows, as_stored=True
        ),
        "STAMP's h5, whole, then the rows": lambda: h5("stamp.h5", "feats"),
        "CLAM's .pt, whole, then the rows": pt,
        "TRIDENT's h5, whole, then the rows": lambda: h5("trident.h5", "features"),
        "TRIDENT's h5, by rows": by_rows,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(ROUNDS + 1):
        for name, way in ways.items():
            begun = time.process_time()
            found = way()
            if round_number:
                times[name].append(time.process_time() - begun)
            if not np.array_equal(found.astype(np.float32), expected):
                raise SystemExit(f"{name}: other numbers")
            del found
    medians = {name: float(np.median(values)) for name, values in times.items()}
    first = medians["metastra, open bag, as stored"]
    return [
        f"| {name} | {1000 * seconds:.1f} ms | {seconds / first:.1f}× |"
        for name, seconds in medians.items()
    ]


def epoch(folder: Path) -> str:
    """Every bag once, `SUBSET` random tiles of each; resident memory without the page cache."""
    files = []
    for number in range(N_FILES):
        write_own_file(folder, f"bag{number}", make_bag(number))
        files.append(folder / f"bag{number}.h5")
    links = folder / "links"
    links.mkdir()
    for number in range(N_BAGS):
        os.link(files[number % N_FILES], links / f"{number}.h5")
    rng = np.random.default_rng(2)
    forget_peak()
    begun, wall, checksum, most = time.process_time(), time.perf_counter(), 0.0, 0.0
    for number in rng.permutation(N_BAGS):
        bag = read_h5(links / f"{number}.h5")
        taken = bag.rows(rng.choice(N_TILES, SUBSET, replace=False))
        checksum += float(taken[0, 0])
        most = max(most, memory_mb("RssAnon"))
    cpu, wall = time.process_time() - begun, time.perf_counter() - wall
    return (
        f"{N_BAGS} bags, {N_BAGS * SUBSET:,} tiles: {cpu:.1f} s CPU, {wall:.1f} s elapsed, "
        f"{1000 * cpu / N_BAGS:.1f} ms a bag; resident memory without file pages at most "
        f"{most:.0f} MB (checksum {checksum:.3f})"
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--folder", type=Path, help="where the files may lie (4 GB)")
    asked.add_argument("--no-epoch", action="store_true")
    settings = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=settings.folder) as name:
        folder = Path(name)
        print(f"load {load()}; {SUBSET} random tiles of {N_TILES} × {DIMENSION}:\n")
        print("| way | CPU time, median of 7 | against the first |")
        print("| --- | --: | --: |")
        for row in subsets(folder):
            print(row, flush=True)
        if not settings.no_epoch:
            print("\n" + epoch(folder))


if __name__ == "__main__":
    main()
