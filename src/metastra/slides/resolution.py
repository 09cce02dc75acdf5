"""Microns per pixel: what the file states, what the user states, and what is believed.

The scale is never taken from a magnification and never rounded.  A value that no microscope has
(print resolutions, defaults of writers, 0, −1, NaN) is not believed and is named.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from metastra.catalogue import problem
from metastra.errors import ConfigError, Problem, Where
from metastra.slides.slide import MppSource, slide_error

__all__ = [
    "MAX_MPP",
    "MIN_MPP",
    "Resolution",
    "is_plausible",
    "mpp_of_tags",
    "require_mpp",
    "resolve_mpp",
]

MIN_MPP = 0.02
"""Finest believed scale in µm per pixel: half of a 100× oil objective's sampling."""
MAX_MPP = 40.0
"""Coarsest believed scale; 600, 300, 96 and 72 dpi (42, 85, 265, 353 µm) are print defaults."""

_UM_PER_UNIT = {2: 25_400.0, 3: 10_000.0}  # TIFF ResolutionUnit: inch, centimetre
_TELL_ABOVE = 0.02  # relative difference of a given and a stated scale that is worth a warning
_EXPECTED = f"{MIN_MPP:g} to {MAX_MPP:g} µm per pixel"


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The scale that is believed.

    Parameters
    ----------
    mpp_x, mpp_y : float or None
        Microns per level-0 pixel.
    source : {"file", "table", "option"} or None
        Who states them.
    problems : tuple of Problem
        Warnings: a value that is not believed, or two that differ.
    """

    mpp_x: float | None = None
    mpp_y: float | None = None
    source: MppSource | None = None
    problems: tuple[Problem, ...] = ()


def is_plausible(mpp: float) -> bool:
    """Say whether a microscope can have this scale.

    Parameters
    ----------
    mpp : float
        Microns per pixel.

    Returns
    -------
    bool
        False for NaN and infinity too.

    Examples
    --------
    >>> [is_plausible(value) for value in (0.25, 28.97, 0.0, -1.0, 1000.0, float("nan"))]
    [True, True, False, False, False, False]
    """
    return math.isfinite(mpp) and MIN_MPP <= mpp <= MAX_MPP


def mpp_of_tags(x_resolution: float, y_resolution: float, unit: int) -> tuple[float, float] | None:
    """Turn TIFF's resolution tags into microns per pixel.

    Parameters
    ----------
    x_resolution, y_resolution : float
        Pixels per unit (tags 282 and 283).
    unit : int
        Tag 296: 1 none, 2 inch, 3 centimetre.

    Returns
    -------
    tuple of float or None
        Along x and y; None where the tags state no length at all: no unit, or the value 1 that
        writers put in when they know nothing.

    Examples
    --------
    >>> mpp_of_tags(20000.0, 40000.0, 3)
    (0.5, 0.25)
    >>> mpp_of_tags(1.0, 1.0, 2) is None
    True
    """
    um = _UM_PER_UNIT.get(unit)
    if um is None or (x_resolution == 1 and y_resolution == 1):
        return None
    return tuple(um / value if value else math.nan for value in (x_resolution, y_resolution))  # type: ignore[return-value]


def resolve_mpp(
    name: str,
    stated: tuple[float, float] | None,
    given: float | tuple[float, float] | None,
    given_source: MppSource,
) -> Resolution:
    """Decide which scale holds: the user's where he gives one, else the file's.

    Parameters
    ----------
    name : str
        The slide's file name, for messages.
    stated : tuple of float or None
        What the file states along x and y.
    given : float, tuple of float or None
        What the user states; one number holds for both directions.
    given_source : {"table", "option", "file"}
        Where the user states it.

    Returns
    -------
    Resolution
        With warnings: SL008 for a value of the file that is not believed, SL009 where the user's
        differs from the file's by more than 2 %.

    Raises
    ------
    ConfigError
        If a value given as an option cannot be.
    SlideError
        SL008 if a value of a table cannot be.
    """
    believed = stated is not None and all(map(is_plausible, stated))
    if given is None:
        if stated is None:
            return Resolution()
        if believed:
            return Resolution(mpp_x=stated[0], mpp_y=stated[1], source="file")
        unbelieved = problem(
            "SL008",
            f"the file states {_text(stated)} µm per pixel",
            where=Where(file=name),
            expected=_EXPECTED,
        )
        return Resolution(problems=(unbelieved,))
    pair = given if isinstance(given, tuple) else (given, given)
    if not all(map(is_plausible, pair)):
        found = f"the {given_source} states {_text(pair)} µm per pixel"
        if given_source == "option":
            raise ConfigError(f"{name}: {found}; expected {_EXPECTED}")
        raise slide_error("SL008", name, found, expected=_EXPECTED)
    problems: tuple[Problem, ...] = ()
    if believed and stated is not None and _differ(pair, stated):
        problems = (
            problem(
                "SL009",
                f"the {given_source} states {_text(pair)} µm per pixel, the file {_text(stated)}",
                where=Where(file=name),
            ),
        )
    return Resolution(mpp_x=pair[0], mpp_y=pair[1], source=given_source, problems=problems)


def _differ(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return any(abs(a - b) > _TELL_ABOVE * b for a, b in zip(one, other, strict=True))


def _text(pair: tuple[float, float]) -> str:
    x, y = (f"{value:.6g}" for value in pair)
    return x if x == y else f"{x} × {y}"


def require_mpp(mpp: float | None) -> None:
    """Refuse a scale that no slide has, before any slide is opened.

    Parameters
    ----------
    mpp : float or None
        Micrometres per level-0 pixel, as the option ``--slide-mpp`` states it.

    Raises
    ------
    ConfigError
        If it cannot be.
    """
    if mpp is not None and not is_plausible(mpp):
        raise ConfigError(f"--slide-mpp {mpp:g}: expected {_EXPECTED}")
