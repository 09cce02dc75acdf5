"""Where each tissue lies: fields on a coarse grid from which every pixel is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, maximum_filter, minimum_filter

from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.classes import TissueClass
from metastra.synthetic.painting.composition import Composition, Surroundings
from metastra.synthetic.painting.glands import (
    Noise,
    crypts,
    jittered_cells,
    signed_distance,
    tumour_glands,
)
from metastra.synthetic.painting.ground_kernels import BORDER
from metastra.synthetic.painting.noise import smooth_field
from metastra.synthetic.painting.tumour_area import fill_tumour_area, highest

__all__ = ["CELL_UM", "Layout", "lay_out"]

CELL_UM = 2.0
"""Distance of neighbouring values of the fields, µm: the resolution of the truth."""

_Field = NDArray[np.float32]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """Fields on a grid whose value (row, column) lies at (column, row) times `CELL_UM`.

    Parameters
    ----------
    width_um, height_um : float
        Of the slide.
    classes : ndarray of shape (rows, columns), uint8
        `TissueClass` of each place.
    tumour_area : ndarray of shape (rows, columns), bool
        The tumour with all that is in it.
    edge_um : ndarray, float32
        Distance into the tissue, negative outside.
    gland_um : ndarray, float32
        Distance into a gland or crypt, negative outside.
    lumen_um : ndarray, float32
        Distance into its lumen, negative outside.
    across_um, along_um : ndarray, float32
        Coordinates across and along the fibres of stroma.
    turn_um : ndarray, float32
        Coordinate along the wall of glands; in fat, about the distance to the next wall.
    tint : ndarray, float32
        Slow variation of the stain, mean 0 and variance 1.
    loose : ndarray, float32
        How loose stroma is, 0 to 1.
    buds_um : ndarray of shape (n, 2), float32
        x and y of the tumour buds.
    """

    width_um: float
    height_um: float
    classes: NDArray[np.uint8]
    tumour_area: _Mask
    edge_um: _Field
    gland_um: _Field
    lumen_um: _Field
    across_um: _Field
    along_um: _Field
    turn_um: _Field
    tint: _Field
    loose: _Field
    buds_um: _Field

    @property
    def fields(self) -> _Field:
        """What the painting takes: edge, gland, lumen, across, along, turn, tint, loose."""
        return np.stack(
            [
                self.edge_um,
                self.gland_um,
                self.lumen_um,
                self.across_um,
                self.along_um,
                self.turn_um,
                self.tint,
                self.loose,
            ],
            axis=-1,
        )

    @property
    def marked_classes(self) -> NDArray[np.uint8]:
        """The classes, plus `BORDER` near places of another class."""
        low = minimum_filter(self.classes, size=4, origin=-1, mode="nearest")
        high = maximum_filter(self.classes, size=4, origin=-1, mode="nearest")
        return self.classes | np.where(low != high, np.uint8(BORDER), np.uint8(0))

    def share(self, tissue: TissueClass) -> float:
        """Measure the share of a tissue in the tumour area.

        Parameters
        ----------
        tissue : TissueClass
            Not the lumen.

        Returns
        -------
        float
            Of the tumour area without empty lumens.
        """
        inside = self.classes[self.tumour_area]
        solid = int(np.count_nonzero(inside != TissueClass.LUMEN))
        return int(np.count_nonzero(inside == tissue)) / solid if solid else 0.0


def lay_out(
    draws: Draws,
    *,
    width_um: float,
    height_um: float,
    composition: Composition,
    surroundings: Surroundings,
) -> Layout:
    """Lay a slide out.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    width_um, height_um : float
        Of the slide.
    composition : Composition
        Of the tumour area.
    surroundings : Surroundings
        Of the tissue.

    Returns
    -------
    Layout
        With the shares asked for, up to rounding to whole places.
    """
    shape = (int(height_um / CELL_UM) + 3, int(width_um / CELL_UM) + 3)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) * np.float32(CELL_UM)

    def noise(name: str, spacing_um: float) -> _Field:
        return smooth_field(draws, name, shape, spacing_um=spacing_um, cell_um=CELL_UM)

    edge = _outline(x, y, width_um, height_um, noise)
    tissue = edge > 0
    zones = _zones(draws, x, y, tissue, surroundings, noise)
    tumour = tumour_glands(draws, x, y, composition.grade, noise)
    inside = fill_tumour_area(draws, zones.area, tumour, composition, noise)
    rings, crypt_um, hole_um = crypts(draws, x, y, noise)
    crypt, hole = zones.mucosa & (crypt_um > 0), zones.mucosa & (hole_um > 0)
    classes = inside.classes
    classes[tissue & ~zones.area] = TissueClass.STROMA
    classes[zones.fat], classes[zones.muscle] = TissueClass.FAT, TissueClass.MUSCLE
    classes[crypt], classes[hole] = TissueClass.NORMAL, TissueClass.LUMEN
    gland = signed_distance(inside.gland | crypt, CELL_UM)
    across, along = _fibres(draws, x, y, gland, noise)
    wall = np.where(crypt, rings.turn_um, tumour.turn_um)
    return Layout(
        width_um=width_um,
        height_um=height_um,
        classes=classes,
        tumour_area=zones.area,
        edge_um=edge,
        gland_um=gland,
        lumen_um=signed_distance(inside.lumen | hole, CELL_UM),
        across_um=across,
        along_um=along,
        turn_um=_turn(draws, x, y, wall, zones.fat, noise),
        tint=noise("tint", 140.0),
        loose=np.clip(0.5 + 0.28 * noise("loose", 38.0), 0.0, 1.0).astype(np.float32),
        buds_um=inside.buds_um,
    )


def _outline(x: _Field, y: _Field, width_um: float, height_um: float, noise: Noise) -> _Field:
    """Draw the edge of the tissue: a rounded box with a wavy, slightly ragged border."""
    short = min(width_um, height_um)
    radius, margin = 0.3 * short, 0.05 * short + 30.0
    dx = np.abs(x - width_um / 2) - (width_um / 2 - margin - radius)
    dy = np.abs(y - height_um / 2) - (height_um / 2 - margin - radius)
    outer = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0)
    wave = 0.035 * short * noise("outline", 0.12 * short + 60.0) + 5.0 * noise("ragged", 16.0)
    frame = np.minimum(np.minimum(x, width_um - x), np.minimum(y, height_um - y)) - 8.0
    return np.asarray(np.minimum(radius - outer - wave, frame), dtype=np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Zones:
    area: _Mask
    mucosa: _Mask
    muscle: _Mask
    fat: _Mask


def _zones(
    draws: Draws, x: _Field, y: _Field, tissue: _Mask, surroundings: Surroundings, noise: Noise
) -> _Zones:
    """Divide the tissue along its depth: mucosa, tumour, muscle, fat."""
    turn = 2 * np.pi * draws.uniform("depth-turn", 1).item()
    depth = x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))
    depth = (depth + 45.0 * noise("depth", 120.0)).astype(np.float32)
    n = int(np.count_nonzero(tissue))
    fat = highest(depth, tissue, round(surroundings.fat * n))
    muscle = highest(depth, tissue & ~fat, round(surroundings.muscle * n))
    mucosa = highest(-depth, tissue & ~fat & ~muscle, round(surroundings.mucosa * n))
    area = tissue & ~fat & ~muscle & ~mucosa
    return _Zones(area=area, mucosa=mucosa, muscle=muscle, fat=fat)


def _fibres(
    draws: Draws, x: _Field, y: _Field, gland: _Field, noise: Noise
) -> tuple[_Field, _Field]:
    """Draw coordinates across and along fibres, which flow around glands and vessels."""
    turn = 2 * np.pi * draws.uniform("fibre-turn", 1).item()
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    wave_a, wave_b = noise("wave-a", 55.0), noise("wave-b", 160.0)
    outside = np.maximum(-gland, 0)
    around = 45.0 * (1 - np.exp(-outside / 45.0))
    across = 0.45 * (x * cos + y * sin) + 16.0 * wave_a + 50.0 * wave_b + around
    along = y * cos - x * sin + 20.0 * noise("wave-c", 60.0)
    return across.astype(np.float32), along.astype(np.float32)


def _turn(
    draws: Draws, x: _Field, y: _Field, wall: _Field, fat: _Mask, noise: Noise
) -> NDArray[np.float32]:
    """Put the distance to the walls of fat cells where there is fat, and around it."""
    if not fat.any():
        return wall
    warp = 8.0 * noise("fat-warp", 55.0)
    cells = jittered_cells(
        draws,
        "fat",
        np.maximum(x + warp, 0),
        np.maximum(y + warp, 0),
        spacing_um=68.0,
        jitter=0.38,
    )
    near = binary_dilation(fat, iterations=2)
    return np.where(near, cells.wall_um, wall).astype(np.float32)
