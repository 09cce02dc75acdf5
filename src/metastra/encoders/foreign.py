"""Whole files as encoders: any ONNX graph, and a TorchScript program that is pinned by its digest.

Such a file takes normalised tiles, float32 of shape (b, 3, s, s), and gives (b, dimension).  A
TorchScript file is a program: it is loaded from a local folder alone, where ``config.json`` pins
its digest, and it is never part of a bundle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metastra.encoders.engine_names import require_engine
from metastra.encoders.engines import onnx_session, openvino_session, quiet
from metastra.encoders.network_encoder import Runner
from metastra.encoders.onnx_file import given_inputs, read_onnx
from metastra.encoders.recipe import EncoderRecipe
from metastra.encoders.weights import Weights
from metastra.errors import ConfigError

__all__ = ["foreign_runner", "load_torchscript"]


def foreign_runner(
    weights: Weights, engine: str, precision: str, *, batch: int
) -> tuple[Runner, int]:
    """Load a file that is a whole network.

    Parameters
    ----------
    weights : Weights
        Of family ``onnx`` or ``torchscript``.
    engine, precision : str
        As `metastra.encoders.engine_names.engine_parts` gives them.
    batch : int
        Tiles in each call where the file leaves it open.

    Returns
    -------
    runner : callable
        From whole batches of tiles to their features.
    batch : int
        Tiles in each call; the file's own where it was made for one number.

    Raises
    ------
    ConfigError
        If the file cannot be loaded, keeps numbers outside itself, or takes something else.
    MissingExtra
        If the engine's package is not installed.
    """
    require_engine(engine)
    recipe = weights.recipe
    if recipe.network.family == "torchscript":
        return _normalised(_torchscript(weights.file), recipe), batch
    fixed = _onnx_batch(weights.file, recipe.tile_px)
    size = fixed or batch
    if engine == "openvino":
        shape = (size, 3, recipe.tile_px, recipe.tile_px)
        return _normalised(openvino_session(weights.file, precision, shape), recipe), size
    return _normalised(onnx_session(weights.file), recipe), size


def _normalised(run: Any, recipe: EncoderRecipe) -> Runner:
    mean = np.asarray(recipe.mean, np.float32).reshape(1, 3, 1, 1)
    std = np.asarray(recipe.std, np.float32).reshape(1, 3, 1, 1)

    def encode(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)).astype(np.float32)
        pixels /= np.float32(255)
        pixels -= mean
        pixels /= std
        found: NDArray[np.float32] = np.asarray(run(pixels), np.float32)
        return found

    return encode


def load_torchscript(path: Path) -> Any:
    """Load a TorchScript program that somebody pinned.

    Parameters
    ----------
    path : Path
        Of the file.

    Returns
    -------
    ScriptModule
        On the processor, for inference.

    Raises
    ------
    ConfigError
        If it cannot be loaded.
    """
    try:
        with quiet():
            return torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ConfigError(f"{path} cannot be loaded as TorchScript: {error}") from error


def _torchscript(path: Path) -> Any:
    program = load_torchscript(path)

    def run(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = program(torch.from_numpy(pixels)).float().numpy()
        return found

    return run


def _onnx_batch(path: Path, side_px: int) -> int:
    """Look at an ONNX file: its batch where that is fixed, else 0."""
    given = given_inputs(read_onnx(path))
    if len(given) != 1:
        raise ConfigError(f"{path} takes {len(given)} inputs; expected one, (b, 3, s, s)")
    sizes = [one.dim_value for one in given[0].type.tensor_type.shape.dim]
    wanted = (3, side_px, side_px)
    if len(sizes) != 4 or any(
        size not in (0, right) for size, right in zip(sizes[1:], wanted, strict=True)
    ):
        raise ConfigError(
            f"{path} takes {sizes} (0 where it is open); expected (b, 3, {side_px}, {side_px})"
        )
    return int(sizes[0])
