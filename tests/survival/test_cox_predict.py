"""Baseline hazards, predicted survival, and what a model refuses to predict."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import DataError, NotEstimable
from metastra.survival.cox import fit_cox
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.nelson_aalen import nelson_aalen
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 200) -> tuple[Outcome, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) + np.array([70.0, 0.0])
    time = np.ceil(rng.exponential(4.0 * np.exp(-0.5 * x[:, 1])) * 4) / 4
    censored = np.ceil(rng.uniform(1.0, 9.0, n) * 4) / 4
    return Outcome(time=np.minimum(time, censored), event=time <= censored), x


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_baseline_increments_follow_the_ties(ties: str) -> None:
    """Each jump is the sum over tied events of one over the thinned risk set."""
    y, x = draw(1)
    model = fit_cox(y, x, ties=ties)
    risk = np.exp((x - x.mean(axis=0)) @ model.coef)
    total, expected = 0.0, []
    times = np.unique(y.time[y.event > 0])
    for t in times:
        dead = (y.time == t) & (y.event > 0)
        d = int(dead.sum())
        for k in range(d):
            taken = k / d if ties == "efron" else 0.0
            total += 1 / (risk[y.time >= t].sum() - taken * risk[dead].sum())
        expected.append(total)
    assert model.baseline()(times) == pytest.approx(expected, rel=1e-10)
    at_zero = np.array(expected) * np.exp(-x.mean(axis=0) @ model.coef)
    assert model.baseline(centred=False)(times) == pytest.approx(at_zero, rel=1e-8)


def test_a_model_without_covariates_is_nelson_aalen() -> None:
    """Breslow's baseline of the empty model is the Nelson–Aalen estimate."""
    y, _ = draw(2)
    model = fit_cox(y, np.empty((y.n, 0)), ties="breslow")
    at = [0.5, 2.0, 4.0]
    assert model.baseline()(at) == pytest.approx(nelson_aalen(y).hazard_at(at), rel=1e-12)
    survival = model.predict_survival(np.empty((1, 0)), at)[0]
    assert survival == pytest.approx(kaplan_meier(y).survival_at(at), abs=0.02)


def test_survival_risk_and_predictor_agree() -> None:
    """risk_at is one less survival; the predictor is centred at the means."""
    y, x = draw(3)
    model = fit_cox(y, x, names=["age", "score"])
    survival = model.predict_survival(x[:5], [1.0, 3.0])
    assert survival.shape == (5, 2)
    assert model.risk_at(x[:5], 3.0) == pytest.approx(1 - survival[:, 1], rel=1e-12)
    assert (survival[:, 1] < survival[:, 0]).all()
    assert model.linear_predictor(x.mean(axis=0)[None, :])[0] == pytest.approx(0.0, abs=1e-10)
    assert model.linear_predictor(x[:2], centred=False) == pytest.approx(x[:2] @ model.coef)


def test_mean_prediction_is_the_kaplan_meier_estimate() -> None:
    """Averaged over the patients it was fitted to, predicted survival follows S(t)."""
    y, x = draw(4, n=1000)
    model = fit_cox(y, x)
    for at in (1.0, 2.0, 4.0):
        mean = model.predict_survival(x, [at]).mean()
        assert mean == pytest.approx(float(kaplan_meier(y).survival_at(at)), abs=0.01)


def test_strata_have_baselines_of_their_own() -> None:
    """Each stratum is predicted from its own hazard and refused past its own follow-up."""
    y, x = draw(5)
    label = np.where(np.arange(y.n) % 2 == 0, "north", "south")
    time = np.where(label == "south", np.minimum(y.time, 2.0), y.time)
    event = np.where((label == "south") & (y.time > 2.0), 0, y.event)
    model = fit_cox(Outcome(time=time, event=event), x, strata=label)
    north, south = model.baseline("north"), model.baseline("south")
    assert north.support_end > south.support_end == 2.0
    assert model.risk_at(x[:1], 4.0, stratum="north")[0] > 0
    with pytest.raises(NotEstimable, match="follow-up ends at 2"):
        model.risk_at(x[:1], 4.0, stratum="south")
    with pytest.raises(DataError, match=r"expected one of \('north', 'south'\)"):
        model.risk_at(x[:1], 1.0)
    jumps = np.diff(south.values, prepend=0.0)
    assert (jumps > 0).all()
    assert (np.diff(south.times) > 0).all()


def test_nothing_is_predicted_past_the_last_follow_up() -> None:
    """A horizon the data never reached is refused, unless extension is asked for."""
    y, x = draw(6)
    model = fit_cox(y, x)
    end = float(y.time.max())
    with pytest.raises(NotEstimable, match="follow-up ends"):
        model.predict_survival(x[:1], [end + 1.0])
    extended = model.predict_survival(x[:1], [end, end + 1.0], extend=True)
    assert extended[0, 0] == extended[0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0]], r"expected \(rows, 2\)"),
        ([1.0, 2.0], r"expected \(rows, 2\)"),
        ([[1.0, np.nan]], "missing or infinite in 1 rows .*score"),
        ([["old", 1.0]], "not a number"),
    ],
)
def test_covariates_that_do_not_fit_are_refused(rows: list[object], message: str) -> None:
    """Wrong shape, missing values and text are told with the covariate's name."""
    y, x = draw(7)
    model = fit_cox(y, x, names=["age", "score"])
    with pytest.raises(DataError, match=message):
        model.risk_at(rows, 1.0)


def test_robust_errors_need_clusters() -> None:
    """Without clusters there is no sandwich to show."""
    y, x = draw(8)
    with pytest.raises(NotEstimable, match="without clusters"):
        _ = fit_cox(y, x).robust_std_error


def test_clusters_make_the_reported_errors_robust() -> None:
    """With clusters p-values, intervals and the Wald test use the sandwich."""
    y, x = draw(9)
    model = fit_cox(y, x, cluster=np.arange(y.n) // 4)
    assert model.z == pytest.approx(model.coef / model.robust_std_error)
    lower, upper = model.hazard_ratio_interval()
    half = np.log(upper / lower) / 2 / 1.959963984540054
    assert half == pytest.approx(model.robust_std_error, rel=1e-9)
    robust = model.robust_covariance
    assert robust is not None
    expected = model.coef @ np.linalg.solve(robust, model.coef)
    assert model.wald_test.chisq == pytest.approx(expected, rel=1e-9)
