"""Compiled Gaussian smoothing and what is built on it: band-pass and blob responses."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["blob_response", "blur", "double", "gaussian_weights", "halve"]

_Floats = NDArray[np.float32]


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


_WIDE_PX = 5.0
_WIDE_BLOB_PX = 3.5


def blur(image: _Floats, sigma_px: float) -> _Floats:
    """Smooth a map with a Gaussian; the edge mirrors.

    A Gaussian of 5 pixels and more is taken on a halved map and interpolated back.

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
    if not _is_wide(image, sigma_px, _WIDE_PX):
        return _separable(np.ascontiguousarray(image, np.float32), gaussian_weights(sigma_px))
    coarse = blur(halve(image), _rest_px(sigma_px))
    return double(coarse, *image.shape)


def blob_response(image: _Floats, sigma_px: float) -> _Floats:
    """Scale-normalised response to bright blobs: −σ² times the Laplacian of the smoothed map.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        A map in which blobs are higher than what is around them.
    sigma_px : float
        Standard deviation in pixels; a disc of radius r answers most at σ = r / √2.

    Returns
    -------
    ndarray of float32, shape (h, w)
        In the unit of the map; positive inside blobs, comparable between scales.

    Notes
    -----
    Lindeberg 1998, Int J Comput Vis 30:79, with the nine-point Laplacian of Patra and Karttunen.

    Examples
    --------
    >>> spot = np.zeros((15, 15), np.float32)
    >>> spot[7, 7] = 1.0
    >>> int(blob_response(spot, 2.0).argmax()) == 7 * 15 + 7
    True
    """
    if not _is_wide(image, sigma_px, _WIDE_BLOB_PX):
        return _laplacian(blur(image, sigma_px), np.float32(-sigma_px * sigma_px))
    rest_px = _rest_px(sigma_px)
    coarse = blob_response(halve(image), rest_px)
    coarse *= np.float32((sigma_px / rest_px / 2.0) ** 2)
    return double(coarse, *image.shape)


def _is_wide(image: _Floats, sigma_px: float, limit_px: float) -> bool:
    return sigma_px >= limit_px and min(image.shape) >= 16


def _rest_px(sigma_px: float) -> float:
    """Smoothing left for the halved map: halving and interpolating smooth a little themselves.

    Their variances are 1/4 and 3/4 of a squared pixel of the finer map.
    """
    return math.sqrt(sigma_px**2 - 1.0) / 2.0


@njit(cache=True)
def halve(image: _Floats) -> _Floats:
    """Average 2 × 2 pixels; an odd last row or column counts twice.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map.

    Returns
    -------
    ndarray of float32, shape (⌈h / 2⌉, ⌈w / 2⌉)
        Means.
    """
    rows, columns = image.shape
    height, width = (rows + 1) // 2, (columns + 1) // 2
    out = np.empty((height, width), np.float32)
    quarter = np.float32(0.25)
    for y in range(height):
        one, two = image[2 * y], image[min(2 * y + 1, rows - 1)]
        line = out[y]
        for x in range(columns // 2):
            line[x] = quarter * (one[2 * x] + one[2 * x + 1] + two[2 * x] + two[2 * x + 1])
        if columns % 2:
            line[width - 1] = np.float32(0.5) * (one[columns - 1] + two[columns - 1])
    return out


@njit(cache=True)
def double(image: _Floats, height: int, width: int) -> _Floats:
    """Interpolate a halved map back, linearly between the centres of its pixels.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        What `halve` gave, or what was made of it.
    height, width : int
        Of the map that was halved: 2 h or 2 h − 1, 2 w or 2 w − 1.

    Returns
    -------
    ndarray of float32, shape (height, width)
        The outermost pixels repeat the nearest mean.
    """
    rows, columns = image.shape
    out = np.empty((height, width), np.float32)
    near, far = np.float32(0.75), np.float32(0.25)
    row = np.empty(columns, np.float32)
    for y in range(height):
        v = min(y // 2, rows - 1)
        other = min(max(v - 1 + 2 * (y % 2), 0), rows - 1)
        one, two = image[v], image[other]
        for u in range(columns):
            row[u] = near * one[u] + far * two[u]
        line = out[y]
        for x in range(width):
            u = min(x // 2, columns - 1)
            line[x] = near * row[u] + far * row[min(max(u - 1 + 2 * (x % 2), 0), columns - 1)]
    return out


@njit(cache=True)
def _mirrored(index: int, size: int) -> int:
    period = 2 * size
    index %= period
    return index if index < size else period - 1 - index


@njit(cache=True)
def _separable(image: _Floats, weights: _Floats) -> _Floats:
    """Rows, then columns; the innermost loops run along plain slices so that they vectorise."""
    height, width = image.shape
    radius = weights.size - 1
    across = np.empty((height, width), np.float32)
    padded = np.empty(width + 2 * radius, np.float32)
    for y in range(height):
        line = image[y]
        padded[radius : radius + width] = line
        for k in range(radius):
            padded[radius - 1 - k] = line[_mirrored(-1 - k, width)]
            padded[radius + width + k] = line[_mirrored(width + k, width)]
        row = across[y]
        row[:] = weights[0] * line
        for k in range(1, radius + 1):
            left = padded[radius - k : radius - k + width]
            right = padded[radius + k : radius + k + width]
            _add_both(row, weights[k], left, right)
    out = np.empty((height, width), np.float32)
    for y in range(height):
        row = out[y]
        row[:] = weights[0] * across[y]
        for k in range(1, radius + 1):
            above = across[_mirrored(y - k, height)]
            below = across[_mirrored(y + k, height)]
            _add_both(row, weights[k], above, below)
    return out


@njit(cache=True)
def _add_both(row: _Floats, weight: np.float32, one: _Floats, two: _Floats) -> None:
    for x in range(row.size):
        row[x] += weight * (one[x] + two[x])


@njit(cache=True)
def _laplacian(image: _Floats, factor: np.float32) -> _Floats:
    height, width = image.shape
    out = np.empty((height, width), np.float32)
    four, twenty = np.float32(4.0), np.float32(20.0)
    scale = factor / np.float32(6.0)
    for y in range(height):
        above = image[max(y - 1, 0)]
        here = image[y]
        below = image[min(y + 1, height - 1)]
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            near = above[x] + below[x] + here[left] + here[right]
            corners = above[left] + above[right] + below[left] + below[right]
            out[y, x] = scale * (four * near + corners - twenty * here[x])
    return out
