"""What a slide is to the rest of the house, whichever reader opened it.

A region is asked for in level-0 pixels and comes as RGB; microns per pixel are what the file or the
user states, or unknown.  Nothing here guesses a scale from a magnification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.errors import Problem, SlideError, Where

__all__ = [
    "MAX_REGION_PX",
    "Level",
    "Modality",
    "MppSource",
    "Slide",
    "SlideInfo",
    "check_region",
    "is_he",
    "require_brightfield",
    "require_he",
    "require_mpp",
    "slide_error",
]

MppSource = Literal["file", "table", "option"]
Modality = Literal["brightfield", "fluorescence"]

MAX_REGION_PX = 1 << 26
"""Most pixels one call of `Slide.read_region` gives back (64 million, 192 MB as RGB)."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One resolution of a slide.

    Parameters
    ----------
    width_px, height_px : int
        Size in pixels of this level.
    downsample : float
        Level-0 pixels per pixel of this level; 1 for level 0.
    """

    width_px: int
    height_px: int
    downsample: float


@dataclass(frozen=True, kw_only=True)
class SlideInfo:
    """What is known of a slide without decoding a pixel of it.

    Parameters
    ----------
    name : str
        The file's name, without its folder.
    reader : str
        Which reader opened it: ``"openslide"``, ``"tiff"`` or ``"picture"``.
    vendor : str
        The format as the reader names it, for instance ``"aperio"``.
    width_px, height_px : int
        Size of level 0, in pixels.
    mpp_x, mpp_y : float or None
        Microns per level-0 pixel; None where neither the file nor the user states them.
    mpp_source : {"file", "table", "option"} or None
        Who states them.
    levels : tuple of Level
        From full resolution down; never empty.
    bounds_px0 : tuple of int or None
        x, y, width and height of the scanned area in level-0 pixels, where the format has one.
    modality : {"brightfield", "fluorescence"}
        How the light was taken.
    channels : tuple of str
        Names of the fluorescence channels; red, green and blue for brightfield.
    icc_profile : bytes or None
        The colour profile as the file carries it; it is never applied on reading.
    problems : tuple of Problem
        What a reader of the results should know: warnings and notes, never refusals.
    """

    name: str
    reader: str
    vendor: str
    width_px: int
    height_px: int
    mpp_x: float | None
    mpp_y: float | None
    mpp_source: MppSource | None
    levels: tuple[Level, ...]
    bounds_px0: tuple[int, int, int, int] | None = None
    modality: Modality = "brightfield"
    channels: tuple[str, ...] = ("red", "green", "blue")
    icc_profile: bytes | None = None
    problems: tuple[Problem, ...] = ()


class Slide(Protocol):
    """An open slide; use it in a ``with`` block.

    A reader is used by one thread at a time.  After an error it can be asked again: one bad tile
    does not spoil the others.
    """

    @property
    def info(self) -> SlideInfo:
        """What is known of the slide."""
        ...

    def read_region(
        self, x_px0: int, y_px0: int, level: int, width_px: int, height_px: int
    ) -> NDArray[np.uint8]:
        """Read a rectangle of one level.

        Parameters
        ----------
        x_px0, y_px0 : int
            Top left corner in level-0 pixels; may lie outside the slide.
        level : int
            Position in ``info.levels``.
        width_px, height_px : int
            Size in pixels *of that level*; at most `MAX_REGION_PX` pixels in all.

        Returns
        -------
        ndarray of uint8, shape (height_px, width_px, 3)
            RGB; what lies outside the slide is white.

        Raises
        ------
        SlideError
            If a part cannot be decoded; the message names the place.
        ValueError
            If the level does not exist, or the size is negative or above the limit.
        """
        ...

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        ...

    def __enter__(self) -> Self:
        """Enter a ``with`` block."""
        ...

    def __exit__(self, *_: object) -> None:
        """Close the slide."""
        ...


def slide_error(
    code: str, name: str, found: str, *, expected: str = "", hint: str | None = None
) -> SlideError:
    """Make the error for one problem of a slide.

    Parameters
    ----------
    code : str
        A code of the catalogue's family SL.
    name : str
        The slide's file name.
    found, expected : str
        What is wrong, and what was expected instead.
    hint : str, optional
        A remedy more exact than the catalogue's.

    Returns
    -------
    SlideError
        To be raised.
    """
    found_problem = problem(code, found, where=Where(file=name), expected=expected, hint=hint)
    return SlideError("", (found_problem,))


def check_region(info: SlideInfo, level: int, width_px: int, height_px: int) -> None:
    """Refuse a request that no reader answers.

    Parameters
    ----------
    info : SlideInfo
        Of the slide.
    level : int
        Position in ``info.levels``.
    width_px, height_px : int
        Size in pixels of that level.

    Raises
    ------
    ValueError
        If the level does not exist, or the size is negative or above `MAX_REGION_PX`.
    """
    if not 0 <= level < len(info.levels):
        raise ValueError(f"{info.name} has levels 0 to {len(info.levels) - 1}, not {level}")
    if width_px < 0 or height_px < 0:
        raise ValueError(f"a region of {width_px} × {height_px} px has no size")
    if width_px * height_px > MAX_REGION_PX:
        raise ValueError(
            f"a region of {width_px} × {height_px} px is above the limit of {MAX_REGION_PX} px; "
            "read it in pieces, or with metastra.slides.scaled.read_scaled"
        )


def require_mpp(info: SlideInfo) -> tuple[float, float]:
    """Give the microns per pixel, or refuse with the option that fixes it.

    Parameters
    ----------
    info : SlideInfo
        Of the slide.

    Returns
    -------
    tuple of float
        Microns per level-0 pixel along x and y.

    Raises
    ------
    SlideError
        SL007 if nobody states them; SL008 if the file states what cannot be.
    """
    if info.mpp_x is not None and info.mpp_y is not None:
        return info.mpp_x, info.mpp_y
    for told in info.problems:
        if told.code == "SL008":
            raise slide_error("SL008", info.name, told.found, expected=told.expected)
    raise slide_error("SL007", info.name, "microns per pixel are not in the file")


_HE_WORDS = frozenset(
    {"", "he", "hande", "hes", "hematoxylineosin", "haematoxylineosin"}
    | {"hematoxylinandeosin", "haematoxylinandeosin"}
)


def is_he(stain: str) -> bool:
    """Say whether a word of a slide table means H&E.

    Parameters
    ----------
    stain : str
        As the slide table has it.

    Returns
    -------
    bool
        True for an empty cell, too.

    Examples
    --------
    >>> is_he("H & E"), is_he(""), is_he("CD3")
    (True, True, False)
    """
    return "".join(letter for letter in stain.casefold() if letter.isalnum()) in _HE_WORDS


def require_he(stain: str, name: str) -> None:
    """Refuse a slide that a table says is not stained with H&E.

    Parameters
    ----------
    stain : str
        As the slide table has it; empty where it says nothing.
    name : str
        What messages call the slide.

    Raises
    ------
    SlideError
        SL015 for another stain.

    Examples
    --------
    >>> require_he("H&E", "a.svs")
    """
    if not is_he(stain):
        raise slide_error("SL015", name, f"STAIN is {stain!r}", expected="H&E, or an empty cell")


def require_brightfield(info: SlideInfo) -> None:
    """Refuse a fluorescence slide where colours are read as stains.

    Parameters
    ----------
    info : SlideInfo
        Of the slide.

    Raises
    ------
    SlideError
        SL012 for fluorescence.
    """
    if info.modality != "brightfield":
        channels = ", ".join(info.channels)
        raise slide_error(
            "SL012",
            info.name,
            f"a fluorescence slide ({channels})",
            expected="a brightfield slide, H&E or IHC",
        )
