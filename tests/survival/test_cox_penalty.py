"""Ridge, lasso and elastic net: conditions of optimality and known limits."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import NotEstimable
from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 150, p: int = 8) -> tuple[Outcome, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    beta = np.zeros(p)
    beta[:3] = [0.8, -0.6, 0.4]
    time, censored = rng.exponential(np.exp(-x @ beta)), rng.exponential(2.0, n)
    return Outcome(time=np.minimum(time, censored), event=time <= censored), x


@pytest.mark.parametrize("ridge", [0.1, 5.0, 200.0])
def test_ridge_balances_score_and_penalty(ridge: float) -> None:
    """At the optimum the score equals ridge times the coefficients."""
    y, x = draw(1)
    model = fit_cox(y, x, ridge=ridge)
    assert model.converged
    assert model.state.score == pytest.approx(ridge * model.coef, abs=1e-3)


def test_ridge_shrinks_towards_zero_and_vanishes_with_its_weight() -> None:
    """More penalty, smaller coefficients; almost none, the ordinary fit."""
    y, x = draw(2)
    norms = [float(np.linalg.norm(fit_cox(y, x, ridge=r).coef)) for r in (1.0, 10.0, 100.0)]
    assert norms[0] > norms[1] > norms[2]
    assert fit_cox(y, x, ridge=1e-8).coef == pytest.approx(fit_cox(y, x).coef, abs=1e-5)


def test_ridge_agrees_with_lifelines() -> None:
    """lifelines divides the likelihood by n: its penalizer is ridge / n."""
    import pandas as pd
    from lifelines import CoxPHFitter

    y, x = draw(3)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    frame = pd.DataFrame(scaled).assign(t=y.time, e=y.event)
    other = CoxPHFitter(penalizer=10.0 / y.n).fit(frame, "t", "e", fit_options={"precision": 1e-9})
    model = fit_cox(y, scaled, ridge=10.0)
    assert model.coef == pytest.approx(other.params_.to_numpy(), rel=1e-4)


def test_lasso_meets_its_conditions_of_optimality() -> None:
    """Score = l1 sign(b) where b is not 0, and within l1 where it is."""
    y, x = draw(4, p=12)
    model = fit_cox(y, x, l1=12.0)
    zero = model.coef == 0.0
    assert 0 < zero.sum() < 12
    assert model.state.score[~zero] == pytest.approx(12.0 * np.sign(model.coef[~zero]), abs=1e-3)
    assert (np.abs(model.state.score[zero]) <= 12.0 + 1e-6).all()
    assert (model.coef[:2] != 0.0).all()


def test_elastic_net_meets_its_conditions_of_optimality() -> None:
    """Both penalties together, with ties and strata."""
    y, x = draw(5)
    y = Outcome(time=np.ceil(y.time * 5), event=y.event)
    model = fit_cox(y, x, l1=5.0, ridge=10.0, strata=np.arange(y.n) % 2)
    moved = model.coef != 0.0
    wanted = 10.0 * model.coef + 5.0 * np.sign(model.coef)
    assert model.state.score[moved] == pytest.approx(wanted[moved], abs=1e-3)
    assert (np.abs(model.state.score[~moved]) <= 5.0 + 1e-6).all()


def test_a_large_lasso_leaves_nothing() -> None:
    """Above the largest score at 0 every coefficient is exactly 0."""
    y, x = draw(6)
    largest = float(np.abs(fit_cox(y, x).null.score).max())
    assert (fit_cox(y, x, l1=largest * 1.001).coef == 0.0).all()
    assert np.count_nonzero(fit_cox(y, x, l1=largest * 0.99).coef) == 1


def test_penalties_make_hopeless_designs_estimable() -> None:
    """More covariates than patients, collinear, constant or perfectly ordered: finite answers."""
    y, x = draw(7, n=30, p=60)
    for options in ({"ridge": 1.0}, {"l1": 2.0}, {"ridge": 0.5, "l1": 1.0}):
        model = fit_cox(y, np.column_stack([x, x[:, 0], np.ones(30)]), **options)
        assert model.converged
        assert np.isfinite(model.coef).all()
        assert abs(model.coef[-1]) < 1e-12
    time = np.arange(1.0, 21.0)
    ordered = fit_cox(Outcome(time=time, event=np.ones(20, dtype=int)), -time[:, None], ridge=1.0)
    assert np.isfinite(ordered.coef).all()
    assert np.isfinite(ordered.std_error).all()


def test_penalised_models_have_no_chi_squared_tests() -> None:
    """Shrunken coefficients are no maximum of the likelihood: no tests, no lasso errors."""
    y, x = draw(8)
    ridge, lasso = fit_cox(y, x, ridge=1.0), fit_cox(y, x, l1=1.0)
    for model in (ridge, lasso):
        for test in ("lr_test", "wald_test", "score_test"):
            with pytest.raises(NotEstimable, match="penalised"):
                getattr(model, test)
    with pytest.raises(NotEstimable, match="L1"):
        _ = lasso.std_error
    assert (ridge.std_error < fit_cox(y, x).std_error).all()
    assert lasso.risk_at(x[:2], 0.5).shape == (2,)


def test_a_penalty_may_be_a_number_of_numpy():
    """A strength that comes out of a computation is a numpy float."""
    rng = np.random.default_rng(1)
    y = Outcome(time=rng.exponential(1.0, 50), event=rng.integers(0, 2, 50))
    x = rng.normal(size=(50, 2))

    assert (
        fit_cox(y, x, ridge=np.float64(2.0)).coef.tolist() == fit_cox(y, x, ridge=2.0).coef.tolist()
    )
