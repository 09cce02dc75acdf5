"""The card beside a network that pools a slide: what it is, and what it was made for."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from metastra.encoders.recipe import NAME_PATTERN
from metastra.errors import ConfigError

__all__ = ["SlideCard", "read_slide_card"]

_ENDINGS = (".json", ".toml")
_Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class SlideCard(BaseModel):
    """What a network is that makes one row of a slide's tiles.

    Notes
    -----
    `inputs` are given by these names to an ONNX file and in this order to a TorchScript program:
    ``features``, float32 (n, features), and ``coords``, the upper left corners of the tiles (n, 2),
    x before y: int64 level-0 pixels where `coords` is ``"px0"``, float32 micrometres where it is
    ``"um"``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    source: Annotated[str, Field(min_length=1)]
    """Repository, page or paper."""
    revision: str = ""
    licence: Annotated[str, Field(min_length=1)]
    encoder: Annotated[str, Field(min_length=1)]
    """Whose features it takes."""
    encoder_digest: _Digest = ""
    """Of that encoder's card, with engine and precision; any where it is empty."""
    mpp: Annotated[float, Field(gt=0, le=50)]
    """Micrometres per pixel at which the encoder saw the tiles."""
    tile_px: Annotated[int, Field(ge=1)]
    """Side of the tiles in pixels of that scale."""
    features: Annotated[int, Field(ge=1)]
    """Numbers a tile."""
    dimension: Annotated[int, Field(ge=1)]
    """Numbers a slide."""
    inputs: tuple[Literal["features", "coords"], ...] = ("features",)
    coords: Literal["", "px0", "um"] = ""
    """Unit of the coordinates."""
    sha256: _Digest = ""
    """Of the network's file."""

    @model_validator(mode="after")
    def _fits(self) -> SlideCard:
        if sorted(self.inputs) not in (["features"], ["coords", "features"]):
            raise ValueError('inputs are ["features"], or "features" and "coords" in any order')
        if ("coords" in self.inputs) != bool(self.coords):
            raise ValueError('coords says "px0" or "um" where it is an input, and nothing else')
        return self


def read_slide_card(file: Path) -> SlideCard:
    """Read the card beside a network.

    Parameters
    ----------
    file : Path
        The network; its card has its name and ends with ``.json`` or ``.toml``.

    Returns
    -------
    SlideCard
        Of the network.

    Raises
    ------
    ConfigError
        If there is none or there are two, or what it says cannot be used: every field at once.
    """
    places = [file.with_suffix(ending) for ending in _ENDINGS]
    found = [place for place in places if place.is_file()]
    if len(found) != 1:
        raise ConfigError(
            f"{file} has {len(found)} cards beside it; expected one, {places[0].name} or "
            f"{places[1].name}, which says name, source, licence, encoder, mpp, tile_px, features, "
            "dimension and inputs (docs/how-to/slide-vectors.md)"
        )
    (card,) = found
    try:
        return SlideCard.model_validate(_values(card))
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'as a whole'}: {one['msg']}"
            for one in error.errors()
        )
        raise ConfigError(f"{card}: {told}") from error


def _values(card: Path) -> Any:
    try:
        text = card.read_text(encoding="utf-8")
        return json.loads(text) if card.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{card} cannot be read: {error}") from error
