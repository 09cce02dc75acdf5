"""What each tile does to a patient's risk: the score with it, less the score without it.

Leaving tiles out answers a plain question with a sign: would the risk be higher or lower if this
piece of tissue were not there?  Attention has no sign and does not say what lowers a risk; it is
kept beside, as where the model looked (Hense et al., xMIL, NeurIPS 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metastra.errors import DataError, NotEstimable

__all__ = [
    "UNIT",
    "ExplainedTiles",
    "RiskMap",
    "neighbourhood_contributions",
    "risk_map",
    "tile_cells",
]

_Array = NDArray[np.float64]
_Places = NDArray[np.int64]

UNIT = "log relative hazard"
"""Unit of every contribution: the natural logarithm of how many times the hazard is multiplied."""

_REACH = 3
"""Tiles along the side of a neighbourhood."""


class ExplainedTiles(Protocol):
    """What a model gives about the n tiles of one patient.

    `metastra.bundle.slide_model.SlideModel.explain` gives it.
    """

    @property
    def score(self) -> float:
        """The patient's slide score, of all tiles; higher is worse."""
        ...

    @property
    def attention(self) -> _Array:
        """Weights of the tiles, shape (n,); they sum to 1."""
        ...

    @property
    def leave_one_out(self) -> _Array:
        """Score of all tiles less the score without tile i, shape (n,)."""
        ...

    def without(self, groups: _Places) -> _Array:
        """Score of all tiles less the score without each group, shape (groups.max() + 1,).

        Tiles with a negative group are in none.
        """
        ...

    def along(self, order: _Places, counts: _Places) -> _Array:
        """Score of all tiles less the score without the first tiles of an order.

        Shape (s,), for each of the s ascending counts of tiles that are gone.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class RiskMap:
    """What each of a patient's n tiles does to the risk.

    Parameters
    ----------
    score : float
        The patient's slide score.
    per_score : float
        Log relative hazard of the risk model for one unit of the slide score.
    tiles : ndarray of shape (n,)
        Log relative hazard with the tile, less without it; NaN for a patient's only tile.
    neighbourhoods : ndarray of shape (n,)
        The same for the tile and its up to eight neighbours left out together; NaN where they are
        all tiles that there are.
    attention : ndarray of shape (n,)
        Where the model looked, not why; sums to 1.
    """

    score: float
    per_score: float
    tiles: _Array
    neighbourhoods: _Array
    attention: _Array


def risk_map(
    explained: ExplainedTiles,
    cells: _Places,
    slides: _Places,
    *,
    per_score: float = 1.0,
) -> RiskMap:
    """Work out what each tile and each neighbourhood does to the risk.

    Parameters
    ----------
    explained : ExplainedTiles
        Of all n tiles of a patient.
    cells : ndarray of int64, shape (n, 2)
        Column and row of each tile on its slide, from `tile_cells`.
    slides : ndarray of int64, shape (n,)
        Which of the patient's slides each tile lies on.
    per_score : float
        Log relative hazard of the risk model for one unit of the slide score; not negative in a
        model that was fitted here.

    Returns
    -------
    RiskMap
        In units of log relative hazard.

    Raises
    ------
    NotEstimable
        If the patient has no tiles.
    DataError
        If the arrays do not fit together, or a contribution is not finite though tiles are left.
    """
    n = len(cells)
    if not n:
        raise NotEstimable("there are no tiles to explain")
    single = np.asarray(explained.leave_one_out, dtype=np.float64)
    attention = np.asarray(explained.attention, dtype=np.float64)
    shapes = {"leave_one_out": single, "attention": attention, "slides": slides}
    for name, values in shapes.items():
        if values.shape != (n,):
            raise DataError(f"{name} has shape {values.shape}; expected ({n},)")
    if n > 1 and not np.isfinite(single).all():
        raise DataError("the model gives a contribution that is not finite")
    tiles = single * per_score if n > 1 else np.full(1, np.nan)
    around = neighbourhood_contributions(explained, cells, slides) * per_score
    return RiskMap(
        score=float(explained.score),
        per_score=per_score,
        tiles=tiles,
        neighbourhoods=around,
        attention=attention,
    )


def tile_cells(coords_px0: _Places, side_px0: tuple[float, float]) -> _Places:
    """Find the column and row of tiles on a slide.

    Parameters
    ----------
    coords_px0 : ndarray of int64, shape (n, 2)
        Top left corners in level-0 pixels.
    side_px0 : tuple of float
        Width and height of a tile in level-0 pixels.

    Returns
    -------
    ndarray of int64, shape (n, 2)
        Counted from the leftmost and topmost tile.  Tiles that overlap share a cell.

    Examples
    --------
    >>> tile_cells(np.array([[10, 20], [234, 20], [10, 468]]), (224.0, 224.0)).tolist()
    [[0, 0], [1, 0], [0, 2]]
    """
    if not len(coords_px0):
        return np.zeros((0, 2), dtype=np.int64)
    offset = coords_px0 - coords_px0.min(axis=0)
    cells: _Places = np.rint(offset / np.asarray(side_px0, dtype=np.float64)).astype(np.int64)
    return cells


def neighbourhood_contributions(
    explained: ExplainedTiles, cells: _Places, slides: _Places
) -> _Array:
    """Leave each tile out together with its neighbours.

    Parameters
    ----------
    explained : ExplainedTiles
        Of all n tiles of a patient.
    cells : ndarray of int64, shape (n, 2)
        Column and row of each tile on its slide.
    slides : ndarray of int64, shape (n,)
        Which of the patient's slides each tile lies on.

    Returns
    -------
    ndarray of shape (n,)
        Score of all tiles less the score without the 3 × 3 cells around tile i, in units of the
        score; NaN where nothing would be left.

    Notes
    -----
    Neighbourhoods overlap, groups that are left out do not.  So the slide is cut into blocks of
    3 × 3 cells in each of the nine ways there are; every cell is the middle of a block in one of
    them.
    """
    found = np.full(len(cells), np.nan)
    for shift in np.ndindex(_REACH, _REACH):
        moved = cells + np.asarray(shift)
        keys = np.column_stack([slides, moved // _REACH])
        _, groups, sizes = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        groups = groups.reshape(-1).astype(np.int64)
        if len(sizes) == 1:
            continue
        values = np.asarray(explained.without(groups), dtype=np.float64)
        middle = (moved % _REACH == _REACH // 2).all(axis=1)
        found[middle] = values[groups[middle]]
    return found
