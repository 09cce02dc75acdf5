"""From a pickled weight file to safetensors, once, in a child process.

A ``.bin``, ``.pth`` or ``.pt`` is a pickle, and a pickle can hold code.  Torch reads it here with
``weights_only=True``, which admits tensors and plain containers and nothing that runs, and it does
so in a process of its own under a limit of memory.  What is kept are the tensors, bit by bit; what
else the file held is dropped and named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from metastra.errors import ConfigError
from metastra.storage import write_atomically

__all__ = ["REFUSED", "convert_task"]

REFUSED = "UnpicklingError"
"""Name of the error of a file that holds more than weights."""

_NESTS = ("state_dict", "model", "teacher", "module", "model_state_dict")
_PREFIXES = ("module.", "backbone.", "model.", "encoder.model.")
_TYPES = {
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.float64": "F64",
    "torch.int64": "I64",
    "torch.int32": "I32",
    "torch.uint8": "U8",
    "torch.bool": "BOOL",
}


def convert_task(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Convert one file, as the task of an executor.

    Parameters
    ----------
    payload : mapping
        ``source`` and ``target``, both paths.

    Returns
    -------
    dict
        ``sha256`` of what was written, ``tensors``, ``parameters``, ``dropped`` names of what was
        no tensor, ``nest`` from which the tensors were taken and ``prefix`` that they lost.

    Raises
    ------
    ConfigError
        If the file cannot be read, or holds no tensor.

    Notes
    -----
    Torch's own error, an ``UnpicklingError``, passes where the file holds anything but tensors and
    plain containers; the parent process tells it from the others by its name.
    """
    import torch

    source, target = Path(payload["source"]), Path(payload["target"])
    try:
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=_is_zip(source))
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise ConfigError(f"{source} cannot be read as a file of torch: {error}") from error
    nest, found = _tensors_of(content)
    tensors = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise ConfigError(f"{source} holds no tensors by name; expected a dictionary of weights")
    dropped = sorted(str(name) for name in found if name not in tensors)
    prefix = next((one for one in _PREFIXES if all(name.startswith(one) for name in tensors)), "")
    named = {name.removeprefix(prefix): value for name, value in tensors.items()}
    sha256 = write_atomically(target, lambda stream: _write(stream, named))
    return {
        "sha256": sha256,
        "tensors": len(named),
        "parameters": sum(int(value.numel()) for value in named.values()),
        "dropped": dropped,
        "nest": nest,
        "prefix": prefix,
    }


def _is_zip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _tensors_of(content: object) -> tuple[str, dict[str, Any]]:
    """Find the dictionary of weights, one or two steps down."""
    steps: list[str] = []
    while isinstance(content, Mapping):
        inner = next((one for one in _NESTS if isinstance(content.get(one), Mapping)), None)
        if inner is None:
            return ".".join(steps), {str(name): value for name, value in content.items()}
        steps.append(inner)
        content = content[inner]
    return "", {}


def _write(stream: IO[bytes], tensors: Mapping[str, Any]) -> None:
    """Write safetensors: the length of a JSON header, the header, the bytes of every tensor."""
    import torch

    header: dict[str, Any] = {}
    offset = 0
    for name, value in sorted(tensors.items()):
        kind = _TYPES.get(str(value.dtype))
        if kind is None:
            raise ConfigError(f"tensor {name!r} is of type {value.dtype}, which is not kept")
        end = offset + value.numel() * value.element_size()
        header[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [offset, end]}
        offset = end
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 8)
    stream.write(len(told).to_bytes(8, "little"))
    stream.write(told)
    for _, value in sorted(tensors.items()):
        flat = value.detach().contiguous().reshape(-1)
        stream.write(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
