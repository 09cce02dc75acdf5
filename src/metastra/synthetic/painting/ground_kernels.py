"""Compiled painting of everything but nuclei: the stain that lies at each pixel.

Every value depends on the place alone, so any region can be painted by itself and fits its
neighbours.  Only sums, products, quotients and roots are used, whose results are the same on every
machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from metastra.synthetic.painting.classes import TissueClass
from metastra.synthetic.painting.noise import TEXTURE_PX

__all__ = ["BORDER", "N_FIELDS", "paint_ground", "sample"]

_F32 = NDArray[np.float32]

N_FIELDS = 8
"""Edge, gland, lumen, across, along, turn, tint and looseness of a layout."""

BORDER = 128
"""Added to the class of places that have another class near them."""

_MASK = TEXTURE_PX - 1
_GLASS, _TUMOUR, _STROMA = int(TissueClass.GLASS), int(TissueClass.TUMOUR), int(TissueClass.STROMA)
_LYMPHOCYTES, _NECROSIS = int(TissueClass.LYMPHOCYTES), int(TissueClass.NECROSIS)
_MUCUS, _MUSCLE, _FAT = int(TissueClass.MUCUS), int(TissueClass.MUSCLE), int(TissueClass.FAT)
_NORMAL, _LUMEN = int(TissueClass.NORMAL), int(TissueClass.LUMEN)


@njit(cache=True, inline="always")
def sample(table: _F32, x: float, y: float) -> float:
    """Take a value from the repeated texture, interpolated.

    Parameters
    ----------
    table : ndarray of shape (TEXTURE_PX, TEXTURE_PX), float32
        From `metastra.synthetic.painting.noise.texture`.
    x, y : float
        Place in pixels of the texture.

    Returns
    -------
    float
        Between 0 and 1.
    """
    fx, fy = np.floor(x), np.floor(y)
    ix, iy = int(fx) & _MASK, int(fy) & _MASK
    jx, jy = (ix + 1) & _MASK, (iy + 1) & _MASK
    tx, ty = x - fx, y - fy
    top = table[iy, ix] + tx * (table[iy, jx] - table[iy, ix])
    low = table[jy, ix] + tx * (table[jy, jx] - table[jy, ix])
    return float(top + ty * (low - top))


@njit(cache=True, inline="always")
def _ramp(value: float, low: float, slope: float) -> float:
    """Rise from 0 at `low` to 1, by `slope` per unit."""
    return min(max((value - low) * slope, 0.0), 1.0)


@njit(cache=True)
def _stroma(table: _F32, x: float, y: float, here: _F32, crowd: float) -> tuple[float, float]:
    """Wavy bundles of collagen with clefts between them; a pale mesh among lymphocytes."""
    gland, across, along, loose = here[1], here[3], here[4], here[7]
    grain = sample(table, x * 1.4 + 51, y * 1.4)
    fine = sample(table, across * 2.1 + grain, along * 0.17)
    bundle = sample(table, across * 0.55 + 77, along * 0.08 + 31)
    fibre = 0.42 * fine + 0.38 * bundle + 0.20 * grain
    low = 0.16 + 0.22 * loose * loose
    mass = _ramp(fibre, low, 4.5)
    eosin = mass * (0.10 + 0.42 * fibre + 0.08 * (1.0 - loose))
    haematoxylin = mass * (0.03 + 0.10 * grain)
    if gland > -4.5:
        # glands shrink from the stroma around them
        torn = _ramp(sample(table, x * 0.11 + 7, y * 0.11), 0.70, 10) * _ramp(gland, -4.0, 0.6667)
        eosin *= 1.0 - torn
        haematoxylin *= 1.0 - torn
    eosin *= 1.0 - 0.35 * crowd
    haematoxylin += crowd * 0.07 * grain
    return haematoxylin + 0.01, eosin + 0.035


@njit(cache=True)
def _muscle(table: _F32, x: float, y: float) -> tuple[float, float]:
    """Dense parallel fibres; few, thin clefts."""
    across, along = (
        0.8 * x - 0.6 * y,
        0.6 * x + 0.8 * y,
    )
    fine = sample(table, across * 1.3 + 11, along * 0.06)
    bundle = sample(table, across * 0.40 + 5, along * 0.030 + 9)
    cleft = _ramp(bundle, 0.02, 25)
    eosin = cleft * (0.38 + 0.22 * fine) + 0.04
    return 0.06 + 0.05 * fine, eosin


@njit(cache=True)
def _epithelium(
    table: _F32, x: float, y: float, depth: float, to_lumen: float, turn: float
) -> tuple[float, float]:
    """Granular cytoplasm, borders between cells, a brush border towards the lumen."""
    grain = sample(table, x * 1.7, y * 1.7)
    patch = sample(table, x * 0.30 + 40, y * 0.30)
    border = sample(table, turn * 0.75, depth * 0.05 + 3)
    brush = _ramp(to_lumen, -2.2, 0.625)
    basal = _ramp(depth, 14.0, -0.08333)
    line = _ramp(border, 0.86, 9.091)
    eosin = 0.17 + 0.14 * grain + 0.10 * patch
    eosin += 0.16 * brush + 0.10 * line
    haematoxylin = 0.15 + 0.08 * grain + 0.12 * basal
    return haematoxylin, eosin


@njit(cache=True)
def _necrosis(table: _F32, x: float, y: float) -> tuple[float, float]:
    """Eosinophilic rubble."""
    grain = sample(table, x * 1.5 + 8, y * 1.5)
    clump = sample(table, x * 0.35, y * 0.35 + 60)
    mass = _ramp(clump + 0.5 * grain, 0.28, 2.128)
    dust = _ramp(sample(table, x * 0.9 + 200, y * 0.9), 0.86, 9.091)
    eosin = mass * (0.30 + 0.30 * grain)
    return mass * (0.10 + 0.35 * dust), eosin


@njit(cache=True)
def _mucus(table: _F32, x: float, y: float, across: float) -> tuple[float, float]:
    """Pale threads."""
    thread = sample(
        table,
        x * 0.16 + y * 0.05,
        y * 0.5 + across * 0.1,
    )
    haze = sample(table, x * 0.12 + 90, y * 0.12)
    fine = _ramp(thread, 0.72, 3.846)
    return (
        0.02 + 0.06 * haze + 0.13 * fine,
        0.01 + 0.03 * fine,
    )


@njit(cache=True)
def _fat(table: _F32, wall: float, x: float, y: float) -> tuple[float, float]:
    """Thin walls around nothing."""
    uneven = sample(table, x * 0.3, y * 0.3)
    membrane = _ramp(1.0 + uneven - wall, 0.0, 1.0)
    return 0.07 * membrane, 0.34 * membrane


@njit(cache=True)
def _frayed(
    classes: NDArray[np.uint8], table: _F32, r: int, c: int, t: float, s: float, x: float, y: float
) -> int:
    """Class at a place near a border, which is frayed by up to two places."""
    rows, columns = classes.shape
    t += 2.6 * (sample(table, x * 0.5 + 17, y * 0.5) - 0.5)
    s += 2.6 * (sample(table, x * 0.5, y * 0.5 + 23) - 0.5)
    r += int(np.floor(t + 0.5))
    c += int(np.floor(s + 0.5))
    return int(classes[min(max(r, 0), rows - 1), min(max(c, 0), columns - 1)]) & (BORDER - 1)


@njit(cache=True)
def _pixel(table: _F32, tissue: int, x: float, y: float, here: _F32) -> tuple[float, float]:
    """Stain at one place; `here` holds the fields there."""
    gland, lumen, turn = here[1], here[2], here[5]
    if gland > 0.0 and lumen <= 0.0 and tissue != _MUSCLE and tissue != _FAT:
        return _epithelium(table, x, y, gland, lumen, turn)
    if tissue == _NECROSIS:
        return _necrosis(table, x, y)
    if tissue == _MUCUS:
        return _mucus(table, x, y, here[3])
    if gland > 0.0 and tissue != _FAT:
        return 0.0, 0.0
    if tissue == _MUSCLE:
        return _muscle(table, x + 14.0 * here[6], y)
    if tissue == _FAT:
        return _fat(table, turn, x, y)
    return _stroma(table, x, y, here, 1.0 if tissue == _LYMPHOCYTES else 0.0)


@njit(cache=True)
def paint_ground(
    fields: _F32,
    classes: NDArray[np.uint8],
    table: _F32,
    cell_um: float,
    mpp: float,
    x_px: int,
    y_px: int,
    stain: _F32,
) -> None:
    """Paint haematoxylin and eosin of everything but nuclei.

    Parameters
    ----------
    fields : ndarray of shape (rows, columns, N_FIELDS), float32
        Edge, gland, lumen, across, along, turn (µm), tint and looseness of the layout.
    classes : ndarray of shape (rows, columns), uint8
        Classes of the layout, plus `BORDER` near places of another class.
    table : ndarray, float32
        The texture.
    cell_um : float
        Distance of neighbouring values of the layout, µm.
    mpp : float
        µm per pixel of the painting.
    x_px, y_px : int
        Place of its first pixel.
    stain : ndarray of shape (2, height, width), float32
        Is filled with the optical densities of haematoxylin and eosin.
    """
    _, height, width = stain.shape
    last_row, last_column = fields.shape[0] - 2, fields.shape[1] - 2
    line = np.empty((fields.shape[1], N_FIELDS), np.float32)
    here = np.empty(N_FIELDS, np.float32)
    for i in range(height):
        y = (y_px + i + 0.5) * mpp
        place = min(max(y / cell_um, 0.0), last_row + 0.999)
        r = int(place)
        t = place - r
        down = np.float32(t)
        for c in range(fields.shape[1]):
            for k in range(N_FIELDS):
                line[c, k] = fields[r, c, k] + down * (fields[r + 1, c, k] - fields[r, c, k])
        for j in range(width):
            x = (x_px + j + 0.5) * mpp
            across = min(max(x / cell_um, 0.0), last_column + 0.999)
            c = int(across)
            s = across - c
            edge = line[c, 0] + s * (line[c + 1, 0] - line[c, 0])
            if edge <= -2.0:
                stain[0, i, j] = 0.0
                stain[1, i, j] = 0.0
                continue
            right = np.float32(s)
            for k in range(N_FIELDS):
                here[k] = line[c, k] + right * (line[c + 1, k] - line[c, k])
            tissue = int(classes[r, c])
            if tissue >= BORDER:
                tissue = _frayed(classes, table, r, c, t, s, x, y)
            h, e = _pixel(table, tissue, x, y, here)
            cover = 1.0
            if edge < 1.6:
                cover = _ramp(edge + 2.0 * sample(table, x * 0.8, y * 0.8), 0.4, 0.8333)
            strength = cover * (1.0 + 0.07 * here[6])
            stain[0, i, j] = h * strength
            stain[1, i, j] = e * strength
