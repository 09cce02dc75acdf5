"""Upper bounds of small risks: Clopper–Pearson, sampled products, coverage, verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binomtest

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.beta_product import beta_product_limits, n_needed_without_events
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.low_risk import BoundMethod, Verdict, low_risk_claim, risk_bound
from metastra.survival.outcome import Outcome


def cohort(seed: int, n: int, risk: float, *, lost: float = 0.1, death: float = 0.0) -> Outcome:
    """Event times with a given two-year risk, some patients lost, some dead before."""
    rng = np.random.default_rng(seed)
    event = rng.exponential(-24.0 / np.log1p(-risk), n)
    dead = rng.exponential(1.0 / death, n) if death else np.full(n, np.inf)
    end = np.where(rng.random(n) < lost, rng.uniform(0.0, 24.0, n), 36.0)
    time = np.minimum(np.minimum(event, dead), end)
    code = np.where(time == end, 0, np.where(event <= dead, 1, 2))
    return Outcome(time=time, event=code)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 400), data=st.data())
def test_without_censoring_the_limits_are_clopper_pearsons(n: int, data: st.DataObject) -> None:
    """Complete follow-up to the horizon, tied or not: scipy's exact binomial interval."""
    k = data.draw(st.integers(0, n))
    tied = data.draw(st.booleans())
    time = np.full(n, 24.0)
    time[:k] = 7.0 if tied else np.linspace(1.0, 24.0, k)
    limits = beta_product_limits(Outcome(time=time, event=np.arange(n) < k), 24.0)
    exact = binomtest(k, n).proportion_ci(0.95, method="exact")
    assert limits == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_limits_under_censoring_are_quantiles_of_a_sampled_product(seed: int) -> None:
    """One Beta(Y, 1) for each event, and one more for the event to come, drawn 400 000 times."""
    y = cohort(seed, 50, 0.25, lost=0.7)
    rng = np.random.default_rng(seed)
    logs = np.zeros(400_000)
    for when in np.sort(y.time[(y.event == 1) & (y.time <= 24.0)]):
        logs += np.log(rng.random(logs.size)) / np.count_nonzero(y.time >= when)
    lower, upper = beta_product_limits(y, 24.0)
    assert lower == pytest.approx(1.0 - np.quantile(np.exp(logs), 0.975), abs=0.0015)
    logs += np.log(rng.random(logs.size)) / np.count_nonzero(y.time > 24.0)
    assert upper == pytest.approx(1.0 - np.quantile(np.exp(logs), 0.025), abs=0.0015)


@pytest.mark.parametrize(("n", "k"), [(3000, 1500), (10_000, 1000), (1000, 998)])
def test_many_events_keep_all_digits(n: int, k: int) -> None:
    """Large cohorts without censoring: still Clopper and Pearson's limits."""
    time = np.append(np.linspace(1.0, 20.0, k), np.full(n - k, 24.0))
    exact = binomtest(k, n).proportion_ci(0.95, method="exact")
    limits = beta_product_limits(Outcome(time=time, event=np.arange(n) < k), 24.0)
    assert limits == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("n_events", [26, 29, 34])
