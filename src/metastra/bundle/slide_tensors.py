"""The numbers of a slide model as safetensors: few names, one type, shapes that fit each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.layout import SLIDE_MODEL
from metastra.bundle.slide_member import Gate, Member
from metastra.bundle.tensors import read_tensors

__all__ = ["AGGREGATORS", "Aggregator", "members_of", "read_slide_tensors", "tensors_of"]

_Array = NDArray[np.float64]
_Shapes = Mapping[str, tuple[int | str, ...]]

Aggregator = Literal["attention", "mean", "linear"]
AGGREGATORS: tuple[Aggregator, ...] = get_args(Aggregator)

_COMMON: _Shapes = {
    "form": (5,),
    "centre": ("d",),
    "scale": ("d",),
    "typical_low": ("d",),
    "typical_high": ("d",),
    "edges_days": ("j",),
    "head_bias": ("k", "o"),
}
_EMBED: _Shapes = {
    "embed_weight": ("k", "d", "h"),
    "embed_bias": ("k", "h"),
    "head_weight": ("k", "h", "o"),
}
_GATE: _Shapes = {
    "value_weight": ("k", "h", "a"),
    "value_bias": ("k", "a"),
    "gate_weight": ("k", "h", "a"),
    "gate_bias": ("k", "a"),
    "gate_join": ("k", "a"),
}
_RANGE: _Shapes = {"mean_low": ("k", "d"), "mean_high": ("k", "d")}
"""Limits of mean features; bundles of ``linear`` before them had none."""
_SHAPES: Mapping[Aggregator, _Shapes] = {
    "attention": {**_COMMON, **_EMBED, **_GATE},
    "mean": {**_COMMON, **_EMBED},
    "linear": {**_COMMON, "head_weight": ("k", "d", "o")},
}


def tensors_of(members: Sequence[Member]) -> dict[str, _Array]:
    """Stack the numbers of members.

    Parameters
    ----------
    members : sequence of Member
        At least one, all of one shape.

    Returns
    -------
    dict of str to ndarray
        Members along the first axis.
    """
    parts = [_parts(member) for member in members]
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def members_of(tensors: Mapping[str, _Array]) -> tuple[Member, ...]:
    """Take members apart again.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        As `tensors_of` gives them; other names are not looked at.

    Returns
    -------
    tuple of Member
        In their order.
    """
    return tuple(_member(tensors, k) for k in range(len(tensors["head_bias"])))


def read_slide_tensors(data: bytes) -> tuple[Aggregator, dict[str, _Array]]:
    """Read the tensors of one of the aggregators.

    Parameters
    ----------
    data : bytes
        A whole file.

    Returns
    -------
    aggregator : {"attention", "mean", "linear"}
        Told by the names.
    tensors : dict of str to ndarray of float64
        Finite, read-only, their shapes fit each other.

    Raises
    ------
    BundleError
        BU008 for anything else.
    """
    names = _names(data)
    shapes = {
        **_SHAPES,
        "linear": {**_SHAPES["linear"], **(_RANGE if _RANGE.keys() & names else {})},
    }
    fitting: list[Aggregator] = [kind for kind in AGGREGATORS if set(shapes[kind]) == names]
    aggregator = fitting[0] if fitting else "attention"
    return aggregator, read_tensors(data, shapes[aggregator], file=SLIDE_MODEL)


def _names(data: bytes) -> set[str]:
    """List the tensors; what cannot be read is refused afterwards."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return set(load(data))
    except (SafetensorError, KeyError, TypeError, ValueError):
        return set()


def _parts(member: Member) -> dict[str, _Array]:
    parts = {"head_weight": member.head_weight, "head_bias": member.head_bias}
    if member.embed_weight is not None and member.embed_bias is not None:
        parts |= {"embed_weight": member.embed_weight, "embed_bias": member.embed_bias}
    if member.mean_low is not None and member.mean_high is not None:
        parts |= {"mean_low": member.mean_low, "mean_high": member.mean_high}
    if member.gate is not None:
        gate = member.gate
        parts |= {
            "value_weight": gate.value_weight,
            "value_bias": gate.value_bias,
            "gate_weight": gate.gate_weight,
            "gate_bias": gate.gate_bias,
            "gate_join": gate.weight,
        }
    return parts


def _member(tensors: Mapping[str, _Array], k: int) -> Member:
    gate = None
    if "gate_join" in tensors:
        gate = Gate(
            value_weight=tensors["value_weight"][k],
            value_bias=tensors["value_bias"][k],
            gate_weight=tensors["gate_weight"][k],
            gate_bias=tensors["gate_bias"][k],
            weight=tensors["gate_join"][k],
        )
    embedded, held = "embed_weight" in tensors, "mean_low" in tensors
    return Member(
        head_weight=tensors["head_weight"][k],
        head_bias=tensors["head_bias"][k],
        embed_weight=tensors["embed_weight"][k] if embedded else None,
        embed_bias=tensors["embed_bias"][k] if embedded else None,
        gate=gate,
        mean_low=tensors["mean_low"][k] if held else None,
        mean_high=tensors["mean_high"][k] if held else None,
    )
