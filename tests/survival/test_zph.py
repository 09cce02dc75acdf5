"""The exact score test of proportional hazards against the extended model written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import rankdata

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.cox import fit_cox
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.zph import proportional_hazards_test


def draw(seed: int, n: int = 100) -> tuple[Outcome, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    time = np.ceil(rng.exponential(3.0 * np.exp(-0.6 * x[:, 0])) * 3) / 3
    censored = np.ceil(rng.uniform(1.0, 6.0, n) * 3) / 3
    return Outcome(time=np.minimum(time, censored), event=time <= censored), x


@pytest.mark.parametrize("transform", ["identity", "km", "log", "rank"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_it_is_the_score_test_of_an_interaction_with_time(ties: str, transform: str) -> None:
    """Cut at every event time, add x g(t): the score statistic at gamma = 0 is the same."""
    y, x = draw(1)
    model = fit_cox(y, x, ties=ties)
    test = proportional_hazards_test(model, transform=transform)
    times = np.unique(y.time[y.event > 0])
    start, stop, event, rows = [], [], [], []
    for before, t in zip(np.concatenate([[0.0], times[:-1]]), times, strict=True):
        here = np.flatnonzero(y.time >= t)
        start += [before] * here.size
        stop += [t] * here.size
        event += ((y.time[here] == t) & (y.event[here] > 0)).astype(int).tolist()
        rows += here.tolist()
    before_death = kaplan_meier(y).curve().left
    order = dict(zip(y.time, rankdata(y.time), strict=True))

    def ranks(times: object) -> np.ndarray:
        return np.array([order[t] for t in np.asarray(times)])

    functions = {
        "identity": np.array,
        "km": lambda t: 1 - before_death(t),
        "log": np.log,
        "rank": ranks,
    }
    g = functions[transform](stop) - functions[transform](y.time[y.event > 0]).mean()
    wide = np.column_stack([x[rows], x[rows] * g[:, None]])
    periods = Outcome(time=stop, event=event, entry=start)
    state = fit_cox(periods, wide, ties=ties).likelihood.at(np.append(model.coef, [0.0, 0.0]))
    score = np.append([0.0, 0.0], state.score[2:])
    expected = score @ np.linalg.solve(state.information, score)
    assert test.overall.chisq == pytest.approx(expected, rel=1e-5)
    keep = [0, 1, 3]
    only_second = np.array([0.0, 0.0, score[3]])
    one = only_second @ np.linalg.solve(state.information[np.ix_(keep, keep)], only_second)
    assert test.tests[1].chisq == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("transform", ["km", "identity", "rank", "log"])
def test_statistics_ignore_the_scale_of_covariates(transform: str) -> None:
    """Units of a covariate do not matter; every transform gives a test."""
    y, x = draw(2)
    one = proportional_hazards_test(fit_cox(y, x), transform=transform)
    other = proportional_hazards_test(fit_cox(y, 100.0 * x + 7.0), transform=transform)
    assert other.overall.chisq == pytest.approx(one.overall.chisq, rel=1e-6)
    assert one.frame()["term"].tolist() == ["x1", "x2", "GLOBAL"]


def test_transforms_differ_and_rank_transforms_ignore_the_unit_of_time() -> None:
    """km and rank depend on the order of times only, identity on their values."""
    y, x = draw(3)
    stretched = Outcome(time=y.time**2, event=y.event)
    for transform, same in (("km", True), ("rank", True), ("identity", False)):
        a = proportional_hazards_test(fit_cox(y, x), transform=transform).overall.chisq
        b = proportional_hazards_test(fit_cox(stretched, x), transform=transform).overall.chisq
        assert (a == pytest.approx(b, rel=1e-6)) is same


def test_residuals_sum_to_zero_and_belong_to_events() -> None:
    """Schoenfeld residuals: one row for each event, columns adding to the score, about 0."""
    y, x = draw(4)
    test = proportional_hazards_test(fit_cox(y, x))
    assert test.residuals.shape == (y.n_events(), 2)
    assert np.abs(test.residuals.sum(axis=0)).max() < 1e-4
    assert (np.diff(test.times) >= 0).all()
    assert test.scaled_residuals.mean(axis=0) == pytest.approx(fit_cox(y, x).coef, abs=1e-3)


def test_a_fading_effect_is_found_and_a_constant_one_is_not_too_often() -> None:
    """Power against an effect that ends, and a 5% size under proportional hazards."""
    rng = np.random.default_rng(5)
    p_values = []
    for _ in range(300):
        x = rng.normal(size=(120, 1))
        time, censored = rng.exponential(np.exp(-0.7 * x[:, 0])), rng.uniform(0.5, 3.0, 120)
        y = Outcome(time=np.minimum(time, censored), event=time <= censored)
        p_values.append(proportional_hazards_test(fit_cox(y, x)).overall.p)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    x = rng.integers(0, 2, 800).astype(float)
    early = rng.exponential(np.exp(-1.5 * x))
    time = np.where(early < 0.5, early, 0.5 + rng.exponential(1.0, 800))
    fading = Outcome(time=time, event=np.ones(800, dtype=int))
    assert proportional_hazards_test(fit_cox(fading, x[:, None])).overall.p < 1e-4


def test_what_cannot_be_tested_is_refused() -> None:
    """Events at one time, the logarithm of 0, a penalty, an unknown transform."""
    y, x = draw(6)
    with pytest.raises(NotEstimable, match="penalised"):
        proportional_hazards_test(fit_cox(y, x, ridge=1.0))
    with pytest.raises(ConfigError, match="expected km"):
        proportional_hazards_test(fit_cox(y, x), transform="sqrt")  # type: ignore[arg-type]
    at_zero = Outcome(time=np.maximum(y.time - 1.0, 0.0), event=y.event)
    assert ((at_zero.time == 0.0) & (at_zero.event > 0)).any()
    with pytest.raises(NotEstimable, match="time 0"):
        proportional_hazards_test(fit_cox(at_zero, x), transform="log")
    once = Outcome(time=[2, 2, 3, 3, 4], event=[1, 1, 0, 0, 0])
    model = fit_cox(once, [[1.0], [2.0], [0.0], [3.0], [1.5]])
    with pytest.raises(NotEstimable, match="one time"):
        proportional_hazards_test(model)


def test_strata_are_honoured() -> None:
    """A stratified model is tested within strata: with one label it is the plain test."""
    y, x = draw(7)
    plain = proportional_hazards_test(fit_cox(y, x)).overall.chisq
    one = proportional_hazards_test(fit_cox(y, x, strata=["a"] * y.n)).overall.chisq
    two = proportional_hazards_test(fit_cox(y, x, strata=np.arange(y.n) % 2)).overall.chisq
    assert one == pytest.approx(plain, rel=1e-10)
    assert two != pytest.approx(plain, rel=1e-3)
