"""What a figure of curves is made of, without the drawing and without the words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from metastra.report.curve_line import CurveLine
from metastra.survival.intervals import IntervalScale
from metastra.units import TimeUnit

__all__ = ["MOST_GROUPS", "CurveData", "CurveKind", "CurveOptions"]

MOST_GROUPS = 6
"""Curves that can be told apart in grey print; `metastra.report.theme` has a style for each."""


class CurveKind(StrEnum):
    """What a curve shows."""

    INCIDENCE = "incidence"
    """Probability of the event by a time."""
    SURVIVAL = "survival"
    """Probability of being free of every event."""
    FOLLOW_UP = "follow-up"
    """Share still watched, had nobody had an event (reverse Kaplan–Meier)."""


@dataclass(frozen=True, kw_only=True)
class CurveOptions:
    """What curves of one report have in common.

    Parameters
    ----------
    time_unit : TimeUnit
        Of the axis and of the horizons; outcomes are in days.
    horizons : tuple of float
        Times that are marked.
    primary : float or None
        The horizon that decides.
    min_at_risk : int
        Where fewer patients are at risk the curve is drawn thin and without a band.
    level : float
        Confidence level of the band.
    interval_scale : {"log", "log-log", "plain", "arcsine"}
        Scale of the limits; log-log stays inside 0 and 1 and behaves with few events.
    """

    time_unit: TimeUnit = TimeUnit.DAYS
    horizons: tuple[float, ...] = ()
    primary: float | None = None
    min_at_risk: int = 5
    level: float = 0.95
    interval_scale: IntervalScale = "log-log"


@dataclass(frozen=True, kw_only=True, eq=False)
class CurveData:
    """One curve for each group, with its interval and its numbers at risk.

    Parameters
    ----------
    kind : CurveKind
        What the curves show.
    event : str
        The event in words.
    lines : tuple of CurveLine
        One for each group, in the order given.
    ticks : tuple of float
        Times of the table under the figure.
    options : CurveOptions
        Unit, horizons and levels.
    method : str
        The estimator and its interval, in words.
    competing : bool
        Whether competing events occur or were declared.
    """

    kind: CurveKind
    event: str
    lines: tuple[CurveLine, ...]
    ticks: tuple[float, ...]
    options: CurveOptions
    method: str
    competing: bool
