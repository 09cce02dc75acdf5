"""Compiled optics: light through stain, a lens that is not sharp, a sensor that is not quiet."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["absorb", "expose", "smear"]

_F32 = NDArray[np.float32]
_U8 = NDArray[np.uint8]


@njit(cache=True)
def absorb(stain: _F32, table: _F32, step: float, light: _F32) -> None:
    """Send light through stain, as Beer and Lambert say.

    Parameters
    ----------
    stain : ndarray of shape (2, height, width), float32
        Optical densities of haematoxylin and eosin.
    table : ndarray of shape (2, 3, n), float32
        Share of R, G and B that each stain lets through at multiples of `step`; that of
        haematoxylin is multiplied with the white.
    step : float
        Optical density.
    light : ndarray of shape (3, height, width), float32
        Is filled with grey levels.
    """
    _, height, width = stain.shape
    last = table.shape[2] - 1
    scale = np.float32(1.0 / step)
    half = np.float32(0.5)
    for i in range(height):
        for j in range(width):
            h = min(int(stain[0, i, j] * scale + half), last)
            e = min(int(stain[1, i, j] * scale + half), last)
            for c in range(3):
                light[c, i, j] = table[0, c, h] * table[1, c, e]


@njit(cache=True)
def smear(light: _F32, weights: _F32, out: _F32) -> None:
    """Convolve with a symmetric kernel along both axes.

    Parameters
    ----------
    light : ndarray of shape (3, height, width), float32
        Grey levels.
    weights : ndarray of shape (k + 1,), float32
        Of the middle and of its k neighbours on each side.
    out : ndarray of shape (3, height - 2 * k, width), float32
        Is filled; left and right edges repeat.
    """
    n = weights.size - 1
    channels, height, width = out.shape
    line = np.empty(width + 2 * n, np.float32)
    middle = line[n : n + width]
    for c in range(channels):
        for i in range(height):
            _weigh(light[c, i + n], weights[0], middle)
            for k in range(1, n + 1):
                _add(light[c, i + n - k], light[c, i + n + k], weights[k], middle)
            line[:n] = middle[0]
            line[n + width :] = middle[width - 1]
            _weigh(middle, weights[0], out[c, i])
            for k in range(1, n + 1):
                _add(
                    line[n - k : n - k + width], line[n + k : n + k + width], weights[k], out[c, i]
                )


@njit(cache=True)
def _weigh(values: _F32, weight: float, out: _F32) -> None:
    for j in range(out.size):
        out[j] = weight * values[j]


@njit(cache=True)
def _add(left: _F32, right: _F32, weight: float, out: _F32) -> None:
    for j in range(out.size):
        out[j] += weight * (left[j] + right[j])


@njit(cache=True)
def expose(light: _F32, noise: float, seed: int, x_px: int, y_px: int, rgb: _U8) -> None:
    """Read the sensor: add noise that depends on the place alone, round, cut off.

    Parameters
    ----------
    light : ndarray of shape (3, height, width), float32
        Grey levels.
    noise : float
        Standard deviation, grey levels: half of it common to the channels.
    seed : int
        Of the noise.
    x_px, y_px : int
        Place of the first pixel.
    rgb : ndarray of shape (height, width, 3), uint8
        Is filled.
    """
    _, height, width = light.shape
    # the sum of four bytes has the standard deviation 147.8
    scale = np.float32(noise / 147.8)
    for i in range(height):
        for j in range(width):
            word = np.uint64(seed) + np.uint64(x_px + j) * np.uint64(0x9E3779B97F4A7C15)
            word += np.uint64(y_px + i) * np.uint64(0xD1B54A32D192ED03)
            word ^= word >> np.uint64(32)
            word *= np.uint64(0xD6E8FEB86659FD93)
            word ^= word >> np.uint64(32)
            word *= np.uint64(0xD6E8FEB86659FD93)
            word ^= word >> np.uint64(32)
            total = np.uint64(0)
            for k in range(4):
                total += (word >> np.uint64(8 * k)) & np.uint64(255)
            common = np.float32(np.int64(total) - 510) * scale
            for c in range(3):
                own = np.int64((word >> np.uint64(32 + 10 * c)) & np.uint64(255)) - 127
                value = light[c, i, j] + common + np.float32(own) * scale + np.float32(0.5)
                rgb[i, j, c] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))
