"""The pixels of an explanation, read in a process of their own: a thumbnail and a few tiles.

Only the scanned levels are read; label and overview pictures never.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metastra.slides.opening import open_slide
from metastra.slides.scaled import read_scaled, thumbnail
from metastra.tissue.drawing import to_jpeg

__all__ = ["SlidePixels", "pixels_payload", "read_pixels", "read_pixels_task"]

_SIDE_PX = 640
_TILE_PX = 224


@dataclass(frozen=True, kw_only=True, eq=False)
class SlidePixels:
    """What is shown of a slide.

    Parameters
    ----------
    thumbnail : uint8 array of shape (h, w, 3)
        Of the whole slide.
    size_px0 : tuple of int
        Width and height of the slide in level-0 pixels.
    offset_px0 : tuple of int
        Corner of the scanned bounds, from which QuPath counts.
    tiles : tuple of bytes
        JPEG of each chosen tile.
    """

    thumbnail: NDArray[np.uint8]
    size_px0: tuple[int, int]
    offset_px0: tuple[int, int]
    tiles: tuple[bytes, ...]

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> SlidePixels:
        """Read what `read_pixels_task` gave.

        Parameters
        ----------
        values : mapping
            Plain values.

        Returns
        -------
        SlidePixels
            With the thumbnail decoded.
        """
        picture = np.asarray(Image.open(io.BytesIO(values["thumbnail"])).convert("RGB"))
        size, offset = values["size_px0"], values["offset_px0"]
        return cls(
            thumbnail=picture,
            size_px0=(int(size[0]), int(size[1])),
            offset_px0=(int(offset[0]), int(offset[1])),
            tiles=tuple(values["tiles"]),
        )


def pixels_payload(
    path: Path, boxes_px0: NDArray[np.float64], *, mpp: float | None = None
) -> dict[str, Any]:
    """Say what is to be read, as plain values that reach another process.

    Parameters
    ----------
    path : Path
        The slide.
    boxes_px0 : ndarray of shape (k, 4)
        x, y, width and height of the chosen tiles in level-0 pixels.
    mpp : float, optional
        Micrometres per pixel where the user states them.

    Returns
    -------
    dict
        For `read_pixels_task`.
    """
    return {"path": str(path), "boxes_px0": boxes_px0.tolist(), "mpp": mpp}


def read_pixels_task(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Read the pictures of one slide, as the task of an executor.

    Parameters
    ----------
    payload : mapping
        From `pixels_payload`.

    Returns
    -------
    dict
        ``thumbnail`` (JPEG), ``size_px0``, ``offset_px0`` and ``tiles`` (JPEG each).

    Raises
    ------
    SlideError
        If the slide cannot be opened or a part of it cannot be decoded.
    """
    with open_slide(payload["path"], mpp=payload["mpp"]) as slide:
        info = slide.info
        bounds = info.bounds_px0
        return {
            "thumbnail": to_jpeg(thumbnail(slide, _SIDE_PX), quality=90),
            "size_px0": [info.width_px, info.height_px],
            "offset_px0": [0, 0] if bounds is None else [bounds[0], bounds[1]],
            "tiles": [
                to_jpeg(read_scaled(slide, x, y, width, height, _TILE_PX, _TILE_PX), quality=85)
                for x, y, width, height in payload["boxes_px0"]
            ],
        }


def read_pixels(
    path: Path, boxes_px0: NDArray[np.float64] | Sequence[Sequence[float]]
) -> SlidePixels:
    """Read the pictures of one slide in this process.

    Parameters
    ----------
    path : Path
        The slide.
    boxes_px0 : array_like of shape (k, 4)
        Of the chosen tiles.

    Returns
    -------
    SlidePixels
        Decoded.

    Raises
    ------
    SlideError
        As for `read_pixels_task`.
    """
    boxes = np.asarray(boxes_px0, dtype=np.float64).reshape(-1, 4)
    return SlidePixels.from_plain(read_pixels_task(pixels_payload(path, boxes)))
