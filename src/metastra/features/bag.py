"""A bag: features of a slide's tiles, where each tile lies, and what a coordinate measures."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.errors import DataError, Where

__all__ = ["Bag", "BagFrame", "BagOrigin", "feature_error"]

_BLOCK_ROWS = 4096


def feature_error(
    code: str, name: str, found: str, *, expected: str = "", hint: str | None = None
) -> DataError:
    """Make the error for one problem of a feature file.

    Parameters
    ----------
    code : str
        A code of the catalogue, SL051 and above.
    name : str
        The file's name.
    found, expected : str
        What is wrong, and what was expected instead.
    hint : str, optional
        A remedy more exact than the catalogue's.

    Returns
    -------
    DataError
        To be raised.

    Examples
    --------
    >>> print(feature_error("SL054", "a.h5", "row 3 holds NaN").problems[0].code)
    SL054
    """
    return DataError(
        "", [problem(code, found, where=Where(file=name), expected=expected, hint=hint)]
    )


@dataclass(frozen=True, kw_only=True)
class BagFrame:
    """What the coordinates of a bag measure.

    Parameters
    ----------
    mpp : tuple of float or None
        Micrometres per level-0 pixel along x and y; None where nobody says.
    tile_side_um : float or None
        Side of a tile in micrometres.
    tile_side_px0 : tuple of float or None
        Width and height of a tile in level-0 pixels; fractions are kept.
    target_mpp : float or None
        Micrometres per pixel at which the encoder saw the tiles.
    tile_px : int or None
        Side of the tiles that the encoder saw, in pixels.
    slide_size_px0 : tuple of int or None
        Width and height of level 0.

    Examples
    --------
    >>> frame = BagFrame(mpp=(0.25, 0.25), tile_side_px0=(448.0, 448.0))
    >>> frame.completed().tile_side_um
    112.0
    """

    mpp: tuple[float, float] | None = None
    tile_side_um: float | None = None
    tile_side_px0: tuple[float, float] | None = None
    target_mpp: float | None = None
    tile_px: int | None = None
    slide_size_px0: tuple[int, int] | None = None

    def completed(self) -> BagFrame:
        """Work out a side of the tile from the other and the scale.

        Returns
        -------
        BagFrame
            With both sides where one and the scale are known.
        """
        side_um, side_px0 = self.tile_side_um, self.tile_side_px0
        if self.mpp is not None and side_um is None and side_px0 is not None:
            side_um = side_px0[0] * self.mpp[0]
        if self.mpp is not None and side_px0 is None and side_um is not None:
            side_px0 = side_um / self.mpp[0], side_um / self.mpp[1]
        return BagFrame(
            mpp=self.mpp,
            tile_side_um=side_um,
            tile_side_px0=side_px0,
            target_mpp=self.target_mpp,
            tile_px=self.tile_px,
            slide_size_px0=self.slide_size_px0,
        )


@dataclass(frozen=True, kw_only=True)
class BagOrigin:
    """What a bag was made from; empty where a foreign file does not say.

    Parameters
    ----------
    name : str
        Of the slide, as the file is named, or its pseudonym.
    encoder : str
        Name of the encoder.
    engine, precision : str
        What computed the features, and how exactly.
    slide_digest, tiling_digest, encoder_digest, quality_digest : str
        SHA-256 of the slide, the tiling, the encoder's card and the quality rule.
    feature_names : tuple of str
        One for each feature, or none at all.
    dropped : mapping of str to int
        Tiles of the grid that quality control removed, by code.
    excluded : str
        Why there is no tile; empty where there are some.
    reading : str
        By what the tiles' pixels were read, and why.
    """

    name: str = ""
    encoder: str = ""
    engine: str = ""
    precision: str = ""
    slide_digest: str = ""
    tiling_digest: str = ""
    encoder_digest: str = ""
    quality_digest: str = ""
    feature_names: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    excluded: str = ""
    reading: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bag:
    """The tiles of one slide.

    Parameters
    ----------
    features : ndarray of float16 or float32, shape (n, d)
        Often a memory map: only what is taken is read.
    coords : ndarray of int64, shape (n, 2)
        x and y of the tiles' top left corners in level-0 pixels.
    frame : BagFrame
        What the coordinates measure.
    origin : BagOrigin
        What it was made from.
    layout : str
        Of the file it came from: ``"metastra"``, ``"trident"``, ``"stamp"``, ``"clam"`` or
        ``"spatialdata"``.

    Raises
    ------
    DataError
        SL055 if features and coordinates do not fit together.

    Examples
    --------
    >>> bag = Bag(
    ...     features=np.zeros((2, 3), np.float16),
    ...     coords=np.array([[0, 0], [448, 0]]),
    ...     frame=BagFrame(),
    ... )
    >>> len(bag), bag.dimension, bag.rows([1]).dtype
    (2, 3, dtype('float32'))
    """

    features: NDArray[np.float16] | NDArray[np.float32]
    coords: NDArray[np.int64]
    frame: BagFrame
    origin: BagOrigin = field(default_factory=BagOrigin)
    layout: str = "metastra"

    def __post_init__(self) -> None:
        features, coords, name = self.features, self.coords, self.origin.name
        if features.ndim != 2 or features.dtype not in (np.float16, np.float32):
            raise feature_error(
                "SL055",
                name,
                f"the features are {features.dtype} {features.shape}",
                expected="float16 or float32, tiles × features",
            )
        if coords.shape != (len(features), 2) or coords.dtype != np.int64:
            raise feature_error(
                "SL055",
                name,
                f"the coordinates are {coords.dtype} {coords.shape}",
                expected=f"int64 ({len(features)}, 2)",
            )
        if len(coords) and coords.min() < 0:
            raise feature_error(
                "SL055", name, "a coordinate is negative", expected="level-0 pixels from the corner"
            )

    def __len__(self) -> int:
        return len(self.features)

    @property
    def dimension(self) -> int:
        """Features of a tile."""
        return int(self.features.shape[1])

    def rows(
        self, which: NDArray[np.int64] | list[int] | slice, *, as_stored: bool = False
    ) -> NDArray[Any]:
        """Read some rows; what is not asked for is not read.

        Parameters
        ----------
        which : slice, list or ndarray of int
            Rows, in any order.
        as_stored : bool
            Give half precision as half precision, for somebody who widens it elsewhere.

        Returns
        -------
        ndarray of float32, shape (k, d)
            Finite; float16 where `as_stored` is true and the bag is of half precision.

        Raises
        ------
        DataError
            SL054 if one of them is not finite.
        IndexError
            If there is no such row.
        """
        self._advise(at_random=not isinstance(which, slice))
        if self.features.dtype == np.float16 and self.features.flags.c_contiguous:
            return self._halves(_places(which, len(self)), as_stored=as_stored)
        dtype = self.features.dtype if as_stored else np.dtype(np.float32)
        taken = np.array(self.features[which], dtype=dtype)
        if not np.isfinite(taken).all():
            raise feature_error("SL054", self.origin.name, _not_finite(taken, 0))
        return taken

    def _halves(self, places: NDArray[np.int64], *, as_stored: bool) -> NDArray[Any]:
        """Copy rows of half precision in one pass; numpy needs three, and seven times as long."""
        from metastra.features.rows_kernel import take_halves, widen_halves

        bits = self.features.view(np.uint16)
        taken = np.empty((len(places), self.dimension), np.uint16 if as_stored else np.uint32)
        finite = (take_halves if as_stored else widen_halves)(bits, places, taken)
        if not finite:
            raise feature_error("SL054", self.origin.name, _not_finite(self.features[places], 0))
        return taken.view(np.float16 if as_stored else np.float32)

    def _advise(self, *, at_random: bool) -> None:
        """Tell the kernel whether to read ahead, so that single rows cost single pages."""
        base: object = self.features.base
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_RANDOM if at_random else mmap.MADV_NORMAL)

    def check(self) -> None:
        """Look at every number, block by block.

        Raises
        ------
        DataError
            SL054 if one is not finite.
        """
        self._advise(at_random=False)
        for start in range(0, len(self), _BLOCK_ROWS):
            block = np.asarray(self.features[start : start + _BLOCK_ROWS])
            if not np.isfinite(block).all():
                raise feature_error("SL054", self.origin.name, _not_finite(block, start))


def _places(which: NDArray[np.int64] | list[int] | slice, n: int) -> NDArray[np.int64]:
    """Count rows from the first on, as numpy understands an index."""
    if isinstance(which, slice):
        return np.arange(*which.indices(n), dtype=np.int64)
    places = np.asarray(which)
    if places.dtype == bool:
        if places.shape != (n,):
            raise IndexError(f"a mask of {places.shape} for a bag of {n} tiles")
        return np.flatnonzero(places)
    places = places.astype(np.int64).reshape(-1)
    if len(places) and not (-n <= places.min() and places.max() < n):
        raise IndexError(f"rows {places.min()} to {places.max()} of a bag of {n} tiles")
    return np.where(places < 0, places + n, places)


def _not_finite(block: NDArray[Any], start: int) -> str:
    row, column = np.argwhere(~np.isfinite(block))[0].tolist()
    return f"row {start + row}, feature {column} is {block[row, column]}"
