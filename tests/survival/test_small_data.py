"""Every estimator on hundreds of tiny data sets: a finite number or a reason, never a warning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from metastra.errors import NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.absolute_risk import absolute_risk, fit_cause_specific_cox
from metastra.survival.censoring import ipcw_weights
from metastra.survival.cox import fit_cox
from metastra.survival.cox_tests import usable_error
from metastra.survival.fine_gray import fit_fine_gray
from metastra.survival.gray import gray_test
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.logrank import logrank, logrank_trend
from metastra.survival.nelson_aalen import nelson_aalen
from metastra.survival.outcome import Outcome
from metastra.survival.rmst import rmst
from metastra.survival.zph import proportional_hazards_test


def draw(rng: np.random.Generator) -> tuple[Outcome, np.ndarray, np.ndarray]:
    """One to thirteen patients: heavy ties, all at one time, no events, delayed entry."""
    n = int(rng.integers(1, 14))
    time = rng.integers(int(rng.random() > 0.2), 6, n).astype(float)
    if rng.random() < 0.3:
        time = np.full(n, 2.0)
    entry = time - rng.integers(1, 3, n) if rng.random() < 0.3 else None
    event = rng.integers(0, 3, n) * (rng.random() > 0.1)
    x = rng.integers(0, 3, (n, 2)).astype(float) if rng.random() < 0.5 else rng.normal(size=(n, 2))
    return Outcome(time=time, event=event, entry=entry), x, rng.integers(0, 3, n)


def curves(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    km = kaplan_meier(y, interval="arcsine")
    hazard = nelson_aalen(y)
    values: list[Any] = [km.survival, km.std_error[km.survival > 0], hazard.lower, hazard.upper]
    for scale in ("log", "log-log", "plain", "arcsine"):
        for risk in aalen_johansen(y, causes=[1, 2], interval=scale).values():
            assert 0.0 <= risk.incidence[-1] <= 1.0
            values += [risk.incidence, risk.std_error]
    return values


def weights(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    return [ipcw_weights(y, 2.0)]


def mean(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    result = rmst(y, 2.0)
    return [result.value, result.std_error, result.lower, result.upper]


def groups(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    return [logrank(y, g, rho=1.0, strata=x[:, 0] > 0).p, logrank_trend(y, g).p]


def gray(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    return [gray_test(y, g, rho=1.0).p, gray_test(y, g, cause=2, strata=x[:, 0] > 0).p]


def cox(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    model = fit_cox(y, x, cluster=np.arange(y.n) // 2)
    values = [model.coef, model.std_error, model.lr_test.p, model.score_test.p, model.wald_test.p]
    values += [model.p, model.predict_survival(x, [1.0, 2.0])]
    for transform in ("km", "rank", "identity", "log"):
        values.append(proportional_hazards_test(model, transform=transform).overall.p)
    return values


def penalised(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    models = [fit_cox(y, x, ridge=1.0), fit_cox(y, x, ridge=0.1, l1=0.5, strata=g)]
    assert all(model.converged for model in models)
    return [models[0].coef, models[0].std_error, models[1].coef]


def fine_gray(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    values: list[Any] = []
    for convention in ("finegray", "crr"):
        model = fit_fine_gray(y, x[:, :1], convention=convention)
        values += [model.coef, model.std_error, model.p, model.predict_incidence(x[:, :1], [1.0])]
    return values


def risks(y: Outcome, x: np.ndarray, g: np.ndarray) -> list[Any]:
    models = fit_cause_specific_cox(y, x[:, :1], ridge=1.0)
    cause = min(models)
    risk = absolute_risk(models, 5 * x[:, :1], [1.0, 2.0], cause=cause)
    assert ((risk >= 0.0) & (risk <= 1.0 + 1e-9)).all()
    return [risk]


EVERY = [curves, weights, mean, groups, gray, cox, penalised, fine_gray, risks]


@pytest.mark.parametrize("estimate", EVERY, ids=lambda function: function.__name__)
def test_tiny_data_give_finite_numbers_or_a_reason(
    estimate: Callable[[Outcome, np.ndarray, np.ndarray], list[Any]],
) -> None:
    """300 data sets: nothing but `NotEstimable` is raised, nothing warns, nothing is NaN."""
    rng = np.random.default_rng(1)
    estimated, reasons = 0, {"at least one sentence"}
    for _ in range(300):
        y, x, g = draw(rng)
        try:
            values = estimate(y, x, g)
        except NotEstimable as error:
            reasons.add(error.reason)
            continue
        estimated += 1
        for value in values:
            assert np.isfinite(np.asarray(value, dtype=float)).all()
    assert estimated > 30
    assert min(len(reason) for reason in reasons) > 10


def test_collapsed_robust_errors_are_refused() -> None:
    """With one cluster the contributions to the score cancel: no error, no p-value."""
    rng = np.random.default_rng(2)
    y = Outcome(time=rng.random(40), event=np.ones(40, dtype=int))
    model = fit_cox(y, rng.normal(size=(40, 1)), cluster=["all"] * 40)
    with pytest.raises(NotEstimable, match="too few clusters"):
        _ = model.p
    with pytest.raises(NotEstimable, match="too few clusters"):
        usable_error(np.array([0.0]), np.array([0.1]))
