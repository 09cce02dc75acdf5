"""The numbers of a linear model as safetensors: few names, one type, finite values."""

from __future__ import annotations

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


def read_tensors(data: bytes, expected: dict[str, tuple[int, ...]]) -> dict[str, _Array]:
    """Read safetensors whose names and shapes are known beforehand.

    Parameters
    ----------
    data : bytes
        A whole file.
    expected : dict of str to tuple of int
        Shape of each tensor; -1 stands for a length that is the same wherever it stands.

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
        raise _refused(f"no safetensors: {str(error)[:200]}") from None
    if set(tensors) != set(expected):
        raise _refused(f"tensors {sorted(tensors)}; expected {sorted(expected)}")
    lengths: set[int] = set()
    for name, shape in expected.items():
        values = tensors[name]
        if values.dtype != np.float64 or len(values.shape) != len(shape):
            raise _refused(f"{name} is {values.dtype} of shape {values.shape}; expected float64")
        for length, wanted in zip(values.shape, shape, strict=True):
            if wanted >= 0 and length != wanted:
                raise _refused(f"{name} has shape {values.shape}; expected {shape}")
            lengths |= {length} if wanted < 0 else set()
        if not np.isfinite(values).all():
            raise _refused(f"{name} holds a number that is not finite")
        values.setflags(write=False)
    if len(lengths) > 1:
        raise _refused(f"the baseline hazards have lengths {sorted(lengths)}; expected one")
    if tensor_bytes(tensors) != data:
        raise _refused("the file is not written in its canonical form")
    return tensors


def _refused(found: str) -> BundleError:
    return BundleError(
        "the bundle cannot be read", [problem("BU008", found, where=Where(file=MODEL))]
    )
