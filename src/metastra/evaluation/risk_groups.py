"""Groups of low and high risk: their observed risks, hazard ratios and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.classifying import classification
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.patients import Patients, Settings
from metastra.survival.calibration import observed_risk
from metastra.survival.cox import fit_cox
from metastra.survival.gray import gray_test
from metastra.survival.horizon import events_by
from metastra.survival.intervals import probability_interval
from metastra.survival.logrank import logrank
from metastra.survival.outcome import Outcome

__all__ = ["Grouping", "group_patients", "group_risks", "risk_groups"]

_NAMES = {1: ("all",), 2: ("low", "high"), 3: ("low", "intermediate", "high")}


@dataclass(frozen=True, kw_only=True, eq=False)
class Grouping:
    """Patients sorted into risk groups.

    Parameters
    ----------
    cutpoints : tuple of float
        A patient at or above a cutpoint belongs to the higher group.
    exploratory : bool
        Whether the cutpoints were taken from these very patients.
    scale : str
        What is cut.
    names : tuple of str
        From the lowest group to the highest.
    group : ndarray of shape (n,), int64
        Position of each patient's group in `names`.
    """

    cutpoints: tuple[float, ...]
    exploratory: bool
    scale: str
    names: tuple[str, ...]
    group: NDArray[np.int64]


def group_patients(patients: Patients, settings: Settings) -> Grouping:
    """Sort patients into risk groups.

    Parameters
    ----------
    patients : Patients
        Whom; cutpoints are on the risk by their horizon, or on the score without risks.
    settings : Settings
        With the cutpoints; thirds of these patients where there are none.

    Returns
    -------
    Grouping
        Groups without a patient keep their name.
    """
    risks = patients.risks
    horizon = settings.cutpoint_horizon
    at = patients.horizons.index(patients.last_horizon if horizon is None else horizon)
    values = patients.order() if risks is None else risks[:, at]
    scale = patients.scale
    if risks is not None:
        scale = f"risk by {patients.horizons[at]:g} {patients.time_unit}"
    cuts = settings.cutpoints
    if not cuts:
        # as a threshold is read: at or above it is higher
        thirds = np.quantile(values, [1.0 / 3.0, 2.0 / 3.0])
        inside = [float(cut) for cut in np.unique(thirds) if cut > values.min()]
        cuts = tuple(inside)
    k = len(cuts) + 1
    return Grouping(
        cutpoints=tuple(cuts),
        exploratory=not settings.cutpoints,
        scale=scale,
        names=_NAMES.get(k, tuple(f"group {i + 1}" for i in range(k))),
        group=np.searchsorted(np.asarray(cuts), values, side="right").astype(np.int64),
    )


def risk_groups(patients: Patients, grouping: Grouping) -> dict[str, Any]:
    """Compare the groups.

    Parameters
    ----------
    patients : Patients
        Whom.
    grouping : Grouping
        Of the same patients.

    Returns
    -------
    dict
        ``cutpoints``, ``groups``, ``hazard_ratios`` against the lowest group, ``classification`` at
        each cutpoint, ``logrank_p`` and, with competing events, ``gray_p``.
    """
    outcome = patients.outcome
    found: dict[str, Any] = {
        "cutpoints": list(grouping.cutpoints),
        "exploratory": grouping.exploratory,
        "scale": grouping.scale,
        "groups": group_risks(patients, grouping),
        "hazard_ratios": _hazard_ratios(patients, grouping),
        "classification": classification(
            patients, grouping.group, grouping.cutpoints, exploratory=grouping.exploratory
        ),
        "logrank_p": _p_value(
            patients, "log-rank test", lambda: logrank(outcome.only(1), grouping.group).p
        ),
    }
    if patients.competing:
        found["gray_p"] = _p_value(
            patients, "Gray's test", lambda: gray_test(outcome, grouping.group, cause=1).p
        )
    return found


def group_risks(patients: Patients, grouping: Grouping) -> list[dict[str, Any]]:
    """Estimate the absolute risk of each group by the last horizon.

    Parameters
    ----------
    patients : Patients
        Whom.
    grouping : Grouping
        Of the same patients.

    Returns
    -------
    list of dict
        ``name``, ``n``, ``events`` (whatever their time) and ``risk_at_horizon``.
    """
    found = []
    for number, name in enumerate(grouping.names):
        mine = grouping.group == number
        events = int(np.count_nonzero(patients.outcome.event[mine] == 1))
        risk = _risk(patients, mine, patients.last_horizon).to_json()
        found.append(
            {"name": name, "n": int(mine.sum()), "events": events, "risk_at_horizon": risk}
        )
    return found


def _risk(patients: Patients, mine: NDArray[np.bool_], horizon: float) -> Estimate:
    how = "Aalen–Johansen" if patients.competing else "one minus Kaplan–Meier"
    method = f"{how}; standard error on the log-log scale"
    n = int(mine.sum())
    events = int(np.count_nonzero((patients.outcome.event == 1) & mine)) if n else 0

    def make() -> Estimate:
        if not n:
            raise NotEstimable("nobody is in the group")
        part = patients.outcome.take(mine)
        value, error = observed_risk(part, horizon)
        ends = probability_interval(
            np.array([value]), np.array([error]), interval="log-log", level=LEVEL
        )
        lower, upper = (float(end[0]) if np.isfinite(end[0]) else None for end in ends)
        return Estimate(
            estimate=value,
            lower=lower,
            upper=upper,
            method=method,
            n=n,
            events=events_by(part, horizon),
            horizon=horizon,
            reason=None if lower is not None else f"no interval at a risk of {value:g}",
        )

    return attempt(make, method=method, n=n, events=events, horizon=horizon)


def _hazard_ratios(patients: Patients, grouping: Grouping) -> list[dict[str, Any]]:
    """Each group against the lowest, and the score itself per standard deviation."""
    cause_specific = patients.outcome.only(1)
    lowest = int(grouping.group.min())
    present = [g for g in range(len(grouping.names)) if g != lowest and (grouping.group == g).any()]
    contrasts: list[tuple[str, NDArray[np.float64], int]] = []
    if present:
        dummies = np.column_stack([grouping.group == g for g in present]).astype(np.float64)
        for column, g in enumerate(present):
            label = f"{grouping.names[g]} against {grouping.names[lowest]}"
            contrasts.append((label, dummies, column))
    order = patients.order()
    spread = float(np.std(order, ddof=1)) if patients.n > 1 else 0.0
    if spread > 0.0:
        what = "risk score" if patients.score is not None else "risk by the last horizon"
        contrasts.append((f"one standard deviation of the {what}", order[:, None] / spread, 0))
    return [
        {"contrast": label, **_hazard_ratio(cause_specific, matrix, column).to_json()}
        for label, matrix, column in contrasts
    ]


def _hazard_ratio(outcome: Outcome, matrix: NDArray[np.float64], column: int) -> Estimate:
    method = "cause-specific hazard ratio, Cox model (Efron), Wald interval on the log scale"

    def make() -> Estimate:
        model = fit_cox(outcome, matrix)
        lower, upper = model.hazard_ratio_interval(LEVEL)
        return Estimate(
            estimate=float(model.hazard_ratio[column]),
            lower=float(lower[column]),
            upper=float(upper[column]),
            method=method,
            n=outcome.n,
            events=outcome.n_events(1),
        )

    return attempt(make, method=method, n=outcome.n, events=outcome.n_events(1))


def _p_value(patients: Patients, method: str, test: Callable[[], float]) -> dict[str, Any]:
    n, events = patients.n, patients.outcome.n_events(1)

    def make() -> Estimate:
        p = test()
        return Estimate(estimate=p, lower=None, upper=None, method=method, n=n, events=events)

    return attempt(make, method=method, n=n, events=events).to_json()
