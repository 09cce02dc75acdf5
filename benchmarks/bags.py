"""A random part of a large bag: memory map against the peers' files; an epoch over many bags.

``OMP_NUM_THREADS=1 python -m benchmarks.bags --against stamp`` prints the rows of one program,
``--epoch`` those of an epoch.  Every way reads the file that its program writes, as its data loader
does: the whole dataset, then the rows; the file is in the page cache.  CPU times of one process
with one thread, all ways in turn.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
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

DIMENSION = 1536
Way = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    tiles: int
    subset: int
    bags: int
    files: int
    rounds: int


WHOLE = Sizes(tiles=50_000, subset=4096, bags=1000, files=20, rounds=7)
QUICK = Sizes(tiles=2_000, subset=256, bags=10, files=2, rounds=1)


def make_bag(seed: int, n_tiles: int) -> Bag:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n_tiles, DIMENSION), dtype=np.float32).astype(np.float16)
    places = np.arange(n_tiles)
    coords = np.stack([places % 250, places // 250], axis=1).astype(np.int64) * 448
    return Bag(features=features, coords=coords, frame=BagFrame())


def write_own_file(folder: Path, name: str, bag: Bag) -> None:
    recipe = features_recipe(slide_digest="0" * 64, tiling={}, encoder_digest="0" * 64, quality={})
    FeatureStore(folder).write(name, recipe, write_own(bag))


def write_peer(folder: Path, bag: Bag, peer: str) -> None:
    """TRIDENT: float32, pieces of one row, compressed by nothing; STAMP: float16 in one piece."""
    wide = bag.features.astype(np.float32)
    if peer == "clam":
        torch.save(torch.from_numpy(wide), folder / "clam.pt")
        return
    with h5py.File(folder / f"{peer}.h5", "w") as file:
        if peer == "trident":
            chunks = (1, wide.shape[1])
            file.create_dataset("features", data=wide, chunks=chunks)
            file.create_dataset("coords", data=bag.coords)
        else:
            file["feats"], file["coords"] = bag.features, bag.coords.astype(np.float32)


def ways_of(folder: Path, peer: str, rows: np.ndarray) -> dict[str, tuple[Way, str]]:
    """Give the ways that are compared with ours, and the least ratio that was asked for."""

    def h5(dataset: str) -> np.ndarray:
        with h5py.File(folder / f"{peer}.h5", "r") as file:
            return file[dataset][:][rows]

    def pt() -> np.ndarray:
        whole = torch.load(folder / "clam.pt", weights_only=True)
        return whole[torch.from_numpy(rows)].numpy()

    def by_rows() -> np.ndarray:
        order = np.argsort(rows)
        with h5py.File(folder / "trident.h5", "r") as file:
            found = file["features"][rows[order]]
        return found[np.argsort(order)]

    if peer == "stamp":
        return {"STAMP's h5, whole, then the rows": (lambda: h5("feats"), "8×")}
    if peer == "clam":
        return {"CLAM's `.pt`, whole, then the rows": (pt, "50×")}
    return {
        "TRIDENT's h5, whole, then the rows": (lambda: h5("features"), "100×"),
        "TRIDENT's h5, by rows": (by_rows, ""),
    }


def subsets(folder: Path, peer: str, sizes: Sizes) -> list[str]:
    """Ours and a peer's in turn."""
    bag = make_bag(0, sizes.tiles)
    write_own_file(folder, "own", bag)
    write_peer(folder, bag, peer)
    rows = np.random.default_rng(1).choice(sizes.tiles, sizes.subset, replace=False)
    expected = bag.features[rows].astype(np.float32)
    del bag
    own = read_h5(folder / "own.h5")
    theirs = ways_of(folder, peer, rows)
    ways: dict[str, Way] = {
        "open bag, as stored": lambda: own.rows(rows, as_stored=True),
        "open bag, widened to float32": lambda: own.rows(rows),
        "opened each time, as stored": lambda: read_h5(folder / "own.h5").rows(
            rows, as_stored=True
        ),
        **{name: way for name, (way, _) in theirs.items()},
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(sizes.rounds + 1):
        for name, way in ways.items():
            begun = time.process_time()
            found = way()
            if round_number:
                times[name].append(time.process_time() - begun)
            if not np.array_equal(found.astype(np.float32), expected):
                raise SystemExit(f"{name}: other numbers")
            del found
    ms = {name: 1000 * float(np.median(values)) for name, values in times.items()}
    stored, widened, opened = list(ms.values())[:3]
    return [
        f"| {name} | {ms[name]:.1f} ms | {stored:.1f} ms | {widened:.1f} ms | {opened:.1f} ms "
        f"| {ms[name] / stored:.1f}× | {asked} | {load()} |"
        for name, (_, asked) in theirs.items()
    ]


def epoch(folder: Path, sizes: Sizes) -> str:
    """Every bag once, random tiles of each; resident memory without the page cache."""
    files = []
    for number in range(sizes.files):
        write_own_file(folder, f"bag{number}", make_bag(number, sizes.tiles))
        files.append(folder / f"bag{number}.h5")
    links = folder / "links"
    links.mkdir()
    for number in range(sizes.bags):
        os.link(files[number % sizes.files], links / f"{number}.h5")
    rng = np.random.default_rng(2)
    forget_peak()
    begun, wall, most = time.process_time(), time.perf_counter(), 0.0
    for number in rng.permutation(sizes.bags):
        bag = read_h5(links / f"{number}.h5")
        taken = bag.rows(rng.choice(sizes.tiles, sizes.subset, replace=False))
        if not np.isfinite(taken[0, 0]):
            raise SystemExit(f"bag {number}: no finite number")
        most = max(most, memory_mb("RssAnon"))
    cpu, wall = time.process_time() - begun, time.perf_counter() - wall
    return (
        f"| {sizes.bags} | {sizes.files} | {sizes.subset:,} | {1000 * cpu / sizes.bags:.1f} ms "
        f"| {1000 * wall / sizes.bags:.1f} ms | {most:.0f} MB (asked: below 2 048) | {load()} |"
    )


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.bags", description=__doc__)
    what = asked.add_mutually_exclusive_group(required=True)
    what.add_argument("--against", choices=["stamp", "clam", "trident"])
    what.add_argument("--epoch", action="store_true", help="many bags, each once")
    asked.add_argument("--folder", type=Path, help="where the files may lie (4 GB)")
    asked.add_argument("--quick", action="store_true", help="small bags, once")
    settings = asked.parse_args()
    sizes = QUICK if settings.quick else WHOLE
    with tempfile.TemporaryDirectory(dir=settings.folder) as name:
        if settings.epoch:
            print("| bags | files | tiles of each | CPU a bag | elapsed a bag ", end="")
            print("| memory without pages of files | load |")
            print("| --: | --: | --: | --: | --: | --: | --: |")
            print(epoch(Path(name), sizes))
            return
        print(f"| {sizes.subset:,} tiles of {sizes.tiles:,} × {DIMENSION} | CPU time ", end="")
        print(
            "| metastra, open bag | widened to float32 | opened each time | ratio | asked | load |"
        )
        print("| --- | --: | --: | --: | --: | --: | --: | --: |")
        for row in subsets(Path(name), settings.against, sizes):
            print(row, flush=True)


if __name__ == "__main__":
    main()
