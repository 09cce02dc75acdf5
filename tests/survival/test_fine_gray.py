"""Fine–Gray against the data set written out, score by score, and in simulation."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.censoring import censoring_survival
from metastra.survival.cox import fit_cox
from metastra.survival.fine_gray import fit_fine_gray
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 150, grid: float = 0.25) -> tuple[Outcome, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    first = rng.exponential(4.0 * np.exp(-0.7 * x[:, 0]))
    second = rng.exponential(5.0 * np.exp(0.4 * x[:, 1]))
    censored = rng.uniform(1.0, 9.0, n)
    time = np.minimum(np.minimum(first, second), censored)
    event = np.where(time == first, 1, np.where(time == second, 2, 0))
    return Outcome(time=np.ceil(time / grid) * grid, event=event), x


def written_out(
    y: Outcome, x: np.ndarray, cause: int
) -> tuple[Outcome, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, weights and patients of the expanded data set, one period for each event time."""
    g = censoring_survival(y)
    start, stop, event, weight, who = [], [], [], [], []
    times = np.unique(y.time[y.event == cause])
    for i in range(y.n):
        start.append(0.0)
        stop.append(y.time[i])
        event.append(int(y.event[i] == cause))
        weight.append(1.0)
        who.append(i)
        if y.event[i] not in (0, cause):
            before = y.time[i]
            for t in times[times > y.time[i]]:
                start.append(before)
                stop.append(t)
                event.append(0)
                weight.append(float(g.left(t) / g.left(y.time[i])))
                who.append(i)
                before = t
    rows = np.array(who)
    outcome = Outcome(time=stop, event=event, entry=start)
    return outcome, x[rows], np.array(weight), rows


@pytest.mark.parametrize("cause", [1, 2])
def test_running_sums_equal_the_expanded_weighted_cox_model(cause: int) -> None:
    """Coefficients, naive and robust errors and baseline of the written-out data set."""
    y, x = draw(1)
    outcome, rows, weight, who = written_out(y, x, cause)
    cox = fit_cox(outcome, rows, weights=weight, cluster=who)
    model = fit_fine_gray(y, x, cause=cause)
    assert model.coef == pytest.approx(cox.coef, rel=1e-7)
    assert model.naive_std_error == pytest.approx(cox.std_error, rel=1e-7)
    assert model.std_error == pytest.approx(cox.robust_std_error, rel=1e-7)
    assert model.loglik == pytest.approx(cox.loglik, rel=1e-10)
    incidence = model.predict_incidence(x[:3], [1.0, 3.0])
    hazard = cox.baseline(centred=False)([1.0, 3.0])
    expected = 1 - np.exp(-np.outer(np.exp(x[:3] @ cox.coef), hazard))
    assert incidence == pytest.approx(expected, rel=1e-7)


def test_without_competing_events_it_is_the_cox_model() -> None:
    """Nobody is kept at risk: both conventions are Cox's model with their ties."""
    y, x = draw(2)
    y = y.only(1)
    for convention, ties in (("finegray", "efron"), ("crr", "breslow")):
        model = fit_fine_gray(y, x, convention=convention)
        cox = fit_cox(y, x, ties=ties, cluster=np.arange(y.n))
        assert model.coef == pytest.approx(cox.coef, rel=1e-4)
        assert model.std_error == pytest.approx(cox.robust_std_error, rel=1e-4)
        assert model.n_competing == 0


def test_conventions_agree_without_ties_and_differ_with_them() -> None:
    """The two programs of R differ in ties only, by less than one percent."""
    y, x = draw(3, grid=1e-6)
    one, other = fit_fine_gray(y, x), fit_fine_gray(y, x, convention="crr")
    assert other.coef == pytest.approx(one.coef, rel=1e-4)
    y, x = draw(3, n=600, grid=0.5)
    one, other = fit_fine_gray(y, x), fit_fine_gray(y, x, convention="crr")
    assert other.coef != pytest.approx(one.coef, rel=1e-4)
    assert other.coef == pytest.approx(one.coef, abs=0.05)


def test_variance_of_crr_counts_the_estimated_censoring() -> None:
    """Score contributions and the censoring martingale, written as in the paper."""
    y, x = draw(4, n=60)
    model = fit_fine_gray(y, x, convention="crr")
    g = censoring_survival(y, ties="together")
    r = np.exp(x @ model.coef)
    times, d = np.unique(y.time[y.event == 1], return_counts=True)
    w = np.where(
        y.time[:, None] >= times,
        1.0,
        (y.event == 2)[:, None] * g.left(times) / g.left(y.time)[:, None],
    )
    s0 = r @ w
    mean = (w * r[:, None]).T @ x / s0[:, None]
    eta = np.zeros((y.n, 2))
    for i in range(y.n):
        for j, t in enumerate(times):
            own = float(y.event[i] == 1 and y.time[i] == t)
            eta[i] += (x[i] - mean[j]) * (own - w[i, j] * r[i] * d[j] / s0[j])
    psi = np.zeros((y.n, 2))
    for u in np.unique(y.time[y.event == 0]):
        q = np.zeros(2)
        for i in np.flatnonzero((y.event == 2) & (y.time < u)):
            for j in np.flatnonzero(times >= u):
                q += w[i, j] * r[i] * (x[i] - mean[j]) * d[j] / s0[j]
        at_risk = np.sum(y.time >= u)
        gone = (y.time == u) & (y.event == 0)
        psi[gone] += q / at_risk
        psi[y.time >= u] -= q * gone.sum() / at_risk**2
    meat = (eta + psi).T @ (eta + psi)
    expected = model.naive_covariance @ meat @ model.naive_covariance
    assert model.covariance == pytest.approx(expected, rel=1e-8)
    assert np.abs(psi).max() > 1e-3


