"""Cox's partial likelihood against brute force, lifelines and identities it must obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.survival.cox import fit_cox, likelihood_ratio_test
from metastra.survival.outcome import Outcome


def draw(
    seed: int, n: int = 150, p: int = 3, *, entry: bool = False, grid: float = 0.5
) -> tuple[Outcome, np.ndarray]:
    """Proportional hazards with many ties, about 60% events."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    beta = np.linspace(0.8, -0.4, p)
    late = np.floor(rng.uniform(0, 1.5, n) / grid) * grid if entry else None
    time = np.ceil(rng.exponential(3.0 * np.exp(-x @ beta)) / grid) * grid
    if late is not None:
        time = time + late
    censored = np.ceil(rng.uniform(2.0, 9.0, n) / grid) * grid + 2 * grid
    return Outcome(time=np.minimum(time, censored), event=time <= censored, entry=late), x


def plain_loglik(
    beta: np.ndarray,
    y: Outcome,
    x: np.ndarray,
    ties: str,
    strata: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> float:
    """Log partial likelihood in a plain loop over event times."""
    entry = np.full(y.n, -1.0) if y.entry is None else y.entry
    strata = np.zeros(y.n) if strata is None else strata
    weight = np.ones(y.n) if weight is None else weight
    eta = x @ beta
    risk, total = weight * np.exp(eta), 0.0
    for s in np.unique(strata):
        for t in np.unique(y.time[(y.event > 0) & (strata == s)]):
            at_risk = (y.time >= t) & (entry < t) & (strata == s)
            dead = (y.time == t) & (y.event > 0) & (strata == s)
            d = int(dead.sum())
            total += float(weight[dead] @ eta[dead])
            for k in range(d):
                taken = k / d if ties == "efron" else 0.0
                left = risk[at_risk].sum() - taken * risk[dead].sum()
                total -= weight[dead].mean() * np.log(left)
    return total


def gradient(function: object, at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences."""
    result = np.empty(at.size)
    for k in range(at.size):
        move = np.zeros(at.size)
        move[k] = step
        result[k] = (function(at + move) - function(at - move)) / (2 * step)  # type: ignore[operator]
    return result


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("entry", [False, True])
def test_likelihood_score_and_information_equal_brute_force(ties: str, entry: bool) -> None:
    """At any coefficients, with ties, strata, weights and delayed entry."""
    y, x = draw(1, n=80, entry=entry)
    rng = np.random.default_rng(2)
    strata, weight = rng.integers(0, 3, 80), rng.uniform(0.5, 2.0, 80)
    model = fit_cox(y, x, ties=ties, strata=strata, weights=weight)
    at = np.array([0.3, -0.2, 0.5])
    state = model.likelihood.at(at)

    def plain(beta: np.ndarray) -> float:
        return plain_loglik(beta, y, x - model.means, ties, strata, weight)

    assert state.loglik == pytest.approx(plain(at), rel=1e-12)
    assert state.score == pytest.approx(gradient(plain, at), rel=1e-6, abs=1e-6)
    curvature = np.column_stack(
        [gradient(lambda b, k=k: float(model.likelihood.at(b).score[k]), at) for k in range(3)]
    )
    assert -state.information == pytest.approx(curvature, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_the_maximum_is_a_maximum(ties: str) -> None:
    """The score vanishes and no neighbour is higher."""
    y, x = draw(3)
    model = fit_cox(y, x, ties=ties)
    assert model.converged
    assert np.abs(model.state.score).max() < 1e-4
    assert model.score_residuals().sum(axis=0) == pytest.approx(model.state.score, abs=1e-9)
    for k in range(3):
        for move in (-0.05, 0.05):
            other = model.coef.copy()
            other[k] += move
            assert model.likelihood.at(other).loglik < model.loglik


def test_coefficients_and_errors_agree_with_lifelines() -> None:
    """An independent program, plain and clustered errors; its clustered ones know no ties."""
    import pandas as pd
    from lifelines import CoxPHFitter

    y, x = draw(4, n=300, grid=1e-5)
    cluster = np.arange(300) // 2
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(t=y.time, e=y.event, id=cluster)
    options = {"precision": 1e-9}
    plain = CoxPHFitter().fit(frame.drop(columns="id"), "t", "e", fit_options=options)
    robust = CoxPHFitter().fit(frame, "t", "e", cluster_col="id", fit_options=options)
    model = fit_cox(y, x, names=["a", "b", "c"], cluster=cluster)
    assert model.coef == pytest.approx(plain.params_.to_numpy(), rel=1e-6)
    assert model.std_error == pytest.approx(plain.standard_errors_.to_numpy(), rel=1e-6)
    assert model.robust_std_error == pytest.approx(robust.standard_errors_.to_numpy(), rel=1e-5)
    assert model.loglik == pytest.approx(plain.log_likelihood_, rel=1e-10)
    assert model.n_clusters == 150


def test_time_dependent_rows_agree_with_lifelines() -> None:
    """(start, stop] periods give the coefficients of CoxTimeVaryingFitter without ties."""
    import pandas as pd
    from lifelines import CoxTimeVaryingFitter

    rng = np.random.default_rng(5)
    n = 150
    time, switch = rng.exponential(4.0, n) + 0.01, rng.exponential(3.0, n) + 0.005
    early, dead = switch < time, rng.random(n) < 0.7
    start = np.concatenate([np.zeros(n), switch[early]])
    stop = np.concatenate([np.minimum(time, switch), time[early]])
    state = np.concatenate([np.zeros(n), np.ones(early.sum())])
    event = np.concatenate([dead & ~early, dead[early]]).astype(int)
    who = np.concatenate([np.arange(n), np.flatnonzero(early)])
    frame = pd.DataFrame({"id": who, "a": start, "b": stop, "e": event, "x": state})
    other = CoxTimeVaryingFitter().fit(
        frame, id_col="id", event_col="e", start_col="a", stop_col="b"
    )
    model = fit_cox(Outcome(time=stop, event=event, entry=start), state[:, None], names=["x"])
    assert model.coef == pytest.approx(other.params_.to_numpy(), rel=1e-5)
    assert model.std_error == pytest.approx(other.standard_errors_.to_numpy(), rel=1e-5)


def test_cutting_follow_up_into_periods_changes_nothing() -> None:
    """Rows (0, 2], (2, T] with the same covariates are the same data."""
    y, x = draw(6)
    cut = y.time > 2.0
    periods = Outcome(
        time=np.concatenate([np.minimum(y.time, 2.0), y.time[cut]]),
        event=np.concatenate([np.where(cut, 0, y.event), y.event[cut]]),
        entry=np.concatenate([np.zeros(y.n), np.full(cut.sum(), 2.0)]),
    )
    who = np.concatenate([np.arange(y.n), np.flatnonzero(cut)])
    whole = fit_cox(y, x, cluster=np.arange(y.n))
    split = fit_cox(periods, x[who], cluster=who)
    assert split.coef == pytest.approx(whole.coef, rel=1e-9)
    assert split.std_error == pytest.approx(whole.std_error, rel=1e-9)
    assert split.robust_std_error == pytest.approx(whole.robust_std_error, rel=1e-9)
    assert split.loglik == pytest.approx(whole.loglik, rel=1e-12)


def test_whole_weights_are_repeated_rows() -> None:
    """Under Breslow's ties a weight of 3 is three patients."""
    y, x = draw(7, n=60)
    weight = np.random.default_rng(8).integers(1, 4, 60)
    rows = np.repeat(np.arange(60), weight)
    one = fit_cox(y, x, weights=weight, ties="breslow")
    other = fit_cox(y.take(rows), x[rows], ties="breslow")
    assert one.coef == pytest.approx(other.coef, rel=1e-8)
    assert one.std_error == pytest.approx(other.std_error, rel=1e-8)


def test_a_weight_of_zero_leaves_a_patient_out() -> None:
    """Weight 0 is the same as not being there."""
    y, x = draw(9, n=60)
    weight = np.ones(60)
    weight[::4] = 0.0
    one = fit_cox(y, x, weights=weight)
    keep = weight > 0
    other = fit_cox(y.take(keep), x[keep])
    assert one.coef == pytest.approx(other.coef, rel=1e-8)
    assert one.n_events == other.n_events


def test_an_offset_takes_its_share_of_the_predictor() -> None:
    """With the fitted predictor of one covariate as offset the others keep their coefficients."""
    y, x = draw(10)
    whole = fit_cox(y, x)
    part = fit_cox(y, x[:, 1:], offset=x[:, 0] * whole.coef[0])
    assert part.coef == pytest.approx(whole.coef[1:], abs=1e-6)
    assert part.loglik == pytest.approx(whole.loglik, rel=1e-9)


def test_scaling_and_shifting_covariates_scales_coefficients() -> None:
    """Units of a covariate change its coefficient and nothing else."""
    y, x = draw(11)
    scale, shift = np.array([1000.0, 0.01, 1.0]), np.array([5000.0, 0.0, -3.0])
    one, other = fit_cox(y, x), fit_cox(y, x * scale + shift)
    assert other.coef * scale == pytest.approx(one.coef, rel=1e-8)
    assert other.p == pytest.approx(one.p, rel=1e-6)
    assert other.lr_test.chisq == pytest.approx(one.lr_test.chisq, rel=1e-9)


def test_only_the_order_of_times_matters() -> None:
    """A monotone change of the time scale changes nothing."""
    y, x = draw(12)
    one, other = fit_cox(y, x), fit_cox(Outcome(time=np.exp(y.time), event=y.event), x)
    assert other.coef == pytest.approx(one.coef, rel=1e-10)


def test_strata_are_separate_likelihoods() -> None:
    """The log-likelihood at given coefficients is the sum over strata."""
    y, x = draw(13)
    centre = np.arange(y.n) % 4
    model = fit_cox(y, x, strata=centre)
    total = 0.0
    for k in range(4):
        part = fit_cox(y.take(centre == k), x[centre == k])
        shifted = part.likelihood.at(model.coef)
        total += shifted.loglik
    assert model.loglik == pytest.approx(total, rel=1e-10)
    assert model.strata == (0, 1, 2, 3)


def test_the_three_tests_agree_in_large_samples() -> None:
    """Likelihood-ratio, Wald and score statistics are close; two-group score is log-rank."""
    y, x = draw(14, n=2000, grid=1e-7)
    small = fit_cox(y, 0.1 * x[:, 2:] + 0.0 * x[:, :1])
    values = [small.lr_test.chisq, small.wald_test.chisq, small.score_test.chisq]
    assert max(values) / min(values) < 1.05
    from metastra.survival.logrank import logrank

    group = x[:, 0] > 0
    binary = fit_cox(y, group[:, None].astype(float))
    assert binary.score_test.chisq == pytest.approx(logrank(y, group).chisq, rel=1e-6)


def test_nested_models_have_a_likelihood_ratio_test() -> None:
    """Twice the difference of log-likelihoods on the number of added covariates."""
    y, x = draw(15)
    small = fit_cox(y, x[:, :1], names=["a"])
    large = fit_cox(y, x, names=["a", "b", "c"])
    test = likelihood_ratio_test(small, large)
    assert test.df == 2
    assert test.chisq == pytest.approx(2 * (large.loglik - small.loglik))
    null = fit_cox(y, np.empty((y.n, 0)))
    assert likelihood_ratio_test(null, large).chisq == pytest.approx(large.lr_test.chisq)
    assert (null.lr_test.df, null.lr_test.p) == (0, 1.0)
    assert large.aic == pytest.approx(-2 * large.loglik + 6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000))
def test_order_of_rows_does_not_matter(seed: int) -> None:
    """Permuted patients give the same coefficients, errors and residuals."""
    y, x = draw(seed, n=60, p=2, entry=bool(seed % 2))
    order = np.random.default_rng(seed).permutation(60)
    one, other = fit_cox(y, x), fit_cox(y.take(order), x[order])
    assert other.coef == pytest.approx(one.coef, rel=1e-7, abs=1e-9)
    assert other.std_error == pytest.approx(one.std_error, rel=1e-7)
    assert other.score_residuals() == pytest.approx(one.score_residuals()[order], abs=1e-7)


def test_breslow_and_efron_agree_without_ties() -> None:
    """The two differ at ties only, and Efron's is the larger effect with ties."""
    y, x = draw(16, grid=1e-6)
    assert fit_cox(y, x, ties="breslow").coef == pytest.approx(fit_cox(y, x).coef, rel=1e-9)
    y, x = draw(16, grid=2.0)
    assert abs(fit_cox(y, x, ties="breslow").coef[0]) < abs(fit_cox(y, x).coef[0])


def test_wald_p_values_are_uniform_and_intervals_cover() -> None:
    """Under the null 400 Wald p-values look uniform; 95% intervals hold the truth."""
    from scipy import stats

    rng = np.random.default_rng(17)
    p_values, covered = [], 0
    for _ in range(400):
        x = rng.normal(size=(150, 2))
        time, censored = rng.exponential(np.exp(-0.5 * x[:, 0])), rng.uniform(0.3, 3.0, 150)
        model = fit_cox(Outcome(time=np.minimum(time, censored), event=time <= censored), x)
        p_values.append(model.p[1])
        lower, upper = model.hazard_ratio_interval()
        covered += lower[0] <= np.exp(0.5) <= upper[0]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert 0.925 <= covered / 400 <= 0.975


def test_robust_errors_see_repeated_patients() -> None:
    """Every patient entered twice: model-based errors shrink, clustered ones stay."""
    y, x = draw(18, n=200)
    twice = np.repeat(np.arange(200), 2)
    once = fit_cox(y, x, cluster=np.arange(200), ties="breslow")
    doubled = fit_cox(y.take(twice), x[twice], cluster=twice, ties="breslow")
    assert doubled.std_error == pytest.approx(once.std_error / np.sqrt(2), rel=1e-8)
    assert doubled.robust_std_error == pytest.approx(once.robust_std_error, rel=1e-8)


@pytest.mark.slow
def test_a_hundred_thousand_rows_cost_seconds_not_hours() -> None:
    """Twenty covariates, 100 000 patients (half a second on a quiet core): not n squared."""
    import time as clock

    rng = np.random.default_rng(19)
    x = rng.normal(size=(100_000, 20))
    time, censored = rng.exponential(np.exp(-0.2 * x[:, 0])), rng.exponential(1.5, 100_000)
    y = Outcome(time=np.minimum(time, censored), event=time <= censored)
    begin = clock.process_time()
    model = fit_cox(y, x)
    assert clock.process_time() - begin < 20.0
    assert model.coef[0] == pytest.approx(0.2, abs=0.02)
