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
from metastra.cells.tap_kernel import AT_ONCE, LINE_PX

__all__ = ["ScaleSpace", "blob_response", "blur", "gaussian_weights", "make_all"]

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
    factors: _Floats
    n_halved: int
    n_memory: int


class ScaleSpace:
    """A map with its halvings and smoothings, each of which is made once.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map; it is not changed.
    scratch : Scratch
        Where all maps are taken from; they hold as long as the frame in which they were made.
    halvings : ndarray of float32, shape (j,), optional
        Halvings of it that are there already, the finest first.

    Notes
    -----
    A Gaussian of 5 pixels and more is taken on the halved map and interpolated back, and so on:
    a wide one costs no more than a narrow one.
    """

    def __init__(self, image: _Floats, scratch: Scratch, halvings: _Floats = _NOTHING) -> None:
        self.image = image
        self._scratch = scratch
        self._halved: ScaleSpace | None = None
        self._blurred: dict[float, _Floats] = {}
        self._responses: dict[float, _Floats] = {}
        self._pyramid = halvings

    @property
    def halved(self) -> ScaleSpace:
        """The map of means of 2 × 2 pixels; an odd last row or column counts twice."""
        if self._halved is None:
            height, width = self.image.shape
            shape = ((height + 1) // 2, (width + 1) // 2)
            size = shape[0] * shape[1]
            if size <= self._pyramid.size:
                half = self._pyramid[:size].reshape(shape)
            else:
                half = self._scratch.take(shape)
                halve_into(self.image, half)
            self._halved = ScaleSpace(half, self._scratch, self._pyramid[size:])
        return self._halved

    def make(self, blurs_px: tuple[float, ...], blobs_px: tuple[float, ...] = ()) -> _Floats:
        """Make several smoothings and responses at once, which costs less than one by one.

        Parameters
        ----------
        blurs_px, blobs_px : tuple of float
            Standard deviations in pixels, for `blurred` and for `blob_response`.

        Returns
        -------
        ndarray of float32, shape (k, h, w)
            The smoothings, then the responses, which are kept: not to be written to.
        """
        (made,), self._pyramid = make_all(self.image[None], blurs_px, blobs_px, self._scratch)
        self._blurred.update(zip(blurs_px, made, strict=False))
        self._responses.update(zip(blobs_px, made[len(blurs_px) :], strict=True))
        found: _Floats = made
        return found

    def blurred(self, sigma_px: float) -> _Floats:
        """Smooth with a Gaussian; the edge mirrors.

        Parameters
        ----------
        sigma_px : float
            Standard deviation in pixels, above 0.

        Returns
        -------
        ndarray of float32, shape (h, w)
            The smoothed map, which is kept: not to be written to.
        """
        if sigma_px not in self._blurred:
            self.make((sigma_px,))
        return self._blurred[sigma_px]

    def blob_response(self, sigma_px: float) -> _Floats:
        """Scale-normalised response to bright blobs: −σ² times the Laplacian of the smoothed map.

        Parameters
        ----------
        sigma_px : float
            Standard deviation in pixels; a disc of radius r answers most at σ = r / √2.

        Returns
        -------
        ndarray of float32, shape (h, w)
            In the unit of the map; positive inside blobs, comparable between scales.  It is kept:
            not to be written to.

        Notes
        -----
        Lindeberg 1998, Int J Comput Vis 30:79, with the nine-point Laplacian of Patra and
        Karttunen.
        """
        if sigma_px not in self._responses:
            self.make((), (sigma_px,))
        return self._responses[sigma_px]


def make_all(
    images: _Floats,
    blurs_px: tuple[float, ...],
    blobs_px: tuple[float, ...],
    scratch: Scratch,
) -> tuple[_Floats, _Floats]:
    """Make several smoothings and responses of maps of one size: see `ScaleSpace`.

    Parameters
    ----------
    images : ndarray of float32, shape (n, h, w)
        Any maps.
    blurs_px, blobs_px : tuple of float
        Standard deviations in pixels.
    scratch : Scratch
        Where the maps are taken from.

    Returns
    -------
    made : ndarray of float32, shape (n, k, h, w)
        Of each map its smoothings, then its responses.
    halved : ndarray of float32, shape (j,)
        The halvings of the last map, the finest first; as far as they were needed.
    """
    n, *shape = images.shape
    plan = _plan(shape[0], shape[1], blurs_px, blobs_px)
    made = scratch.take((n, len(plan.steps), *shape))
    halved = scratch.take((plan.n_halved,))
    with scratch.frame():
        memory = scratch.take((plan.n_memory,))
        make_scales(images, plan.steps, plan.weights, plan.factors, halved, memory, made)
    return made, halved


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
        n_first, n_taps = _taps_at_once(wanted.size - 1)
        start = sum(one.size for one in filters)
        rows.append((level, start, n_taps, n_first, is_blob, place))
        weights = np.zeros(n_taps + 1, np.float32)
        weights[: wanted.size] = wanted
        filters.append(weights)
        factors.append(scales)
    n_halved, shape = 0, (height, width)
    for _ in range(max(row[0] for row in rows)):
        shape = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
        n_halved += shape[0] * shape[1]
    most = max(row[2] for row in rows)
    return _Plan(
        steps=np.array(sorted(rows), np.int64),
        weights=np.concatenate(filters),
        factors=np.array(factors, np.float32),
        n_halved=n_halved,
        n_memory=height * (3 * width + 2 * most) + (height + 2 * most) * LINE_PX,
    )


def _taps_at_once(n_taps: int) -> tuple[int, int]:
    """Find how many taps come first, and how many there are; another loop costs as two taps."""
    pairs = ((first, -(-max(n_taps - first, 0) // 4)) for first in AT_ONCE)
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
    return ScaleSpace(np.ascontiguousarray(image, np.float32), Scratch()).blurred(sigma_px)


def blob_response(image: _Floats, sigma_px: float) -> _Floats:
    """Scale-normalised response to bright blobs: see `ScaleSpace.blob_response`.

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
    return ScaleSpace(np.ascontiguousarray(image, np.float32), Scratch()).blob_response(sigma_px)


def _is_wide(shape: tuple[int, int], sigma_px: float, limit_px: float) -> bool:
    return sigma_px >= limit_px and min(shape) >= 16


def _rest_px(sigma_px: float) -> float:
    """Smoothing left for the halved map: halving and interpolating smooth a little themselves.

    Their variances are 1/4 and 3/4 of a squared pixel of the finer map.
    """
    return math.sqrt(sigma_px**2 - 1.0) / 2.0
