"""A grid of square tiles in true microns, whatever the scanner's pixels measure.

A tile is 224 px at 0.5 µm per pixel, 112 µm, on every slide; on a scanner with 0.23 µm per pixel
that is 486.96 level-0 pixels, and the grid keeps the fraction.  A tile's corner is the nearest
level-0 pixel, reckoned each time from the start of the grid, so that roundings never add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError
from metastra.slides.resolution import MAX_MPP, MIN_MPP
from metastra.slides.slide import SlideInfo, require_mpp, slide_error

__all__ = ["MAX_TILES", "MAX_UPSAMPLING", "TileGrid", "TileSpec", "make_grid"]

MAX_UPSAMPLING = 1.25
"""Most that a slide may be coarser than the target: 0.625 µm per pixel for a target of 0.5."""
MAX_TILES = 1 << 21
"""Most tiles of one slide (2 million); the largest scans have a tenth of it."""

_MAX_TILE_PX = 4096


@dataclass(frozen=True)
class TileSpec:
    """How a slide is tiled.

    Parameters
    ----------
    target_mpp : float
        Microns per pixel of the tiles.
    tile_px : int
        Side of a tile in pixels at that scale.

    Raises
    ------
    ConfigError
        If the scale is not between 0.02 and 40 µm per pixel, or the side not between 1 and 4096.

    Examples
    --------
    >>> TileSpec().side_um
    112.0
    """

    target_mpp: float = 0.5
    tile_px: int = 224

    def __post_init__(self) -> None:
        if not MIN_MPP <= self.target_mpp <= MAX_MPP:
            raise ConfigError(
                f"the target scale is {self.target_mpp:g} µm per pixel; "
                f"expected {MIN_MPP:g} to {MAX_MPP:g}"
            )
        if not 1 <= self.tile_px <= _MAX_TILE_PX:
            raise ConfigError(f"a tile has {self.tile_px} px a side; expected 1 to {_MAX_TILE_PX}")

    @property
    def side_um(self) -> float:
        """Side of a tile in micrometres."""
        return self.target_mpp * self.tile_px


@dataclass(frozen=True, kw_only=True, eq=False)
class TileGrid:
    """Tiles of one slide, row by row.

    Parameters
    ----------
    spec : TileSpec
        How the slide is tiled.
    coords : ndarray of int64, shape (n, 2)
        x and y of the top left corners in level-0 pixels.
    side_px0 : tuple of float
        Width and height of a tile in level-0 pixels; fractions are kept, and the two differ where
        the scanner's pixels are not square.
    mpp : tuple of float
        Microns per level-0 pixel along x and y.
    """

    spec: TileSpec
    coords: NDArray[np.int64]
    side_px0: tuple[float, float]
    mpp: tuple[float, float]

    def __len__(self) -> int:
        return len(self.coords)

    @property
    def boxes_px0(self) -> NDArray[np.float64]:
        """x, y, width and height of each tile in level-0 pixels, shape (n, 4)."""
        sides = np.broadcast_to(np.asarray(self.side_px0, dtype=np.float64), (len(self), 2))
        return np.concatenate([self.coords.astype(np.float64), sides], axis=1)

    @property
    def centres_um(self) -> NDArray[np.float64]:
        """X and y of the tiles' middles in micrometres from the slide's corner, shape (n, 2)."""
        boxes = self.boxes_px0
        mpp = np.asarray(self.mpp, dtype=np.float64)
        centres: NDArray[np.float64] = (boxes[:, :2] + boxes[:, 2:] / 2) * mpp
        return centres

    def take(self, mask: NDArray[np.bool_] | NDArray[np.int64]) -> TileGrid:
        """Keep some tiles, in their order.

        Parameters
        ----------
        mask : ndarray of bool or int64, shape (n,)
            Which tiles stay, or the positions of those that stay.

        Returns
        -------
        TileGrid
            Of the same slide.

        Raises
        ------
        IndexError
            If a mask has another length than the grid, or a position does not exist.
        """
        return replace(self, coords=self.coords[mask])


def make_grid(info: SlideInfo, spec: TileSpec) -> TileGrid:
    """Lay the grid over a slide.

    Only tiles that lie wholly inside the slide are made, or inside its scanned bounds where the
    format has them: no tile is padded.

    Parameters
    ----------
    info : SlideInfo
        Of the slide; its microns per pixel must be known.
    spec : TileSpec
        How to tile.

    Returns
    -------
    TileGrid
        By rows from the top, each from the left; empty where the slide is smaller than a tile.

    Raises
    ------
    SlideError
        SL007 or SL008 if the scale is not known; SL010 if the slide is more than
        `MAX_UPSAMPLING` coarser than the target; SL006 above `MAX_TILES` tiles.

    Examples
    --------
    >>> info = SlideInfo(
    ...     name="a.svs",
    ...     reader="openslide",
    ...     vendor="aperio",
    ...     width_px=1000,
    ...     height_px=1000,
    ...     mpp_x=0.25,
    ...     mpp_y=0.5,
    ...     mpp_source="file",
    ...     levels=(),
    ... )
    >>> grid = make_grid(info, TileSpec(target_mpp=0.5, tile_px=224))
    >>> grid.side_px0, grid.coords.tolist()[:3]
    ((448.0, 224.0), [[0, 0], [448, 0], [0, 224]])
    """
    mpp = require_mpp(info)
    coarse = max(mpp)
    if coarse > spec.target_mpp * MAX_UPSAMPLING:
        raise slide_error(
            "SL010",
            info.name,
            f"the slide has {coarse:.4g} µm per pixel, the tiles want {spec.target_mpp:g}",
            expected=f"at most {spec.target_mpp * MAX_UPSAMPLING:.4g} µm per pixel",
        )
    side = spec.side_um / mpp[0], spec.side_um / mpp[1]
    left, top, width, height = info.bounds_px0 or (0, 0, info.width_px, info.height_px)
    columns, rows = _fitting(width, side[0]), _fitting(height, side[1])
    if columns * rows > MAX_TILES:
        raise slide_error(
            "SL006", info.name, f"{columns} × {rows} tiles", expected=f"at most {MAX_TILES} tiles"
        )
    x = left + np.floor(np.arange(columns) * side[0] + 0.5).astype(np.int64)
    y = top + np.floor(np.arange(rows) * side[1] + 0.5).astype(np.int64)
    coords = np.stack([np.tile(x, rows), np.repeat(y, columns)], axis=1)
    return TileGrid(spec=spec, coords=coords, side_px0=side, mpp=mpp)


def _fitting(length_px0: int, side_px0: float) -> int:
    """How many tiles fit in a row, the last one's corner rounded to a pixel."""
    count = math.floor(length_px0 / side_px0 + 1e-9)
    while count and math.floor((count - 1) * side_px0 + 0.5) + side_px0 > length_px0 + 1e-6:
        count -= 1
    return count
