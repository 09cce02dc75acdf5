"""Prototypes of tiles by k-means, and their two files: points in safetensors, a card in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from metastra.errors import ConfigError, IntegrityError, NotEstimable
from metastra.features.bag import Bag
from metastra.features.pooling import Prototypes, nearest
from metastra.storage import (
    Recipe,
    completeness,
    json_bytes,
    read_product_bytes,
    read_product_json,
    read_record,
    write_product,
)

__all__ = ["draw_tiles", "fit_prototypes", "read_prototypes", "write_prototypes"]

_PRODUCT = "prototypes"
_POINTS, _CARD = "prototypes.safetensors", "prototypes.json"
_MOST_ROUNDS = 100
_LEAST_SPREAD = 1e-12


def draw_tiles(bag: Bag, most: int, *, seed: tuple[int, ...]) -> NDArray[np.float32]:
    """Draw tiles of a slide.

    Parameters
    ----------
    bag : Bag
        Of the slide.
    most : int
        Tiles at most.
    seed : tuple of int
        Decides which.

    Returns
    -------
    ndarray of float32, shape (n, d)
        In the order of the bag; nothing else of it is read.
    """
    rng = np.random.default_rng(seed)
    return bag.rows(np.sort(rng.choice(len(bag), min(most, len(bag)), replace=False)))


def fit_prototypes(rows: NDArray[np.float32], k: int, *, seed: int) -> Prototypes:
    """Find prototypes by k-means.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
        Features of tiles of development slides.
    k : int
        How many prototypes.
    seed : int
        Of the first points.

    Returns
    -------
    Prototypes
        The most frequent first; features that never vary have scale 1.

    Raises
    ------
    NotEstimable
        If there are fewer than k different tiles.

    Notes
    -----
    Features are standardised; the first points are drawn as Arthur and Vassilvitskii 2007
    (k-means++) say; then Lloyd's rounds until no tile changes its prototype, at most 100.  A
    prototype that loses all its tiles goes to the tile that is farthest from its own.
    """
    centre = rows.mean(axis=0, dtype=np.float64)
    spread = rows.std(axis=0, dtype=np.float64)
    scale = np.where(spread > _LEAST_SPREAD * np.maximum(np.abs(centre), 1.0), spread, 1.0)
    standardised = (rows.astype(np.float64) - centre) / scale
    if (n_different := len(np.unique(standardised, axis=0))) < k:
        raise NotEstimable(f"{n_different} different tiles do not make {k} prototypes")
    points = _first_points(standardised, k, np.random.default_rng(seed))
    label = nearest(standardised, points)
    for _ in range(_MOST_ROUNDS):
        points = _means(standardised, label, points)
        again = nearest(standardised, points)
        if np.array_equal(again, label):
            break
        label = again
    order = np.argsort(-np.bincount(label, minlength=k), kind="stable")
    return Prototypes(centre=centre, scale=scale, points=points[order])


def _first_points(
    rows: NDArray[np.float64], k: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw points with a chance that grows with the squared distance to those drawn before."""
    chosen = [int(rng.integers(len(rows)))]
    far = np.square(rows - rows[chosen[0]]).sum(axis=1)
    while len(chosen) < k:
        chosen.append(int(rng.choice(len(rows), p=far / far.sum())))
        far = np.minimum(far, np.square(rows - rows[chosen[-1]]).sum(axis=1))
    return rows[chosen]


def _means(
    rows: NDArray[np.float64], label: NDArray[np.int64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    counts = np.bincount(label, minlength=len(points))
    moved = points.copy()
    for one in np.flatnonzero(counts).tolist():
        moved[one] = rows[label == one].mean(axis=0)
    lost = np.flatnonzero(counts == 0)
    if lost.size:
        far = np.square(rows - moved[label]).sum(axis=1)
        moved[lost] = rows[np.argsort(-far, kind="stable")[: lost.size]]
    return moved


def write_prototypes(folder: Path, prototypes: Prototypes, card: Mapping[str, Any]) -> str:
    """Write prototypes and their card.

    Parameters
    ----------
    folder : Path
        Of the two files.
    prototypes : Prototypes
        The points.
    card : mapping
        Encoder, what they were learned from, seed.

    Returns
    -------
    str
        SHA-256 of both files together.

    Raises
    ------
    ConfigError
        If other prototypes lie there: rows made with them would mean something else.
    ResourceError, DigestMismatch
        As `metastra.storage.write_product`.
    """
    recipe = Recipe(kind=_PRODUCT, settings=dict(card))
    if read_record(folder, _PRODUCT) is not None and not completeness(folder, _PRODUCT, recipe):
        raise ConfigError(
            f"{folder} holds prototypes that were learned otherwise; leave out --learn to use "
            "them, or give another folder"
        )
    tensors = {
        "centre": prototypes.centre,
        "scale": prototypes.scale,
        "points": np.ascontiguousarray(prototypes.points),
    }
    files = {_POINTS: save_tensors(tensors), _CARD: json_bytes(dict(card))}
    return write_product(folder, _PRODUCT, recipe, files).digest


def read_prototypes(folder: Path) -> tuple[Prototypes, dict[str, Any], str]:
    """Read prototypes.

    Parameters
    ----------
    folder : Path
        Of the two files.

    Returns
    -------
    Prototypes
        The points.
    dict
        Their card.
    str
        SHA-256 of both files together.

    Raises
    ------
    ConfigError
        If there are none.
    IntegrityError
        If they are not as they were written.
    """
    record = read_record(folder, _PRODUCT)
    if record is None:
        raise ConfigError(f"{folder} holds no prototypes; learn them with --learn")
    card = dict(read_product_json(folder, _PRODUCT, _CARD))
    try:
        tensors = load_tensors(read_product_bytes(folder, _PRODUCT, _POINTS))
        prototypes = Prototypes(**tensors)
    except (SafetensorError, TypeError, ValueError) as error:
        raise IntegrityError(f"{folder / _POINTS} holds no prototypes: {error}") from error
    return prototypes, card, record.digest
