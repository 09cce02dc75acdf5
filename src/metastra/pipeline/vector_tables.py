"""The table of slide vectors: a row a slide, as CSV or HDF5."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from metastra.storage import csv_bytes

__all__ = [
    "VectorRow",
    "VectorSource",
    "column_names",
    "network_names",
    "vectors_csv",
    "vectors_h5",
]


@dataclass(frozen=True, kw_only=True)
class VectorSource:
    """One feature file on its way to a row.

    Parameters
    ----------
    name : str
        Of the slide.
    path : Path
        The feature file.
    patient, cohort : str
        Of a study: pseudonym and cohort; else empty.
    development : bool
        Whether prototypes may be learned from it.
    """

    name: str
    path: Path
    patient: str = ""
    cohort: str = ""
    development: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorRow:
    """One slide's numbers.

    Parameters
    ----------
    source : VectorSource
        The slide.
    n_tiles : int
        Its tiles.
    vector : ndarray of float64, shape (c,)
        Its row.
    """

    source: VectorSource
    n_tiles: int
    vector: NDArray[np.float64]


def column_names(tile: Sequence[str], n_prototypes: int) -> list[str]:
    """Name the numbers of a row.

    Parameters
    ----------
    tile : sequence of str
        Names of a tile's features.
    n_prototypes : int
        0 for means.

    Returns
    -------
    list of str
        In the order of the row.
    """
    if not n_prototypes:
        return [f"mean_{name}" for name in tile]
    marks = [f"p{number:02d}" for number in range(1, n_prototypes + 1)]
    shares = [f"share_{mark}" for mark in marks]
    return shares + [f"{mark}_{name}" for mark in marks for name in tile]


def network_names(dimension: int) -> list[str]:
    """Name the numbers of a row that a network gives.

    Parameters
    ----------
    dimension : int
        How many.

    Returns
    -------
    list of str
        In the order of the row.

    Examples
    --------
    >>> network_names(2)
    ['v0001', 'v0002']
    """
    return [f"v{number:04d}" for number in range(1, dimension + 1)]


def vectors_csv(rows: Sequence[VectorRow], names: Sequence[str]) -> bytes:
    """Write rows as CSV, nine digits a number.

    Parameters
    ----------
    rows : sequence of VectorRow
        At least one.
    names : sequence of str
        Of the numbers.

    Returns
    -------
    bytes
        The file.
    """
    in_study = any(row.source.cohort for row in rows)
    head = ["SLIDE", *(["PATIENT", "COHORT"] if in_study else []), "n_tiles", *names]
    cells = [
        [
            row.source.name,
            *([row.source.patient, row.source.cohort] if in_study else []),
            row.n_tiles,
            *(f"{value:.9g}" for value in row.vector.tolist()),
        ]
        for row in rows
    ]
    return csv_bytes(head, cells)


def vectors_h5(rows: Sequence[VectorRow], names: Sequence[str], about: dict[str, Any]) -> bytes:
    """Write rows as HDF5, float32.

    Parameters
    ----------
    rows : sequence of VectorRow
        At least one.
    names : sequence of str
        Of the numbers.
    about : dict
        Attributes of the file.

    Returns
    -------
    bytes
        The file.
    """
    stream = io.BytesIO()
    columns = {
        "slide": [row.source.name for row in rows],
        "patient": [row.source.patient for row in rows],
        "cohort": [row.source.cohort for row in rows],
        "names": list(names),
    }
    with h5py.File(stream, "w") as file:
        file["features"] = np.stack([row.vector for row in rows]).astype(np.float32)
        file["n_tiles"] = np.array([row.n_tiles for row in rows], np.int64)
        for key, values in columns.items():
            text = np.array(values, dtype=object)
            file.create_dataset(key, data=text, dtype=h5py.string_dtype())
        for key, value in about.items():
            file.attrs[key] = value
    return stream.getvalue()
