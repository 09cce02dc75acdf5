"""Clinical use: net benefit of acting on the risks at each horizon and threshold."""

from __future__ import annotations

from typing import Any

from metastra.errors import NotEstimable
from metastra.evaluation.draws import Draws, bootstrap_only, with_interval
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.measures import NO_RISK, missing
from metastra.evaluation.patients import Patients, Settings
from metastra.survival.horizon import events_by
from metastra.survival.intervals import t_quantile
from metastra.survival.net_benefit import NetBenefit, net_benefit

__all__ = ["utility"]

_MODEL = "net benefit of treating from the threshold on"
_ALL = "net benefit of treating everybody"
_BASELINE = "net benefit of treating by the baseline risk"
_GAIN = "difference in net benefit, model less baseline"


def utility(patients: Patients, draws: Draws, settings: Settings) -> list[dict[str, Any]]:
    """Weigh the good and the harm of acting on the risks.

    Parameters
    ----------
    patients : Patients
        Whom.
    draws : Draws
        For the intervals.
    settings : Settings
        With the thresholds.

    Returns
    -------
    list of dict
        For each horizon and threshold ``net_benefit`` and ``treat_all``, and where there is a
        baseline risk ``baseline`` and ``difference``, paired; treating nobody has 0 everywhere.

    Notes
    -----
    Vickers and Elkin 2006; Vickers et al. 2008.
    """
    found = []
    for position, horizon in enumerate(patients.horizons):
        model = _benefit(patients, settings, horizon, position, "model")
        base = _benefit(patients, settings, horizon, position, "baseline")
        for k, threshold in enumerate(settings.thresholds):
            at = f"@{horizon:g} at {threshold:g}"
            row: dict[str, Any] = {
                "horizon": horizon,
                "threshold": threshold,
                "net_benefit": _one(
                    patients, draws, model, k, f"model net_benefit{at}", _MODEL, horizon
                ),
                "treat_all": _one(patients, draws, model, k, f"treat all{at}", _ALL, horizon),
            }
            if patients.baseline is not None:
                row["baseline"] = _one(
                    patients, draws, base, k, f"baseline net_benefit{at}", _BASELINE, horizon
                )
                row["difference"] = _gain(patients, draws, (model, base), k, at, horizon)
            found.append(row)
    return found


def _benefit(
    patients: Patients, settings: Settings, horizon: float, position: int, who: str
) -> NetBenefit | NotEstimable:
    risks = patients.risks if who == "model" else patients.baseline
    if risks is None:
        return NotEstimable(NO_RISK)
    try:
        return net_benefit(patients.outcome, risks[:, position], horizon, settings.thresholds)
    except NotEstimable as error:
        return error


def _gain(
    patients: Patients,
    draws: Draws,
    both: tuple[NetBenefit | NotEstimable, NetBenefit | NotEstimable],
    k: int,
    at: str,
    horizon: float,
) -> dict[str, Any]:
    """Take one net benefit from the other on the same draws."""
    model, base = both

    def make() -> Estimate:
        if isinstance(model, NotEstimable):
            raise model
        if isinstance(base, NotEstimable):
            raise base
        return with_interval(
            float(model.model[k] - base.model[k]),
            bootstrap_only,
            draws=draws,
            name=f"delta net_benefit{at}",
            estimator=_GAIN,
            analytic_words="",
            n=model.n,
            events=model.events,
            horizon=horizon,
        )

    events = events_by(patients.outcome, horizon)
    return attempt(make, method=_GAIN, n=patients.n, events=events, horizon=horizon).to_json()


def _one(
    patients: Patients,
    draws: Draws,
    benefit: NetBenefit | NotEstimable,
    k: int,
    name: str,
    estimator: str,
    horizon: float,
) -> dict[str, Any]:
    if isinstance(benefit, NotEstimable):
        return missing(patients, benefit.reason, method=estimator, horizon=horizon).to_json()
    everybody = estimator == _ALL
    value = float((benefit.treat_all if everybody else benefit.model)[k])

    def limits(df: float) -> tuple[float, float]:
        if everybody:
            return bootstrap_only(df)
        half = t_quantile(LEVEL, df) * float(benefit.model_std_error[k])
        return value - half, value + half

    def make() -> Estimate:
        return with_interval(
            value,
            limits,
            draws=draws,
            name=name,
            estimator=estimator,
            analytic_words="influence function",
            n=benefit.n,
            events=benefit.events,
            horizon=horizon,
        )

    events = events_by(patients.outcome, horizon)
    return attempt(make, method=estimator, n=patients.n, events=events, horizon=horizon).to_json()
