"""Compiled painting of nuclei, vacuoles, red cells and the bodies of single cells."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.synthetic.painting.ground_kernels import sample

__all__ = ["BODY", "NUCLEUS", "RED_CELL", "VACUOLE", "paint_sprites"]

NUCLEUS, VACUOLE, RED_CELL, BODY = 0, 1, 2, 3
"""What a sprite is."""

_F32 = NDArray[np.float32]


@njit(cache=True, inline="always")
def _cover(r: float, soft: float) -> float:
    return min(max((1.0 - r) / soft + 0.5, 0.0), 1.0)


@njit(cache=True)
def _nucleus(table: _F32, x: float, y: float, u: float, v: float, r: float, look: _F32) -> float:
    """Chromatin: a dark rim, clumps, and a nucleolus where the nucleus is pale."""
    rim, clumps = look[2], look[3]
    grain = sample(table, x * 2.6 + look[6], y * 2.6 + look[7])
    ring = min(max((r - 0.62) / 0.25, 0.0), 1.0)
    value = 1.0 - rim * 0.42 + rim * 0.62 * ring
    value += clumps * (grain - 0.5)
    du, dv = u - look[4], v - look[5]
    spot = du * du + dv * dv
    if rim > 0.3 and spot < 0.045:
        value += 0.75 * rim
    return float(value)


@njit(cache=True)
def _put(
    table: _F32,
    kind: int,
    shape: _F32,
    look: _F32,
    mpp: float,
    x_px: int,
    y_px: int,
    stain: _F32,
) -> None:
    x0, y0, a, b, cos, sin, soft, bend = shape
    reach = max(a, b) * 1.25 + 1.0
    _, height, width = stain.shape
    left, right = int(np.floor((x0 - reach) / mpp)) - x_px, int((x0 + reach) / mpp) + 1 - x_px
    top, bottom = int(np.floor((y0 - reach) / mpp)) - y_px, int((y0 + reach) / mpp) + 1 - y_px
    farthest = ((1.0 + 0.5 * soft) / 0.86) ** 2
    for i in range(max(top, 0), min(bottom, height)):
        y = (y_px + i + 0.5) * mpp
        for j in range(max(left, 0), min(right, width)):
            x = (x_px + j + 0.5) * mpp
            dx, dy = x - x0, y - y0
            u, v = (dx * cos + dy * sin) / a, (dy * cos - dx * sin) / b
            v += bend * u * u
            flat = u * u + v * v
            if flat > farthest:
                continue
            wobble = sample(table, x * 0.55 + look[6], y * 0.55 + look[7])
            r = np.sqrt(flat) * (0.86 + 0.28 * wobble)
            cover = _cover(r, soft)
            if cover <= 0.0:
                continue
            h, e = look[0], look[1]
            if kind == NUCLEUS:
                h *= _nucleus(table, x, y, u, v, r, look)
            elif kind == VACUOLE:
                ring = min(max((r - 0.78) / 0.2, 0.0), 1.0)
                e += 0.16 * ring
                h += 0.07 * ring
            elif kind == RED_CELL:
                e *= 0.8 + 0.3 * r
            stain[0, i, j] += cover * (h - stain[0, i, j])
            stain[1, i, j] += cover * (e - stain[1, i, j])


@njit(cache=True)
def paint_sprites(
    table: _F32,
    chosen: NDArray[np.int64],
    kind: NDArray[np.int8],
    shape: _F32,
    look: _F32,
    mpp: float,
    x_px: int,
    y_px: int,
    stain: _F32,
) -> None:
    """Paint sprites over the ground, in their order.

    Parameters
    ----------
    table : ndarray, float32
        The texture.
    chosen : ndarray of shape (m,), int64
        Which sprites.
    kind : ndarray of shape (n,), int8
        `NUCLEUS`, `VACUOLE`, `RED_CELL` or `BODY`.
    shape : ndarray of shape (n, 8), float32
        x, y, half axes a and b (µm), cosine and sine of the direction of a, width of the soft edge
        as a share of the radius, bend.
    look : ndarray of shape (n, 8), float32
        Hematoxylin and eosin (optical density), dark rim, clumps, place of the nucleolus (two
        shares of the half axes), place in the texture (two).
    mpp : float
        µm per pixel of the painting.
    x_px, y_px : int
        Place of its first pixel.
    stain : ndarray of shape (2, height, width), float32
        Is painted over.
    """
    for number in chosen:
        _put(table, kind[number], shape[number], look[number], mpp, x_px, y_px, stain)
