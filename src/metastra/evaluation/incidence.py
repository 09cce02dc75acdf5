"""Cumulative incidence of each risk group at round times, with numbers at risk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.evaluation.estimate import LEVEL
from metastra.evaluation.patients import Patients
from metastra.evaluation.risk_groups import Grouping
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.ticks import nice_ticks

__all__ = ["incidence"]

_Array = NDArray[np.float64]


def incidence(patients: Patients, grouping: Grouping) -> dict[str, Any]:
    """Tabulate the curves of the figure at the times under it and at the horizons.

    Parameters
    ----------
    patients : Patients
        Whom.
    grouping : Grouping
        Their risk groups.

    Returns
    -------
    dict
        ``method`` and ``groups``: for each the end of its follow-up and ``ticks`` with ``time``,
        ``at_risk`` (``entry < t <= time``), ``events`` up to and including t, ``incidence``,
        ``lower`` and ``upper``; None past the end of follow-up.
    """
    how = "Aalen–Johansen" if patients.competing else "one minus Kaplan–Meier"
    last = float(patients.outcome.time.max())
    inside = [float(h) for h in patients.horizons if h <= last]
    ticks = np.array(sorted({*nice_ticks(last, patients.time_unit), *inside}))
    groups = []
    for number, name in enumerate(grouping.names):
        mine = grouping.group == number
        if mine.any():
            part = patients.outcome.take(mine)
            groups.append(
                {
                    "name": name,
                    "n": part.n,
                    "follow_up_end": float(part.time.max()),
                    "ticks": _ticks(part, ticks, competing=patients.competing),
                }
            )
    return {
        "method": f"{how}, pointwise interval on the log-log scale",
        "level": LEVEL,
        "groups": groups,
    }


def _ticks(part: Outcome, ticks: _Array, *, competing: bool) -> list[dict[str, Any]]:
    times, value, lower, upper, end = _curve(part, competing=competing)
    there = part.time[None, :] >= ticks[:, None]
    if part.entry is not None:
        there &= part.entry[None, :] < ticks[:, None]
    at_risk = there.sum(axis=1)
    events = ((part.event == 1)[None, :] & (part.time[None, :] <= ticks[:, None])).sum(axis=1)
    rows = []
    for k, tick in enumerate(ticks):
        place = int(np.searchsorted(times, tick * (1.0 + 1e-9), side="right")) - 1
        numbers: tuple[float | None, ...] = (None, None, None)
        if tick <= end * (1.0 + 1e-9):
            numbers = (0.0, None, None)
            if place >= 0:
                found = (value[place], lower[place], upper[place])
                numbers = tuple(float(v) if np.isfinite(v) else None for v in found)
        rows.append(
            {
                "time": float(tick),
                "at_risk": int(at_risk[k]),
                "events": int(events[k]),
                **dict(zip(("incidence", "lower", "upper"), numbers, strict=True)),
            }
        )
    return rows


def _curve(part: Outcome, *, competing: bool) -> tuple[_Array, _Array, _Array, _Array, float]:
    if competing:
        curve = aalen_johansen(part, causes=[1], interval="log-log", level=LEVEL)[1]
        return curve.times, curve.incidence, curve.lower, curve.upper, curve.support_end
    km = kaplan_meier(part.only(1), interval="log-log", level=LEVEL)
    end = km.curve().support_end
    return km.times, 1.0 - km.survival, 1.0 - km.upper, 1.0 - km.lower, end
