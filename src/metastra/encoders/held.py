"""An encoder that another process holds: tiles go there in batches, features come back.

On a cluster a few processes own the devices and the weights, and many read tiles for them.  Each
reader has one batch under way and the next ones read: what waits is bounded by their number.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.encoders.choice import EncoderChoice
from metastra.encoders.encoder import Encoder, EncoderCard, require_tiles
from metastra.errors import ConfigError
from metastra.executor import Cause, answers, ask

__all__ = ["HeldEncoder", "encode_asked", "is_held"]


def is_held(choice: EncoderChoice) -> bool:
    """Say whether the pool of the present task has somebody who holds such encoders.

    Parameters
    ----------
    choice : EncoderChoice
        What is to be encoded with.

    Returns
    -------
    bool
        True where questions about its engine are answered.
    """
    return bool(choice.engine) and answers(choice.engine)


class HeldEncoder:
    """The reader's side.

    Parameters
    ----------
    choice : EncoderChoice
        Whose weights the other process loads; here only its card is read.
    """

    def __init__(self, choice: EncoderChoice) -> None:
        self._choice, self._card = choice, choice.card()

    @property
    def card(self) -> EncoderCard:
        """What the encoder is."""
        return self._card

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Have a batch encoded.

        Parameters
        ----------
        tiles : ndarray of uint8, shape (b, tile_px, tile_px, 3)
            RGB at the card's mpp; b may be 0.

        Returns
        -------
        ndarray of float32, shape (b, dimension)
            As the encoder itself gives them.

        Raises
        ------
        ValueError
            If the tiles have another shape or dtype.
        ConfigError
            If the process that holds the encoder refuses to make it.
        RuntimeError
            If it fails in another way, for instance for want of memory.
        """
        require_tiles(tiles, self._card)
        question = {"encoder": self._choice.to_plain(), "tiles": tiles.tobytes()}
        answer = ask(self._choice.engine, question)
        if answer["failure"] is not None:
            said = f"where the encoder is held: {answer['failure']['message']}"
            # no other slide would fare better where it is refused; all else is this slide's
            refused = answer["failure"]["cause"] == Cause.REFUSED.value
            raise ConfigError(said) if refused else RuntimeError(said)
        found = np.frombuffer(answer["value"], np.float32)
        return found.reshape(len(tiles), self._card.dimension)


def encode_asked(question: Mapping[str, Any]) -> bytes:
    """Encode what a `HeldEncoder` asked for, in the process that holds the encoder.

    Parameters
    ----------
    question : mapping
        As it was asked.

    Returns
    -------
    bytes
        The features, float32, row by row.

    Raises
    ------
    ConfigError, MissingExtra, DigestMismatch
        If the encoder cannot be made here.
    """
    encoder = _made(EncoderChoice.from_plain(question["encoder"]))
    side = encoder.card.tile_px
    tiles = np.frombuffer(question["tiles"], np.uint8).reshape(-1, side, side, 3)
    return np.ascontiguousarray(encoder.encode(tiles), np.float32).tobytes()


@cache
def _made(choice: EncoderChoice) -> Encoder:
    return choice.make()
