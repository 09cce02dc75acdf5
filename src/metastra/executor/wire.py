"""Plain values as bytes: JSON for what is text and numbers, blobs behind it for what is bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

__all__ = ["LONGEST_FRAME_BYTES", "Frames", "pack"]

LONGEST_FRAME_BYTES = 1 << 30
"""A longer one is refused unread, so that a child cannot fill the parent's memory."""

_LENGTH = struct.Struct("<Q")
_BLOB = "\x00blob"


def pack(value: Any) -> bytes:
    r"""Write plain values as one frame.

    Parameters
    ----------
    value : plain values
        None, bool, int, float, str, bytes, lists, tuples (they come back as lists) and dicts
        with text keys.

    Returns
    -------
    bytes
        What `Frames` reads.

    Raises
    ------
    TypeError
        If something else is inside.

    Examples
    --------
    >>> frames = Frames()
    >>> frames.feed(pack({"name": "a", "thumbnail": b"\xff"}))
    [{'name': 'a', 'thumbnail': b'\xff'}]
    """
    blobs: list[bytes] = []
    text = json.dumps(_without_bytes(value, blobs), separators=(",", ":")).encode()
    head = struct.pack("<II", len(text), len(blobs))
    sizes = b"".join(_LENGTH.pack(len(blob)) for blob in blobs)
    body = b"".join([head, sizes, text, *blobs])
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Takes bytes as they come and gives the frames that are whole.

    Examples
    --------
    >>> frames, data = Frames(), pack([1, 2]) + pack("x")
    >>> frames.feed(data[:9]), frames.feed(data[9:])
    ([], [[1, 2], 'x'])
    """

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Add bytes.

        Parameters
        ----------
        data : bytes
            The next ones.

        Returns
        -------
        list of plain values
            Of the frames that are whole now.

        Raises
        ------
        ValueError
            If a frame is longer than `LONGEST_FRAME_BYTES` or is none.
        """
        self._held += data
        found = []
        while len(self._held) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held)
            if length > LONGEST_FRAME_BYTES:
                raise ValueError(f"a message of {length} bytes; at most {LONGEST_FRAME_BYTES}")
            if len(self._held) < _LENGTH.size + length:
                break
            body = bytes(self._held[_LENGTH.size : _LENGTH.size + length])
            del self._held[: _LENGTH.size + length]
            found.append(_unpack(body))
        return found


def _unpack(body: bytes) -> Any:
    try:
        n_text, n_blobs = struct.unpack_from("<II", body)
        at = 8 + _LENGTH.size * n_blobs
        sizes = [_LENGTH.unpack_from(body, 8 + _LENGTH.size * i)[0] for i in range(n_blobs)]
        text = body[at : at + n_text]
        at += n_text
        blobs = []
        for size in sizes:
            blobs.append(body[at : at + size])
            at += size
        return _with_bytes(json.loads(text), blobs)
    except (struct.error, IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("a message that is none") from error


def _without_bytes(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, bytes):
        blobs.append(value)
        return {_BLOB: len(blobs) - 1}
    if isinstance(value, dict):
        if not all(isinstance(key, str) and not key.startswith("\x00") for key in value):
            raise TypeError("the keys of plain values are text")
        return {key: _without_bytes(item, blobs) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bytes(item, blobs) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"a {type(value).__name__} is no plain value; expected None, bool, int, float, str, bytes, "
        "or lists and dicts of them"
    )


def _with_bytes(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_BLOB}:
            return blobs[value[_BLOB]]
        return {key: _with_bytes(item, blobs) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_bytes(item, blobs) for item in value]
    return value
