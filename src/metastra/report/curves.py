"""Curves over time with their numbers at risk, as a figure, a table and a paragraph."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from metastra.report.curve_line import CurveLine
from metastra.report.wording import interval, joined, number, percent
from metastra.survival.intervals import IntervalScale
from metastra.units import TimeUnit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["MOST_GROUPS", "CurveKind", "CurveOptions", "Curves"]

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
class Curves:
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

    def frame(self) -> pd.DataFrame:
        """Give every step of every curve.

        Returns
        -------
        pandas.DataFrame
            group, time, n_risk (just before), estimate, lower, upper, supported.
        """
        import pandas as pd

        parts = [
            pd.DataFrame(
                {
                    "group": line.label,
                    "time": line.times,
                    "n_risk": line.n_risk,
                    "estimate": line.value,
                    "lower": line.lower,
                    "upper": line.upper,
                    "supported": line.n_risk >= self.options.min_at_risk,
                }
            )
            for line in self.lines
        ]
        return pd.concat(parts, ignore_index=True)

    def tick_frame(self) -> pd.DataFrame:
        """Give the numbers under the figure, with the estimate at each of these times.

        Returns
        -------
        pandas.DataFrame
            group, time, at_risk (``T >= t`` and ``entry < t``), events (up to and including t),
            estimate, lower, upper; missing past the group's follow-up.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "group": line.label,
                    "time": tick,
                    "at_risk": line.at_risk[i],
                    "events": line.events_so_far[i],
                    **dict(zip(("estimate", "lower", "upper"), line.at(tick), strict=True)),
                }
                for line in self.lines
                for i, tick in enumerate(self.ticks)
            ]
        )

    def plot(self) -> Figure:
        """Draw the curves with the table under them.

        Returns
        -------
        matplotlib.figure.Figure
            170 mm wide.
        """
        from metastra.report.curve_drawing import draw_curves

        return draw_curves(self)

    def explain(self) -> str:
        """Say what the figure shows.

        Returns
        -------
        str
            One paragraph.
        """
        shown = {
            CurveKind.INCIDENCE: f"Cumulative incidence of {self.event}",
            CurveKind.SURVIVAL: f"Share of patients free of {self.event}",
            CurveKind.FOLLOW_UP: "Share of patients still under follow-up, had nobody had an event",
        }[self.kind]
        text = f"{shown}, by {self.method}. {self._at_primary()}"
        if self.kind is CurveKind.INCIDENCE and self.competing:
            text += (
                "Competing events are taken into account; one minus Kaplan–Meier would count "
                "patients who can no longer have the event and come out too high. "
            )
        if self.kind is CurveKind.FOLLOW_UP:
            text += "An event ends the watch without counting as a loss. "
        band = percent(self.options.level, 0)
        text += (
            f"Bands are pointwise {band} intervals. Lines are thin and without band where fewer "
            f"than {self.options.min_at_risk} patients are at risk. Numbers at risk are counted "
            "just before each time, events up to and including it."
        )
        return text

    def _at_primary(self) -> str:
        if self.options.primary is None:
            return ""
        parts = []
        for line in self.lines:
            value, lower, upper = line.at(self.options.primary)
            if value is None:
                ended = f"{number(line.end)} {self.options.time_unit}"
                parts.append(f"not estimable in {line.label}, where follow-up ends at {ended}")
            else:
                limits = interval(lower, upper, as_percent=True)
                parts.append(f"{percent(value)}{f' ({limits})' if limits else ''} in {line.label}")
        return f"At {self.options.primary:g} {self.options.time_unit} it is {joined(parts)}. "
