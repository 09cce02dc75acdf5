"""Where nuclei lie, of which type, and how they look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.classes import NucleusType, TissueClass
from metastra.synthetic.painting.composition import Composition
from metastra.synthetic.painting.geometry_kernels import keep_apart
from metastra.synthetic.painting.layout import CELL_UM, Layout

__all__ = ["LOOKS", "Look", "Nuclei", "directions", "place_nuclei", "scatter"]

_F32 = NDArray[np.float32]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How the nuclei of a type look.

    Parameters
    ----------
    long_um, short_um : float
        Half axes.
    spread : float
        Standard deviation of the logarithm of their size.
    reach_um : float
        Room around a centre; two nuclei are at least the sum of theirs apart.
    haematoxylin : float
        Mean optical density.
    rim, clumps : float
        How much darker the membrane is than the inside, and how uneven the chromatin.
    turn_sd : float
        Standard deviation of the long axis' direction, radians.
    """

    long_um: float
    short_um: float
    spread: float
    reach_um: float
    haematoxylin: float
    rim: float
    clumps: float
    turn_sd: float = 0.25


MUSCLE_TURN = 0.9273
"""Direction of the fibres of muscle, radians: that of (0.6, 0.8), as the ground is painted."""

LOOKS: dict[NucleusType, Look] = {
    NucleusType.TUMOUR: Look(
        long_um=5.3, short_um=2.9, spread=0.14, reach_um=3.3,
        haematoxylin=1.12, rim=0.7, clumps=0.6,
    ),
    NucleusType.NORMAL: Look(
        long_um=4.2, short_um=2.4, spread=0.10, reach_um=2.5,
        haematoxylin=1.05, rim=0.45, clumps=0.4,
    ),
    NucleusType.LYMPHOCYTE: Look(
        long_um=3.1, short_um=2.9, spread=0.11, reach_um=2.7,
        haematoxylin=1.45, rim=0.2, clumps=0.45, turn_sd=3.0,
    ),
    NucleusType.FIBROBLAST: Look(
        long_um=6.8, short_um=1.7, spread=0.25, reach_um=4.2,
        haematoxylin=1.0, rim=0.25, clumps=0.4,
    ),
    NucleusType.MUSCLE: Look(
        long_um=8.0, short_um=1.8, spread=0.2, reach_um=5.0,
        haematoxylin=0.9, rim=0.3, clumps=0.4, turn_sd=0.08,
    ),
    NucleusType.PYKNOTIC: Look(
        long_um=1.9, short_um=1.6, spread=0.35, reach_um=2.4,
        haematoxylin=1.45, rim=0.0, clumps=0.3, turn_sd=3.0,
    ),
    NucleusType.ADIPOCYTE: Look(
        long_um=5.0, short_um=1.3, spread=0.2, reach_um=8.0,
        haematoxylin=1.0, rim=0.1, clumps=0.3,
    ),
}  # fmt: skip
"""How each type looks; every number is chosen by eye."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Nuclei:
    """Nuclei of a slide.

    Parameters
    ----------
    x_um, y_um : ndarray of shape (n,), float32
        Centres.
    long_um, short_um : ndarray of shape (n,), float32
        Half axes.
    turn : ndarray of shape (n,), float32
        Direction of the long axis, radians from x towards y.
    type : ndarray of shape (n,), uint8
        `NucleusType`.
    haematoxylin : ndarray of shape (n,), float32
        Mean optical density, before slow variation and fading.
    """

    x_um: _F32
    y_um: _F32
    long_um: _F32
    short_um: _F32
    turn: _F32
    type: NDArray[np.uint8]
    haematoxylin: _F32

    def __len__(self) -> int:
        return int(self.x_um.size)

    @property
    def radius_um(self) -> _F32:
        """Radius of the disc with the same area, shape (n,)."""
        return np.asarray(np.sqrt(self.long_um * self.short_um), dtype=np.float32)


def place_nuclei(draws: Draws, layout: Layout, composition: Composition) -> Nuclei:
    """Put nuclei into a layout, none upon another.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    layout : Layout
        Of the slide.
    composition : Composition
        Its lymphocytes decide how many lie outside aggregates; its grade, how orderly glands are.

    Returns
    -------
    Nuclei
        In an order without meaning.
    """
    x, y, kinds = _candidates(draws, layout, composition)
    table = np.array(
        [
            (
                look.long_um,
                look.short_um,
                look.spread,
                look.reach_um,
                look.haematoxylin,
                look.turn_sd,
            )
            for look in (LOOKS[NucleusType(k)] for k in range(1, len(NucleusType) + 1))
        ],
        dtype=np.float32,
    )
    kept = keep_apart(x, y, table[kinds - 1, 3], layout.width_um, layout.height_um)
    x, y, kinds = x[kept], y[kept], kinds[kept]
    long, short, spread, _, dark, turn_sd = table[kinds - 1].T
    n = x.size
    size = np.exp(spread * draws.normal("size", n)).astype(np.float32)
    flat = np.exp(0.5 * spread * draws.normal("flat", n)).astype(np.float32)
    if composition.grade == 3:
        turn_sd = np.where(kinds == NucleusType.TUMOUR, np.float32(0.8), turn_sd)
    turn = directions(layout, x, y, kinds) + turn_sd * draws.normal("turn", n)
    return Nuclei(
        x_um=x,
        y_um=y,
        long_um=long * size * flat,
        short_um=short * size / flat,
        turn=turn.astype(np.float32),
        type=kinds,
        haematoxylin=dark * np.exp(0.14 * draws.normal("dark", n)).astype(np.float32),
    )


@dataclass(frozen=True, eq=False)
class _Population:
    """Candidates of one type: where, and how many per mm² of that place."""

    kind: NucleusType
    name: str
    where: _Mask
    per_mm2: float


def _populations(layout: Layout, composition: Composition) -> list[_Population]:
    classes, gland, lumen = layout.classes, layout.gland_um, layout.lumen_um
    away = gland < -2.5
    stroma = (classes == TissueClass.STROMA) & away
    epithelium = classes == TissueClass.TUMOUR
    # nuclei of glands stand towards the wall: the basal three fifths, few further in
    height = gland / np.maximum(gland - lumen, 1.0)
    basal = epithelium & (gland > 2.0) & (height < 0.62)
    apical = epithelium & (gland > 2.0) & (height >= 0.62) & (lumen < -4.0)
    share = composition.lymphocytes
    kinds = NucleusType
    return [
        _Population(kinds.NORMAL, "crypt", (classes == TissueClass.NORMAL) & (gland < 9.0), 60e3),
        _Population(
            kinds.LYMPHOCYTE, "follicle", (classes == TissueClass.LYMPHOCYTES) & away, 90e3
        ),
        _Population(kinds.LYMPHOCYTE, "diffuse", stroma, 150.0 + 12e3 * share),
        _Population(kinds.LYMPHOCYTE, "epithelial", epithelium, 1500.0 * share),
        _Population(kinds.TUMOUR, "basal", basal, 70e3),
        _Population(kinds.TUMOUR, "apical", apical, 2500.0),
        _Population(kinds.PYKNOTIC, "debris", classes == TissueClass.NECROSIS, 4500.0),
        _Population(kinds.MUSCLE, "muscle", (classes == TissueClass.MUSCLE) & away, 1500.0),
        _Population(kinds.FIBROBLAST, "fibroblast", stroma, 2800.0),
        _Population(
            kinds.ADIPOCYTE,
            "fat",
            (classes == TissueClass.FAT) & (layout.turn_um < 1.5) & away,
            6000.0,
        ),
    ]


def _candidates(
    draws: Draws, layout: Layout, composition: Composition
) -> tuple[_F32, _F32, NDArray[np.uint8]]:
    """Scatter candidates over their places, the ones that go first in front."""
    xs, ys, kinds = [], [], []
    for population in _populations(layout, composition):
        where = population.where & (layout.edge_um > 5.0)
        x, y = scatter(draws, population.name, where, population.per_mm2)
        if population.kind == NucleusType.NORMAL:
            x, y = _onto_wall(layout, x, y, 5.0)
        xs.append(x)
        ys.append(y)
        kinds.append(np.full(x.size, population.kind, dtype=np.uint8))
    return np.concatenate(xs), np.concatenate(ys), np.concatenate(kinds)


def scatter(draws: Draws, name: str, where: _Mask, per_mm2: float) -> tuple[_F32, _F32]:
    """Scatter points evenly over a region.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    name : str
        Of the streams.
    where : ndarray of shape (rows, columns), bool
        The region, on the grid of a layout.
    per_mm2 : float
        How many per mm² of it.

    Returns
    -------
    x, y : ndarray of shape (n,), float32
        µm.
    """
    places = np.flatnonzero(where)
    n = round(per_mm2 * places.size * CELL_UM**2 * 1e-6)
    chosen = (draws.uniform(f"{name}-place", n) * places.size).astype(np.int64)
    row, column = np.divmod(places[chosen], where.shape[1])
    inside = draws.uniform(f"{name}-inside", 2 * n).reshape(2, n) - 0.5
    x = np.clip((column + inside[0]) * CELL_UM, 0, None).astype(np.float32)
    y = np.clip((row + inside[1]) * CELL_UM, 0, None).astype(np.float32)
    return x, y


def _onto_wall(layout: Layout, x: _F32, y: _F32, depth_um: float) -> tuple[_F32, _F32]:
    """Move points to a depth below the wall of their crypt, where they stand in one row."""
    here = _at(layout.gland_um, x, y)
    down, right = _slope(layout.gland_um, x, y)
    steep = np.maximum(np.hypot(down, right), 0.3)
    step = np.clip((depth_um - here) / steep, -6.0, 6.0)
    moved = x + step * right / steep, y + step * down / steep
    return moved[0].astype(np.float32), moved[1].astype(np.float32)


def _at(field: _F32, x: _F32, y: _F32) -> _F32:
    row, column = _nearest(field, x, y)
    return field[row, column]


def _nearest(field: _F32, x: _F32, y: _F32) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    row = np.clip(np.rint(y / CELL_UM).astype(np.int64), 2, field.shape[0] - 3)
    column = np.clip(np.rint(x / CELL_UM).astype(np.int64), 2, field.shape[1] - 3)
    return row, column


def _slope(field: _F32, x: _F32, y: _F32) -> tuple[_F32, _F32]:
    """Change of a field down and to the right, per µm, over two places on either side."""
    row, column = _nearest(field, x, y)
    down = (field[row + 2, column] - field[row - 2, column]) / (4 * CELL_UM)
    right = (field[row, column + 2] - field[row, column - 2]) / (4 * CELL_UM)
    return down, right


def directions(layout: Layout, x: _F32, y: _F32, kinds: NDArray[np.uint8]) -> _F32:
    """Find long axes: across the wall in glands, along the fibres elsewhere.

    Parameters
    ----------
    layout : Layout
        Of the slide.
    x, y : ndarray of shape (n,), float32
        Places, µm.
    kinds : ndarray of shape (n,), uint8
        `NucleusType` of each.

    Returns
    -------
    ndarray of shape (n,), float32
        Radians from x towards y.
    """
    down, right = _slope(layout.gland_um, x, y)
    radial = np.arctan2(down, right)
    down, right = _slope(layout.across_um, x, y)
    tangent = np.arctan2(right, -down)
    muscle = kinds == NucleusType.MUSCLE
    tangent = np.where(muscle, np.float32(MUSCLE_TURN), tangent)
    down, right = _slope(layout.turn_um, x, y)
    fat = kinds == NucleusType.ADIPOCYTE
    tangent = np.where(fat, np.arctan2(right, -down), tangent)
    in_gland = (kinds == NucleusType.TUMOUR) | (kinds == NucleusType.NORMAL)
    return np.where(in_gland, radial, tangent).astype(np.float32)
