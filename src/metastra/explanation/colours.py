"""Colours of contributions: apart for every kind of eye, and in grey print.

Raising is dark red; lowering is pale blue with slanting stripes; what does neither shows the grey
slide beneath.  A grey print is read by darkness and stripes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOWERING", "RAISING", "STRIPE", "colours_of", "limit_of", "striped"]

RAISING = (103, 0, 18)
LOWERING = (158, 214, 250)
STRIPE = (0, 84, 166)

_PERIOD_PX, _STRIPE_PX = 6, 2

_OPAQUE = 0.92
_BEND = 0.65
_SHARE = 98.0


def limit_of(contributions: NDArray[np.float64]) -> float:
    """Choose where the colours end.

    Parameters
    ----------
    contributions : ndarray of shape (n,)
        NaN is passed over.

    Returns
    -------
    float
        98th percentile of the absolute contributions, so that one tile does not bleach the rest;
        above 0.

    Examples
    --------
    >>> limit_of(np.array([-2.0, 0.0, 2.0]))
    2.0
    """
    known = np.abs(contributions[np.isfinite(contributions)])
    if not known.size or known.max() == 0.0:
        return 1.0
    limit = float(np.percentile(known, _SHARE))
    return limit if limit > 0.0 else float(known.max())


def colours_of(
    contributions: NDArray[np.float64], limit: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give each contribution its colour.

    Parameters
    ----------
    contributions : ndarray of shape (n,)
        NaN has no colour.
    limit : float
        Where the colours end, above 0.

    Returns
    -------
    colours : ndarray of shape (n, 3)
        RGB from 0 to 255.
    opacity : ndarray of shape (n,)
        0 shows what lies beneath, 1 hides it.

    Examples
    --------
    >>> colours_of(np.array([0.0, 9.0]), 1.0)[1].tolist()
    [0.0, 0.92]
    """
    share = np.clip(np.nan_to_num(contributions, nan=0.0) / limit, -1.0, 1.0)
    colours = np.where(share[:, None] > 0.0, np.array(RAISING), np.array(LOWERING))
    return colours.astype(np.float64), _OPAQUE * np.abs(share) ** _BEND


def striped(left: int, top: int, width_px: int, height_px: int) -> NDArray[np.bool_]:
    """Say which pixels of a region lie on a stripe; regions that touch have the same stripes.

    Parameters
    ----------
    left, top : int
        Corner of the region in the picture.
    width_px, height_px : int
        Its size.

    Returns
    -------
    ndarray of bool, shape (height_px, width_px)
        True on a stripe.
    """
    down, across = np.mgrid[top : top + height_px, left : left + width_px]
    on: NDArray[np.bool_] = (down + across) % _PERIOD_PX < _STRIPE_PX
    return on
