"""Engines that compute a network: plain torch, bfloat16, OpenVINO, ONNX Runtime, a GPU."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metastra.encoders.engine_names import require_engine
from metastra.encoders.network_encoder import Runner
from metastra.errors import ConfigError
from metastra.models.tile_network import TileNetwork

__all__ = ["make_runner", "onnx_program", "onnx_session", "openvino_session", "quiet"]

_TORCH_TYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_OPENVINO_TYPES = {"float32": "f32", "bfloat16": "bf16"}


def make_runner(
    network: TileNetwork, engine: str, precision: str, *, batch: int, tile_px: int
) -> Runner:
    """Bring a network onto an engine.

    Parameters
    ----------
    network : TileNetwork
        In float32; it belongs to the runner afterwards.
    engine, precision : str
        As `metastra.encoders.engine_names.engine_parts` gives them.
    batch : int
        Tiles in each call.
    tile_px : int
        Side of a tile in pixels.

    Returns
    -------
    callable
        From `batch` tiles to their features.

    Raises
    ------
    MissingExtra
        If the engine's package is not installed.
    ConfigError
        If there is no GPU for an engine that needs one.
    """
    require_engine(engine)
    if engine == "openvino":
        return _openvino(network, precision, batch, tile_px)
    if engine == "onnxruntime":
        return _onnxruntime(network, batch, tile_px)
    if engine == "torch-cuda":
        from metastra.encoders.gpu import make_gpu_runner

        if not torch.cuda.is_available():
            raise ConfigError(
                "engine 'torch-cuda' needs an NVIDIA GPU that torch can use; none is here"
            )
        return make_gpu_runner(network, _TORCH_TYPES[precision], device="cuda", batch=batch)
    return _torch(network, precision)


def _torch(network: TileNetwork, precision: str) -> Runner:
    network.in_precision(_TORCH_TYPES[precision])

    def run(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found: NDArray[np.float32] = network(torch.from_numpy(tiles)).numpy()
        return found

    return run


def _openvino(network: TileNetwork, precision: str, batch: int, tile_px: int) -> Runner:
    import openvino

    example = torch.zeros((batch, tile_px, tile_px, 3), dtype=torch.uint8)
    with quiet():
        model = openvino.convert_model(torch.export.export(network, (example,)))
    return _compiled(model, precision)


def openvino_session(path: Path, precision: str, shape: tuple[int, ...]) -> Runner:
    """Load an ONNX file into OpenVINO.

    Parameters
    ----------
    path : Path
        Of the file.
    precision : str
        ``"float32"`` or ``"bfloat16"``.
    shape : tuple of int
        Of what it will be given.

    Returns
    -------
    callable
        From one array to the file's first output.
    """
    import openvino

    model = openvino.Core().read_model(str(path))
    model.reshape(list(shape))
    return _compiled(model, precision)


def _compiled(model: Any, precision: str) -> Runner:
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": _OPENVINO_TYPES[precision],
        "INFERENCE_NUM_THREADS": _threads(),
        "NUM_STREAMS": 1,
    }
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def run(tiles: NDArray[Any]) -> NDArray[np.float32]:
        # the engine uses its memory again for the next call
        found: NDArray[np.float32] = np.array(request.infer([tiles])[0], np.float32)
        return found

    return run


def _onnxruntime(network: TileNetwork, batch: int, tile_px: int) -> Runner:
    example = torch.zeros((batch, tile_px, tile_px, 3), dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        with quiet():
            torch.onnx.export(network, (example,), str(path), input_names=["tiles"], verbose=False)
        return onnx_session(path)


def onnx_session(path: Path) -> Runner:
    """Load an ONNX file into ONNX Runtime.

    Parameters
    ----------
    path : Path
        Of the file; what it keeps outside itself lies beside it.

    Returns
    -------
    callable
        From one array to the file's first output.
    """
    program = onnx_program(path)

    def run(tiles: NDArray[Any]) -> NDArray[np.float32]:
        return program({"": tiles})

    return run


def onnx_program(path: Path) -> Callable[[Mapping[str, NDArray[Any]]], NDArray[np.float32]]:
    """Load an ONNX file of any inputs into ONNX Runtime.

    Parameters
    ----------
    path : Path
        Of the file; what it keeps outside itself lies beside it.

    Returns
    -------
    callable
        From arrays by the names of the inputs, an empty name for the first of them, to the first
        output.  What the engine says against them is a ValueError.

    Raises
    ------
    ConfigError
        If the engine cannot use the file.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except (
        *(states.EPFail, states.EngineError, states.Fail, states.InvalidArgument),
        *(states.InvalidGraph, states.InvalidProtobuf, states.NoSuchFile, states.NotImplemented),
        states.RuntimeException,
    ) as error:
        words = " ".join(str(error).split())[-300:]
        raise ConfigError(f"{path} cannot be used by ONNX Runtime: {words}") from error
    first = session.get_inputs()[0].name

    def run(given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        named = {name or first: values for name, values in given.items()}
        try:
            found: NDArray[np.float32] = session.run(None, named)[0]
        except (states.Fail, states.InvalidArgument, states.RuntimeException) as error:
            raise ValueError(str(error)) from error
        return found

    return run


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what exporters say of their own future and of absent torchvision.

    Yields
    ------
    None
        While warnings of what is deprecated are not shown.
    """
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=DeprecationWarning)
        warnings.simplefilter("ignore", category=FutureWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


def _threads() -> int:
    """As many as the worker may use, which is what torch was told."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
