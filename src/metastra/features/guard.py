"""Open a foreign HDF5 file so that it can neither fill the memory nor lead elsewhere.

Nothing is read before its declared size was held against the size of the file: 600 kB can declare
six terabytes.  Links to other files, virtual and external data are refused, and so is what was
declared but never written, which HDF5 would give out as zeros.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from metastra.features.bag import feature_error

__all__ = ["MAX_RATIO", "attributes", "dataset", "load", "mapped", "names", "open_h5"]

MAX_RATIO = 20
"""Most that a dataset may unpack to, in sizes of its file; half-precision features reach 2."""
_SMALL_BYTES = 1 << 26
_MAX_ATTRIBUTE_BYTES = 1 << 18
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    h5py.File
        Whose datasets are to be asked for with `dataset`.

    Raises
    ------
    DataError
        SL051 if it is not there, damaged or being written; SL052 if it is no HDF5 file.
    """
    name = path.name
    if not path.is_file():
        kind = "it is no regular file" if path.exists() else "there is no such file"
        raise feature_error("SL051", name, kind)
    try:
        with path.open("rb") as stream:
            head = stream.read(len(_SIGNATURE))
    except OSError as error:
        raise feature_error("SL051", name, error.strerror or str(error)) from error
    if head != _SIGNATURE:
        raise _no_hdf5(path, head)
    try:
        file = h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise feature_error(
                "SL051",
                name,
                "another program is writing it now",
                hint="Wait until that program has finished, then run again.",
            ) from error
        raise feature_error("SL051", name, f"the file is damaged or cut off ({error})") from error
    with file:
        try:
            yield file
        except (OSError, RuntimeError, KeyError) as error:
            raise feature_error("SL051", name, f"the file is damaged ({error})") from error


def names(file: h5py.File) -> frozenset[str]:
    """List what lies at the top of a file.

    Parameters
    ----------
    file : h5py.File
        Open.

    Returns
    -------
    frozenset of str
        Names.
    """
    return frozenset(file.keys())


def dataset(file: h5py.File, name: str, *, n_dims: int, kinds: str) -> h5py.Dataset:
    """Find a dataset whose numbers can be read without danger.

    Parameters
    ----------
    file : h5py.File
        Open.
    name : str
        At the top of the file.
    n_dims : int
        How many dimensions it has to have.
    kinds : str
        Which kinds of numbers it may have, as `numpy.dtype.kind`.

    Returns
    -------
    h5py.Dataset
        Not read yet.

    Raises
    ------
    DataError
        SL053 if it is a link, lies elsewhere, was never written, or claims more than the file can
        hold; SL055 if shape or type are others.
    """
    where = Path(file.filename).name
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise feature_error("SL053", where, f"{name!r} is a link to another place")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise feature_error("SL052", where, f"{name!r} is a group", expected="a dataset")
    if found.is_virtual or found.external:
        raise feature_error("SL053", where, f"the numbers of {name!r} lie in other files")
    if found.ndim != n_dims or found.dtype.kind not in kinds:
        raise feature_error(
            "SL055",
            where,
            f"{name!r} is {found.dtype} {found.shape}",
            expected=f"{n_dims} dimension{'s' if n_dims > 1 else ''} of numbers",
        )
    _require_substance(found, where, Path(file.filename).stat().st_size)
    return found


def mapped(found: h5py.Dataset) -> NDArray[Any]:
    """Give a dataset as an array, without reading it where the file allows that.

    Parameters
    ----------
    found : h5py.Dataset
        What `dataset` gave.

    Returns
    -------
    ndarray
        A read-only memory map where the numbers lie uncompressed in one piece and in this
        machine's byte order; else they are read.
    """
    offset = found.id.get_offset()
    if offset is None or found.chunks is not None or not found.dtype.isnative or not found.size:
        return load(found)
    path = Path(found.file.filename)
    if offset + found.nbytes > path.stat().st_size:
        raise feature_error("SL051", path.name, "the file is cut off")
    return np.memmap(path, dtype=found.dtype, mode="r", offset=offset, shape=found.shape)


def load(found: h5py.Dataset) -> NDArray[Any]:
    """Read a dataset whole, in this machine's byte order.

    Parameters
    ----------
    found : h5py.Dataset
        What `dataset` gave.

    Returns
    -------
    ndarray
        Its numbers.
    """
    values = np.asarray(found[...])
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def attributes(thing: h5py.File | h5py.Dataset, *, only: str = "") -> dict[str, Any]:
    """Read the small attributes of a file or a dataset.

    Parameters
    ----------
    thing : h5py.File or h5py.Dataset
        What carries them.
    only : str
        The one that is wanted; all where empty.

    Returns
    -------
    dict
        Text as str, numbers as Python's, arrays as lists; what is large or odd is left out.
    """
    values: dict[str, Any] = {}
    wanted = thing.attrs if not only else [only] if only in thing.attrs else []
    for name in wanted:
        storage = h5py.h5a.open(thing.id, name.encode()).get_storage_size()
        if storage > _MAX_ATTRIBUTE_BYTES:
            continue
        value = thing.attrs[name]
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(value, np.generic | np.ndarray):
            value = value.tolist()
        if isinstance(value, str | int | float | bool | list):
            values[str(name)] = value
    return values


def _require_substance(found: h5py.Dataset, where: str, file_bytes: int) -> None:
    declared = math.prod(found.shape) * found.dtype.itemsize
    name = Path(found.name).name
    if declared > max(_SMALL_BYTES, MAX_RATIO * file_bytes):
        raise feature_error(
            "SL053",
            where,
            f"{name!r} declares {declared:,} bytes in a file of {file_bytes:,}",
            expected=f"at most {MAX_RATIO} times the file",
        )
    if found.chunks is None:
        if found.id.get_storage_size() < declared:
            raise feature_error("SL053", where, f"{name!r} was declared and never written")
        return
    expected = math.prod(
        -(-length // chunk) for length, chunk in zip(found.shape, found.chunks, strict=True)
    )
    written = found.id.get_num_chunks()
    if written < expected:
        raise feature_error(
            "SL053", where, f"{name!r} has {written} of its {expected} pieces; the rest is missing"
        )


def _no_hdf5(path: Path, head: bytes) -> Exception:
    if path.suffix.lower() in (".pt", ".pth", ".pkl", ".pickle") or head.startswith(_PICKLES):
        return feature_error(
            "SL052",
            path.name,
            "this is a pickle or an archive with one; reading it could run code, and a `.pt` bag "
            "has no coordinates",
            expected="an HDF5 file",
            hint="Use the .h5 file that CLAM writes beside it, in h5_files/.",
        )
    return feature_error("SL052", path.name, "this is no HDF5 file", expected="an HDF5 file")
