"""Views of tiles: another place in the tile, turned, at a near scale, stained elsewhere.

What two views of one tile share is what an encoder shall keep; what differs it shall forget: where
in the tile it looked, which way the glass lay, the laboratory's stain and a little focus.  The
scale stays within a quarter of the tile's own, for size means something in tissue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from metastra.tissue.stain_jitter import jitter_stains

__all__ = ["VIEW_SHARE", "draw_view", "view_pair"]

VIEW_SHARE = 0.5
"""Side of a view over side of the tile."""
_ZOOM = 1.25
_BLUR_CHANCE = 0.2
_BLUR_PX = 1.2


def view_pair(
    tile: NDArray[np.uint8], *, seed: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw two views of a tile.

    Parameters
    ----------
    tile : ndarray of uint8, shape (s, s, 3)
        RGB.
    seed : tuple of int
        Decides both views, whatever else is drawn.

    Returns
    -------
    tuple of ndarray of uint8, shape (s // 2, s // 2, 3)
        The two views.

    Examples
    --------
    >>> tile = np.full((64, 64, 3), (200, 120, 170), np.uint8)
    >>> [view.shape for view in view_pair(tile, seed=(1, 2))]
    [(32, 32, 3), (32, 32, 3)]
    """
    rng = np.random.default_rng(seed)
    return draw_view(tile, rng), draw_view(tile, rng)


def draw_view(tile: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one view of a tile.

    Parameters
    ----------
    tile : ndarray of uint8, shape (s, s, 3)
        RGB.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    ndarray of uint8, shape (s // 2, s // 2, 3)
        A part of the tile at 0.8 to 1.25 times its scale, turned, mirrored, in another staining,
        at times blurred.
    """
    side = len(tile)
    view_px = int(side * VIEW_SHARE)
    taken = min(view_px * _ZOOM ** rng.uniform(-1.0, 1.0), side)
    left, top = rng.uniform(0.0, side - taken, 2)
    box = (left, top, left + taken, top + taken)
    picture = Image.fromarray(tile).resize((view_px, view_px), Image.Resampling.BILINEAR, box)
    if rng.random() < _BLUR_CHANCE:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, _BLUR_PX)))
    view: NDArray[np.uint8] = np.rot90(np.asarray(picture), int(rng.integers(4)))
    if rng.random() < 0.5:
        view = view[:, ::-1]
    stained: NDArray[np.uint8] = jitter_stains(np.ascontiguousarray(view)[None], rng)[0]
    return stained
