"""Estimating the curves of a figure: incidence, survival, follow-up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError
from metastra.report.curve_line import line_of
from metastra.report.curves import CurveKind, CurveOptions, Curves
from metastra.survival.aalen_johansen import CumulativeIncidence, aalen_johansen
from metastra.survival.kaplan_meier import KaplanMeier, kaplan_meier, reverse_kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.ticks import nice_ticks
from metastra.units import DAYS_PER_UNIT

__all__ = ["follow_up_curves", "incidence_curves", "survival_curves"]


def incidence_curves(
    outcomes: Mapping[str, Outcome],
    *,
    event: str,
    cause: int = 1,
    competing: bool | None = None,
    options: CurveOptions | None = None,
) -> Curves:
    """Estimate the cumulative incidence of one event in each group.

    Aalen–Johansen where competing events occur in any group or are declared; one minus
    Kaplan–Meier only where nothing competes.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
        Groups by their label, times in days.
    event : str
        The event in words, as it continues "cumulative incidence of".
    cause : int
        Code of the event.
    competing : bool, optional
        Whether competing events are possible; by default whether any occurs.
    options : CurveOptions, optional
        Unit of the axis, horizons, levels; days and no horizons when left out.

    Returns
    -------
    Curves
        With `frame`, `plot` and `explain`.

    Raises
    ------
    ConfigError
        Without a group.

    Notes
    -----
    Aalen and Johansen 1978; Kaplan and Meier 1958 with Greenwood's standard error.

    Examples
    --------
    >>> y = Outcome(time=[100, 200, 300, 400], event=[1, 2, 0, 0])
    >>> curves = incidence_curves({"all": y}, event="relapse")
    >>> curves.frame()["estimate"].round(2).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    chosen = options or CurveOptions()
    scale, level = chosen.interval_scale, chosen.level
    if competing is None:
        competing = any(set(outcome.causes) - {cause} for outcome in outcomes.values())
    estimates: dict[str, CumulativeIncidence | KaplanMeier] = {}
    for label, outcome in outcomes.items():
        if competing:
            found = aalen_johansen(outcome, causes=[cause], interval=scale, level=level)
            estimates[label] = found[cause]
        else:
            only = outcome.only(cause)
            estimates[label] = kaplan_meier(only, interval=scale, level=level)
    method = (
        f"Aalen–Johansen (infinitesimal jack-knife, {scale} scale)"
        if competing
        else f"one minus Kaplan–Meier (nothing competes; Greenwood, {scale} scale)"
    )
    return _curves(
        CurveKind.INCIDENCE,
        estimates,
        {label: outcome.event == cause for label, outcome in outcomes.items()},
        event=event,
        options=chosen,
        method=method,
        competing=competing,
    )


def survival_curves(
    outcomes: Mapping[str, Outcome],
    *,
    event: str,
    options: CurveOptions | None = None,
) -> Curves:
    """Estimate survival free of *any* event in each group by Kaplan–Meier.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
        Groups by their label, times in days; every code other than 0 is an event.
    event : str
        The event in words, as it continues "free of".
    options : CurveOptions, optional
        Unit of the axis, horizons, levels; days and no horizons when left out.

    Returns
    -------
    Curves
        With `frame`, `plot` and `explain`.

    Raises
    ------
    ConfigError
        Without a group.

    Examples
    --------
    >>> y = Outcome(time=[100, 200, 300, 400], event=[1, 1, 0, 0])
    >>> survival_curves({"all": y}, event="death").frame()["estimate"].tolist()
    [0.75, 0.5, 0.5, 0.5]
    """
    chosen = options or CurveOptions()
    scale, level = chosen.interval_scale, chosen.level
    return _curves(
        CurveKind.SURVIVAL,
        {
            label: kaplan_meier(outcome, interval=scale, level=level)
            for label, outcome in outcomes.items()
        },
        {label: outcome.event != 0 for label, outcome in outcomes.items()},
        event=event,
        options=chosen,
        method=f"Kaplan–Meier (Greenwood, {scale} scale)",
        competing=False,
    )


def follow_up_curves(
    outcomes: Mapping[str, Outcome],
    *,
    options: CurveOptions | None = None,
) -> Curves:
    """Estimate how long each group is followed by the reverse Kaplan–Meier.

    Parameters
    ----------
    outcomes : mapping of str to Outcome
        Groups by their label, times in days.
    options : CurveOptions, optional
        Unit of the axis, horizons, levels; days and no horizons when left out.

    Returns
    -------
    Curves
        With `frame`, `plot` and `explain`; its "events" are ends of follow-up without an event.

    Raises
    ------
    ConfigError
        Without a group.

    Notes
    -----
    Schemper and Smith 1996.

    Examples
    --------
    >>> y = Outcome(time=[100, 200, 300, 400], event=[1, 0, 0, 0])
    >>> follow_up_curves({"all": y}).frame()["estimate"].round(2).tolist()
    [1.0, 0.67, 0.33, 0.0]
    """
    chosen = options or CurveOptions()
    scale, level = chosen.interval_scale, chosen.level
    return _curves(
        CurveKind.FOLLOW_UP,
        {
            label: reverse_kaplan_meier(outcome, interval=scale, level=level)
            for label, outcome in outcomes.items()
        },
        {label: outcome.event == 0 for label, outcome in outcomes.items()},
        event="loss to follow-up",
        options=chosen,
        method=f"reverse Kaplan–Meier (Greenwood, {scale} scale)",
        competing=False,
    )


def _curves(
    kind: CurveKind,
    estimates: Mapping[str, CumulativeIncidence | KaplanMeier],
    counted: Mapping[str, NDArray[np.bool_]],
    *,
    event: str,
    options: CurveOptions,
    method: str,
    competing: bool,
) -> Curves:
    if not estimates:
        raise ConfigError("curves need at least one group of patients")
    factor = DAYS_PER_UNIT[options.time_unit]
    last = max(float(estimate.times[-1]) for estimate in estimates.values()) / factor
    ticks = nice_ticks(last, options.time_unit)
    lines = tuple(
        line_of(
            label,
            estimate,
            counted[label],
            days_per_unit=factor,
            ticks=ticks,
            rises=kind is CurveKind.INCIDENCE,
        )
        for label, estimate in estimates.items()
    )
    return Curves(
        kind=kind,
        event=event,
        lines=lines,
        ticks=ticks,
        options=options,
        method=method,
        competing=competing,
    )
