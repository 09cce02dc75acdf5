"""What the predictions add to a baseline risk: paired differences on the same patients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.draws import Draws, bootstrap_only, with_interval
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.patients import Patients
from metastra.survival.brier import delta_brier, integrated_brier
from metastra.survival.calibration import cloglog, observed_expected, weak_calibration
from metastra.survival.concordance import delta_concordance
from metastra.survival.cox import fit_cox, likelihood_ratio_test
from metastra.survival.dynamic_auc import delta_auc
from metastra.survival.horizon import events_by
from metastra.survival.outcome import Outcome
from metastra.survival.paired import PairedDifference

__all__ = ["added_value"]


def added_value(patients: Patients, draws: Draws) -> dict[str, Any]:
    """Compare the predictions with the baseline risk.

    Parameters
    ----------
    patients : Patients
        Whom.
    draws : Draws
        Shared by both models, so that differences are paired.

    Returns
    -------
    dict
        ``differences`` (model less baseline; a lower Brier score is better, O/E and slope are
        better nearer 1; that of the net benefit stands with the thresholds) and the
        ``likelihood_ratio_p`` of adding the model to the baseline; only a ``reason`` where there
        is no baseline risk.
    """
    if patients.baseline is None:
        return {"differences": [], "reason": "no baseline risk was given"}
    tau = patients.last_horizon
    rows = [
        _difference(patients, draws, method, tau, _concordance(patients, method))
        for method in ("harrell", "uno")
    ]
    for position, horizon in enumerate(patients.horizons):
        for measure, make in _at_horizon(patients, position).items():
            rows.append(_difference(patients, draws, measure, horizon, make))
    if patients.risks is not None:
        rows += _of_scale(patients, draws, patients.risks, patients.baseline)
    return {"differences": rows, "likelihood_ratio_p": _likelihood_ratio(patients).to_json()}


_Paired = Callable[[], PairedDifference]
_Array = NDArray[np.float64]


def _concordance(patients: Patients, method: str) -> _Paired:
    baseline = patients.baseline
    if baseline is None:
        raise NotEstimable("no baseline risk was given")
    tau = patients.last_horizon
    return lambda: delta_concordance(
        patients.outcome, baseline[:, -1], patients.order(), method=method, tau=tau
    )


def _at_horizon(patients: Patients, position: int) -> dict[str, _Paired]:
    baseline, risks, horizon = patients.baseline, patients.risks, patients.horizons[position]
    if baseline is None:
        raise NotEstimable("no baseline risk was given")
    base, y = baseline[:, position], patients.outcome
    ranking = patients.order() if risks is None else risks[:, position]
    found: dict[str, _Paired] = {"auc": lambda: delta_auc(y, base, ranking, horizon)}
    if risks is not None:
        risk = risks[:, position]
        found["brier"] = lambda: delta_brier(y, base, risk, horizon)
        found["ipa"] = lambda: delta_brier(y, base, risk, horizon, scaled=True)
    return found


def _difference(
    patients: Patients, draws: Draws, measure: str, horizon: float, make: _Paired
) -> dict[str, Any]:
    events = events_by(patients.outcome, horizon)
    estimator = f"difference in {measure}, model less baseline"
    models: dict[str, float | None] = {"baseline": None, "model": None}
    at = "" if measure in ("harrell", "uno") else f"@{horizon:g}"

    def estimate() -> Estimate:
        found = make()
        models["baseline"], models["model"] = found.reference, found.candidate
        return with_interval(
            found.estimate,
            lambda df: _within(found.interval(LEVEL, df=df), measure),
            draws=draws,
            name=f"delta {measure}{at}",
            estimator=estimator,
            analytic_words="joint influence function",
            n=found.n,
            events=found.events,
            horizon=horizon,
        )

    found = attempt(estimate, method=estimator, n=patients.n, events=events, horizon=horizon)
    return {"measure": measure, **models, **found.to_json()}


def _of_scale(
    patients: Patients, draws: Draws, risks: _Array, baseline: _Array
) -> list[dict[str, Any]]:
    """Compare calibration at each horizon and the integrated Brier score, on the same draws."""
    y, last = patients.outcome, patients.last_horizon
    rows = []
    for k, horizon in enumerate(patients.horizons):
        both = baseline[:, k], risks[:, k]
        for measure, of in (("oe_ratio", _oe_ratio), ("slope", _slope)):
            found = _drawn(patients, draws, f"{measure}@{horizon:g}", horizon, of, both)
            rows.append({"measure": measure, **found})
    if len(patients.horizons) > 1:

        def integrated(_: Outcome, risk: _Array, __: float) -> float:
            return float(integrated_brier(y, risk, patients.horizons).estimate)

        found = _drawn(patients, draws, "integrated_brier", last, integrated, (baseline, risks))
        rows.append({"measure": "integrated_brier", **found})
    return rows


def _oe_ratio(outcome: Outcome, risk: _Array, horizon: float) -> float:
    return observed_expected(outcome, risk, horizon).ratio


def _slope(outcome: Outcome, risk: _Array, horizon: float) -> float:
    return weak_calibration(outcome, risk, horizon).slope.estimate


def _drawn(
    patients: Patients,
    draws: Draws,
    name: str,
    horizon: float,
    of: Callable[[Outcome, _Array, float], float],
    both: tuple[_Array, _Array],
) -> dict[str, Any]:
    """Take one model's number from the other's; the interval is that of the paired draws."""
    events = events_by(patients.outcome, horizon)
    estimator = f"difference in {name.partition('@')[0]}, model less baseline"
    models: dict[str, float | None] = {"baseline": None, "model": None}

    def estimate() -> Estimate:
        base, model = (of(patients.outcome, risk, horizon) for risk in both)
        models["baseline"], models["model"] = base, model
        return with_interval(
            model - base,
            bootstrap_only,
            draws=draws,
            name=f"delta {name}",
            estimator=estimator,
            analytic_words="",
            n=patients.n,
            events=events,
            horizon=horizon,
        )

    found = attempt(estimate, method=estimator, n=patients.n, events=events, horizon=horizon)
    return {**models, **found.to_json()}


def _within(limits: tuple[float, float], measure: str) -> tuple[float, float]:
    """End an interval where no difference of the measure can be; IPA has no lower end."""
    if measure == "ipa":
        return limits
    return max(limits[0], -1.0), min(limits[1], 1.0)


def _likelihood_ratio(patients: Patients) -> Estimate:
    method = "likelihood-ratio test of adding the model to the baseline in a Cox model"
    outcome = patients.outcome.only(1)

    def make() -> Estimate:
        if patients.baseline is None:
            raise NotEstimable("no baseline risk was given")
        base = patients.baseline[:, -1]
        if ((base <= 0.0) | (base >= 1.0)).any():
            raise NotEstimable(
                "a baseline risk is exactly 0 or 1, where its log scale has no value"
            )
        order = patients.order()
        if patients.score is None:
            if ((order <= 0.0) | (order >= 1.0)).any():
                raise NotEstimable("a risk is exactly 0 or 1, where its log scale has no value")
            order = cloglog(order)
        small = fit_cox(outcome, cloglog(base)[:, None], names=["baseline"])
        both = np.column_stack([cloglog(base), order])
        large = fit_cox(outcome, both, names=["baseline", "model"])
        p = likelihood_ratio_test(small, large).p
        return Estimate(
            estimate=p, lower=None, upper=None, method=method, n=outcome.n, events=large.n_events
        )

    return attempt(make, method=method, n=outcome.n, events=outcome.n_events(1))