def test_predictions_average_to_the_aalen_johansen_estimate() -> None:
    """In a large sample the mean predicted incidence follows the observed one."""
    y, x = draw(5, n=3000)
    model = fit_fine_gray(y, x)
    for at in (1.0, 3.0, 5.0):
        observed = float(aalen_johansen(y)[1].incidence_at(at))
        assert model.predict_incidence(x, [at]).mean() == pytest.approx(observed, abs=0.015)


def test_order_and_units_do_not_matter() -> None:
    """Permuted patients, another unit of time and of a covariate: the same model."""
    y, x = draw(6)
    order = np.random.default_rng(0).permutation(y.n)
    one = fit_fine_gray(y, x)
    other = fit_fine_gray(
        Outcome(time=y.time[order] * 30.0, event=y.event[order]), x[order] * [1.0, 100.0] + 5.0
    )
    assert other.coef * [1.0, 100.0] == pytest.approx(one.coef, rel=1e-7)
    assert other.p == pytest.approx(one.p, rel=1e-5)


def test_tiny_units_do_not_stop_the_crr_rule_at_zero() -> None:
    """The rule of crr for stopping alone would accept 0 for covariates in tiny units."""
    y, x = draw(7)
    one = fit_fine_gray(y, x, convention="crr")
    other = fit_fine_gray(y, x * 1e-7, convention="crr")
    assert other.coef * 1e-7 == pytest.approx(one.coef, rel=1e-2)


def test_clusters_are_summed() -> None:
    """Every patient twice: errors of the clustered fit stay, those by row shrink."""
    y, x = draw(8)
    twice = np.repeat(np.arange(y.n), 2)
    once = fit_fine_gray(y, x, convention="crr")
    rows = fit_fine_gray(y.take(twice), x[twice], convention="crr")
    clustered = fit_fine_gray(y.take(twice), x[twice], convention="crr", cluster=twice)
    assert clustered.std_error == pytest.approx(once.std_error, rel=1e-4)
    assert rows.std_error == pytest.approx(once.std_error / np.sqrt(2), rel=1e-4)


def test_what_cannot_be_fitted_is_refused() -> None:
    """No event of the cause, delayed entry, unknown convention, horizon past the data."""
    y, x = draw(9)
    with pytest.raises(NotEstimable, match="no event"):
        fit_fine_gray(y, x, cause=3)
    with pytest.raises(NotEstimable, match="delayed entry"):
        fit_fine_gray(Outcome(time=y.time + 1, event=y.event, entry=np.zeros(y.n)), x)
    with pytest.raises(ConfigError, match="finegray or crr"):
        fit_fine_gray(y, x, convention="stcrreg")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="rows"):
        fit_fine_gray(y, x[1:])
    model = fit_fine_gray(y, x)
    with pytest.raises(NotEstimable, match="follow-up ends"):
        model.predict_incidence(x, [99.0])
    lower, upper = model.hazard_ratio_interval()
    assert (lower < model.hazard_ratio).all()
    assert (model.hazard_ratio < upper).all()
    assert model.wald_test.df == 2


def test_intervals_cover_a_true_subdistribution_effect() -> None:
    """Data made from a proportional subdistribution hazard: 95% intervals hold it."""
    rng = np.random.default_rng(10)
    covered = {"finegray": 0, "crr": 0}
    for _ in range(200):
        z = rng.integers(0, 2, 200).astype(float)
        share = 1 - (1 - 0.5) ** np.exp(0.6 * z)
        cause = np.where(rng.random(200) < share, 1, 2)
        u = rng.random(200) * share
        inner = (1 - u) ** np.exp(-0.6 * z)
        first = -np.log(1 - (1 - inner) / 0.5)
        time = np.where(cause == 1, first, rng.exponential(1.0, 200))
        censored = rng.uniform(0.3, 3.0, 200)
        y = Outcome(time=np.minimum(time, censored), event=np.where(time <= censored, cause, 0))
        for convention in covered:
            model = fit_fine_gray(y, z[:, None], convention=convention)
            lower, upper = model.hazard_ratio_interval()
            covered[convention] += bool(lower[0] <= np.exp(0.6) <= upper[0])
    assert 0.91 <= covered["finegray"] / 200 <= 0.985
    assert 0.91 <= covered["crr"] / 200 <= 0.985