def test_both_ways_to_the_quantile_agree(n_events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Around the number of events where the method changes, contour and series give one number."""
    time = np.append(np.linspace(1.0, 20.0, n_events), np.linspace(5.0, 30.0, 60))
    y = Outcome(time=time, event=np.arange(time.size) < n_events)
    monkeypatch.setattr("metastra.survival.beta_product._MANY", 0)
    series = beta_product_limits(y, 24.0)
    monkeypatch.setattr("metastra.survival.beta_product._MANY", 1000)
    assert beta_product_limits(y, 24.0) == pytest.approx(series, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_limits_hold_the_estimate_and_widen_with_the_level(seed: int) -> None:
    """Lower < 1 - S < upper, and 99 % limits contain 90 % limits."""
    y = cohort(seed, 60, 0.15, lost=0.4)
    risk = 1.0 - kaplan_meier(y).survival_at([24.0])[0]
    narrow = beta_product_limits(y, 24.0, lower_tail=0.05, upper_tail=0.05)
    wide = beta_product_limits(y, 24.0, lower_tail=0.005, upper_tail=0.005)
    assert wide[0] < narrow[0] < risk < narrow[1] < wide[1]


@pytest.mark.parametrize(("n", "verdict"), [(58, Verdict.NOT_MET), (59, Verdict.MET)])
def test_without_events_it_takes_59_patients_to_show_under_5_percent(
    n: int, verdict: Verdict
) -> None:
    """1 - 0.05 ** (1/n) passes 0.05 between 58 and 59; lost patients do not count."""
    time, event = np.append(np.full(n, 24.0), [3.0] * 20), np.zeros(n + 20, dtype=int)
    claim = low_risk_claim(Outcome(time=time, event=event), 24.0, limit=0.05)
    assert claim.verdict is verdict
    assert claim.bound.upper == pytest.approx(1.0 - 0.05 ** (1.0 / n), rel=1e-9)
    assert claim.n_needed_without_events == 59


def test_one_sided_and_two_sided_bounds_are_quantiles_of_one_beta() -> None:
    """2 of 100: Beta(3, 98) at 0.95 and at 0.975."""
    y = Outcome(time=[10.0, 12.0] + [24.0] * 98, event=[1, 1] + [0] * 98)
    for sided, level in (("one", 0.95), ("two", 0.975)):
        bound = risk_bound(y, 24.0, sided=sided)
        assert bound.upper == pytest.approx(beta.ppf(level, 3, 98), rel=1e-9)
    assert n_needed_without_events(0.05, level=0.975) == 72


def test_log_log_is_the_upper_limit_of_the_curve() -> None:
    """Without competing events: that of Kaplan–Meier, in form and number."""
    y = cohort(4, 200, 0.1)
    two = risk_bound(y, 24.0, method=BoundMethod.LOG_LOG, sided="two")
    km = kaplan_meier(y, interval="log-log")
    # The jack-knife error of the risk is near Greenwood's, not equal to it.
    assert two.upper == pytest.approx(1.0 - km.interval_at([24.0])[0][0], rel=2e-3)
    one = risk_bound(y, 24.0, method=BoundMethod.LOG_LOG)
    assert two.risk < one.upper < two.upper


def test_competing_deaths_make_the_exact_bound_wider_never_narrower() -> None:
    """The bound is that of the cause-specific view, above the incidence in the real world."""
    y = cohort(9, 160, 0.06, death=0.004)
    bound = risk_bound(y, 24.0)
    assert bound.n_competing > 5
    assert bound.upper == risk_bound(y.only(1), 24.0).upper
    assert bound.risk < risk_bound(y.only(1), 24.0).risk


def test_claims_without_a_bound_are_not_estimable_with_the_reason() -> None:
    """Follow-up too short, delayed entry, or no event on the log-log scale."""
    short = low_risk_claim(Outcome(time=[10, 12], event=[0, 0]), 24.0, limit=0.05)
    assert short.verdict is Verdict.NOT_ESTIMABLE
    assert short.bound is None
    assert "follow-up ends at 12" in short.reason
    entered = Outcome(time=[30, 30], event=[0, 0], entry=[1, 2])
    assert "delayed" in low_risk_claim(entered, 24.0, limit=0.05).reason
    free = Outcome(time=[30] * 100, event=[0] * 100)
    with pytest.raises(NotEstimable, match="beta-product"):
        risk_bound(free, 24.0, method=BoundMethod.LOG_LOG)
    dead = Outcome(time=[3, 4], event=[2, 2])
    assert low_risk_claim(dead, 24.0, limit=0.05).verdict is Verdict.NOT_ESTIMABLE
    everybody = low_risk_claim(Outcome(time=[3, 4], event=[1, 1]), 24.0, limit=0.05)
    assert everybody.verdict is Verdict.NOT_MET
    assert everybody.bound.upper == 1.0


def test_options_out_of_range_are_refused() -> None:
    """Limits, levels, horizons, sides and methods."""
    y = Outcome(time=[30] * 10, event=[0] * 10)
    with pytest.raises(ConfigError, match="limit is 5"):
        low_risk_claim(y, 24.0, limit=5.0)
    with pytest.raises(ConfigError, match="level"):
        risk_bound(y, 24.0, level=95.0)
    with pytest.raises(ConfigError, match="horizon"):
        risk_bound(y, 0.0)
    with pytest.raises(ConfigError, match="sided"):
        risk_bound(y, 24.0, sided="both")
    with pytest.raises(ConfigError, match="tails"):
        beta_product_limits(y, 24.0, upper_tail=2.0)
    with pytest.raises(ConfigError, match="horizon"):
        beta_product_limits(y, np.inf)
    with pytest.raises(ConfigError, match="wald"):
        risk_bound(y, 24.0, method="wald")


@pytest.mark.parametrize(
    ("n", "risk", "lost", "death"),
    [(160, 0.05, 0.1, 0.0), (160, 0.05, 0.6, 0.0), (40, 0.08, 0.2, 0.0), (160, 0.05, 0.1, 0.004)],
)
def test_the_exact_bound_covers_at_least_at_its_level(
    n: int, risk: float, lost: float, death: float
) -> None:
    """The truth lies above a 95 % bound in at most 5 % of cohorts; the bound is not vacuous."""
    hazard = -np.log1p(-risk) / 24.0
    total = hazard + death
    truth = hazard / total * -np.expm1(-24.0 * total)
    cohorts = [cohort(seed, n, risk, lost=lost, death=death) for seed in range(800)]
    upper = np.array([risk_bound(y, 24.0).upper for y in cohorts])
    assert np.mean(upper < truth) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 800)
    assert np.median(upper) < truth + 0.16


def test_a_true_risk_at_the_limit_is_rarely_called_low() -> None:
    """A claim that is false by a hair is met in at most 5 % of 1000 cohorts, and not never."""
    met = [
        low_risk_claim(cohort(seed, 160, 0.08), 24.0, limit=0.08).verdict is Verdict.MET
        for seed in range(1000)
    ]
    assert 0.005 < np.mean(met) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 1000)
