"""What a column that became known late would have done as a baseline covariate."""

from __future__ import annotations

from typing import Any

import numpy as np

from metastra.errors import DataError, NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate
from metastra.evaluation.late_columns import LateColumn
from metastra.evaluation.patients import Patients, Settings
from metastra.evaluation.risk_groups import marker
from metastra.survival.immortal_time import (
    HazardRatioRow,
    ImmortalTime,
    compare_immortal_time,
)

__all__ = ["immortal_time"]

_COX = "cause-specific hazard ratio of the state, Cox model (Efron) with the predictions beside it"


def immortal_time(patients: Patients, settings: Settings) -> list[dict[str, Any]]:
    """Show, for each column that was kept out, the wrong analysis beside the right ones.

    Parameters
    ----------
    patients : Patients
        With `late` columns.
    settings : Settings
        The first landmark after 0 is taken; half of the last horizon where there is none.

    Returns
    -------
    list of dict
        ``column``, ``landmark``, ``n_known``, ``n_too_late``, ``n_left``, ``explanation`` and
        ``rows`` (``analysis``, ``valid``, ``answers``, ``p`` and an EST); or ``column`` and
        ``reason``.

    Notes
    -----
    Suissa 2008 (American Journal of Epidemiology 167, 492–499).
    """
    after = [t for t in settings.landmarks if t > 0.0]
    landmark = after[0] if after else 0.5 * patients.last_horizon
    return [_one(patients, column, landmark) for column in patients.late]


def _one(patients: Patients, column: LateColumn, landmark: float) -> dict[str, Any]:
    try:
        found = _compared(patients, column, landmark)
    except NotEstimable as error:
        return {"column": column.name, "reason": error.reason}
    return {
        "column": column.name,
        "landmark": found.landmark,
        "n_known": found.n_known,
        "n_too_late": found.n_too_late,
        "n_left": found.n_left,
        "explanation": found.explanation,
        "rows": [_row(row, patients) for row in found.rows],
    }


def _compared(patients: Patients, column: LateColumn, landmark: float) -> ImmortalTime:
    if column.known_at is None:
        raise NotEstimable(
            "the column holds no state that is reached or not (1 and 0, yes and no): there is "
            "nothing to compare"
        )
    if patients.outcome.entry is not None:
        raise NotEstimable("the comparison needs follow-up from 0; entry is delayed")
    try:
        name, values = marker(patients)
    except NotEstimable:
        name, values = "", np.empty((patients.n, 0))
    try:
        return compare_immortal_time(
            patients.outcome.only(1),
            column.known_at,
            landmark=landmark,
            name=column.name,
            fixed=values.reshape(patients.n, -1),
            fixed_names=[name] if name else [],
            level=LEVEL,
        )
    except DataError as error:
        raise NotEstimable(str(error)) from error


def _row(row: HazardRatioRow, patients: Patients) -> dict[str, Any]:
    number = Estimate(
        estimate=row.hazard_ratio,
        lower=row.lower,
        upper=row.upper,
        method=f"{_COX}; {row.analysis}",
        n=patients.n if row.n is None else row.n,
        events=patients.outcome.n_events(1) if row.n_events is None else row.n_events,
        reason=row.reason or None,
    )
    head = {"analysis": row.analysis, "valid": row.valid, "answers": row.answers, "p": row.p}
    return head | number.to_json()
