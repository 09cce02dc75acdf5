"""What light the glass lets through, and how much of it the tissue takes away."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEFAULT_GLASS", "chroma", "extremes", "glass_level", "optical_density"]

DEFAULT_GLASS: tuple[float, float, float] = (243.0, 243.0, 243.0)
"""Taken where a picture shows no glass: a common white point of brightfield scanners."""

_Value = TypeVar("_Value", bound=np.generic)

_SAMPLE_PX = 250_000
_BRIGHT = 200
_COLOURLESS = 20
_FLAT, _SMOOTH_SHARE = 4, 0.25
_ENOUGH = 0.002
_TYPICAL, _BRIGHTEST = 0.75, 0.98
_DIMMER = 12.0


def glass_level(rgb: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Estimate the colour of bare glass.

    Parameters
    ----------
    rgb : uint8 array of shape (h, w, 3)
        Brightfield picture.

    Returns
    -------
    tuple of float
        Red, green and blue, 0 to 255.  Glass is bright, colourless and smooth: the upper quartile
        of such pixels, pure white (padding, clipped light) left aside where there is other glass.
        Where less than 0.2 % of the picture or a quarter of what is bright is like that, or
        something else is clearly brighter,
        no glass is in the picture and pale tissue must not be taken for it: then a grey as bright
        as the brightest colourless pixels, but at least `DEFAULT_GLASS`.

    Examples
    --------
    >>> glass_level(np.full((8, 8, 3), 240, np.uint8))
    (240.0, 240.0, 240.0)
    """
    step = max(1, math.isqrt(rgb.shape[0] * rgb.shape[1] // _SAMPLE_PX))
    here = rgb[::step, ::step]
    low, high = extremes(here)
    bright = (low >= _BRIGHT) & (high - low <= _COLOURLESS)
    needed = max(_ENOUGH * bright.size, 1)
    real = bright & (low < 255)
    chosen = real if np.count_nonzero(real) >= needed else bright
    if np.count_nonzero(chosen) < needed:
        return DEFAULT_GLASS
    brightest = np.quantile(here[chosen], _BRIGHTEST, axis=0)
    flat = chosen & (_roughness(rgb[..., 1])[::step, ::step] <= _FLAT)
    if np.count_nonzero(flat) >= max(needed, _SMOOTH_SHARE * np.count_nonzero(chosen)):
        level = np.quantile(here[flat], _TYPICAL, axis=0)
        if level.mean() >= brightest.mean() - _DIMMER:
            return float(level[0]), float(level[1]), float(level[2])
    white = max(float(brightest.max()), *DEFAULT_GLASS)
    return white, white, white


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
    least, most = extremes(density)
    return most - least


def extremes(picture: NDArray[_Value]) -> tuple[NDArray[_Value], NDArray[_Value]]:
    """Give the smallest and the largest channel of each pixel.

    Parameters
    ----------
    picture : array of shape (h, w, 3)
        Any picture.

    Returns
    -------
    least, most : arrays of shape (h, w)
        Of the same type.

    Examples
    --------
    >>> least, most = extremes(np.array([[[3, 1, 2]]]))
    >>> int(least[0, 0]), int(most[0, 0])
    (1, 3)
    """
    one, two, three = picture[..., 0], picture[..., 1], picture[..., 2]
    least = np.minimum(np.minimum(one, two), three)
    most = np.maximum(np.maximum(one, two), three)
    return least, most


def _roughness(grey: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Give the largest difference from the neighbours to the right and below."""
    values = grey.astype(np.int16)
    rough = np.zeros(grey.shape, dtype=np.int16)
    rough[:, :-1] = np.abs(np.diff(values, axis=1))
    rough[:-1] = np.maximum(rough[:-1], np.abs(np.diff(values, axis=0)))
    return rough
