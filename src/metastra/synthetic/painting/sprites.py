"""Small things that are painted over the ground: nuclei, goblet cells, vessels with red cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.cells import LOOKS, Nuclei, directions, scatter
from metastra.synthetic.painting.classes import NucleusType, TissueClass
from metastra.synthetic.painting.geometry_kernels import keep_apart
from metastra.synthetic.painting.layout import Layout
from metastra.synthetic.painting.sprite_kernels import BODY, NUCLEUS, RED_CELL, VACUOLE

__all__ = ["Sprites", "make_sprites"]

_F32 = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sprites:
    """Sprites in the order in which they are painted.

    Parameters
    ----------
    kind : ndarray of shape (n,), int8
        As `metastra.synthetic.painting.sprite_kernels` has them.
    shape, look : ndarray of shape (n, 8), float32
        As `metastra.synthetic.painting.sprite_kernels.paint_sprites` takes them.
    """

    kind: NDArray[np.int8]
    shape: _F32
    look: _F32

    def between(self, top_um: float, bottom_um: float) -> NDArray[np.int64]:
        """Find the sprites that reach into a strip.

        Parameters
        ----------
        top_um, bottom_um : float
            Bounds of the strip.

        Returns
        -------
        ndarray of int64
            Positions, ascending.
        """
        reach = 1.25 * self.shape[:, 2:4].max(axis=1) + 1.0
        y = self.shape[:, 1]
        return np.flatnonzero((y + reach >= top_um) & (y - reach <= bottom_um))


def make_sprites(draws: Draws, layout: Layout, nuclei: Nuclei) -> Sprites:
    """Make everything that is painted over the ground.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    layout : Layout
        Of the slide.
    nuclei : Nuclei
        Of the slide; they are painted last.

    Returns
    -------
    Sprites
        Goblet cells, vessels, red cells, bodies of lymphocytes and nuclei.
    """
    parts = [
        _goblets(draws, layout),
        *_vessels(draws, layout),
        _bodies(draws, nuclei),
        _nuclei(draws, nuclei),
    ]
    return Sprites(
        kind=np.concatenate([np.full(len(shape), kind, dtype=np.int8) for kind, shape, _ in parts]),
        shape=np.concatenate([shape for _, shape, _ in parts]).astype(np.float32),
        look=np.concatenate([look for _, _, look in parts]).astype(np.float32),
    )


_Part = tuple[int, NDArray[np.floating], NDArray[np.floating]]


def _rows(n: int, *values: NDArray[np.floating] | float) -> NDArray[np.float64]:
    return np.stack(
        [np.broadcast_to(np.asarray(v, dtype=np.float64), (n,)) for v in values], axis=1
    )


def _part(draws: Draws, name: str, kind: int, shape: NDArray[np.float64], *look: object) -> _Part:
    n = len(shape)
    place = 512 * draws.uniform(f"{name}-texture", 2 * n).reshape(n, 2)
    return kind, shape, np.concatenate([_rows(n, *look), place], axis=1)  # type: ignore[arg-type]


def _goblets(draws: Draws, layout: Layout) -> _Part:
    """Mucus in the cells of normal crypts, above their nuclei."""
    gland = layout.gland_um
    where = (layout.classes == TissueClass.NORMAL) & (gland > 10.0) & (layout.lumen_um < -5.0)
    x, y = scatter(draws, "goblet", where & (layout.edge_um > 6.0), 30e3)
    kept = keep_apart(
        x, y, np.full(x.size, 4.0, dtype=np.float32), layout.width_um, layout.height_um
    )
    x, y = x[kept], y[kept]
    n = x.size
    turn = directions(layout, x, y, np.full(n, NucleusType.NORMAL, dtype=np.uint8))
    size = np.exp(0.12 * draws.normal("goblet-size", n))
    shape = _rows(n, x, y, 7.0 * size, 5.0 * size, np.cos(turn), np.sin(turn), 0.18, 0.0)
    return _part(draws, "goblet", VACUOLE, shape, 0.09, 0.05, 0.0, 0.0, 0.0, 0.0)


def _vessels(draws: Draws, layout: Layout) -> list[_Part]:
    """Capillaries with red cells, between the nuclei of the stroma."""
    where = (layout.classes == TissueClass.STROMA) & (layout.gland_um < -10.0)
    x, y = scatter(draws, "vessel", where & (layout.edge_um > 20.0), 40.0)
    n = x.size
    turn = directions(layout, x, y, np.full(n, NucleusType.FIBROBLAST, dtype=np.uint8))
    long, short = (
        9.0 + 14.0 * draws.uniform("vessel-a", n),
        5.0 + 4.0 * draws.uniform("vessel-b", n),
    )
    cos, sin = np.cos(turn), np.sin(turn)
    body = _part(
        draws, "vessel", BODY, _rows(n, x, y, long, short, cos, sin, 0.12, 0.0),
        0.0, 0.02, 0.0, 0.0, 0.0, 0.0,
    )  # fmt: skip
    per_vessel = 12
    which = np.repeat(np.arange(n), per_vessel)
    place = draws.uniform("red-place", 2 * which.size).reshape(2, -1)
    radius, angle = 0.8 * np.sqrt(place[0]), 2 * np.pi * place[1]
    u, v = radius * np.cos(angle) * long[which], radius * np.sin(angle) * short[which]
    rx, ry = x[which] + u * cos[which] - v * sin[which], y[which] + u * sin[which] + v * cos[which]
    full = draws.uniform("red-full", n)[which] > draws.uniform("red-there", which.size)
    rx, ry = rx[full], ry[full]
    m = rx.size
    size = 2.7 + 0.5 * draws.uniform("red-size", m)
    red = _part(
        draws, "red", RED_CELL, _rows(m, rx, ry, size, 0.85 * size, 1.0, 0.0, 0.2, 0.0),
        0.03, 0.95, 0.0, 0.0, 0.0, 0.0,
    )  # fmt: skip
    return [body, red]


def _bodies(draws: Draws, nuclei: Nuclei) -> _Part:
    """Narrow, pale cytoplasm of lymphocytes."""
    round_cells = np.flatnonzero(nuclei.type == NucleusType.LYMPHOCYTE)
    n = round_cells.size
    radius = 1.15 * nuclei.radius_um[round_cells] + 0.8 * draws.uniform("body-size", n)
    shift = 1.2 * draws.uniform("body-shift", 2 * n).reshape(2, n) - 0.6
    x, y = nuclei.x_um[round_cells] + shift[0], nuclei.y_um[round_cells] + shift[1]
    shape = _rows(n, x, y, radius, radius, 1.0, 0.0, 0.25, 0.0)
    return _part(draws, "body", BODY, shape, 0.16, 0.17, 0.0, 0.0, 0.0, 0.0)


def _nuclei(draws: Draws, nuclei: Nuclei) -> _Part:
    n = len(nuclei)
    looks = [LOOKS[NucleusType(kind)] for kind in range(1, len(NucleusType) + 1)]
    rim, clumps = np.array([(look.rim, look.clumps) for look in looks])[nuclei.type - 1].T
    spindle = (nuclei.type == NucleusType.FIBROBLAST) | (nuclei.type == NucleusType.MUSCLE)
    soft_um = 0.55 + 0.7 * draws.uniform("soft", n) ** 2
    shape = _rows(
        n,
        nuclei.x_um, nuclei.y_um, nuclei.long_um, nuclei.short_um,
        np.cos(nuclei.turn), np.sin(nuclei.turn),
        soft_um / nuclei.radius_um, np.where(spindle, 0.5 * draws.normal("bend", n), 0.0),
    )  # fmt: skip
    rim = rim * (0.6 + 0.5 * draws.uniform("rim", n))
    spot = 0.7 * draws.uniform("spot", 2 * n).reshape(2, n) - 0.35
    return _part(
        draws, "nucleus", NUCLEUS, shape, nuclei.haematoxylin, 0.12, rim, clumps, spot[0], spot[1]
    )
