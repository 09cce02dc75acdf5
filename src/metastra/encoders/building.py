"""From a folder of weights to a network in memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from metastra.encoders.recipe import EncoderRecipe, NetworkRecipe
from metastra.encoders.shards import require_keys
from metastra.encoders.weights import Weights
from metastra.errors import ConfigError
from metastra.models.compact import CompactNetwork
from metastra.models.resnet import ResNet50, resnet_names
from metastra.models.swin import CTransPath, ctranspath_names
from metastra.models.tile_network import TileNetwork
from metastra.models.vit import VisionTransformer, VitShape
from metastra.models.vit_names import WeightFormat, format_of, resample_positions, to_own_names

__all__ = ["build_network"]

_Tensors = dict[str, torch.Tensor]


def build_network(weights: Weights) -> TileNetwork:
    """Build the network of an encoder and give it its weights.

    Parameters
    ----------
    weights : Weights
        Of a network that is built here, in safetensors.

    Returns
    -------
    TileNetwork
        In float32, for inference.

    Raises
    ------
    ConfigError
        If the weights are not exactly those of the network: every name and shape has to fit.
    """
    recipe = weights.recipe
    tensors = _tensors(weights)
    if recipe.network.family == "resnet50":
        backbone, own = _empty(ResNet50), resnet_names(tensors)
    elif recipe.network.family == "ctranspath":
        backbone, own = _empty(CTransPath), ctranspath_names(tensors)
    elif recipe.network.family == "compact":
        backbone, own = _empty(CompactNetwork), tensors
    else:
        backbone, own = _transformer(recipe, tensors, weights)
    _fill(backbone, own, weights)
    shape = getattr(backbone, "shape", None)
    network = TileNetwork(
        backbone,
        mean=recipe.mean,
        std=recipe.std,
        pooling=recipe.pooling,
        prefix=1 if shape is None else shape.prefix,
    )
    return network.eval().requires_grad_(requires_grad=False)


def _tensors(weights: Weights) -> _Tensors:
    """Read all files; of several each has to hold just what their index says."""
    tensors: _Tensors = {}
    for file in weights.files:
        try:
            found = load_file(file)
        except (SafetensorError, OSError) as error:
            raise ConfigError(f"{file} cannot be read as safetensors: {error}") from error
        if weights.shards is not None:
            require_keys(weights.shards, file, list(found))
        tensors |= found
    return tensors


def _transformer(
    recipe: EncoderRecipe, tensors: _Tensors, weights: Weights
) -> tuple[nn.Module, _Tensors]:
    own = to_own_names(tensors)
    written = format_of(tensors)
    timm = written is WeightFormat.TIMM
    shape = vit_shape(recipe.network, recipe.tile_px, own, at_own_places=timm)
    if "pos_embed" in own:
        antialias = written is not WeightFormat.TRANSFORMERS or bool(shape.registers)
        try:
            own["pos_embed"] = resample_positions(
                own["pos_embed"],
                prefix=shape.prefix if shape.prefix_positions else 0,
                grid=shape.grid,
                antialias=antialias,
            )
        except ValueError as error:
            raise ConfigError(f"{weights.file}: {error}") from error
    return _empty(lambda: VisionTransformer(shape)), own


def vit_shape(
    network: NetworkRecipe, tile_px: int, tensors: _Tensors, *, at_own_places: bool
) -> VitShape:
    """Make the shape of a vision transformer, the feed-forward width from the file if need be.

    Parameters
    ----------
    network : NetworkRecipe
        Of family ``vit``.
    tile_px : int
        Side of a tile in pixels.
    tensors : dict of str to tensor
        The weights in our names.
    at_own_places : bool
        Whether class and register tokens may have positions of their own; other formats than
        timm's have them in the tokens.

    Returns
    -------
    VitShape
        Of the network.
    """
    given = network.model_dump(exclude={"family", "dimension"})
    if network.mlp_width is None:
        first, second = (tensors.get(f"blocks.0.mlp.fc{number}.weight") for number in (1, 2))
        given["mlp_width"] = 4 * (network.width or 0) if first is None else int(first.shape[0])
        if first is not None and second is not None:
            given["gated"] = first.shape[0] == 2 * second.shape[1]
    if not at_own_places:
        given["prefix_positions"] = False
    return VitShape(tile_px=tile_px, **given)


def _empty(make: Callable[[], nn.Module]) -> nn.Module:
    """Make a network without memory for its weights, which come from the file."""
    with torch.device("meta"):
        return make()


def _fill(backbone: nn.Module, own: _Tensors, weights: Weights) -> None:
    single = {
        name: value.float() if value.is_floating_point() else value for name, value in own.items()
    }
    try:
        backbone.load_state_dict(single, strict=True, assign=True)
    except RuntimeError as error:
        said = " ".join(str(error).split())
        raise ConfigError(
            f"{weights.file} does not fit encoder {weights.recipe.name!r}: {said[:600]}"
        ) from error
