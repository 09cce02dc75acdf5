"""What light the glass lets through, and how much of it the tissue takes away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_GLASS", "chroma", "glass_level", "optical_density"]

DEFAULT_GLASS: tuple[float, float, float] = (243.0, 243.0, 243.0)
"""Taken where a picture shows no glass: a common white point of brightfield scanners."""

_BRIGHT = 200
_COLOURLESS = 20
_ENOUGH = 0.002
_QUANTILE = 0.75


def glass_level(rgb: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Estimate the colour of bare glass.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Brightfield picture.

    Returns
    -------
    tuple of float
        Red, green and blue, 0 to 255: the upper quartile of the bright and colourless pixels,
        pure white (padding, clipped light) left aside where anything else is bright;
        `DEFAULT_GLASS` where less than 0.2 % of the picture is bright and colourless.

    Examples
    --------
    >>> glass_level(np.full((8, 8, 3), 240, np.uint8))
    (240.0, 240.0, 240.0)
    """
    low, high = rgb.min(axis=2), rgb.max(axis=2)
    bright = (low >= _BRIGHT) & (high - low <= _COLOURLESS)
    needed = max(_ENOUGH * bright.size, 1)
    real = bright & (low < 255)
    chosen = real if np.count_nonzero(real) >= needed else bright
    if np.count_nonzero(chosen) < needed:
        return DEFAULT_GLASS
    red, green, blue = np.quantile(rgb[chosen], _QUANTILE, axis=0)
    return float(red), float(green), float(blue)


def optical_density(
    rgb: NDArray[np.uint8], glass: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Turn transmitted light into absorbance, which adds up where tissue lies on tissue.

    Beer and Lambert: ``OD = log10(glass / light)`` for each channel.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Brightfield picture.
    glass : tuple of float
        From `glass_level`.

    Returns
    -------
    float32 array of shape (h, w, 3)
        Absorbance without a unit, at least 0 and at most 2.4 (a grey value of 0 counts as 1).

    Examples
    --------
    >>> optical_density(np.full((1, 1, 3), 24, np.uint8), (240.0, 240.0, 240.0)).round(3)
    array([[[1., 1., 1.]]], dtype=float32)
    """
    grey = np.maximum(np.arange(256, dtype=np.float64), 1.0)
    out = np.empty(rgb.shape, dtype=np.float32)
    for channel in range(3):
        table = np.maximum(np.log10(glass[channel] / grey), 0.0).astype(np.float32)
        out[..., channel] = table[rgb[..., channel]]
    return out


def chroma(density: NDArray[np.float32]) -> NDArray[np.float32]:
    """Say how unequal the channels absorb: dyes do, dust, shadows and edges hardly.

    Parameters
    ----------
    density : float32 array of shape (h, w, 3)
        From `optical_density`.

    Returns
    -------
    float32 array of shape (h, w)
        Largest minus smallest of the three, absorbance.

    Examples
    --------
    >>> chroma(np.float32([[[0.4, 0.7, 0.2]]]))
    array([[0.5]], dtype=float32)
    """
    spread: NDArray[np.float32] = density.max(axis=2) - density.min(axis=2)
    return spread
