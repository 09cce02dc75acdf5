"""Bags for the tests of features."""

from __future__ import annotations

import numpy as np

from metastra.features.bag import Bag, BagFrame, BagOrigin
from metastra.storage import write_atomically

FRAME = BagFrame(
    mpp=(0.2519, 0.2507),
    tile_side_um=112.0,
    tile_side_px0=(112 / 0.2519, 112 / 0.2507),
    target_mpp=0.5,
    tile_px=224,
    slide_size_px0=(98_000, 71_000),
)
ORIGIN = BagOrigin(
    name="Präparat 7",
    encoder="morphology",
    engine="numba",
    precision="float32",
    slide_digest="a" * 64,
    tiling_digest="b" * 64,
    encoder_digest="c" * 64,
    quality_digest="d" * 64,
)


def make_bag(n=37, d=5, *, dtype=np.float16, seed=1, frame=FRAME, origin=ORIGIN):
    """A bag on a grid with holes, its rows in no order."""
    rng = np.random.default_rng(seed)
    side = max(1, int(np.ceil(np.sqrt(2 * n))))
    places = rng.choice(side * side, size=n, replace=False)
    x = np.floor(places % side * FRAME.tile_side_px0[0] + 0.5)
    y = np.floor(places // side * FRAME.tile_side_px0[1] + 0.5)
    coords = np.stack([x, y], axis=1).astype(np.int64).reshape(n, 2)
    features = rng.normal(0, 50, (n, d)).astype(dtype)
    return Bag(features=features, coords=coords, frame=frame, origin=origin)


def store(path, writer):
    """Write what a writer writes; returns the path."""
    write_atomically(path, writer.write, verify=writer.verify)
    return path


def put(path, write):
    """Write what a plain function writes; returns the path."""
    write_atomically(path, write, verify=lambda _: None)
    return path


def same(one, other):
    """Whether features, places and frame are equal."""
    return (
        np.array_equal(np.asarray(one.features), np.asarray(other.features))
        and np.array_equal(one.coords, other.coords)
        and one.frame.completed() == other.frame.completed()
    )
