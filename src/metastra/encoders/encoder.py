"""What every encoder is: a card that says what it is, and one function from tiles to numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from metastra.digest import digest_value

__all__ = ["Encoder", "EncoderCard", "require_tiles"]


@dataclass(frozen=True, kw_only=True)
class EncoderCard:
    """Everything that decides what an encoder's numbers mean.

    Two encoders with the same card give the same features for the same tiles.  The digest of the
    card is part of the key under which features are stored, so a new revision, engine or precision
    never mixes with the old.

    Parameters
    ----------
    name : str
        Short and stable, for instance ``"morphology"``.
    source : str
        Where it comes from: a package, a repository or a paper.
    revision : str
        Changes whenever any feature of any tile changes.
    weights_sha256 : str or None
        Digest of the weights file, 64 hexadecimal digits; None for an encoder without weights.
    licence : str
        SPDX name where there is one.
    mpp : float
        Micrometres per pixel of the tiles it wants.
    tile_px : int
        Side of the square tiles it wants, in pixels.
    dimension : int
        Features of a tile.
    feature_names : tuple of str
        One name per feature; empty when the features have no meaning of their own.
    engine : str
        What computes, for instance ``"numba"`` or ``"torch"``.
    precision : {"float32", "float16", "bfloat16", "int8"}
        In which precision it computes; what comes out is float32 always.
    pooling : str
        How the tokens of a tile become its features; empty where there are no tokens.
    mean, std : tuple of float
        By which the channels of a tile are normalised, on the scale from 0 to 1; empty where they
        are not.

    Raises
    ------
    ValueError
        If a number or the count of names is impossible.

    Examples
    --------
    >>> card = EncoderCard(
    ...     name="grey",
    ...     source="example",
    ...     revision="1",
    ...     weights_sha256=None,
    ...     licence="Apache-2.0",
    ...     mpp=0.5,
    ...     tile_px=224,
    ...     dimension=1,
    ...     feature_names=("mean_grey",),
    ...     engine="numpy",
    ...     precision="float32",
    ... )
    >>> card.side_um
    112.0
    """

    name: str
    source: str
    revision: str
    weights_sha256: str | None
    licence: str
    mpp: float
    tile_px: int
    dimension: int
    feature_names: tuple[str, ...]
    engine: str
    precision: Literal["float32", "float16", "bfloat16", "int8"]
    pooling: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or not self.revision or not self.licence or not self.engine:
            raise ValueError("name, revision, licence and engine of an encoder must be said")
        if not (self.mpp > 0 and np.isfinite(self.mpp)):
            raise ValueError(f"mpp of encoder {self.name!r} is {self.mpp}; expected above 0")
        if self.tile_px < 1 or self.dimension < 1:
            raise ValueError(
                f"tile_px and dimension of encoder {self.name!r} are {self.tile_px} and "
                f"{self.dimension}; expected at least 1"
            )
        names = self.feature_names
        if names and (len(names) != self.dimension or len(set(names)) != len(names)):
            raise ValueError(
                f"encoder {self.name!r} has {self.dimension} features and {len(set(names))} "
                f"different names in {len(names)}; expected one name each, or none at all"
            )
        if len(self.mean) != len(self.std) or (self.std and min(self.std) <= 0):
            raise ValueError(
                f"mean and std of encoder {self.name!r} are {self.mean} and {self.std}; expected "
                "one each for every channel, std above 0"
            )
        digest = self.weights_sha256
        if digest is not None and (len(digest) != 64 or set(digest) - set("0123456789abcdef")):
            raise ValueError(
                f"weights_sha256 of encoder {self.name!r} is {digest!r}; expected 64 lower-case "
                f"hexadecimal digits, or None"
            )

    @property
    def side_um(self) -> float:
        """Side of a tile in micrometres."""
        return self.tile_px * self.mpp

    def to_json(self) -> dict[str, object]:
        """Write the card as plain values.

        Returns
        -------
        dict
            One key per field, tuples as lists.  Pooling and normalisation are left out where an
            encoder has none, so that such cards keep the digest that they had before these fields
            were added.
        """
        plain = dataclasses.asdict(self)
        for key in ("feature_names", "mean", "std"):
            plain[key] = list(plain[key])
        for key in ("pooling", "mean", "std"):
            if not plain[key]:
                del plain[key]
        return plain

    @property
    def computed_by(self) -> str:
        """Engine and precision in one word, as `--engine` takes them."""
        return f"{self.engine}-{self.precision}"

    @property
    def digest(self) -> str:
        """SHA-256 of the card as canonical JSON, 64 hexadecimal digits."""
        return digest_value(self.to_json())


@runtime_checkable
class Encoder(Protocol):
    """From tiles to features.

    `metastra.testing.encoder_contract` holds what cannot be said in types: the same tile gives the
    same features alone and in any batch, every number is finite on any tile, and the tiles are left
    as they were.
    """

    @property
    def card(self) -> EncoderCard:
        """What this encoder is."""

    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode a batch.

        Parameters
        ----------
        tiles : ndarray of uint8, shape (b, tile_px, tile_px, 3)
            RGB at the card's mpp; b may be 0.

        Returns
        -------
        ndarray of float32, shape (b, dimension)
            Finite.

        Raises
        ------
        ValueError
            If the tiles have another shape or dtype.
        """


def require_tiles(tiles: NDArray[np.uint8], card: EncoderCard) -> None:
    """Refuse tiles that an encoder was not made for.

    Parameters
    ----------
    tiles : ndarray
        What `Encoder.encode` was given.
    card : EncoderCard
        Of the encoder.

    Raises
    ------
    ValueError
        If dtype or shape are not those of the card.
    """
    side = card.tile_px
    if tiles.dtype != np.uint8 or tiles.ndim != 4 or tiles.shape[1:] != (side, side, 3):
        raise ValueError(
            f"encoder {card.name!r} was given {tiles.dtype} {tiles.shape}; expected uint8 "
            f"(tiles, {side}, {side}, 3) at {card.mpp:g} µm per pixel"
        )
