"""The pixels of a grid's tiles, batch by batch.

Each tile is read by itself from the best level and averaged to the target scale, so its pixels do
not depend on which other tiles are read or how they are batched.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from metastra.slides.scaled import read_scaled
from metastra.slides.slide import Slide
from metastra.tiles.grid import TileGrid

__all__ = ["read_tiles"]


def read_tiles(
    slide: Slide, grid: TileGrid, batch: int
) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Read the tiles of a grid in order.

    Memory is bounded by the batch: ``batch × tile_px² × 3`` bytes and one tile's source.

    Parameters
    ----------
    slide : Slide
        Open; the one the grid was made for.
    grid : TileGrid
        Which tiles.
    batch : int
        Most tiles at once.

    Yields
    ------
    slice
        Which of the grid's tiles these are.
    ndarray of uint8, shape (b, tile_px, tile_px, 3)
        Their pixels, RGB; a new array each time.

    Raises
    ------
    SlideError
        SL005 at the first tile that cannot be decoded.
    ValueError
        If `batch` is not above 0.
    """
    if batch < 1:
        raise ValueError(f"a batch has at least 1 tile, not {batch}")
    side = grid.spec.tile_px
    for start in range(0, len(grid), batch):
        part = slice(start, min(start + batch, len(grid)))
        tiles = np.empty((part.stop - part.start, side, side, 3), dtype=np.uint8)
        for number, (x, y) in enumerate(grid.coords[part].tolist()):
            tiles[number] = read_scaled(slide, x, y, *grid.side_px0, side, side)
        yield part, tiles
