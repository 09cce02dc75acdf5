"""The same measures in declared subgroups, with the difference to the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.draws import Draws, with_interval
from metastra.evaluation.estimate import LEVEL, Estimate, Limits, attempt
from metastra.evaluation.fairness import fairness
from metastra.evaluation.measures import NO_RISK, missing
from metastra.evaluation.patients import Patients, Settings
from metastra.stats.resampling import bootstrap
from metastra.survival.calibration import observed_expected
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.horizon import events_by
from metastra.survival.intervals import t_quantile
from metastra.survival.panel import ValidationPanel

__all__ = ["subgroups"]

_METHODS = {
    "auc": "cumulative/dynamic AUC, inverse probability of censoring weights",
    "oe_ratio": "observed / expected",
    "auc_difference": "difference in AUC, the subgroup less the rest",
}


def subgroups(
    patients: Patients, settings: Settings, high: NDArray[np.bool_] | None = None
) -> list[dict[str, Any]]:
    """Judge each subgroup at the last horizon.

    Parameters
    ----------
    patients : Patients
        Whom; their `subgroups` by column.
    settings : Settings
        Draws (the same as for the whole), seed and the fewest events.

    high : ndarray of shape (n,), bool, or None
        Who is called high, for the fairness table; None where there is no cutpoint.

    Returns
    -------
    list of dict
        ``column``, ``label`` (None for patients without one), ``n``, ``events`` (by the last
        horizon), ``auc``, ``oe_ratio``, ``slope``, ``ipa``, ``sensitivity``, ``specificity``,
        ``ppv``, ``npv``, ``share_high`` and ``differences`` of each to the rest; numbers are
        withheld below the fewest events, and the reason says so.
    """
    found = []
    for column, labels in patients.subgroups.items():
        known = sorted({str(label) for label in labels if label is not None})
        masks: list[tuple[str | None, NDArray[np.bool_]]] = [
            (label, np.asarray(labels == label)) for label in known
        ]
        unknown = np.array([label is None for label in labels])
        if unknown.any():
            masks.append((None, unknown))
        for label, mine in masks:
            row = _one(patients, settings, column, label, mine)
            found.append(row | fairness(patients, settings, mine, high))
    return found


def _one(
    patients: Patients,
    settings: Settings,
    column: str,
    label: str | None,
    mine: NDArray[np.bool_],
) -> dict[str, Any]:
    part = patients.take(mine)
    horizon = patients.last_horizon
    events = events_by(part.outcome, horizon)
    found: dict[str, Any] = {"column": column, "label": label, "n": part.n, "events": events}
    if events < settings.min_events:
        reason = f"{events} events, fewer than {settings.min_events}"
        return found | {
            key: missing(part, reason, method=method, horizon=horizon).to_json()
            for key, method in _METHODS.items()
        }
    rest = patients.take(~mine) if (~mine).any() else None
    if rest is not None and events_by(rest.outcome, horizon) < settings.min_events:
        rest = None
    draws = _draws(patients, settings, mine, compare=rest is not None)
    return found | {
        "auc": _auc(part, draws).to_json(),
        "oe_ratio": _oe(part, draws).to_json(),
        "auc_difference": _auc_difference(part, rest, draws, settings).to_json(),
    }


def _ranking(patients: Patients) -> NDArray[np.float64]:
    return patients.order() if patients.risks is None else patients.risks[:, -1]


def _draws(
    patients: Patients, settings: Settings, mine: NDArray[np.bool_], *, compare: bool
) -> Draws:
    """Draw all patients as for the whole, and look at this part of them."""
    if settings.bootstrap == 0 or patients.outcome.entry is not None:
        return Draws(sample=None, reason="no bootstrap")
    horizon = patients.last_horizon
    masks = [mine, ~mine] if compare else [mine]
    try:
        panels = [_panel(patients.take(mask), horizon) for mask in masks]
        keep = [panels[0].names.index(f"{key}@{horizon:g}") for key in ("auc", "oe_ratio")]

        def statistic(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            values = [panel(weights[mask]) for panel, mask in zip(panels, masks, strict=True)]
            auc = values[0][keep[0]]
            other = values[1][keep[0]] if compare else np.nan
            return np.array([auc, values[0][keep[1]], auc - other])

        sample = bootstrap(statistic, patients.n, replicates=settings.bootstrap, seed=settings.seed)
    except NotEstimable as error:
        return Draws(sample=None, reason=error.reason)
    return Draws(sample=sample, names=("auc", "oe_ratio", "auc_difference"))


def _panel(patients: Patients, horizon: float) -> ValidationPanel:
    order = _ranking(patients)
    risk = order if patients.risks is not None else _shares(order)
    return ValidationPanel(patients.outcome, order, risk, [horizon])


def _shares(order: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks as shares: the AUC sees their order alone."""
    _, rank = np.unique(order, return_inverse=True)
    return np.asarray((rank + 1.0) / (order.size + 1.0), dtype=np.float64)


def _auc(part: Patients, draws: Draws) -> Estimate:
    horizon = part.last_horizon

    def make() -> Estimate:
        found = dynamic_auc(part.outcome, _ranking(part), horizon)
        return with_interval(
            found.estimate,
            lambda df: found.interval(LEVEL, df=df),
            draws=draws,
            name="auc",
            estimator=_METHODS["auc"],
            analytic_words="influence function, logit scale",
            n=found.n,
            events=found.events,
            horizon=horizon,
        )

    return _attempt(part, make, "auc")


def _oe(part: Patients, draws: Draws) -> Estimate:
    horizon = part.last_horizon
    if part.risks is None:
        return missing(part, NO_RISK, method=_METHODS["oe_ratio"], horizon=horizon)
    risk = part.risks[:, -1]

    def make() -> Estimate:
        found = observed_expected(part.outcome, risk, horizon)
        return with_interval(
            found.ratio,
            lambda df: found.interval(LEVEL, df=df),
            draws=draws,
            name="oe_ratio",
            estimator=_METHODS["oe_ratio"],
            analytic_words="standard error of the observed risk, log scale",
            n=found.n,
            events=found.events,
            horizon=horizon,
        )

    return _attempt(part, make, "oe_ratio")


def _auc_difference(
    part: Patients, rest: Patients | None, draws: Draws, settings: Settings
) -> Estimate:
    horizon = part.last_horizon

    def make() -> Estimate:
        if rest is None:
            raise NotEstimable(f"the rest has fewer than {settings.min_events} events")
        mine, theirs = (dynamic_auc(some.outcome, _ranking(some), horizon) for some in (part, rest))
        error = float(np.hypot(mine.std_error, theirs.std_error))
        value = mine.estimate - theirs.estimate

        def limits(df: float) -> Limits:
            half = t_quantile(LEVEL, df) * error
            return value - half, value + half

        return with_interval(
            value,
            limits,
            draws=draws,
            name="auc_difference",
            estimator=_METHODS["auc_difference"],
            analytic_words="influence functions of both parts",
            n=part.n,
            events=min(mine.events, theirs.events),
            horizon=horizon,
        )

    return _attempt(part, make, "auc_difference")


def _attempt(part: Patients, make: Callable[[], Estimate], key: str) -> Estimate:
    horizon = part.last_horizon
    events = events_by(part.outcome, horizon)
    return attempt(make, method=_METHODS[key], n=part.n, events=events, horizon=horizon)
