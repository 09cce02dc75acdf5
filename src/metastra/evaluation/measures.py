"""Discrimination, overall accuracy and calibration of one group of patients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.draws import Draws, with_interval
from metastra.evaluation.estimate import LEVEL, Estimate, Limits, attempt
from metastra.evaluation.patients import Patients
from metastra.survival.brier import brier_score, integrated_brier
from metastra.survival.concordance import concordance
from metastra.survival.dynamic_auc import dynamic_auc, roc_curve
from metastra.survival.horizon import events_by
from metastra.survival.intervals import t_quantile

__all__ = ["NO_RISK", "discrimination", "missing", "overall"]

NO_RISK = "there is a risk score and no risk: a score has no scale to be accurate on"
_ROC_POINTS = np.round(np.linspace(0.0, 1.0, 51), 2)
_CONCORDANCE = {
    "harrell": "Harrell's concordance",
    "uno": "Uno's concordance (weights 1/G(t-)²)",
}
_COMPETING = "wolbers-ipcw"
_WOLBERS = "Wolbers' concordance for competing risks (weights 1/G(t-)² and 1/(G(t-) G(s-)))"


def discrimination(patients: Patients, draws: Draws) -> dict[str, Any]:
    """Measure how well the patients are ordered.

    Parameters
    ----------
    patients : Patients
        Whom.
    draws : Draws
        For the intervals.

    Returns
    -------
    dict
        ``harrell`` and ``uno`` to the last horizon, with competing events also ``competing``;
        ``auc`` and ``roc`` at each horizon.

    Notes
    -----
    ``competing``: Wolbers et al. 2014 (Biostatistics 15, 526–539).  Harrell's and Uno's censor
    competing events and answer for a world without them.
    """
    found: dict[str, Any] = {
        name: _concordance(patients, draws, name).to_json() for name in _CONCORDANCE
    }
    if patients.competing:
        found["competing"] = _concordance(patients, draws, _COMPETING).to_json()
    found["auc"] = [
        {"horizon": horizon, **_auc(patients, draws, position).to_json()}
        for position, horizon in enumerate(patients.horizons)
    ]
    found["roc"] = [
        {"horizon": horizon, "points": _roc(patients, position)}
        for position, horizon in enumerate(patients.horizons)
    ]
    return found


def overall(patients: Patients, draws: Draws) -> dict[str, Any]:
    """Measure how far the risks are from what happened.

    Parameters
    ----------
    patients : Patients
        Whom.
    draws : Draws
        For the intervals.

    Returns
    -------
    dict
        ``brier`` and ``ipa`` at each horizon, ``integrated_brier`` over the horizons.
    """
    horizons = list(enumerate(patients.horizons))
    return {
        "brier": [
            {"horizon": horizon, **_brier(patients, draws, position, scaled=False).to_json()}
            for position, horizon in horizons
        ],
        "ipa": [
            {"horizon": horizon, **_brier(patients, draws, position, scaled=True).to_json()}
            for position, horizon in horizons
        ],
        "integrated_brier": _integrated(patients, draws).to_json(),
    }


def missing(
    patients: Patients, reason: str, *, method: str, horizon: float | None = None
) -> Estimate:
    """Stand in for a number that does not exist.

    Parameters
    ----------
    patients : Patients
        Whom.
    reason : str
        Why there is none.
    method : str
        Estimator.
    horizon : float, optional
        Where it has one.

    Returns
    -------
    Estimate
        Without a number.
    """
    return Estimate(
        estimate=None,
        lower=None,
        upper=None,
        method=method,
        n=patients.n,
        events=events_by(patients.outcome, horizon or patients.last_horizon),
        horizon=horizon,
        reason=reason,
    )


def _ranking(patients: Patients, position: int) -> NDArray[np.float64]:
    """Give what ranks the patients at a horizon."""
    return patients.order() if patients.risks is None else patients.risks[:, position]


def _concordance(patients: Patients, draws: Draws, name: str) -> Estimate:
    tau = patients.last_horizon
    events = events_by(patients.outcome, tau)
    by = "risk score" if patients.score is not None else f"risk by {tau:g}"
    estimator = f"{_CONCORDANCE.get(name, _WOLBERS)} of the {by}, events up to the last horizon"
    if name == _COMPETING:
        estimator += ", patients with a competing event stay comparable"
    elif patients.competing:
        estimator += ", competing events censored"

    def make() -> Estimate:
        if tau > float(patients.outcome.time.max()):
            raise NotEstimable(
                f"the horizon {tau:g} lies past the last follow-up at "
                f"{float(patients.outcome.time.max()):g}"
            )
        found = concordance(patients.outcome, patients.order(), method=name, tau=tau)
        return with_interval(
            found.estimate,
            lambda df: found.interval(LEVEL, df=df),
            # not among the draws: its formula is taken
            draws=draws if name in _CONCORDANCE else Draws(sample=None, reason="not drawn"),
            name=f"model {name}",
            estimator=estimator,
            analytic_words="infinitesimal jack-knife, logit scale",
            n=patients.n,
            events=found.events,
            horizon=tau,
        )

    return attempt(make, method=estimator, n=patients.n, events=events, horizon=tau)


def _auc(patients: Patients, draws: Draws, position: int) -> Estimate:
    horizon = patients.horizons[position]
    by = "risk score" if patients.risks is None else "risk by the horizon"
    estimator = f"cumulative/dynamic AUC of the {by}, inverse probability of censoring weights"
    if patients.competing:
        estimator += ", controls include patients with a competing event"

    def make() -> Estimate:
        found = dynamic_auc(patients.outcome, _ranking(patients, position), horizon)
        return with_interval(
            found.estimate,
            lambda df: found.interval(LEVEL, df=df),
            draws=draws,
            name=f"model auc@{horizon:g}",
            estimator=estimator,
            analytic_words="influence function, logit scale",
            n=found.n,
            events=found.events,
            horizon=horizon,
        )

    events = events_by(patients.outcome, horizon)
    return attempt(make, method=estimator, n=patients.n, events=events, horizon=horizon)


def _roc(patients: Patients, position: int) -> list[dict[str, float]]:
    """Sensitivity at even steps of the false-positive rate; empty where there is no curve.

    Even steps, not the patients' own scores, so that no patient can be read off the curve.
    """
    try:
        curve = roc_curve(
            patients.outcome, _ranking(patients, position), patients.horizons[position]
        )
    except NotEstimable:
        return []
    highest = np.interp(_ROC_POINTS, curve.false_positive_rate, curve.sensitivity)
    return [
        {"false_positive_rate": float(x), "sensitivity": float(y)}
        for x, y in zip(_ROC_POINTS, highest, strict=True)
    ]


def _brier(patients: Patients, draws: Draws, position: int, *, scaled: bool) -> Estimate:
    horizon = patients.horizons[position]
    estimator = (
        "index of prediction accuracy, 1 - Brier / Brier of the marginal risk"
        if scaled
        else "Brier score, inverse probability of censoring weights"
    )
    if patients.risks is None:
        return missing(patients, NO_RISK, method=estimator, horizon=horizon)
    risk = patients.risks[:, position]

    def make() -> Estimate:
        found = brier_score(patients.outcome, risk, horizon)
        if scaled and found.ipa is None:
            raise NotEstimable("the Brier score of the marginal risk is 0, so there is no IPA")
        value = found.ipa if scaled and found.ipa is not None else found.estimate
        return with_interval(
            value,
            lambda df: (found.ipa_interval if scaled else found.interval)(LEVEL, df=df),
            draws=draws,
            name=f"model {'ipa' if scaled else 'brier'}@{horizon:g}",
            estimator=estimator,
            analytic_words="influence function",
            n=found.n,
            events=found.events,
            horizon=horizon,
        )

    events = events_by(patients.outcome, horizon)
    return attempt(make, method=estimator, n=patients.n, events=events, horizon=horizon)


def _integrated(patients: Patients, draws: Draws) -> Estimate:
    horizons = patients.horizons
    estimator = "Brier scores over the horizons, trapezoid rule divided by their span"
    last = horizons[-1]
    if patients.risks is None:
        return missing(patients, NO_RISK, method=estimator, horizon=last)
    if len(horizons) < 2:
        reason = "one horizon has no span; give two or more"
        return missing(patients, reason, method=estimator, horizon=last)
    risks = patients.risks

    def make() -> Estimate:
        found = integrated_brier(patients.outcome, risks, horizons)

        def limits(df: float) -> Limits:
            half = t_quantile(LEVEL, df) * found.std_error
            return max(found.estimate - half, 0.0), min(found.estimate + half, 1.0)

        return with_interval(
            found.estimate,
            limits,
            draws=draws,
            name="model integrated_brier",
            estimator=estimator,
            analytic_words="influence function",
            n=found.n,
            events=found.events,
            horizon=last,
        )

    events = events_by(patients.outcome, last)
    return attempt(make, method=estimator, n=patients.n, events=events, horizon=last)
