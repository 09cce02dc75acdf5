"""Any feature file, read and written by the name of its layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metastra.errors import ConfigError, DigestMismatch
from metastra.features.bag import Bag
from metastra.features.hdf5_layouts import read_h5
from metastra.features.hints import Hints
from metastra.features.spatialdata_store import is_store, read_store, write_store
from metastra.features.writing import write_clam, write_own, write_stamp
from metastra.storage import write_atomically

__all__ = ["ENDINGS", "read_bag", "write_bag"]

ENDINGS = {"trident": ".h5", "stamp": ".h5", "clam": ".h5", "spatialdata": ".zarr"}
"""Layouts that are written, and how their files end."""


def read_bag(path: Path, hints: Hints | None = None) -> Bag:
    """Read a feature file of any layout.

    Parameters
    ----------
    path : Path
        An HDF5 file, or the folder of a SpatialData store.
    hints : Hints, optional
        What the file may leave out.

    Returns
    -------
    Bag
        A memory map where the file allows it.

    Raises
    ------
    DataError
        SL051 to SL056.
    MissingExtra
        If it is a SpatialData store and the library is not installed.
    """
    return read_store(path, hints) if is_store(path) else read_h5(path, hints)


def write_bag(bag: Bag, path: Path, layout: str) -> None:
    """Write a feature file, whole or not at all; what it holds is read back first.

    Parameters
    ----------
    bag : Bag
        Any; its precision is kept where the layout has one.
    path : Path
        The file.
    layout : {"trident", "stamp", "clam", "spatialdata"}
        Whose readers shall open it.

    Raises
    ------
    DataError
        SL054 to SL056 if the layout cannot hold the bag, or something is not known.
    ConfigError
        If the layout is none.
    ResourceError, DigestMismatch
        If it cannot be written.
    """
    if layout == "spatialdata":
        write_store(bag, path)
    elif layout == "trident":
        writer = write_own(bag)
        write_atomically(path, writer.write, verify=writer.verify)
    elif layout in ("stamp", "clam"):
        write = write_stamp(bag) if layout == "stamp" else write_clam(bag)
        hints = Hints(mpp=bag.frame.mpp)
        write_atomically(path, write, verify=lambda part: _same(read_h5(part, hints), bag, path))
    else:
        raise ConfigError(f"layout {layout!r} is not written; choose from {', '.join(ENDINGS)}")


def _same(found: Bag, bag: Bag, path: Path) -> None:
    same = np.array_equal(found.coords, bag.coords) and all(
        np.array_equal(found.rows(slice(start, start + 4096)), bag.rows(slice(start, start + 4096)))
        for start in range(0, len(bag), 4096)
    )
    if not same:
        raise DigestMismatch(f"{path}: what was read back is not what was written")
