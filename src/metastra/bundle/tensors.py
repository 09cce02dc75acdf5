"""The numbers of a model as safetensors: few names, one type, finite values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.layout import MODEL
from metastra.catalogue import problem
from metastra.errors import BundleError, Where

__all__ = ["read_tensors", "tensor_bytes"]

_Array = NDArray[np.float64]


def tensor_bytes(tensors: dict[str, _Array]) -> bytes:
    """Write arrays as safetensors.

    Parameters
    ----------
    tensors : dict of str to ndarray of float64
        All finite.

    Returns
    -------
    bytes
        Equal arrays give equal bytes.

    Raises
    ------
    ValueError
        If a number is not finite.
    """
    from safetensors.numpy import save

    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise ValueError(f"the tensor {name!r} holds a number that is not finite")
    return bytes(save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}))


def read_tensors(
    data: bytes, expected: Mapping[str, tuple[int | str, ...]], *, file: str = MODEL
) -> dict[str, _Array]:
    """Read safetensors whose names and shapes are known beforehand.

    Parameters
    ----------
    data : bytes
        A whole file.
    expected : mapping of str to tuple of int or str
        Shape of each tensor; a letter stands for a length that is the same wherever it stands.
    file : str
        What the file is called in an error.

    Returns
    -------
    dict of str to ndarray of float64
        Exactly the expected ones, read-only.

    Raises
    ------
    BundleError
        BU008, if names, types or shapes differ, a number is not finite, or the file holds
        anything else.

    Notes
    -----
    The format's own reader refuses overlaps, gaps and sizes that do not fit before anything is
    allocated; it never runs code.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _refused(file, f"no safetensors: {str(error)[:200]}") from None
    if set(tensors) != set(expected):
        raise _refused(file, f"tensors {sorted(tensors)}; expected {sorted(expected)}")
    lengths: dict[str, int] = {}
    for name, shape in expected.items():
        values = tensors[name]
        if values.dtype != np.float64 or len(values.shape) != len(shape):
            raise _refused(
                file, f"{name} is {values.dtype} of shape {values.shape}; expected float64"
            )
        for length, wanted in zip(values.shape, shape, strict=True):
            known = lengths.setdefault(wanted, length) if isinstance(wanted, str) else wanted
            if length != known:
                raise _refused(file, f"{name} has shape {values.shape}; expected {shape}")
        if not np.isfinite(values).all():
            raise _refused(file, f"{name} holds a number that is not finite")
        values.setflags(write=False)
    if tensor_bytes(tensors) != data:
        raise _refused(file, "the file is not written in its canonical form")
    return tensors


def _refused(file: str, found: str) -> BundleError:
    return BundleError(
        "the bundle cannot be read", [problem("BU008", found, where=Where(file=file))]
    )
