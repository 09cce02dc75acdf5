"""How far the numbers move when events are dated halfway back to the last negative examination."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from metastra.evaluation.calibrating import calibration
from metastra.evaluation.draws import Draws
from metastra.evaluation.measures import discrimination
from metastra.evaluation.patients import Patients, Settings
from metastra.survival.outcome import Outcome

__all__ = ["midpoint", "midpoint_sensitivity"]


def midpoint(patients: Patients) -> tuple[Patients, int]:
    """Date each event of interest to the middle between the last negative examination and it.

    Parameters
    ----------
    patients : Patients
        With `last_negative`.

    Returns
    -------
    moved : Patients
        The same patients with earlier events; others keep their times.
    n_moved : int
        Events that were moved.

    Notes
    -----
    Midpoint imputation of interval-censored times (Lindsey and Ryan 1998, who show when it is
    adequate: intervals short against follow-up).

    Examples
    --------
    >>> y = Outcome(time=[8.0, 9.0], event=[1, 0])
    >>> some = Patients(
    ...     outcome=y,
    ...     horizons=(5.0,),
    ...     score=np.array([1.0, 0.0]),
    ...     last_negative=np.array([2.0, np.nan]),
    ... )
    >>> moved, n = midpoint(some)
    >>> moved.outcome.time.tolist(), n
    ([5.0, 9.0], 1)
    """
    if patients.last_negative is None:
        return patients, 0
    y, before = patients.outcome, patients.last_negative
    chosen = (y.event == 1) & np.isfinite(before) & (before < y.time)
    if y.entry is not None:
        chosen &= 0.5 * (before + y.time) > y.entry
    time = np.where(chosen, 0.5 * (before + y.time), y.time)
    moved = Outcome(time=time, event=y.event, entry=y.entry)
    return replace(patients, outcome=moved), int(np.count_nonzero(chosen))


def midpoint_sensitivity(patients: Patients) -> dict[str, Any]:
    """Repeat discrimination and calibration with the moved events.

    Parameters
    ----------
    patients : Patients
        With or without `last_negative`.

    Returns
    -------
    dict
        ``events_moved``, ``discrimination`` and ``calibration`` with intervals from formulas; only
        a ``reason`` where no last negative examination was given.
    """
    if patients.last_negative is None:
        return {"events_moved": 0, "reason": "no last negative examination was given"}
    moved, n_moved = midpoint(patients)
    no_draws = Draws(sample=None, reason="the sensitivity analysis is not drawn")
    fixed = Settings(bootstrap=0)
    found = discrimination(moved, no_draws)
    found.pop("roc")
    calibrated = [
        {key: row[key] for key in ("horizon", "observed", "expected", "oe_ratio", "slope")}
        for row in calibration(moved, no_draws, fixed)
    ]
    return {"events_moved": n_moved, "discrimination": found, "calibration": calibrated}
