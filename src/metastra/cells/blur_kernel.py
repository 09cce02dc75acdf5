"""Gaussian smoothing and what is built on it: a map at several scales, and blob responses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metastra.cells.scale_kernel import make_scales
from metastra.cells.scratch import Scratch
from metastra.cells.smoothing_kernel import halve_into
from metastra.cells.tap_kernel import ALONE, AT_ONCE, LINE_PX

__all__ = ["ScaleSpace", "blob_response", "blur", "gaussian_weights"]

_Floats = NDArray[np.float32]

_WIDE_PX = 5.0
_WIDE_BLOB_PX = 3.5
_NOTHING: _Floats = np.empty(0, np.float32)


@lru_cache(maxsize=256)
def gaussian_weights(sigma_px: float) -> _Floats:
    """One side of a sampled Gaussian, normalised.

    Parameters
    ----------
    sigma_px : float
        Standard deviation in pixels, above 0.

    Returns
    -------
    ndarray of float32, shape (r + 1,)
        Weight at distance 0, 1, …, r = ⌈3.5 σ⌉; centre plus twice the others is 1.  Read-only:
        it is kept for the next call.

    Examples
    --------
    >>> w = gaussian_weights(1.0)
    >>> round(float(w[0] + 2 * w[1:].sum()), 6)
    1.0
    """
    at = np.arange(math.ceil(3.5 * sigma_px) + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (at / sigma_px) ** 2)
    weights /= weights[0] + 2.0 * weights[1:].sum()
    rounded = weights.astype(np.float32)
    rounded.flags.writeable = False
    return rounded


@dataclass(frozen=True)
class _Plan:
    """What `make_scales` is told, for maps of one size."""

    steps: NDArray[np.int64]
    weights: _Floats
    shared: _Floats
    factors: _Floats
    n_halved: int
    n_memory: tuple[int, int, int]


class ScaleSpace:
    """Maps of one size with their halvings and smoothings.

    Parameters
    ----------
    images : ndarray of float32, shape (n, h, w)
        Any maps; they are not changed.
    scratch : Scratch
        Where all maps are taken from; they hold as long as the frame in which they were made.
    halvings : ndarray of float32, shape (j,), optional
        Halvings of them that are there already: all maps halved once, all halved twice, and so on.

    Notes
    -----
    A Gaussian of 5 pixels and more is taken on the halved map and interpolated back, and so on:
    a wide one costs no more than a narrow one.
    """

    def __init__(self, images: _Floats, scratch: Scratch, halvings: _Floats = _NOTHING) -> None:
        self.images = images
        self._scratch = scratch
        self._halved: ScaleSpace | None = None
        self._halvings = halvings
        self._made: dict[tuple[tuple[float, ...], tuple[float, ...]], _Floats] = {}

    @property
    def halved(self) -> ScaleSpace:
        """The maps of means of 2 × 2 pixels; an odd last row or column counts twice."""
        if self._halved is None:
            n, height, width = self.images.shape
            shape = (n, (height + 1) // 2, (width + 1) // 2)
            size = n * shape[1] * shape[2]
            if size <= self._halvings.size:
                half = self._halvings[:size].reshape(shape)
            else:
                half = self._scratch.take(shape)
                for image, smaller in zip(self.images, half, strict=True):
                    halve_into(image, smaller)
            self._halved = ScaleSpace(half, self._scratch, self._halvings[size:])
        return self._halved

    def make(self, blurs_px: tuple[float, ...], blobs_px: tuple[float, ...] = ()) -> _Floats:
        """Make smoothings and responses of all maps at once, which costs less than one by one.

        Parameters
        ----------
        blurs_px : tuple of float
            Standard deviations in pixels, above 0, of Gaussians; the edge mirrors.
        blobs_px : tuple of float
            Of scale-normalised responses to bright blobs: −σ² times the Laplacian of the smoothed
            map, positive inside blobs and comparable between scales.  A disc of radius r answers
            most at σ = r / √2.

        Returns
        -------
        ndarray of float32, shape (n, k, h, w)
            Of each map its smoothings, then its responses, in the unit of the map.  It is kept for
            whoever asks for the same: not to be written to.

        Notes
        -----
        Lindeberg 1998, Int J Comput Vis 30:79, with the nine-point Laplacian of Patra and
        Karttunen.
        """
        known = self._made.get((blurs_px, blobs_px))
        if known is not None:
            return known
        n, *shape = self.images.shape
        plan = _plan(shape[0], shape[1], blurs_px, blobs_px)
        made: _Floats = self._scratch.take((n, len(plan.steps), *shape))
        halved = self._scratch.take((n * plan.n_halved,))
        with self._scratch.frame():
            padded, lines, maps = (self._scratch.take((size,)) for size in plan.n_memory)
            make_scales(
                self.images,
                plan.steps,
                plan.weights,
                plan.shared,
                plan.factors,
                halved,
                (padded, lines, maps),
                made,
            )
        if halved.size > self._halvings.size:
            self._halvings = halved
        self._made[blurs_px, blobs_px] = made
        return made


@lru_cache(maxsize=256)
def _plan(
    height: int, width: int, blurs_px: tuple[float, ...], blobs_px: tuple[float, ...]
) -> _Plan:
    rows: list[tuple[int, ...]] = []
    factors: list[list[float]] = []
    filters: list[_Floats] = []
    kinds = [(sigma, False) for sigma in blurs_px] + [(sigma, True) for sigma in blobs_px]
    for place, (sigma_px, is_blob) in enumerate(kinds):
        level, shape, scales = 0, (height, width), [0.0] * 32
        while _is_wide(shape, sigma_px, _WIDE_BLOB_PX if is_blob else _WIDE_PX):
            level, shape = level + 1, ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
            rest_px = _rest_px(sigma_px)
            scales[level], sigma_px = (sigma_px / rest_px / 2.0) ** 2, rest_px
        scales[0] = -sigma_px * sigma_px
        wanted = gaussian_weights(sigma_px)
        start = sum(one.size for one in filters)
        rows.append((level, start, wanted.size - 1, 0, is_blob, place, 0, -1))
        # room for as many taps as are taken at once
        weights = np.zeros(wanted.size + AT_ONCE[-1], np.float32)
        weights[: wanted.size] = wanted
        filters.append(weights)
        factors.append(scales)
    n_halved, shape = 0, (height, width)
    for _ in range(max(row[0] for row in rows)):
        shape = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
        n_halved += shape[0] * shape[1]
    steps, weights = np.array(sorted(rows), np.int64), np.concatenate(filters)
    shared = _together(steps, weights)
    most, n_lines = int(steps[:, 2].max()), 0
    if (steps[:, 7] >= 0).any():
        n_lines = 10 + 4 * (height + 2 * AT_ONCE[-1])
    return _Plan(
        steps=steps,
        weights=weights,
        shared=shared,
        factors=np.array(factors, np.float32),
        n_halved=n_halved,
        n_memory=(
            height * (2 * width + 2 * most),
            (n_lines + height + 2 * most) * LINE_PX,
            _number(steps, height, width),
        ),
    )


def _number(steps: NDArray[np.int64], rows: int, columns: int) -> int:
    """Give numbers to the smoothings of a level that need maps of their own; count values."""
    most = rows * columns
    for level in range(int(steps[:, 0].max()) + 1):
        held = (steps[:, 0] == level) & ((level > 0) | (steps[:, 4] == 1))
        n = int(held.sum())
        steps[held, 6] = np.arange(n)
        most = max(most, n * rows * columns)
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return most


def _together(steps: NDArray[np.int64], weights: _Floats) -> _Floats:
    """Choose up to four filters of a level that are taken together, and put their weights so."""
    n_levels = int(steps[:, 0].max()) + 1
    shared = np.zeros((n_levels, len(AT_ONCE), AT_ONCE[-1] + 1), np.float32)
    n_taps = steps[:, 2].copy()
    for step in steps:
        step[3], step[2] = _taps_at_once(int(step[2]))
    for level in range(n_levels):
        left = sorted(np.flatnonzero(steps[:, 0] == level).tolist(), key=lambda at: n_taps[at])
        chosen: dict[int, int] = {}
        for slot in range(len(AT_ONCE) - 1, -1, -1):
            fitting = [at for at in left if n_taps[at] <= AT_ONCE[slot]]
            if fitting:
                chosen[slot] = fitting[-1]
                left.remove(fitting[-1])
        # two gain less than the two that are missing cost
        for slot, at in chosen.items() if len(chosen) > 2 else ():
            steps[at, 2] = steps[at, 3] = min(taps for taps in ALONE if taps >= n_taps[at])
            steps[at, 7] = slot
            first = steps[at, 1]
            shared[level, slot, : AT_ONCE[slot] + 1] = weights[first : first + AT_ONCE[slot] + 1]
    return shared.reshape(n_levels, -1)


def _taps_at_once(n_taps: int) -> tuple[int, int]:
    """Find how many taps come first, and how many there are; another loop costs as two taps."""
    pairs = ((first, -(-max(n_taps - first, 0) // 4)) for first in ALONE)
    first, fours = min(pairs, key=lambda pair: pair[0] + 6 * pair[1])
    return first, first + 4 * fours


def blur(image: _Floats, sigma_px: float) -> _Floats:
    """Smooth a map with a Gaussian; the edge mirrors.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.
    sigma_px : float
        Standard deviation in pixels, above 0.

    Returns
    -------
    ndarray of float32, shape (h, w)
        The smoothed map.

    Examples
    --------
    >>> flat = np.full((8, 8), 2.0, np.float32)
    >>> bool(np.allclose(blur(flat, 1.5), 2.0))
    True
    """
    made: _Floats = _alone(image).make((sigma_px,))[0, 0]
    return made


def blob_response(image: _Floats, sigma_px: float) -> _Floats:
    """Scale-normalised response to bright blobs: see `ScaleSpace.make`.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        A map in which blobs are higher than what is around them.
    sigma_px : float
        Standard deviation in pixels.

    Returns
    -------
    ndarray of float32, shape (h, w)
        In the unit of the map.

    Examples
    --------
    >>> spot = np.zeros((15, 15), np.float32)
    >>> spot[7, 7] = 1.0
    >>> int(blob_response(spot, 2.0).argmax()) == 7 * 15 + 7
    True
    """
    made: _Floats = _alone(image).make((), (sigma_px,))[0, 0]
    return made


def _alone(image: _Floats) -> ScaleSpace:
    return ScaleSpace(np.ascontiguousarray(image, np.float32)[None], Scratch())


def _is_wide(shape: tuple[int, int], sigma_px: float, limit_px: float) -> bool:
    return sigma_px >= limit_px and min(shape) >= 16


def _rest_px(sigma_px: float) -> float:
    """Smoothing left for the halved map: halving and interpolating smooth a little themselves.

    Their variances are 1/4 and 3/4 of a squared pixel of the finer map.
    """
    return math.sqrt(sigma_px**2 - 1.0) / 2.0
