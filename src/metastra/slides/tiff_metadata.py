"""What OME-TIFF and QPTIFF say of themselves in XML: scale, channel names and colours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tifffile

__all__ = ["OmeImage", "ome_channels", "ome_image", "ome_mpp", "qpi_channel"]

OmeImage = Mapping[str, Any]

_UM = {
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "nm": 1e-3,
    "pm": 1e-6,
    "Å": 1e-4,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "in": 25_400.0,
}
_MAX_XML = 1 << 24


def ome_image(xml: str, width_px: int, height_px: int) -> OmeImage:
    """Find the image of an OME document that has the size of the slide.

    Parameters
    ----------
    xml : str
        The document.
    width_px, height_px : int
        Size of level 0.

    Returns
    -------
    mapping
        Its ``Pixels`` element; empty where none fits.

    Raises
    ------
    ValueError
        If the document cannot be parsed.
    """
    for image in _listed(_parsed(xml).get("OME", {}), "Image"):
        for pixels in _listed(image, "Pixels"):
            if (pixels.get("SizeX"), pixels.get("SizeY")) == (width_px, height_px):
                return pixels
    return {}


def ome_mpp(pixels: OmeImage) -> tuple[float, float] | None:
    """Read the physical size of a pixel.

    Parameters
    ----------
    pixels : mapping
        A ``Pixels`` element.

    Returns
    -------
    tuple of float or None
        Microns along x and y; NaN for a value that is no length, None where nothing is stated.
        A unit that is not stated is µm, as OME's schema says.
    """
    stated = [_length(pixels, axis) for axis in "XY"]
    if stated[0] is None and stated[1] is None:
        return None
    x, y = (math.nan if value is None else value for value in stated)
    return x, y


def ome_channels(pixels: OmeImage) -> list[tuple[str, tuple[int, int, int] | None]]:
    """Read the channels' names and colours.

    Parameters
    ----------
    pixels : mapping
        A ``Pixels`` element.

    Returns
    -------
    list of tuple
        Name (may be empty), and red, green and blue of 0 to 255 or None.
    """
    return [
        (str(channel.get("Name", "")), _rgba(channel.get("Color")))
        for channel in _listed(pixels, "Channel")
    ]


def qpi_channel(description: str) -> tuple[str, tuple[int, int, int] | None]:
    """Read name and colour of one page of a QPTIFF.

    Parameters
    ----------
    description : str
        The page's XML.

    Returns
    -------
    tuple
        Name (may be empty), and red, green and blue of 0 to 255 or None.

    Examples
    --------
    >>> qpi_channel("<P><Name>DAPI</Name><Color>0,0,255</Color></P>")
    ('DAPI', (0, 0, 255))
    """
    head = description[:4096]  # both stand before the long scan profile
    name = re.search(r"<Name>([^<]{0,200})</Name>", head)
    colour = re.search(r"<Color>(\d{1,3}),(\d{1,3}),(\d{1,3})</Color>", head)
    rgb = None if colour is None else tuple(min(int(part), 255) for part in colour.groups())
    return (name.group(1).strip() if name else ""), rgb  # type: ignore[return-value]


def _parsed(xml: str) -> Mapping[str, Any]:
    if len(xml) > _MAX_XML:
        raise ValueError(f"an XML description of {len(xml)} characters")
    try:
        parsed: Mapping[str, Any] = tifffile.xml2dict(xml)
    except (SyntaxError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"its XML cannot be parsed: {error}") from error
    return parsed


def _listed(element: object, name: str) -> Sequence[Mapping[str, Any]]:
    """Children of a name; the parser gives one child bare and several as a sequence."""
    inside = element.get(name, ()) if isinstance(element, Mapping) else ()
    children = [inside] if isinstance(inside, Mapping) else inside
    return [child for child in children if isinstance(child, Mapping)]


def _length(pixels: OmeImage, axis: str) -> float | None:
    value = pixels.get(f"PhysicalSize{axis}")
    if value is None:
        return None
    um = _UM.get(str(pixels.get(f"PhysicalSize{axis}Unit", "µm")))
    if um is None:
        return None  # "pixel" and "reference frame" are no lengths
    try:
        return float(value) * um
    except (TypeError, ValueError):
        return math.nan


def _rgba(value: object) -> tuple[int, int, int] | None:
    """OME packs red, green, blue and alpha into a signed 32-bit number; −1 is its default."""
    if not isinstance(value, int) or value == -1:
        return None
    packed = value & 0xFFFFFFFF
    return packed >> 24, (packed >> 16) & 255, (packed >> 8) & 255
