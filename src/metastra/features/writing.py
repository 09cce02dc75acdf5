"""Write a bag as HDF5: block by block, so that memory holds one block, and checked as it goes.

The functions write to a stream of `metastra.storage`, which gives the file its name only when it
was closed, read back and synchronised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from metastra.errors import DigestMismatch
from metastra.features.bag import Bag, BagFrame, BagOrigin, feature_error
from metastra.features.own_layout import coords_attributes, features_attributes, own_attributes

__all__ = ["BagWriter", "blocks_of", "write_clam", "write_own", "write_stamp"]

_BLOCK_ROWS = 4096
_PAGE_BYTES = 4096
_CLAM_CHUNK_ROWS = 32


def blocks_of(bag: Bag) -> Iterator[NDArray[np.float32]]:
    """Give the features of a bag block by block.

    Parameters
    ----------
    bag : Bag
        Any.

    Yields
    ------
    ndarray of float32, shape (b, d)
        At most 4,096 rows, finite.

    Raises
    ------
    DataError
        SL054 if a number is not finite.
    """
    for start in range(0, len(bag), _BLOCK_ROWS):
        yield bag.rows(slice(start, start + _BLOCK_ROWS))


@dataclass(kw_only=True)
class BagWriter:
    """Writes one bag in our layout and knows afterwards what has to be in the file.

    Parameters
    ----------
    coords : ndarray of int64, shape (n, 2)
        Level-0 pixels; no two rows are equal.
    frame, origin : BagFrame, BagOrigin
        What the coordinates measure; what the bag is made from.
    dimension : int
        Features of a tile.
    blocks : iterable of ndarray, shape (b, dimension)
        The features in the order of the coordinates; gone through once.
    dtype : dtype
        float16 (the store's) or float32.

    Raises
    ------
    DataError
        SL055 if the coordinates are not int64 pairs or one occurs twice.
    """

    coords: NDArray[np.int64]
    frame: BagFrame
    origin: BagOrigin
    dimension: int
    blocks: Iterable[NDArray[np.floating]]
    dtype: DTypeLike = np.float16
    _digest: str = field(default="", init=False)

    def __post_init__(self) -> None:
        coords, name = self.coords, self.origin.name
        if coords.ndim != 2 or coords.shape[1] != 2 or coords.dtype != np.int64:
            raise feature_error("SL055", name, f"the coordinates are {coords.dtype} {coords.shape}")
        twice = len(coords) - len(np.unique(coords, axis=0))
        if twice:
            raise feature_error("SL055", name, f"{twice} tiles have the place of another")

    def write(self, stream: BinaryIO) -> None:
        """Write the file.

        Parameters
        ----------
        stream : BinaryIO
            Seekable; of `metastra.storage`.

        Raises
        ------
        DataError
            SL054 if a feature is not finite or too large for the precision; SL055 if there are
            more or fewer rows than coordinates.
        """
        with h5py.File(
            stream, "w", alignment_threshold=_PAGE_BYTES, alignment_interval=_PAGE_BYTES
        ) as file:
            _set(file, own_attributes(self.frame, self.origin))
            coords = _contiguous(file, "coords", self.coords.shape, np.int64)
            coords[...] = self.coords
            _set(coords, coords_attributes(self.frame, self.origin.name))
            shape = (len(self.coords), self.dimension)
            features = _contiguous(file, "features", shape, self.dtype)
            _set(features, features_attributes(self.origin))
            self._digest = self._fill(features)

    def verify(self, path: Path) -> None:
        """Read a finished file back and hold it against what was given.

        Parameters
        ----------
        path : Path
            The part file.

        Raises
        ------
        DigestMismatch
            If any number is another one.
        """
        hasher = hashlib.sha256()
        with h5py.File(path, "r", locking=False) as file:
            features, coords = file["features"], file["coords"]
            same = (
                features.shape == (len(self.coords), self.dimension)
                and features.dtype == np.dtype(self.dtype)
                and features.chunks is None
                and np.array_equal(coords[...], self.coords)
            )
            if same:
                for start in range(0, len(self.coords), _BLOCK_ROWS):
                    hasher.update(features[start : start + _BLOCK_ROWS].tobytes())
        if not same or hasher.hexdigest() != self._digest:
            raise DigestMismatch(f"{path}: what was read back is not what was written")

    def _fill(self, features: h5py.Dataset) -> str:
        hasher, start, name = hashlib.sha256(), 0, self.origin.name
        for block in self.blocks:
            stop = start + len(block)
            if block.ndim != 2 or block.shape[1] != self.dimension or stop > len(self.coords):
                raise feature_error(
                    "SL055",
                    name,
                    f"features {block.shape} for rows {start} to {stop} of {len(self.coords)}",
                    expected=f"{self.dimension} features and a row for each tile",
                )
            narrow = _narrow(block, np.dtype(self.dtype), start, name)
            if len(block):
                features[start:stop] = narrow
            hasher.update(narrow.tobytes())
            start = stop
        if start != len(self.coords):
            raise feature_error(
                "SL055", name, f"{start} rows of features, {len(self.coords)} tiles"
            )
        return hasher.hexdigest()


def write_own(bag: Bag) -> BagWriter:
    """Write a bag in our layout, which TRIDENT's readers read, at the precision it has.

    Parameters
    ----------
    bag : Bag
        Any.

    Returns
    -------
    BagWriter
        Whose `write` and `verify` go to `metastra.storage.write_atomically`.
    """
    return BagWriter(
        coords=bag.coords,
        frame=bag.frame,
        origin=bag.origin,
        dimension=bag.dimension,
        blocks=blocks_of(bag),
        dtype=bag.features.dtype,
    )


def write_stamp(bag: Bag) -> Callable[[BinaryIO], None]:
    """Write a bag as STAMP 2 reads it: ``feats``, and ``coords`` in µm.

    ``stamp_version`` is left out, because STAMP refuses files of a version above its own; ``mpp``
    is added, so that the way back to pixels needs no option.

    Parameters
    ----------
    bag : Bag
        Whose scale and tile side are known.

    Returns
    -------
    callable
        Writes to a stream.

    Raises
    ------
    DataError
        SL056 if scale or tile side are not known.
    """
    mpp, side = _require_um(bag)
    um = bag.coords.astype(np.float64) * np.asarray(mpp)

    def write(stream: BinaryIO) -> None:
        with h5py.File(stream, "w") as file:
            _set(
                file,
                {
                    "extractor": bag.origin.encoder or "unknown",
                    "unit": "um",
                    "tile_size_um": float(side),
                    "code_hash": "metastra",
                    "feat_type": "tile",
                    "mpp": [float(item) for item in mpp],
                },
            )
            if bag.frame.tile_px is not None:
                file.attrs["tile_size_px"] = bag.frame.tile_px
            coords = _contiguous(file, "coords", um.shape, np.float32)
            coords[...] = um
            _copy(_contiguous(file, "feats", bag.features.shape, bag.features.dtype), bag)

    return write


def write_clam(bag: Bag) -> Callable[[BinaryIO], None]:
    """Write a bag as CLAM does: float32, pieces of 32 rows, and not one attribute.

    Parameters
    ----------
    bag : Bag
        Any.

    Returns
    -------
    callable
        Writes to a stream.

    Raises
    ------
    DataError
        SL055 if a coordinate does not fit CLAM's 32 bits.
    """
    if len(bag) and bag.coords.max() > np.iinfo(np.int32).max:
        raise feature_error(
            "SL055", bag.origin.name, "a coordinate does not fit the 32 bits of CLAM's files"
        )

    def write(stream: BinaryIO) -> None:
        with h5py.File(stream, "w") as file:
            for name, width, dtype in (
                ("features", bag.dimension, np.float32),
                ("coords", 2, np.int32),
            ):
                file.create_dataset(
                    name,
                    (len(bag), width),
                    dtype,
                    chunks=(_CLAM_CHUNK_ROWS, width),
                    maxshape=(None, width),
                    track_times=False,
                )
            file["coords"][...] = bag.coords
            _copy(file["features"], bag)

    return write


def _copy(features: h5py.Dataset, bag: Bag) -> None:
    start = 0
    for block in blocks_of(bag):
        features[start : start + len(block)] = block
        start += len(block)


def _require_um(bag: Bag) -> tuple[tuple[float, float], float]:
    frame = bag.frame.completed()
    if frame.mpp is None:
        raise feature_error(
            "SL056",
            bag.origin.name,
            "micrometres need the slide's microns per pixel, which the file does not say",
            hint="Give `--slide-mpp MPP`.",
        )
    if frame.tile_side_um is None:
        raise feature_error(
            "SL056",
            bag.origin.name,
            "the side of a tile is not known",
            hint="Give `--tile-um SIDE` or `--tile-px0 SIDE`.",
        )
    return frame.mpp, frame.tile_side_um


def _contiguous(
    file: h5py.File, name: str, shape: tuple[int, ...], dtype: DTypeLike
) -> h5py.Dataset:
    return file.create_dataset(name, shape, dtype, track_times=False)


def _set(thing: h5py.File | h5py.Dataset, values: dict[str, Any]) -> None:
    for name in sorted(values):
        thing.attrs[name] = values[name]


def _narrow(
    block: NDArray[np.floating], dtype: np.dtype[Any], start: int, name: str
) -> NDArray[np.floating]:
    with np.errstate(over="ignore"):
        narrow: NDArray[np.floating] = np.ascontiguousarray(block, dtype=dtype)
    bad = ~np.isfinite(narrow)
    if bad.any():
        row, column = np.argwhere(bad)[0].tolist()
        value = float(block[row, column])
        found = f"row {start + row}, feature {column} is {value:g}"
        limit = float(np.finfo(dtype).max)
        raise feature_error(
            "SL054", name, found, expected=f"a finite number up to {limit:g} ({dtype})"
        )
    return narrow
