"""Glands of the tumour and crypts of the mucosa, as distances on the coarse grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.geometry_kernels import nearest_two

__all__ = ["Cells", "Noise", "crypts", "jittered_cells", "signed_distance", "tumour_glands"]

_Field = NDArray[np.float32]
_Mask = NDArray[np.bool_]
Noise: TypeAlias = Callable[[str, float], _Field]
"""Name of a stream and distance of the knots in µm → a smooth field."""

_SPACING_UM = {1: 215.0, 2: 205.0, 3: 115.0}
_JITTER = {1: 0.30, 2: 0.38, 3: 0.45}
_WARP_UM = {1: 13.0, 2: 18.0, 3: 20.0}
_CRYPT_SPACING_UM, _CRYPT_RADIUS_UM = 86.0, 37.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """A plane divided among jittered points, one cell each.

    Parameters
    ----------
    radius_um : ndarray, float32
        Distance to the cell's point.
    wall_um : ndarray, float32
        About the distance to the next cell.
    turn_um : ndarray, float32
        Angle around the cell's point times 45 µm.
    index : ndarray, int32
        Number of the cell.
    """

    radius_um: _Field
    wall_um: _Field
    turn_um: _Field
    index: NDArray[np.int32]


def jittered_cells(
    draws: Draws, name: str, x: _Field, y: _Field, *, spacing_um: float, jitter: float
) -> Cells:
    """Divide the plane.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    name : str
        Of the stream.
    x, y : ndarray of shape (rows, columns), float32
        Places, µm; warped ones give crooked cells.
    spacing_um : float
        Mean distance of the points.
    jitter : float
        How far a point may leave the middle of its cell, as a share of the spacing.

    Returns
    -------
    Cells
        Of every place.  Every other row is moved by half a spacing.
    """
    rows = int(max(float(y.max()), 0.0) / spacing_um) + 6
    columns = int(max(float(x.max()), 0.0) / spacing_um) + 6
    r, c = np.mgrid[0:rows, 0:columns]
    offset = draws.uniform(name, 2 * rows * columns).reshape(2, rows, columns) - 0.5
    px = (c - 1.5 + 0.25 * np.where(r % 2, 1, -1) + 2 * jitter * offset[0]) * spacing_um
    py = (r - 1.5 + 2 * jitter * offset[1]) * spacing_um
    px, py = px.astype(np.float32), py.astype(np.float32)
    first, second, index = nearest_two(x.ravel(), y.ravel(), px, py, spacing_um)
    turn = np.arctan2(y.ravel() - py.ravel()[index], x.ravel() - px.ravel()[index])
    return Cells(
        radius_um=first.reshape(x.shape),
        wall_um=((second - first) / 2).reshape(x.shape).astype(np.float32),
        turn_um=(45.0 * turn).reshape(x.shape).astype(np.float32),
        index=index.reshape(x.shape),
    )


def tumour_glands(draws: Draws, x: _Field, y: _Field, grade: int, noise: Noise) -> Cells:
    """Divide the tumour into glands: the worse the grade, the smaller and more irregular.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    x, y : ndarray, float32
        Places, µm.
    grade : int
        1 to 3.
    noise : callable
        Makes smooth fields.

    Returns
    -------
    Cells
        The middle of each is where its gland is thickest.
    """
    amplitude = _WARP_UM[grade]
    stretch = np.float32(1.35)
    turn = draws.uniform("gland-turn", 1).item() * np.pi
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    span = float(np.hypot(x.max(), y.max()))
    along = (x * cos + y * sin) / stretch + span
    across = (y * cos - x * sin) * stretch + span * 1.5
    along += amplitude * noise("warp-a", 34.0) + 2.0 * amplitude * noise("warp-c", 110.0)
    across += amplitude * noise("warp-b", 34.0) + 2.0 * amplitude * noise("warp-d", 110.0)
    return jittered_cells(
        draws,
        "glands",
        np.maximum(along, 0).astype(np.float32),
        np.maximum(across, 0).astype(np.float32),
        spacing_um=_SPACING_UM[grade],
        jitter=_JITTER[grade],
    )


def crypts(draws: Draws, x: _Field, y: _Field, noise: Noise) -> tuple[Cells, _Field, _Field]:
    """Set crypts side by side, cut across.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    x, y : ndarray, float32
        Places, µm.
    noise : callable
        Makes smooth fields.

    Returns
    -------
    cells : Cells
        One for each crypt.
    wall_um, lumen_um : ndarray, float32
        Distance into the crypt and into its lumen, negative outside.
    """
    cells = jittered_cells(
        draws,
        "crypts",
        np.maximum(x + 9 * noise("crypt-x", 45.0), 0),
        np.maximum(y + 9 * noise("crypt-y", 45.0), 0),
        spacing_um=_CRYPT_SPACING_UM,
        jitter=0.10,
    )
    wall = np.minimum(_CRYPT_RADIUS_UM - cells.radius_um, cells.wall_um - 4.0)
    lumen = 7.0 + 2.0 * noise("crypt-lumen", 12.0) - cells.radius_um
    return cells, wall.astype(np.float32), lumen.astype(np.float32)


def signed_distance(mask: _Mask, cell_um: float) -> _Field:
    """Measure how far inside a region each place is.

    Parameters
    ----------
    mask : ndarray of shape (rows, columns), bool
        The region.
    cell_um : float
        Distance of neighbouring places.

    Returns
    -------
    ndarray of shape (rows, columns), float32
        µm, negative outside, about zero on the edge; smoothed over one place.
    """
    if not mask.any() or mask.all():
        far = np.float32(1e4 if mask.any() else -1e4)
        return np.full(mask.shape, far, dtype=np.float32)
    inside = distance_transform_edt(mask) - distance_transform_edt(~mask)
    return gaussian_filter((inside * cell_um).astype(np.float32), 0.7)
