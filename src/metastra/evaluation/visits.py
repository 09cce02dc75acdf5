"""When events were looked for, and how far a risk depends on the date that was written down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import DataError, NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.patients import Patients, Settings
from metastra.survival.interval_censored import IntervalCensored
from metastra.survival.interval_sensitivity import DatingRow, dating_sensitivity

__all__ = ["dating", "visit_schedule"]

_DRAWS = 200
_NAMES = {
    "interval-censored": "the event lies anywhere between the two examinations",
    "midpoint": "halfway between the two examinations",
    "right": "at the examination that found it (as recorded)",
    "grace": "as recorded, but a scan within the grace window counts at the horizon",
}


def dating(patients: Patients, settings: Settings) -> dict[str, Any]:
    """Estimate the risk by the last horizon under four ways to date an event.

    Parameters
    ----------
    patients : Patients
        With `last_negative`.
    settings : Settings
        With the grace window, 0 when left out, draws and seed.

    Returns
    -------
    dict
        ``rows``: an EST for each dating, with what it assumes; ``grace``, ``straddling`` (found
        with the event, the horizon between the two examinations) and ``spread``; only a ``reason``
        where no last negative examination was given.
    """
    if patients.last_negative is None:
        return {"rows": [], "reason": "no last negative examination was given"}
    y = patients.outcome
    if y.entry is not None:
        return {"rows": [], "reason": "delayed entry: interval-censored times are not entered late"}
    found = y.event == 1
    before = np.where(np.isfinite(patients.last_negative), patients.last_negative, 0.0)
    left = np.where(found, np.minimum(before, y.time), y.time)
    right = np.where(found, y.time, np.inf)
    competing = np.where(y.event == 2, 2, 0) if patients.competing else None
    grace = settings.grace or 0.0
    horizon = patients.last_horizon
    try:
        table = dating_sensitivity(
            IntervalCensored(left=left, right=right),
            horizon,
            grace=grace,
            competing=competing,
            n_draws=min(_DRAWS, settings.bootstrap) or _DRAWS,
            seed=settings.seed,
            level=LEVEL,
        )
    except (NotEstimable, DataError) as error:
        return {"rows": [], "reason": str(error)}
    return {
        "horizon": horizon,
        "grace": grace,
        "straddling": table.n_straddling,
        "spread": table.spread,
        "rows": [_row(row, patients, horizon) for row in table.rows],
    }


def _row(row: DatingRow, patients: Patients, horizon: float) -> dict[str, Any]:
    method = f"risk by the horizon, events dated: {_NAMES[row.dating]}"
    events = patients.outcome.n_events(1) if row.n_events is None else row.n_events

    def make() -> Estimate:
        if row.risk is None:
            raise NotEstimable(row.reason)
        return Estimate(
            estimate=row.risk,
            lower=row.lower,
            upper=row.upper,
            method=method,
            n=patients.n,
            events=events,
            horizon=horizon,
            reason=row.reason or None,
        )

    number = attempt(make, method=method, n=patients.n, events=events, horizon=horizon)
    return {"dating": row.dating, "assumes": _NAMES[row.dating], **number.to_json()}


def visit_schedule(patients: Patients) -> list[dict[str, Any]]:
    """Describe by cohort how long before its detection an event could have begun.

    Parameters
    ----------
    patients : Patients
        With `last_negative`, and `cohort` where there are several.

    Returns
    -------
    list of dict
        For each cohort, and for all patients first: ``events``, ``with_date`` and the quartiles of
        the time between the last negative examination and the event; None under 3 dates.
    """
    if patients.last_negative is None:
        return []
    rows = [_gaps("all patients", patients)]
    if patients.cohort is not None:
        names = sorted(set(patients.cohort.tolist()))
        rows += [_gaps(str(name), patients.take(patients.cohort == name)) for name in names]
    return rows


def _gaps(name: str, part: Patients) -> dict[str, Any]:
    before = part.last_negative
    found = part.outcome.event == 1
    gaps: NDArray[np.float64] = np.empty(0)
    if before is not None:
        dated = found & np.isfinite(before)
        gaps = part.outcome.time[dated] - before[dated]
    quartiles = np.quantile(gaps, [0.25, 0.5, 0.75]).tolist() if gaps.size >= 3 else [None] * 3
    return {
        "cohort": name,
        "events": int(np.count_nonzero(found)),
        "with_date": int(gaps.size),
        "gap_q1": quartiles[0],
        "gap_median": quartiles[1],
        "gap_q3": quartiles[2],
    }
