"""Engines and precisions by one word, for instance ``torch-bfloat16``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, cast

from metastra.errors import ConfigError, MissingExtra

__all__ = ["AUTO", "DEFAULT_ENGINE", "ENGINES", "Precision", "engine_parts", "require_engine"]

Precision = Literal["float32", "float16", "bfloat16", "int8"]

DEFAULT_ENGINE = "torch-float32"
"""The plain one, which all others are compared with."""

ENGINES: dict[str, str] = {
    "torch-float32": "the reference",
    "torch-bfloat16": "half the bytes; fast where the processor multiplies bfloat16",
    "openvino-float32": "compiled for the processor (extra openvino)",
    "openvino-bfloat16": "compiled, in half the bytes (extra openvino)",
    "onnxruntime-float32": "compiled for the processor (extra onnx)",
    "torch-cuda-float16": "one NVIDIA GPU, half precision",
}
"""Word → what it is."""

AUTO = "auto"
"""The fastest engine by a measurement, where it agrees with the plain one."""

_MODULES = {
    "torch": ("torch", "learn"),
    "torch-cuda": ("torch", "learn"),
    "openvino": ("openvino", "openvino"),
    "onnxruntime": ("onnxruntime", "onnx"),
}
_WHOLE_FILES = {
    "onnx": ("onnxruntime-float32", "openvino-float32", "openvino-bfloat16"),
    "torchscript": ("torch-float32",),
}


def engine_parts(word: str, family: str = "vit") -> tuple[str, Precision]:
    """Take a word apart.

    Parameters
    ----------
    word : str
        One of `ENGINES`; empty for the default of the family.
    family : str
        Kind of the network; a file of its own kind runs on few engines.

    Returns
    -------
    tuple of str
        Engine and precision.

    Raises
    ------
    ConfigError
        If there is no such engine, or it does not run this kind of network.

    Examples
    --------
    >>> engine_parts("torch-cuda-float16")
    ('torch-cuda', 'float16')
    """
    allowed = _WHOLE_FILES.get(family, tuple(ENGINES))
    word = word or allowed[0]
    if word not in ENGINES:
        raise ConfigError(f"no engine is named {word!r}; expected one of {', '.join(ENGINES)}")
    if word not in allowed:
        raise ConfigError(
            f"engine {word!r} does not run a file of kind {family!r}; expected "
            f"{' or '.join(allowed)}"
        )
    engine, _, precision = word.rpartition("-")
    return engine, cast("Precision", precision)


def require_engine(engine: str) -> None:
    """Refuse an engine whose package is not installed.

    Parameters
    ----------
    engine : str
        Without its precision.

    Raises
    ------
    MissingExtra
        With the command that installs it.

    Examples
    --------
    >>> require_engine("torch")
    """
    module, extra = _MODULES[engine]
    if find_spec(module) is None:
        raise MissingExtra(module, extra=extra, what_for=f"engine {engine!r}")
