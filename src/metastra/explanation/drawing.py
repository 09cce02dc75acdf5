"""A risk map as a picture: the slide, and beside it the same slide with its contributions."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from metastra.explanation.colours import STRIPE, colours_of, striped

__all__ = ["MapPicture", "draw_map", "scale_bar_um", "to_png"]

_Array = NDArray[np.float64]

_INK, _FAINT = (26, 26, 26), (90, 90, 90)
_MARGIN, _GAP, _TEXT_PX = 16, 24, 20
_GREY = 0.55
"""How much of the slide's darkness is left beneath the colours."""
_BAR_SHARE = 0.25
_WIDE = 2.2


@dataclass(frozen=True, kw_only=True, eq=False)
class MapPicture:
    """What is drawn.

    Parameters
    ----------
    thumbnail : uint8 array of shape (h, w, 3)
        The slide; white where there are no pixels of it.
    boxes : ndarray of shape (n, 4)
        x, y, width and height of each tile in pixels of the thumbnail.
    contributions : ndarray of shape (n,)
        Of the tiles.
    limit : float
        Where the colours end.
    um_per_px : float or None
        Micrometres per pixel of the thumbnail; no scale bar without it.
    unit : str
        Of the contributions.
    warning : str
        Written over the map; empty for none.
    pictured : bool
        Whether the thumbnail is a slide; without one the map stands alone.
    """

    thumbnail: NDArray[np.uint8]
    boxes: _Array
    contributions: _Array
    limit: float
    um_per_px: float | None
    unit: str
    warning: str = ""
    pictured: bool = True


def draw_map(picture: MapPicture) -> NDArray[np.uint8]:
    """Draw a risk map.

    Parameters
    ----------
    picture : MapPicture
        What is drawn.

    Returns
    -------
    uint8 array of shape (h, w, 3)
        Slide and map side by side, or one above the other where the slide is wide; scale bar,
        colour bar with unit, and what the colours mean in words.
    """
    height, width = picture.thumbnail.shape[:2]
    panels = [_overlaid(picture)]
    if picture.pictured:
        panels.insert(0, Image.fromarray(picture.thumbnail))
    beside = len(panels) > 1 and width < _WIDE * height
    head = _TEXT_PX + 12 if picture.warning else 0
    map_w = width * len(panels) + _GAP * (len(panels) - 1) if beside else width
    map_h = height if beside else height * len(panels) + _GAP * (len(panels) - 1)
    total_w = max(map_w, 520) + 2 * _MARGIN
    image = Image.new("RGB", (total_w, map_h + head + 144 + 2 * _MARGIN), "white")
    draw = ImageDraw.Draw(image)
    if picture.warning:
        draw.text((_MARGIN, _MARGIN), picture.warning, _INK, _font(_TEXT_PX))
    for number, panel in enumerate(panels):
        across = number * (width + _GAP) if beside else 0
        down = 0 if beside else number * (height + _GAP)
        place = (_MARGIN + across, _MARGIN + head + down)
        image.paste(panel, place)
        edge = (place[0] - 1, place[1] - 1, place[0] + width, place[1] + height)
        draw.rectangle(edge, outline=(200, 200, 200))
    below = _MARGIN + head + map_h + 12
    _scale_bar(draw, picture, below)
    _colour_bar(image, draw, picture, below + 54)
    return np.asarray(image)


