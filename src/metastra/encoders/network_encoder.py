"""An encoder whose numbers come from a network on some engine.

Tiles are always given to the engine in batches of one size, the last one filled up with blank
tiles: an engine sums in another order for another batch, and a tile's features must not depend on
its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metastra.encoders.encoder import EncoderCard, require_tiles

__all__ = ["BATCH", "NetworkEncoder", "Runner"]

BATCH = 16
"""Tiles that an engine gets at a time."""

Runner = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From whole batches of tiles to their features."""


class NetworkEncoder:
    """Features of tiles by a network.

    Parameters
    ----------
    card : EncoderCard
        What it is.
    runner : callable
        Computes one batch.
    batch : int
        Tiles that the engine computes at a time.
    calls : int
        Batches that `runner` is given in one call; it may let them take turns.
    """

    def __init__(
        self, card: EncoderCard, runner: Runner, batch: int = BATCH, calls: int = 1
    ) -> None:
        self._card, self._runner, self._batch, self._calls = card, runner, batch, calls

    @property
    def card(self) -> EncoderCard:
        """What this encoder is."""
        return self._card

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode a batch of any size.

        Parameters
        ----------
        tiles : ndarray of uint8, shape (b, tile_px, tile_px, 3)
            RGB at the card's mpp; b may be 0.

        Returns
        -------
        ndarray of float32, shape (b, dimension)
            In the order of the tiles.

        Raises
        ------
        ValueError
            If the tiles have another shape or dtype, or the network gives another number of
            features than its card says.
        """
        require_tiles(tiles, self._card)
        features = np.empty((len(tiles), self._card.dimension), np.float32)
        step = self._batch * self._calls
        for start in range(0, len(tiles), step):
            part = tiles[start : start + step]
            filled = self._filled(part)
            found = self._runner(filled)
            if found.shape != (len(filled), self._card.dimension):
                raise ValueError(
                    f"encoder {self._card.name!r} gave {found.shape}; its card says "
                    f"({len(filled)}, {self._card.dimension})"
                )
            features[start : start + len(part)] = found[: len(part)]
        return features

    def _filled(self, part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Fill up to whole batches, in memory that an engine may look at as it is."""
        whole = -(-len(part) // self._batch) * self._batch
        if len(part) == whole:
            return np.require(part, requirements=["C", "W"])
        filled = np.full((whole, *part.shape[1:]), 255, np.uint8)
        filled[: len(part)] = part
        return filled
