"""Batches into an encoder, features out of it: at once, or later where a device works beside us.

An encoder on a device of its own takes a batch and gives back the features of an earlier one, so
that reading, copying and computing go on side by side.  Every other encoder computes each batch
when it gets it.  Either way the features of a tile are those of `Encoder.encode`.
"""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from metastra.encoders.encoder import Encoder

__all__ = ["FeatureStream", "PlainStream", "StreamingEncoder", "feature_stream"]

Tiles = NDArray[np.uint8]
Features = NDArray[np.float32]


class FeatureStream(Protocol):
    """One pass of tiles through an encoder."""

    @property
    def busy_s(self) -> float:
        """Seconds in which features were computed, so far."""

    def push(self, tiles: Tiles) -> list[Features]:
        """Take a batch, whose memory may be used again when this returns.

        Parameters
        ----------
        tiles : ndarray of uint8, shape (b, tile_px, tile_px, 3)
            As `Encoder.encode`.

        Returns
        -------
        list of ndarray of float32, shape (b, dimension)
            What is finished: blocks of this batch or of earlier ones, in the order of the tiles;
            maybe none.
        """

    def finish(self) -> list[Features]:
        """Give what is left, at the end of the tiles.

        Returns
        -------
        list of ndarray of float32, shape (b, dimension)
            In the order of the tiles.
        """


@runtime_checkable
class StreamingEncoder(Protocol):
    """An encoder with a stream of its own."""

    def stream(self) -> FeatureStream:
        """Begin a pass; one at a time.

        Returns
        -------
        FeatureStream
            New.
        """


class PlainStream:
    """Each batch is computed when it comes.

    Parameters
    ----------
    encoder : Encoder
        Ready to encode.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.busy_s = 0.0

    def push(self, tiles: Tiles) -> list[Features]:
        """Compute a batch; see `FeatureStream`."""
        begun_s = time.perf_counter()
        found = self._encoder.encode(tiles)
        self.busy_s += time.perf_counter() - begun_s
        return [found]

    def finish(self) -> list[Features]:
        """Nothing is ever left."""
        return []


def feature_stream(encoder: Encoder) -> FeatureStream:
    """Begin a pass through any encoder.

    Parameters
    ----------
    encoder : Encoder
        Ready to encode.

    Returns
    -------
    FeatureStream
        The encoder's own where it has one.
    """
    return encoder.stream() if isinstance(encoder, StreamingEncoder) else PlainStream(encoder)
