"""Frozen values as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

__all__ = ["to_plain"]


def to_plain(value: object) -> Any:
    """Turn a value into dicts, lists, texts, numbers and None.

    Parameters
    ----------
    value : object
        Built of dataclasses, mappings, tuples, lists, enums, texts, numbers and None.

    Returns
    -------
    object
        Fit for `metastra.digest.canonical_json`; numbers that are not finite become None.

    Raises
    ------
    TypeError
        If something else is inside.

    Examples
    --------
    >>> to_plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if isinstance(value, Enum):
        return to_plain(value.value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} has no plain form")
