"""Weight files of vision transformers in other formats, brought into the names of our network.

Three formats besides timm's: the Dinov2 and the ViT models of the *transformers* library, with and
without registers, and the files of the DINOv2 repository itself.  Renaming is all that is done,
but for three exact changes: query, key and value are stacked, the two halves of a gated layer are
stacked, and the position of the class token is added to the class token (both are constants that
the network adds anyway).  Positions of another tile size are resampled as the library that wrote
the file does it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

import torch
from torch.nn import functional

__all__ = ["WeightFormat", "format_of", "resample_positions", "to_own_names"]

_Tensors = Mapping[str, torch.Tensor]

_TRAINING_ONLY = re.compile(r"(embeddings\.)?mask_token$|pooler\.|head\.|fc\.")
"""Parameters that no tile passes through when features are wanted."""


class WeightFormat(StrEnum):
    """Who wrote a weight file."""

    TIMM = "timm"
    DINOV2 = "dinov2"
    """The DINOv2 repository."""
    TRANSFORMERS = "transformers"


def format_of(tensors: _Tensors) -> WeightFormat:
    """Recognise the format of a weight file by its names.

    Parameters
    ----------
    tensors : mapping of str to tensor
        Content of the file.

    Returns
    -------
    WeightFormat
        timm's where nothing speaks for another.

    Examples
    --------
    >>> format_of({"embeddings.cls_token": torch.zeros(1)})
    <WeightFormat.TRANSFORMERS: 'transformers'>
    """
    if any("embeddings.cls_token" in name for name in tensors):
        return WeightFormat.TRANSFORMERS
    if "mask_token" in tensors or "register_tokens" in tensors:
        return WeightFormat.DINOV2
    return WeightFormat.TIMM


def to_own_names(tensors: _Tensors) -> dict[str, torch.Tensor]:
    """Bring a weight file into the names of `metastra.models.vit.VisionTransformer`.

    Parameters
    ----------
    tensors : mapping of str to tensor
        In any `WeightFormat`.

    Returns
    -------
    dict of str to tensor
        In our names; what is not known keeps its name, so that strict loading refuses it.
    """
    found = format_of(tensors)
    if found is WeightFormat.TIMM:
        return {name: value for name, value in tensors.items() if not _unused(name)}
    if found is WeightFormat.DINOV2:
        return _class_position(_renamed(tensors, _from_dinov2))
    return _class_position(_stacked(_renamed(_without_prefix(tensors), _from_transformers)))


def resample_positions(
    positions: torch.Tensor, *, prefix: int, grid: int, antialias: bool
) -> torch.Tensor:
    """Bring the positions of one tile size to another.

    Parameters
    ----------
    positions : tensor of shape (1, prefix + s², c)
        As in the file.
    prefix : int
        Positions that belong to no place of the tile.
    grid : int
        Tokens along a side of the tile that is wanted.
    antialias : bool
        Whether the cubic kernel widens when the grid shrinks: timm does so, transformers does not.

    Returns
    -------
    tensor of shape (1, prefix + grid², c)
        Unchanged where the grid is the file's.

    Raises
    ------
    ValueError
        If the positions are not those of a square.
    """
    before, placed = positions[:, :prefix], positions[:, prefix:]
    side = round(placed.shape[1] ** 0.5)
    if side * side != placed.shape[1] or not side:
        raise ValueError(
            f"{placed.shape[1]} positions of tokens in the weight file; expected a square number"
        )
    if side == grid:
        return positions
    square = placed.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    spread = functional.interpolate(
        square, size=(grid, grid), mode="bicubic", align_corners=False, antialias=antialias
    )
    flat = spread.permute(0, 2, 3, 1).reshape(1, grid * grid, -1).to(positions.dtype)
    return torch.cat([before, flat], dim=1)


def _unused(name: str) -> bool:
    return bool(_TRAINING_ONLY.match(name))


def _renamed(tensors: _Tensors, rename: Callable[[str], str]) -> dict[str, torch.Tensor]:
    return {rename(name): value for name, value in tensors.items() if not _unused(name)}


def _without_prefix(tensors: _Tensors) -> dict[str, torch.Tensor]:
    """Drop the name of the model, which some files have before every parameter."""
    known = next((name for name in tensors if name.endswith("embeddings.cls_token")), "")
    prefix = known.removesuffix("embeddings.cls_token")
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def _from_dinov2(name: str) -> str:
    name = name.replace("register_tokens", "reg_token")
    return name.replace(".mlp.w12.", ".mlp.fc1.").replace(".mlp.w3.", ".mlp.fc2.")


_RENAMED = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^layernorm\.", "norm."),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"^(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"\.mlp\.weights_in\.", ".mlp.fc1."),
    (r"\.mlp\.weights_out\.", ".mlp.fc2."),
)


def _from_transformers(name: str) -> str:
    for pattern, to in _RENAMED:
        name = re.sub(pattern, to, name)
    return name


def _stacked(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Stack query, key and value where all three are there."""
    stacked = dict(tensors)
    for name in tensors:
        if ".attn.query." not in name:
            continue
        parts = [name.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(part in stacked for part in parts):
            whole = torch.cat([stacked.pop(part) for part in parts])
            stacked[name.replace(".query.", ".qkv.")] = whole
    return stacked


def _class_position(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Add the position of the class token to it; the rest are positions in the tile."""
    if "cls_token" in tensors and "pos_embed" in tensors:
        positions = tensors["pos_embed"]
        tensors["cls_token"] = tensors["cls_token"] + positions[:, :1]
        tensors["pos_embed"] = positions[:, 1:]
    return tensors
