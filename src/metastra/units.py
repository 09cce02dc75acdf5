"""Physical quantities as types, and the only place where they are converted.

A bare float carries no unit, so a function that takes micrometres says ``Um`` and mypy refuses
level-0 pixels there.  At run time the types are plain numbers and cost nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

__all__ = ["DAYS_PER_UNIT", "Days", "Mpp", "Px0", "TimeUnit", "Um", "from_days", "to_days"]

Um = NewType("Um", float)
"""Micrometres."""
Mpp = NewType("Mpp", float)
"""Micrometres per pixel."""
Px0 = NewType("Px0", int)
"""Pixels at the slide's full resolution (level 0)."""
Days = NewType("Days", float)
"""Days; the unit in which every follow-up time is stored."""


class TimeUnit(StrEnum):
    """The unit in which a table or a study states its times."""

    DAYS = "days"
    MONTHS = "months"
    YEARS = "years"


DAYS_PER_UNIT: dict[TimeUnit, float] = {
    TimeUnit.DAYS: 1.0,
    TimeUnit.MONTHS: 365.25 / 12,
    TimeUnit.YEARS: 365.25,
}
"""A year is 365.25 days and a month a twelfth of it: the mean of the Julian calendar."""


def to_days(value: float, unit: TimeUnit | str) -> Days:
    """Express a duration in days.

    Parameters
    ----------
    value : float
        The duration, in `unit`.
    unit : TimeUnit or str
        ``"days"``, ``"months"`` or ``"years"``.

    Returns
    -------
    Days
        The same duration in days.

    Examples
    --------
    >>> to_days(24, "months")
    730.5
    """
    return Days(value * DAYS_PER_UNIT[TimeUnit(unit)])


def from_days(value: float, unit: TimeUnit | str) -> float:
    """Express a number of days in another unit.

    Parameters
    ----------
    value : float
        The duration in days.
    unit : TimeUnit or str
        ``"days"``, ``"months"`` or ``"years"``.

    Returns
    -------
    float
        The same duration in `unit`.

    Examples
    --------
    >>> from_days(730.5, "years")
    2.0
    """
    return value / DAYS_PER_UNIT[TimeUnit(unit)]
