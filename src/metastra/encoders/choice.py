"""Which encoder, with which weights, on which engine: plain values that reach another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from metastra.encoders.encoder import Encoder, EncoderCard
from metastra.encoders.registry import encoder_card, get_encoder

__all__ = ["EncoderChoice"]


@dataclass(frozen=True, kw_only=True)
class EncoderChoice:
    """What a user chose.

    Parameters
    ----------
    name : str
        Of the encoder.
    weights : str
        Folder of its weights; empty where it has none, or they are in their usual place.
    engine : str
        Engine and precision, for instance ``"torch-bfloat16"``; empty for the encoder's own.

    Examples
    --------
    >>> choice = EncoderChoice(name="uni_v1", engine="torch-bfloat16")
    >>> EncoderChoice.from_plain(choice.to_plain()) == choice
    True
    """

    name: str
    weights: str = ""
    engine: str = ""

    @property
    def folder(self) -> Path | None:
        """The folder of the weights; None for the usual place."""
        return Path(self.weights) if self.weights else None

    def card(self) -> EncoderCard:
        """Say what the encoder is, without loading its weights.

        Returns
        -------
        EncoderCard
            As `metastra.encoders.registry.encoder_card`.
        """
        return encoder_card(self.name, weights=self.folder, engine=self.engine)

    def make(self) -> Encoder:
        """Make the encoder.

        Returns
        -------
        Encoder
            As `metastra.encoders.registry.get_encoder`.
        """
        return get_encoder(self.name, weights=self.folder, engine=self.engine)

    def to_plain(self) -> dict[str, Any]:
        """Write the choice as plain values.

        Returns
        -------
        dict
            What `from_plain` reads.
        """
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> EncoderChoice:
        """Read a choice.

        Parameters
        ----------
        values : mapping
            What `to_plain` wrote.

        Returns
        -------
        EncoderChoice
            Equal to the one that was written.
        """
        return cls(**values)
