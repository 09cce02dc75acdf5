"""From what a TIFF stores to RGB: each kind of pixel has one defined conversion.

Fluorescence has no colours of its own.  For people to look at, each channel is shown in the colour
that the file gives it (or one of a fixed row), from black to full colour over a range that
is the same for the whole slide; channels add up.  Such a picture is for orientation, not for
measuring: measure with the channels themselves.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Alpha", "channel_colours", "display_range", "mix_channels", "to_rgb"]

Alpha = Literal["none", "associated", "unassociated"]
Colour = tuple[int, int, int]

_BLUE: Colour = (0, 0, 255)
_ROW: tuple[Colour, ...] = (
    (0, 255, 0),
    (255, 0, 0),
    (255, 255, 0),
    (255, 0, 255),
    (0, 255, 255),
    (255, 128, 0),
    (255, 255, 255),
)
_NUCLEAR = ("dapi", "hoechst", "dna")
_BLACK_QUANTILE, _WHITE_QUANTILE = 0.05, 0.998


def to_rgb(
    pixels: NDArray[Any],
    *,
    alpha: Alpha = "none",
    inverted: bool = False,
    palette: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Convert brightfield pixels.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (h, w, samples)
        One sample is grey or a palette's index, three or more begin with red, green and blue.
    alpha : {"none", "associated", "unassociated"}
        What the sample after the colours is; ``"associated"`` colours are already multiplied.
    inverted : bool
        Whether 0 is white (grey only).
    palette : ndarray of uint8, shape (n, 3), optional
        Colours of the indices.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        16-bit values are divided by 257 and rounded; alpha is laid over white.

    Examples
    --------
    >>> to_rgb(np.array([[[65535], [128]]], dtype=np.uint16))[0, :, 0].tolist()
    [255, 0]
    """
    if palette is not None:
        looked_up: NDArray[np.uint8] = palette[np.minimum(pixels[..., 0], len(palette) - 1)]
        return looked_up
    narrow = pixels
    if pixels.dtype.itemsize == 2:
        narrow = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if narrow.shape[2] in (1, 2):
        grey = narrow[..., :1]
        colours = np.repeat(255 - grey if inverted else grey, 3, axis=2)
    else:
        colours = narrow[..., :3]
    if alpha == "none":
        return np.ascontiguousarray(colours, dtype=np.uint8)
    part = narrow[..., -1:].astype(np.uint16)
    over = colours * np.uint16(1) if alpha == "associated" else (colours * part + 127) // 255
    laid_over: NDArray[np.uint8] = np.minimum(over + (255 - part), 255).astype(np.uint8)
    return laid_over


def channel_colours(channels: list[tuple[str, Colour | None]]) -> list[Colour]:
    """Give each channel the colour it is shown in.

    Parameters
    ----------
    channels : list of tuple
        Name and the file's own colour, None where it has none.

    Returns
    -------
    list of tuple of int
        The file's colours if no two are the same; else blue for nuclear stains and a fixed row
        (green, red, yellow, magenta, cyan, orange, white) for the others.

    Examples
    --------
    >>> channel_colours([("DAPI", None), ("CD3", None), ("CD20", None)])
    [(0, 0, 255), (0, 255, 0), (255, 0, 0)]
    """
    own = [colour for _, colour in channels if colour is not None]
    if len(own) == len(channels) == len(set(own)):
        return own
    colours, taken = [], 0
    for name, _ in channels:
        if any(word in name.lower() for word in _NUCLEAR):
            colours.append(_BLUE)
        else:
            colours.append(_ROW[taken % len(_ROW)])
            taken += 1
    return colours


def display_range(sample: NDArray[Any]) -> NDArray[np.float64]:
    """Find the intensities that are shown black and at full colour.

    Parameters
    ----------
    sample : ndarray, shape (h, w, channels)
        A coarse picture of the slide.

    Returns
    -------
    ndarray of float64, shape (channels, 2)
        The 5 % and the 99.8 % quantile of each channel; where these are equal, the largest value
        is full colour, and where nothing differs, one more than black.
    """
    flat = sample.reshape(-1, sample.shape[2]).astype(np.float64)
    flat = np.where(np.isfinite(flat), flat, 0.0)
    black, white = np.quantile(flat, (_BLACK_QUANTILE, _WHITE_QUANTILE), axis=0)
    white = np.where(white > black, white, flat.max(axis=0))
    return np.stack([black, np.where(white > black, white, black + 1.0)], axis=1)


def mix_channels(
    pixels: NDArray[Any], colours: list[Colour], ranges: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Show channels as RGB.

    Parameters
    ----------
    pixels : ndarray, shape (h, w, channels)
        Intensities.
    colours : list of tuple of int
        One for each channel.
    ranges : ndarray of float64, shape (channels, 2)
        Intensities that are black and at full colour.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        Sums of the channels' colours, cut at 255; what is not a number counts as 0.
    """
    mixed = np.zeros((*pixels.shape[:2], 3), dtype=np.float32)
    for number, colour in enumerate(colours):
        black, white = ranges[number].astype(np.float32)
        share = (np.nan_to_num(pixels[..., number].astype(np.float32)) - black) / (white - black)
        share = np.clip(share, 0.0, 1.0)[..., None]
        mixed += share * np.asarray(colour, dtype=np.float32)
    return np.minimum(mixed + 0.5, 255.0).astype(np.uint8)
