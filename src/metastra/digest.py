"""Identity is content: digests of values, arrays, tables and files.

A digest is ``sha256`` in lower-case hexadecimal.  Values are digested through canonical JSON
(sorted keys, no spaces, no NaN), so that the same study gives the same digest on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "canonical_json",
    "digest_array",
    "digest_bytes",
    "digest_file",
    "digest_listing",
    "digest_value",
]

_CHUNK_BYTES = 1 << 20


def canonical_json(value: object) -> str:
    """Write a value as JSON in exactly one way.

    Parameters
    ----------
    value : object
        Built of dict, list, tuple, str, int, float, bool and None.

    Returns
    -------
    str
        UTF-8 text, keys sorted, without white space.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON cannot hold.
    TypeError
        If something else than the types above is inside, or a key is no text.

    Examples
    --------
    >>> canonical_json({"b": (1, 2.5), "a": None})
    '{"a":null,"b":[1,2.5]}'
    """
    _require_text_keys(value)
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _require_text_keys(value: object) -> None:
    """Refuse keys that JSON would write as text: 1 and "1" must not be one key."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a key of canonical JSON is {key!r}; expected text")
            _require_text_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_text_keys(item)


def digest_bytes(data: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal.

    Parameters
    ----------
    data : bytes
        Any bytes.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> digest_bytes(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def digest_value(
    value: Mapping[str, Any] | list[Any] | tuple[Any, ...] | str | float | None,
) -> str:
    """SHA-256 of a value's canonical JSON.

    Parameters
    ----------
    value : object
        What `canonical_json` takes.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> digest_value({"a": 1}) == digest_value({"a": 1})
    True
    """
    return digest_bytes(canonical_json(value).encode())


def digest_listing(head: Mapping[str, Any], key: str, items: Iterable[Any]) -> str:
    """Digest an object with one long list in it, without the list ever whole in memory.

    Parameters
    ----------
    head : mapping
        The rest of the object.
    key : str
        Of the list; not in `head`.
    items : iterable
        What is in the list; gone through once.

    Returns
    -------
    str
        What `digest_value` gives of ``{**head, key: [*items]}``.

    Examples
    --------
    >>> digest_listing({"b": 2}, "a", [1, None]) == digest_value({"a": [1, None], "b": 2})
    True
    """
    hasher = hashlib.sha256()
    for place, name in enumerate(sorted([*head, key])):
        hasher.update(f"{',' if place else '{'}{canonical_json(name)}:".encode())
        if name != key:
            hasher.update(canonical_json(head[name]).encode())
            continue
        hasher.update(b"[")
        for number, item in enumerate(items):
            hasher.update(f"{',' if number else ''}{canonical_json(item)}".encode())
        hasher.update(b"]")
    hasher.update(b"}")
    return hasher.hexdigest()


def digest_array(array: NDArray[np.generic]) -> str:
    """SHA-256 of an array's dtype, shape and values in C order.

    Parameters
    ----------
    array : ndarray
        Any shape; of a fixed-size dtype.

    Returns
    -------
    str
        64 hexadecimal digits, equal for equal dtype, shape and values.

    Raises
    ------
    TypeError
        For object arrays, whose bytes are addresses.
    """
    import numpy as np

    if array.dtype.hasobject:
        raise TypeError("an object array has no content digest; convert it to a fixed-size dtype")
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    header = canonical_json({"dtype": little.dtype.str, "shape": list(array.shape)})
    hasher = hashlib.sha256(header.encode())
    hasher.update(np.ascontiguousarray(little).tobytes())
    return hasher.hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces of 1 MiB.

    Parameters
    ----------
    path : Path
        A regular file.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()
