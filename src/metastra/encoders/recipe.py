"""How an encoder with weights is built: the shape of its network and what goes around it.

A recipe is plain values from a file: `known.toml` for the encoders of the field, the file
``config.json`` of a folder of weights for any other.  Nothing in it is code.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["NAME_PATTERN", "EncoderRecipe", "Family", "NetworkRecipe"]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Of an encoder's name."""

Family = Literal["vit", "resnet50", "compact", "ctranspath", "onnx", "torchscript"]
_FIXED = {"resnet50": 1024, "compact": 448, "ctranspath": 768}
"""Numbers a tile, of networks that have one shape."""
_Share = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    """Frozen, and refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkRecipe(_Part):
    """What a network looks like; the fields are those of `metastra.models.vit.VitShape`."""

    family: Family = "vit"
    """``vit``, ``resnet50``, ``ctranspath`` and ``compact`` (`metastra train-encoder`) are built
    here; ``onnx`` and ``torchscript`` are whole files."""
    token_px: _Positive | None = None
    width: _Positive | None = None
    depth: _Positive | None = None
    heads: _Positive | None = None
    mlp_width: _Positive | None = None
    """None where the weight file decides."""
    gated: bool = False
    registers: Annotated[int, Field(ge=0)] = 0
    prefix_positions: bool = True
    layer_scale: bool = False
    norm_eps: Annotated[float, Field(gt=0)] = 1e-6
    dimension: _Positive | None = None
    """Numbers a tile, of a whole file."""

    @model_validator(mode="after")
    def _complete(self) -> NetworkRecipe:
        sizes = (self.token_px, self.width, self.depth, self.heads)
        if self.family == "vit" and None in sizes:
            raise ValueError("a vision transformer needs token_px, width, depth and heads")
        if self.family in ("onnx", "torchscript") and self.dimension is None:
            raise ValueError(f"a file of kind {self.family} needs dimension")
        return self


class EncoderRecipe(_Part):
    """Everything but the weights.

    Notes
    -----
    What the tiles are normalised by is on the scale from 0 to 1, red first.  The scale of the
    tiles, half a micrometre a pixel where nothing is said, is part of what the weights were made
    for.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    title: str = ""
    source: Annotated[str, Field(min_length=1)]
    """Repository on the hub, page or paper."""
    revision: str = ""
    """Commit of the repository; empty where it is not known."""
    licence: Annotated[str, Field(min_length=1)]
    mpp: Annotated[float, Field(gt=0, le=50)] = 0.5
    tile_px: Annotated[int, Field(ge=16)] = 224
    mean: tuple[_Share, _Share, _Share] = (0.485, 0.456, 0.406)
    std: tuple[_Share, _Share, _Share] = (0.229, 0.224, 0.225)
    pooling: Literal["class", "class+mean", "mean", "none"]
    network: NetworkRecipe

    @model_validator(mode="after")
    def _fits(self) -> EncoderRecipe:
        if min(self.std) <= 0:
            raise ValueError("std must be above 0")
        if (self.network.family == "vit") == (self.pooling == "none"):
            raise ValueError(
                f"pooling {self.pooling!r} does not go with a network of kind "
                f"{self.network.family!r}; tokens are pooled, and only tokens"
            )
        token_px = self.network.token_px
        if token_px is not None and self.tile_px % token_px:
            raise ValueError(f"tile_px {self.tile_px} is no multiple of token_px {token_px}")
        return self

    @property
    def dimension(self) -> int:
        """Numbers a tile."""
        network = self.network
        if network.family in _FIXED:
            return _FIXED[network.family]
        if network.width is None:
            return network.dimension or 0
        return network.width * (2 if self.pooling == "class+mean" else 1)
