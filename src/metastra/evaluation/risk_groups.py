"""Groups of low and high risk: their observed risks, hazard ratios and tests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.evaluation.classifying import classification
from metastra.evaluation.draws import Draws
from metastra.evaluation.estimate import LEVEL, Estimate, Limits, attempt
from metastra.evaluation.patients import Patients, Settings
from metastra.survival.beta_product import beta_product_limits
from metastra.survival.calibration import cloglog, observed_risk
from metastra.survival.cox import fit_cox
from metastra.survival.gray import gray_test
from metastra.survival.horizon import events_by
from metastra.survival.intervals import probability_interval
from metastra.survival.logrank import logrank
from metastra.survival.outcome import Outcome

__all__ = ["Grouping", "group_patients", "group_risks", "marker", "risk_groups"]

_EXACT = "no event: two-sided limits of the beta product confidence procedure"
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
    assigned : bool
        Whether each patient's own model assigned the group, by cutpoints of its own; `cutpoints`
        are then those of the model that is locked.
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
    assigned: bool = False

    def take(self, chosen: NDArray[np.bool_]) -> Grouping:
        """Select patients.

        Parameters
        ----------
        chosen : ndarray of shape (n,), bool
            Who is kept.

        Returns
        -------
        Grouping
            With the same cutpoints and names.
        """
        return replace(self, group=self.group[chosen])


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

    Raises
    ------
    ConfigError
        When there are risks and a cutpoint lies outside (0, 1), where no risk can be, or groups
        were assigned and there are no cutpoints.
    DataError
        When an assigned group is none of the names that belong to the cutpoints, or is missing.
    """
    risks = patients.risks
    wrong = [cut for cut in settings.cutpoints if not 0.0 < cut < 1.0]
    if risks is not None and wrong:
        named = ", ".join(f"{cut:g}" for cut in wrong)
        raise ConfigError(
            f"the cutpoints {named} lie outside (0, 1); expected risks, for instance 0.1 for 10%; "
            "cutpoints of a risk score need predictions without risks"
        )
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
    names = _NAMES.get(k, tuple(f"group {i + 1}" for i in range(k)))
    assigned = patients.assigned is not None
    if assigned and not settings.cutpoints:
        raise ConfigError("--risk-group needs --cutpoint: the cutpoints of the locked model")
    return Grouping(
        cutpoints=tuple(cuts),
        exploratory=not settings.cutpoints,
        scale=scale,
        names=names,
        group=(
            _places(patients, names)
            if assigned
            else np.searchsorted(np.asarray(cuts), values, side="right").astype(np.int64)
        ),
        assigned=assigned,
    )


def _places(patients: Patients, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Find the assigned groups among the names."""
    given = [] if patients.assigned is None else patients.assigned.tolist()
    if strange := sorted({str(name) for name in given} - set(names)):
        raise DataError(
            f"risk groups {', '.join(strange)} were assigned; expected {', '.join(names)}"
        )
    return np.array([names.index(name) for name in given], dtype=np.int64)


def risk_groups(
    patients: Patients, grouping: Grouping, draws: Draws | None = None
) -> dict[str, Any]:
    """Compare the groups.

    Parameters
    ----------
    patients : Patients
        Whom.
    grouping : Grouping
        Of the same patients.
    draws : Draws, optional
        For the percentile limits beside the risks.

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
        "assigned": grouping.assigned,
        "scale": grouping.scale,
        "groups": group_risks(patients, grouping, draws),
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


def group_risks(
    patients: Patients, grouping: Grouping, draws: Draws | None = None
) -> list[dict[str, Any]]:
    """Estimate the absolute risk of each group by the last horizon.

    Parameters
    ----------
    patients : Patients
        Whom.
    grouping : Grouping
        Of the same patients.
    draws : Draws, optional
        For the percentile limits beside the risks.

    Returns
    -------
    list of dict
        ``name``, ``n``, ``events`` (whatever their time) and ``risk_at_horizon``.

    Notes
    -----
    Limits on the log-log scale; without an event by the horizon, where there is no standard error,
    those of Fay, Brittain and Proschan 2013 (`beta_product_limits`), from 0 upwards.  The normal
    quantile is kept with few events: the spread of a risk follows from the risk itself, and the
    limits hold 94 to 98% with 3 to 15 events (``docs/how-to/evaluate-predictions.md``).
    """
    found = []
    for number, name in enumerate(grouping.names):
        mine = grouping.group == number
        events = int(np.count_nonzero(patients.outcome.event[mine] == 1))
        risk = _risk(patients, mine, patients.last_horizon)
        if draws is not None and risk.estimate is not None:
            risk = replace(risk, bootstrap=draws.beside(f"risk of {name}"))
        found.append(
            {
                "name": name,
                "n": int(mine.sum()),
                "events": events,
                "risk_at_horizon": risk.to_json(),
            }
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
        seen = events_by(part, horizon)
        reason = f"no interval at a risk of {value:g}"
        try:
            (lower, upper), words = _risk_limits(part, horizon, value, error, seen)
        except NotEstimable as failure:
            lower, upper, words = np.nan, np.nan, _EXACT
            reason = f"no interval: {failure.reason}"
        known = bool(np.isfinite([lower, upper]).all())
        return Estimate(
            estimate=value,
            lower=lower if known else None,
            upper=upper if known else None,
            method=f"{how}; {words}",
            n=n,
            events=seen,
            horizon=horizon,
            reason=None if known else reason,
        )

    return attempt(make, method=method, n=n, events=events, horizon=horizon)


def marker(patients: Patients) -> tuple[str, NDArray[np.float64]]:
    """Give the predictions as a term of a proportional-hazards model.

    Parameters
    ----------
    patients : Patients
        Whom.

    Returns
    -------
    name : str
        Of the term, with its scale.
    values : ndarray of shape (n,)
        In standard deviations: the risk score, or the complementary log-log of the risk by the last
        horizon, on which a proportional-hazards model is linear.  The risk as it is where one is
        exactly 0 or 1, which the name then says.

    Raises
    ------
    NotEstimable
        When the predictions do not vary.
    """
    values, what = patients.order(), "risk score"
    if patients.score is None:
        bounded = bool(((values <= 0.0) | (values >= 1.0)).any())
        what = "risk by the last horizon"
        what += " (as it is: one is 0 or 1)" if bounded else " (complementary log-log)"
        values = values if bounded else cloglog(values)
    spread = float(np.std(values, ddof=1)) if patients.n > 1 else 0.0
    if not spread > 0.0:
        raise NotEstimable("the predictions do not vary")
    return f"one standard deviation of the {what}", values / spread


def _risk_limits(
    outcome: Outcome, horizon: float, risk: float, std_error: float, events: int
) -> tuple[Limits, str]:
    """Take the large-sample limits, or exact ones where no event leaves no standard error."""
    if events == 0:
        # other causes are censored, which bounds the cumulative incidence from above
        tail = 0.5 * (1.0 - LEVEL)
        return beta_product_limits(
            outcome.only(1), horizon, lower_tail=tail, upper_tail=tail
        ), _EXACT
    ends = probability_interval(
        np.array([risk]), np.array([std_error]), interval="log-log", level=LEVEL
    )
    return (float(ends[0][0]), float(ends[1][0])), "standard error on the log-log scale"


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
    with suppress(NotEstimable):
        label, column_of_marker = marker(patients)
        contrasts.append((label, column_of_marker[:, None], 0))
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