def _overlaid(picture: MapPicture) -> Image.Image:
    """Lay the contributions over the slide in grey."""
    lightness = picture.thumbnail.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    pixels = np.repeat((255.0 - _GREY * (255.0 - lightness))[:, :, None], 3, axis=2)
    height, width = lightness.shape
    colours, opacity = colours_of(picture.contributions, picture.limit)
    tissue = np.zeros((height + 2, width + 2), dtype=bool)
    corners = np.column_stack([picture.boxes[:, :2], picture.boxes[:, :2] + picture.boxes[:, 2:]])
    edges = np.clip(np.rint(corners), 0, [width, height, width, height]).astype(np.int64)
    lowers = np.nan_to_num(picture.contributions, nan=0.0) < 0.0
    tiles = zip(edges.tolist(), colours, opacity, lowers, strict=True)
    for (left, top, right, bottom), colour, share, lowering in tiles:
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        _tint(pixels[top:bottom, left:right], left, top, colour, share, lowering=lowering)
        # a pixel further: corners are rounded, and tiles that touch shall leave no gap
        tissue[top + 1 : bottom + 2, left + 1 : right + 2] = True
    inside = tissue[:-2, 1:-1] & tissue[2:, 1:-1] & tissue[1:-1, :-2] & tissue[1:-1, 2:]
    pixels[tissue[1:-1, 1:-1] & ~inside] = _FAINT
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _tint(
    region: _Array, left: int, top: int, colour: _Array, share: float, *, lowering: bool
) -> None:
    """Lay one colour over a part of the picture."""
    height, width = region.shape[:2]
    colours = np.broadcast_to(colour, region.shape)
    if lowering:
        colours = np.where(striped(left, top, width, height)[:, :, None], STRIPE, colours)
    region[:] = (1.0 - share) * region + share * colours


def scale_bar_um(width_um: float) -> float:
    """Choose a round length for a scale bar.

    Parameters
    ----------
    width_um : float
        Width of the picture in micrometres.

    Returns
    -------
    float
        1, 2 or 5 times a power of ten, at most a quarter of the width.

    Examples
    --------
    >>> scale_bar_um(9000.0), scale_bar_um(900.0)
    (2000.0, 200.0)
    """
    most = _BAR_SHARE * width_um
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= most)


def _scale_bar(draw: ImageDraw.ImageDraw, picture: MapPicture, top: int) -> None:
    font = _font(_TEXT_PX)
    if picture.um_per_px is None:
        draw.text((_MARGIN, top), "scale not known", _INK, font)
        return
    length_um = scale_bar_um(picture.thumbnail.shape[1] * picture.um_per_px)
    length = max(1, round(length_um / picture.um_per_px))
    draw.rectangle((_MARGIN, top + 6, _MARGIN + length, top + 11), _INK)
    draw.text((_MARGIN + length + 8, top - 2), f"{length_um:,.0f} µm", _INK, font)


def _colour_bar(
    image: Image.Image, draw: ImageDraw.ImageDraw, picture: MapPicture, top: int
) -> None:
    """Draw the colours over the grey of tissue, with their ends and what they mean."""
    font, width, thick = _font(_TEXT_PX), 480, 24
    values = np.linspace(-picture.limit, picture.limit, width)
    bar = np.full((thick, width, 3), 255.0 - _GREY * (255.0 - 165.0))
    colours, opacity = colours_of(values, picture.limit)
    for place, value in enumerate(values):
        part = bar[:, place : place + 1]
        _tint(part, place, 0, colours[place], float(opacity[place]), lowering=bool(value < 0.0))
    image.paste(Image.fromarray(np.rint(bar).astype(np.uint8)), (_MARGIN, top))
    draw.rectangle((_MARGIN - 1, top - 1, _MARGIN + width, top + thick), outline=_INK)
    ends = ((0, f"−{picture.limit:.2g}", "la"), (width // 2, "0", "ma"))
    for place, text, anchor in (*ends, (width, f"+{picture.limit:.2g}", "ra")):
        draw.text((_MARGIN + place, top + thick + 4), text, _INK, font, anchor=anchor)
    words = top - 4
    draw.text((_MARGIN, words), "lowers the risk (striped)", _INK, font, anchor="ld")
    draw.text((_MARGIN + width, words), "raises the risk", _INK, font, anchor="rd")
    draw.text((_MARGIN, top + thick + 30), f"contribution, {picture.unit}", _FAINT, font)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which has the letters of every unit; matplotlib brings it along."""
    path = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(str(path), size)


def to_png(picture: NDArray[np.uint8]) -> bytes:
    """Write a picture as PNG without any metadata.

    Parameters
    ----------
    picture : uint8 array of shape (h, w, 3)
        RGB.

    Returns
    -------
    bytes
        The file.
    """
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return stream.getvalue()
