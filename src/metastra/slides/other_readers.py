"""Slides that metastra does not read itself: readers of other packages, and words for the rest.

Another package offers a reader by an entry point in the group ``metastra.readers``; its object has
the two methods of `SlideReader`::

    [project.entry-points."metastra.readers"]
    my-format = "my_package.reading:MyReader"

It is asked only for what metastra cannot open, so that a plug-in never changes how a known format
is read, and its code runs in the child process of that slide.  A format without a reader is refused
by its maker's name, with the conversion that helps.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from metastra.errors import ConfigError
from metastra.slides.slide import MppSource, Slide

__all__ = ["ENTRY_POINTS", "SlideReader", "conversion_of", "other_reader"]

ENTRY_POINTS = "metastra.readers"
"""Group of the entry points."""

_BIO_FORMATS = (
    "convert it to a pyramidal OME-TIFF, for instance with bioformats2raw and raw2ometiff, "
    "or with bfconvert of Bio-Formats"
)
_VIEWER = "export it as SVS or pyramidal TIFF with the maker's own viewer or converter"
_CONVERSIONS: dict[str, tuple[str, str]] = {
    ".kfb": ("KFBio", _VIEWER),
    ".kfbf": ("KFBio", _VIEWER),
    ".sdpc": ("Sqray", _VIEWER),
    ".dyqx": ("Sqray", _VIEWER),
    ".mdsx": ("Motic", _VIEWER),
    ".mds": ("Motic", _VIEWER),
    ".tmap": ("UNIC", _VIEWER),
    ".tron": ("InteMedic", _VIEWER),
    ".isyntax": (
        "Philips iSyntax",
        "export it as TIFF with Philips' software, or convert it with libisyntax (isyntax-to-tiff)",
    ),
    ".i2syntax": ("Philips iSyntax 2", "export it as TIFF or DICOM with Philips' software"),
    ".vsi": ("Olympus VSI", _BIO_FORMATS),
    ".ets": ("Olympus VSI (its pixels; the slide is the .vsi)", _BIO_FORMATS),
    ".afi": ("Aperio fluorescence index", "give the SVS files it names"),
    ".zvi": ("Zeiss ZVI", _BIO_FORMATS),
    ".lif": ("Leica LIF", _BIO_FORMATS),
    ".jp2": ("JPEG 2000 without a container", "convert it to a tiled pyramidal TIFF"),
    ".szi": ("Smart Zoom Image", "convert it to a tiled pyramidal TIFF, for instance with vips"),
    ".dzi": ("Deep Zoom", "convert it to a tiled pyramidal TIFF, for instance with vips"),
}


class SlideReader(Protocol):
    """What an entry point of the group ``metastra.readers`` offers."""

    def opens(self, path: Path) -> bool:
        """Say whether this is a file of the reader's format.

        Parameters
        ----------
        path : Path
            A regular file with bytes in it; looked at by content, not by name alone.

        Returns
        -------
        bool
            False leaves it to the next reader.
        """
        ...

    def open(
        self, path: Path, *, mpp: float | tuple[float, float] | None, mpp_source: MppSource
    ) -> Slide:
        """Open the slide.

        Parameters
        ----------
        path : Path
            A file that `opens` took.
        mpp, mpp_source
            As `metastra.slides.opening.open_slide`; microns per pixel are never guessed.

        Returns
        -------
        Slide
            That holds the contract of `metastra.slides.slide.Slide`.

        Raises
        ------
        SlideError
            If it is damaged.
        """
        ...


def other_reader(path: Path) -> SlideReader | None:
    """Find the reader of another package that opens a file.

    Parameters
    ----------
    path : Path
        A file that metastra does not read.

    Returns
    -------
    SlideReader or None
        The first by name that takes it; None where none does.

    Raises
    ------
    ConfigError
        If an installed reader cannot be loaded or is no reader.
    """
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda item: item.name):
        reader = _load(point)
        if reader.opens(path):
            return reader
    return None


def conversion_of(path: Path) -> tuple[str, str] | None:
    """Name the maker of a format that is not read, and the conversion that helps.

    Parameters
    ----------
    path : Path
        A file that nothing opened; its ending serves for words only.

    Returns
    -------
    tuple of str or None
        What it seems to be, and what to do; None for other endings.

    Examples
    --------
    >>> conversion_of(Path("a.KFB"))[0]
    'KFBio'
    """
    return _CONVERSIONS.get(path.suffix.lower())


def _load(point: EntryPoint) -> SlideReader:
    where = f"reader {point.name!r} of {point.value}"
    try:
        reader: Any = point.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"{where} cannot be loaded: {error}") from error
    if not all(callable(getattr(reader, name, None)) for name in ("opens", "open")):
        raise ConfigError(
            f"{where} gives a {type(reader).__name__}; expected an object with `opens` and `open`"
        )
    found: SlideReader = reader
    return found
