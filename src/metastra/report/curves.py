"""Curves over time with their numbers at risk, as a figure, a table and a paragraph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metastra.report.curve_data import MOST_GROUPS, CurveData, CurveKind, CurveOptions
from metastra.report.wording import interval, joined, number, percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["MOST_GROUPS", "CurveKind", "CurveOptions", "Curves"]


class Curves(CurveData):
    """One curve for each group, with its interval and its numbers at risk: table, figure, words.

    The fields are those of `CurveData`.
    """

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
