"""A slide's thumbnail with tissue and artefacts drawn on it; label and macro are not used."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from metastra.tissue.quality import ARTEFACTS, SlideQuality

__all__ = ["COLOURS", "LETTERS", "draw_quality", "to_jpeg"]

LETTERS: dict[str, str] = {
    "blur": "U",
    "pen": "P",
    "fold": "F",
    "bubble": "E",
    "fading": "L",
    "dark": "D",
    "blank": "W",
}
"""Letter on each artefact, so that a grey print can be read: blUr, Pen, Fold, Edge, paLe, Dark,
White."""
COLOURS: dict[str, tuple[int, int, int]] = {
    "tissue": (0, 110, 60),
    "region": (0, 0, 0),
    "blur": (0, 90, 190),
    "pen": (150, 0, 150),
    "fold": (200, 30, 30),
    "bubble": (200, 110, 0),
    "fading": (120, 120, 0),
    "dark": (90, 90, 90),
    "blank": (150, 150, 150),
}
"""Outlines; tissue and region are drawn without a letter."""

_HIDDEN = {"blank"}
_LEAST_PX = 12


def draw_quality(quality: SlideQuality, *, longest_px: int = 480) -> NDArray[np.uint8]:
    """Draw tissue, region and artefacts as outlines on the slide's thumbnail.

    Parameters
    ----------
    quality : SlideQuality
        Of the slide.
    longest_px : int
        Length of the longer side of the picture.

    Returns
    -------
    uint8 array of shape (h, w, 3)
        Each artefact with its letter on its largest part; white fill is not drawn.
    """
    height, width = quality.tissue.shape
    grow = longest_px / max(height, width)
    size = (max(1, round(width * grow)), max(1, round(height * grow)))
    image = Image.fromarray(quality.thumbnail).resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(image).copy()
    maps = {"tissue": quality.tissue}
    maps |= {name: quality.artefacts[name] for name in ARTEFACTS if name in quality.artefacts}
    if quality.region is not None:
        maps["region"] = quality.region
    places = []
    for name, found in maps.items():
        if name in _HIDDEN or not found.any():
            continue
        shown = np.asarray(Image.fromarray(found).resize(size, Image.Resampling.NEAREST))
        line = shown & ~ndimage.binary_erosion(shown, iterations=2)
        pixels[line] = COLOURS[name]
        if name in LETTERS:
            places.append((name, _middle_of_largest(shown)))
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_LEAST_PX)
    for name, (x, y) in places:
        box = draw.textbbox((x, y), LETTERS[name], font=font, anchor="mm")
        draw.rectangle((box[0] - 3, box[1] - 2, box[2] + 2, box[3] + 2), "white", COLOURS[name])
        draw.text((x, y), LETTERS[name], COLOURS[name], font, anchor="mm")
    return np.asarray(image)


def to_jpeg(picture: NDArray[np.uint8], *, quality: int = 82) -> bytes:
    """Write a picture as JPEG without any metadata.

    Parameters
    ----------
    picture : uint8 array of shape (h, w, 3)
        RGB.
    quality : int
        Of the JPEG, 1 to 95.

    Returns
    -------
    bytes
        The file.
    """
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _middle_of_largest(found: NDArray[np.bool_]) -> tuple[int, int]:
    """Give the innermost point of the largest part."""
    labels, _ = ndimage.label(found)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    depth = ndimage.distance_transform_cdt(np.pad(labels == sizes.argmax(), 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), found.shape)
    height, width = found.shape
    return min(max(int(x), 8), max(width - 9, 8)), min(max(int(y), 8), max(height - 9, 8))
