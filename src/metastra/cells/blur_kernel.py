"""Gaussian smoothing and what is built on it: a map at several scales, and blob responses."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metastra.cells.scratch import Scratch
from metastra.cells.smoothing_kernel import (
    STRIP_PX,
    double_into,
    halve_into,
    laplacian_into,
    smooth_into,
)

__all__ = ["ScaleSpace", "blob_response", "blur", "gaussian_weights"]

_Floats = NDArray[np.float32]

_WIDE_PX = 5.0
_WIDE_BLOB_PX = 3.5


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


class ScaleSpace:
    """A map with its halvings and smoothings, each of which is made once.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Any map; it is not changed.
    scratch : Scratch
        Where all maps are taken from; they hold as long as the frame in which they were made.

    Notes
    -----
    A Gaussian of 5 pixels and more is taken on the halved map and interpolated back, and so on:
    a wide one costs no more than a narrow one.
    """

    def __init__(self, image: _Floats, scratch: Scratch) -> None:
        self.image = image
        self._scratch = scratch
        self._halved: ScaleSpace | None = None
        self._blurred: dict[float, _Floats] = {}

    @property
    def halved(self) -> ScaleSpace:
        """The map of means of 2 × 2 pixels; an odd last row or column counts twice."""
        if self._halved is None:
            height, width = self.image.shape
            half = self._scratch.take(((height + 1) // 2, (width + 1) // 2))
            halve_into(self.image, half)
            self._halved = ScaleSpace(half, self._scratch)
        return self._halved

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
        known = self._blurred.get(sigma_px)
        if known is None:
            known = self._scratch.take(self.image.shape)
            if _is_wide(self.image, sigma_px, _WIDE_PX):
                double_into(self.halved.blurred(_rest_px(sigma_px)), known)
            else:
                self._smooth(sigma_px, known)
            self._blurred[sigma_px] = known
        return known

    def _smooth(self, sigma_px: float, out: _Floats) -> None:
        weights = gaussian_weights(sigma_px)
        height, width = self.image.shape
        radius = weights.size - 1
        with self._scratch.frame():
            strip = self._scratch.take((2 * (height + radius) * STRIP_PX + width + 2 * radius,))
            across = self._scratch.take(self.image.shape)
            smooth_into(self.image, weights, strip, across, out)

    def blob_response(self, sigma_px: float) -> _Floats:
        """Scale-normalised response to bright blobs: −σ² times the Laplacian of the smoothed map.

        Parameters
        ----------
        sigma_px : float
            Standard deviation in pixels; a disc of radius r answers most at σ = r / √2.

        Returns
        -------
        ndarray of float32, shape (h, w)
            In the unit of the map; positive inside blobs, comparable between scales.

        Notes
        -----
        Lindeberg 1998, Int J Comput Vis 30:79, with the nine-point Laplacian of Patra and
        Karttunen.
        """
        found = self._scratch.take(self.image.shape)
        if not _is_wide(self.image, sigma_px, _WIDE_BLOB_PX):
            laplacian_into(self.blurred(sigma_px), np.float32(-sigma_px * sigma_px), found)
            return found
        rest_px = _rest_px(sigma_px)
        coarse = self.halved.blob_response(rest_px)
        coarse *= np.float32((sigma_px / rest_px / 2.0) ** 2)
        double_into(coarse, found)
        return found


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


def _is_wide(image: _Floats, sigma_px: float, limit_px: float) -> bool:
    return sigma_px >= limit_px and min(image.shape) >= 16


def _rest_px(sigma_px: float) -> float:
    """Smoothing left for the halved map: halving and interpolating smooth a little themselves.

    Their variances are 1/4 and 3/4 of a squared pixel of the finer map.
    """
    return math.sqrt(sigma_px**2 - 1.0) / 2.0
