"""The tiles that an encoder is trained on: arrays on disk, of which a batch is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, IntegrityError

__all__ = ["LEAST_TILES", "TilePool"]

LEAST_TILES = 32
"""Fewer tiles than this are no training set, not even for a try."""
_MEASURED = 512
"""Tiles by which mean and spread of the channels are found."""


@dataclass(frozen=True, eq=False)
class TilePool:
    """Tiles of many slides in ``.npy`` files, uint8 of shape (n, s, s, 3) each.

    Parameters
    ----------
    files : sequence of Path
        In the order in which their tiles are counted.

    Raises
    ------
    IntegrityError
        When a file is no such array.
    ConfigError
        When files differ in the side of their tiles, or there are fewer than 32 tiles.
    """

    files: Sequence[Path]

    def __post_init__(self) -> None:
        sides = {int(_open(path).shape[1]) for path in self.files}
        if len(sides) > 1:
            raise ConfigError(f"tiles of {len(sides)} sizes: {sorted(sides)} px; expected one")
        if len(self) < LEAST_TILES:
            raise ConfigError(
                f"{len(self)} tiles are too few to train an encoder on; expected at least "
                f"{LEAST_TILES}, and thousands for one that is of use"
            )

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([len(_open(path)) for path in self.files], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self.files) else 0

    @property
    def tile_px(self) -> int:
        """Side of a tile in pixels."""
        return int(_open(self.files[0]).shape[1])

    def tile(self, number: int) -> NDArray[np.uint8]:
        """Read one tile.

        Parameters
        ----------
        number : int
            From 0.

        Returns
        -------
        ndarray of uint8, shape (s, s, 3)
            A copy; nothing else of its file is read.

        Raises
        ------
        IndexError
            If there is no such tile.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"tile {number} of {len(self)}")
        at = int(np.searchsorted(self._ends, number, side="right"))
        first = int(self._ends[at - 1]) if at else 0
        return np.array(_open(self.files[at])[number - first])

    def tiles(self, most: int) -> NDArray[np.uint8]:
        """Read tiles that stand evenly apart.

        Parameters
        ----------
        most : int
            How many at most.

        Returns
        -------
        ndarray of uint8, shape (n, s, s, 3)
            In order.
        """
        numbers = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(np.int64))
        return np.stack([self.tile(int(number)) for number in numbers])

    def channels(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Measure mean and standard deviation of red, green and blue on the scale from 0 to 1.

        Returns
        -------
        tuple of tuple of float
            Mean and standard deviation, of at most 512 tiles, to four digits.
        """
        numbers = np.linspace(0, len(self) - 1, min(_MEASURED, len(self))).astype(np.int64)
        sums = np.zeros((2, 3))
        for number in numbers.tolist():
            pixels = self.tile(number).reshape(-1, 3) / 255.0
            sums += np.stack([pixels.mean(axis=0), np.square(pixels).mean(axis=0)])
        mean, square = sums / len(numbers)
        spread = np.sqrt(np.maximum(square - mean**2, 1e-4))
        red, green, blue = np.round(mean, 4).tolist()
        own = np.round(spread, 4).tolist()
        return (red, green, blue), (own[0], own[1], own[2])


def _open(path: Path) -> NDArray[np.uint8]:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise IntegrityError(f"tiles {path.name}: cannot be read ({error})") from error
    if found.dtype != np.uint8 or found.ndim != 4 or found.shape[3] != 3:
        raise IntegrityError(
            f"tiles {path.name}: {found.dtype} {found.shape}; expected uint8 (n, s, s, 3)"
        )
    tiles: NDArray[np.uint8] = found
    return tiles
