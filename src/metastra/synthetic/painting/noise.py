"""Smooth random fields and the texture that all paint is taken from."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from metastra.synthetic.draws import Draws

__all__ = ["TEXTURE_PX", "smooth_field", "texture"]

_Field = NDArray[np.float32]

TEXTURE_PX = 512
"""Side of the texture; a power of two, so that it can be repeated by masking."""

_MEAN_SQUARE = 0.479365
"""Mean over a period of the sum of squared cubic B-spline weights: 151/315."""


def smooth_field(
    draws: Draws, name: str, shape: tuple[int, int], *, spacing_um: float, cell_um: float
) -> _Field:
    """Draw a smooth random field.

    Parameters
    ----------
    draws : Draws
        Random numbers.
    name : str
        Of the stream.
    shape : tuple of int
        Rows and columns of the field.
    spacing_um : float
        Distance of the knots; features are about twice as wide.
    cell_um : float
        Distance of neighbouring values.

    Returns
    -------
    ndarray of shape `shape`, float32
        Mean 0 and variance 1 over many fields: a cubic B-spline through white noise.

    Examples
    --------
    >>> field = smooth_field(Draws(seed=1), "a", (300, 400), spacing_um=10.0, cell_um=2.0)
    >>> field.shape, bool(abs(field.std() - 1.0) < 0.2)
    ((300, 400), True)
    """
    rows, columns = (_weights(n, cell_um / spacing_um) for n in shape)
    knots = draws.normal(name, _knots(rows) * _knots(columns))
    grid = (knots / _MEAN_SQUARE).astype(np.float32).reshape(_knots(rows), _knots(columns))
    tall = sum(w[:, None] * grid[rows[0] + k] for k, w in enumerate(rows[1]))
    wide = sum(w[None, :] * np.asarray(tall)[:, columns[0] + k] for k, w in enumerate(columns[1]))
    return np.ascontiguousarray(wide, dtype=np.float32)


def _weights(n: int, step: float) -> tuple[NDArray[np.int64], _Field]:
    """First knot and the four weights of each position."""
    place = np.arange(n) * step
    first = np.floor(place).astype(np.int64)
    t = place - first
    weights = np.stack(
        [
            (1 - t) ** 3 / 6,
            (3 * t**3 - 6 * t**2 + 4) / 6,
            (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
            t**3 / 6,
        ]
    )
    return first, weights.astype(np.float32)


def _knots(axis: tuple[NDArray[np.int64], _Field]) -> int:
    return int(axis[0][-1]) + 4


@lru_cache(maxsize=1)
def texture() -> _Field:
    """Make the texture: periodic smooth noise, each value between 0 and 1 equally frequent.

    Returns
    -------
    ndarray of shape (TEXTURE_PX, TEXTURE_PX), float32
        Read-only; features are about four pixels wide.  The same for every slide.
    """
    raw = Draws(seed=0, label="texture").normal("table", TEXTURE_PX**2)
    smooth = gaussian_filter(raw.reshape(TEXTURE_PX, TEXTURE_PX), 1.4, mode="wrap")
    order = np.argsort(smooth, axis=None, kind="stable")
    ranks = np.empty(order.size, dtype=np.float32)
    ranks[order] = (np.arange(order.size) + 0.5) / order.size
    table = ranks.reshape(TEXTURE_PX, TEXTURE_PX)
    table.setflags(write=False)
    return table
