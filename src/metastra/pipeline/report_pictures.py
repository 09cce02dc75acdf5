"""Stored pictures made small enough for one page."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from metastra.tissue.drawing import to_jpeg

__all__ = ["shrunk_jpeg"]


def shrunk_jpeg(data: bytes, longest_px: int, *, quality: int = 75) -> bytes:
    """Write a picture again, smaller.

    Parameters
    ----------
    data : bytes
        JPEG or PNG from a product of the run.
    longest_px : int
        Longer side of the result; a smaller picture keeps its size.
    quality : int
        Of the JPEG.

    Returns
    -------
    bytes
        JPEG without metadata; empty for no bytes.
    """
    if not data:
        return b""
    with Image.open(io.BytesIO(data)) as picture:
        shrunk = picture.convert("RGB")
    shrunk.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    return to_jpeg(np.asarray(shrunk), quality=quality)
