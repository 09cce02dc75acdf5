"""An encoder whose numbers come from a network on some engine.

Tiles are always given to the engine in batches of one size, the last one filled up with blank
tiles: an engine sums in another order for another batch, and a tile's features must not depend on
its neighbours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from metastra.encoders.encoder import EncoderCard, require_tiles
from metastra.encoders.streaming import FeatureStream, PlainStream

__all__ = ["BATCH", "NetworkEncoder", "Runner", "Turns", "TurnsRunner"]

BATCH = 16
"""Tiles that an engine gets at a time."""

Runner = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From whole batches of tiles to their features."""


class Turns(FeatureStream, Protocol):
    """A stream of whole batches that can be begun again."""

    def forget(self) -> None:
        """Drop what an abandoned pass left under way."""


@runtime_checkable
class TurnsRunner(Protocol):
    """A runner whose batches can be started without waiting for them."""

    turns: Turns

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute whole batches and wait for them."""


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
            filled = _filled(part, self._batch)
            found = _checked(self._runner(filled), len(filled), self._card)
            features[start : start + len(part)] = found[: len(part)]
        return features

    def stream(self) -> FeatureStream:
        """Begin a pass: on a device of its own batches are under way while others are read.

        Returns
        -------
        FeatureStream
            As `metastra.encoders.streaming.feature_stream`; its features are those of `encode`.
        """
        if isinstance(self._runner, TurnsRunner):
            return _InTurns(self._card, self._runner.turns, self._batch)
        return PlainStream(self)


class _InTurns:
    """Batches of the engine's size, started without waiting for them."""

    def __init__(self, card: EncoderCard, turns: Turns, batch: int) -> None:
        turns.forget()
        self._card, self._turns, self._batch = card, turns, batch
        self._counts: deque[int] = deque()
        self._before_s = turns.busy_s

    @property
    def busy_s(self) -> float:
        return self._turns.busy_s - self._before_s

    def push(self, tiles: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        require_tiles(tiles, self._card)
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(tiles), self._batch):
            part = tiles[start : start + self._batch]
            self._counts.append(len(part))
            found += self._cut(self._turns.push(_filled(part, self._batch)))
        return found

    def finish(self) -> list[NDArray[np.float32]]:
        return self._cut(self._turns.finish())

    def _cut(self, blocks: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Take off what blank tiles gave."""
        return [
            _checked(block, self._batch, self._card)[: self._counts.popleft()] for block in blocks
        ]


def _checked(found: NDArray[np.float32], n_tiles: int, card: EncoderCard) -> NDArray[np.float32]:
    if found.shape != (n_tiles, card.dimension):
        raise ValueError(
            f"encoder {card.name!r} gave {found.shape}; its card says ({n_tiles}, {card.dimension})"
        )
    return found


def _filled(part: NDArray[np.uint8], batch: int) -> NDArray[np.uint8]:
    """Fill up to whole batches, in memory that an engine may look at as it is."""
    whole = -(-len(part) // batch) * batch
    if len(part) == whole:
        return np.require(part, requirements=["C", "W"])
    filled = np.full((whole, *part.shape[1:]), 255, np.uint8)
    filled[: len(part)] = part
    return filled
