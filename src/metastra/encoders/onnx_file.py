"""ONNX files from anywhere: read without what they point to, and refused where they point anywhere.

Numbers of an ONNX file may lie in other files, which no digest of the file holds.  They can be
declared at any tensor: an initialiser, a sparse one, the value of a ``Constant``, an attribute of
any node, and all of these in the branches of ``If`` and ``Loop``, in functions and in the training
part.  So the whole message is walked, whatever its fields are called.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metastra.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["given_inputs", "outside_parts", "read_onnx"]

_SHOWN = 3


def read_onnx(path: Path) -> ModelProto:
    """Read an ONNX file that keeps everything inside.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    ModelProto
        Nothing was read but the file.

    Raises
    ------
    ConfigError
        If it is no ONNX, or any part of it lies in another file.
    MissingExtra
        If the package that reads it is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise MissingExtra("onnx", extra="onnx", what_for="an ONNX file") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise ConfigError(f"{path} cannot be read as ONNX: {error}") from error
    outside = list(outside_parts(model))
    if outside:
        told = "; ".join(outside[:_SHOWN]) + ("; …" if len(outside) > _SHOWN else "")
        raise ConfigError(
            f"{path} keeps {len(outside)} tensors in another file, which no digest holds ({told}); "
            "save it with its weights inside"
        )
    return model


def outside_parts(message: Any, place: str = "") -> Iterator[str]:
    """Name every part of an ONNX message that lies in another file.

    Parameters
    ----------
    message : protobuf message
        A model, a graph or any part of one.
    place : str
        Where it stands.

    Yields
    ------
    str
        Where a tensor stands that says so, or a node that runs a program of its own kind.

    Notes
    -----
    A tensor counts as outside also where it has entries of ``external_data`` without saying
    ``EXTERNAL``.  ``EPContext`` is ONNX Runtime's node for a compiled program, which it may load
    from a file.
    """
    waiting: list[tuple[Any, str]] = [(message, place)]
    while waiting:
        one, where = waiting.pop()
        kind = one.DESCRIPTOR.name
        if kind == "TensorProto" and (one.data_location or one.external_data):
            yield where
        if kind == "NodeProto" and one.op_type == "EPContext":
            yield f"{where}, a compiled program"
        for field, value in one.ListFields():
            if field.message_type is None:
                continue
            several = not hasattr(value, "ListFields")
            for number, part in enumerate(value if several else [value]):
                told = getattr(part, "name", "") or (str(number) if several else "")
                step = f"{field.name} {told}".strip()
                waiting.append((part, f"{where} › {step}" if where else step))


def given_inputs(model: ModelProto) -> list[Any]:
    """List what a model has to be given.

    Parameters
    ----------
    model : ModelProto
        The file.

    Returns
    -------
    list of ValueInfoProto
        Its inputs without those that it has numbers for.
    """
    graph = model.graph
    known = {one.name for one in graph.initializer}
    known |= {one.values.name for one in graph.sparse_initializer}
    return [one for one in graph.input if one.name not in known]
