"""What lies inside the tumour area: glands, stroma, lymphocytes, necrosis, mucus and muscle.

Each tissue gets exactly its share: a smooth potential is drawn for it, and the places where it is
highest are taken until the share is full.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label

from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.classes import TissueClass
from metastra.synthetic.painting.composition import Composition
from metastra.synthetic.painting.geometry_kernels import keep_apart
from metastra.synthetic.painting.glands import Cells, Noise

__all__ = ["TumourArea", "fill_tumour_area", "highest"]

_Field = NDArray[np.float32]
_Mask = NDArray[np.bool_]

_CELL_UM = 2.0
_LUMEN_PER_TUMOUR = {1: 0.22, 2: 0.14, 3: 0.04}
"""Empty lumens, as a share of the neoplastic epithelium, by grade."""
_DEBRIS_PER_TUMOUR = 0.15
"""Most of the necrosis lies in lumens, up to this share of the neoplastic epithelium."""
_BUD_RADIUS_UM = 9.0


def highest(potential: _Field, allowed: _Mask, count: int) -> _Mask:
    """Take the places where a potential is highest.

    Parameters
    ----------
    potential : ndarray, float32
        Of each place.
    allowed : ndarray, bool
        From which places are taken.
    count : int
        How many; all allowed ones if they are fewer, ties in the order of the grid.

    Returns
    -------
    ndarray, bool
        The places taken.
    """
    taken = np.zeros(potential.shape, dtype=np.bool_)
    places = np.flatnonzero(allowed)
    if count <= 0 or places.size == 0:
        return taken
    if count >= places.size:
        return allowed.copy()
    values = potential.ravel()[places]
    bound = np.partition(values, places.size - count)[places.size - count]
    above = values > bound
    spare = count - int(np.count_nonzero(above))
    above[np.flatnonzero(values == bound)[:spare]] = True
    taken.ravel()[places[above]] = True
    return taken


@dataclass(frozen=True, kw_only=True, eq=False)
class TumourArea:
    """The tumour area, filled.

    Parameters
    ----------
    classes : ndarray, uint8
        `TissueClass` of each place; zero outside the tumour area.
    gland : ndarray, bool
        Epithelium and lumens.
    lumen : ndarray, bool
        Lumens, filled or empty.
    buds_um : ndarray of shape (n, 2), float32
        x and y of the buds that stand apart from all glands.
    """

    classes: NDArray[np.uint8]
    gland: _Mask
    lumen: _Mask
    buds_um: _Field


def fill_tumour_area(
    draws: Draws, area: _Mask, cells: Cells, composition: Composition, noise: Noise
) -> TumourArea:
    """Fill the tumour area, each tissue to its share.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    area : ndarray of shape (rows, columns), bool
        The tumour area with its lumens.
    cells : Cells
        Where glands may grow.
    composition : Composition
        The shares.
    noise : callable
        Makes smooth fields.

    Returns
    -------
    TumourArea
        With the shares asked for, up to rounding to whole places.
    """
    n_area = int(np.count_nonzero(area))
    empty = composition.tumour * _LUMEN_PER_TUMOUR[composition.grade]
    hollow = round(n_area * empty)
    solid = n_area - hollow
    debris = min(composition.necrosis, _DEBRIS_PER_TUMOUR * composition.tumour)
    classes = np.zeros(area.shape, dtype=np.uint8)
    classes[area] = TissueClass.STROMA
    free = area.copy()
    sheet = highest(noise("necrosis", 70.0), free, round((composition.necrosis - debris) * solid))
    free &= ~sheet
    mucus_share, muscle_share = _divide_rest(draws, composition.rest)
    bundles = noise("bundles", 80.0) + 0.3 * noise("bundles-fine", 22.0) - cells.wall_um / 25.0
    muscle = highest(bundles, free, round(muscle_share * solid))
    free &= ~muscle
    buds, potential = _plant_buds(draws, cells.wall_um, free, composition.budding)
    potential += 6.0 * noise("gland-edge", 13.0) + 4.0 * noise("gland-fold", 28.0)
    n_debris, n_mucus = round(debris * solid), round(mucus_share * solid)
    n_lumen = hollow + n_debris + n_mucus
    gland = highest(potential, free, round(composition.tumour * solid) + n_lumen)
    lumen = _lumens(draws, gland, cells, n_lumen, composition, noise)
    filled = _filled(draws, lumen, cells, n_debris)
    mucus = _filled(draws, lumen & ~filled, cells, n_mucus)
    follicles = noise("follicles", 42.0) + 0.25 * noise("follicles-fine", 12.0)
    lymphocytes = highest(follicles, free & ~gland, round(composition.lymphocytes * solid))
    classes[sheet | filled], classes[mucus] = TissueClass.NECROSIS, TissueClass.MUCUS
    classes[muscle], classes[lymphocytes] = TissueClass.MUSCLE, TissueClass.LYMPHOCYTES
    classes[gland & ~lumen] = TissueClass.TUMOUR
    classes[lumen & ~filled & ~mucus] = TissueClass.LUMEN
    return TumourArea(classes=classes, gland=gland, lumen=lumen, buds_um=buds)


def _divide_rest(draws: Draws, rest: float) -> tuple[float, float]:
    """Divide what is left between mucus and muscle."""
    part = float(draws.uniform("mucus-part", 1).item())
    return rest * part, rest * (1 - part)


def _plant_buds(draws: Draws, wall: _Field, free: _Mask, per_field: int) -> tuple[_Field, _Field]:
    """Raise the potential of glands around buds, where glands are far."""
    potential = wall.astype(np.float32)
    wanted = round(per_field * np.count_nonzero(free) * _CELL_UM**2 / 785_000.0)
    places = np.flatnonzero(free & (wall < 6.0))
    if wanted == 0 or places.size == 0:
        return np.zeros((0, 2), dtype=np.float32), potential
    tries = np.minimum((draws.uniform("buds", 8 * wanted) * places.size).astype(int), places.size)
    row, column = np.divmod(places[tries], free.shape[1])
    x, y = (column * _CELL_UM).astype(np.float32), (row * _CELL_UM).astype(np.float32)
    size = np.array(free.shape) * _CELL_UM
    kept = np.flatnonzero(
        keep_apart(x, y, np.full(x.size, 25.0, dtype=np.float32), float(size[1]), float(size[0]))
    )[:wanted]
    reach = int(_BUD_RADIUS_UM / _CELL_UM) + 1
    for k, radius in zip(kept, 5.0 + 4.0 * draws.uniform("bud-size", kept.size), strict=True):
        r0, c0 = max(int(row[k]) - reach, 0), max(int(column[k]) - reach, 0)
        window = potential[r0 : int(row[k]) + reach + 1, c0 : int(column[k]) + reach + 1]
        r, c = np.mgrid[0 : window.shape[0], 0 : window.shape[1]]
        away = np.hypot(r + r0 - row[k], c + c0 - column[k]) * _CELL_UM
        window[away <= radius] = 1e3
    return np.stack([x[kept], y[kept]], axis=1), potential


def _lumens(
    draws: Draws, gland: _Mask, cells: Cells, count: int, composition: Composition, noise: Noise
) -> _Mask:
    """Hollow glands out from the middle; some stay solid."""
    depth = (distance_transform_edt(gland) * _CELL_UM).astype(np.float32)
    n = int(cells.index.max()) + 1
    wall = 24.0 + 14.0 * draws.uniform("wall", n)
    solid = draws.uniform("solid", n) < {1: 0.05, 2: 0.2, 3: 0.6}[composition.grade]
    wall = np.where(solid, 3.0 * wall, wall).astype(np.float32)
    folds = 4.0 * noise("folds", 9.0) + 3.0 * noise("papillae", 22.0)
    hollow = (depth + folds) / wall[cells.index]
    return highest(hollow.astype(np.float32), gland, count)


def _filled(draws: Draws, lumen: _Mask, cells: Cells, count: int) -> _Mask:
    """Fill lumens with debris, one after the other, the last one in part."""
    parts, n = label(lumen)
    if count <= 0 or n == 0:
        return np.zeros(lumen.shape, dtype=np.bool_)
    order = np.concatenate([[0.0], draws.uniform("filled", n)]).astype(np.float32)
    # within a lumen, the middle is filled first
    potential = order[parts] * 1e4 - np.minimum(cells.radius_um, 5e3)
    return highest(potential.astype(np.float32), lumen, count)
