"""Numbers of patients in closed form, against R's packages, simulation and hand."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.special import expit

from metastra.errors import ConfigError, NotEstimable
from metastra.stats.sample_size import (
    auc_half_width,
    n_for_auc,
    n_for_net_benefit,
    n_for_observed_expected,
    n_for_slope,
    n_for_slope_at_auc,
    observed_expected_factor,
)
from metastra.stats.sample_size_development import n_for_development
from metastra.stats.sample_size_groups import detectable_hazard_ratio

_Z = NormalDist().inv_cdf(0.975)


def two_normals(auc, risk, n, rng):
    """Patients of a calibrated logistic model with that AUC: their status and log odds."""
    variance = 2 * NormalDist().inv_cdf(auc) ** 2
    sick = rng.random(n) < risk
    mean = math.log(risk / (1 - risk)) - variance / 2
    return sick, rng.normal(mean + variance * sick, math.sqrt(variance))


def test_observed_expected_and_auc_need_what_pmvalsampsize_says():
    """Risk 12 %, C 0.80: 714 patients for O/E 0.4 wide, 713 for C 0.1 wide (R)."""
    assert n_for_observed_expected(0.12, 0.4) == 714
    assert n_for_auc(0.80, 0.12, 0.1) == 713


def test_the_slope_needs_what_pmvalsampsize_says_for_its_own_linear_predictor():
    """Normal log odds with SD 1.2 and mean risk 12 %: R's million draws say 4103."""
    z = np.linspace(-9, 9, 6001)
    predictor, weight = -2.4714 + 1.2 * z, np.exp(-(z**2) / 2)
    assert np.average(expit(predictor), weights=weight) == pytest.approx(0.12, abs=1e-4)

    assert n_for_slope(predictor, 0.2, weight=weight) == pytest.approx(4103, rel=1e-3)


def test_the_slope_at_an_auc_agrees_with_a_mean_over_drawn_patients():
    """The information of a million patients instead of the integral, and their AUC is 0.80."""
    sick, predictor = two_normals(0.80, 0.12, 1_000_000, np.random.default_rng(3))
    order = np.argsort(predictor)
    ranks = np.empty(sick.size)
    ranks[order] = np.arange(1, sick.size + 1)
    n_sick = sick.sum()
    auc = (ranks[sick].sum() - n_sick * (n_sick + 1) / 2) / (n_sick * (sick.size - n_sick))

    assert auc == pytest.approx(0.80, abs=0.002)
    assert n_for_slope_at_auc(0.80, 0.12, 0.2) == pytest.approx(
        n_for_slope(predictor, 0.2), rel=0.01
    )


def test_the_net_benefit_spreads_as_the_formula_says():
    """Standard deviation over 2000 simulated studies of the size that is asked for."""
    rng = np.random.default_rng(5)
    threshold, n = 0.12, n_for_net_benefit(0.80, 0.12, 0.12, 0.2)
    found = []
    for _ in range(2000):
        sick, predictor = two_normals(0.80, 0.12, n, rng)
        called = expit(predictor) >= threshold
        odds = threshold / (1 - threshold)
        benefit = np.mean(called & sick) - np.mean(called & ~sick) * odds
        found.append(benefit / sick.mean())

    assert 2 * _Z * np.std(found) == pytest.approx(0.2, rel=0.06)


@pytest.mark.parametrize(
    ("r2", "parameters", "rate", "expected"),
    [
        (0.051, 25, 0.065, (4286, 866)),
        (0.065, 25, 0.065, (3335, 859)),
        (0.051, 50, 0.065, (8572, 1731)),
        (0.051, 25, 0.1, (4286, 731)),
    ],
)
def test_a_development_needs_what_pmsampsize_says(r2, parameters, rate, expected):
    """The tests of R's pmsampsize for survival: horizon 2 and mean follow-up 2.07 years.

    R rounds the events of 10 000 patients up before it takes the largest R², which can move the
    second number by one.
    """
    size = n_for_development(
        parameters=parameters, r2_cox_snell=r2, event_rate=rate, horizon=2, mean_follow_up=2.07
    )

    assert size.n_shrinkage == expected[0]
    assert size.n_optimism == pytest.approx(expected[1], abs=1)
    assert size.n == expected[0]


def test_the_mean_risk_has_the_margin_it_was_sized_for():
    """The upper 95 % limit of the rate puts the risk 0.05 higher, by pmsampsize's formula."""
    rate, horizon, follow_up = 0.065, 2, 2.07
    size = n_for_development(
        parameters=5, r2_cox_snell=0.1, event_rate=rate, horizon=horizon, mean_follow_up=follow_up
    )

    def margin(n):
        upper = rate + _Z * math.sqrt(rate / (follow_up * n))
        return math.exp(-rate * horizon) - math.exp(-upper * horizon)

    assert margin(size.n_overall_risk) <= 0.05 < margin(size.n_overall_risk - 1)


def test_the_detectable_hazard_ratio_is_schoenfelds():
    """12, 18 and 24 events with 30 % at high risk: 5.8, 4.2 and 3.5."""
    found = [detectable_hazard_ratio(events, 0.3) for events in (12, 18, 24)]

    assert [round(ratio, 1) for ratio in found] == [5.8, 4.2, 3.5]


def test_schoenfelds_ratio_has_the_power_it_promises():
    """Log-rank tests of 400 studies with 100 events: 80 % reject at the ratio, 2.5 % above at 1."""
    rng = np.random.default_rng(8)
    ratio = detectable_hazard_ratio(100, 0.3)
    rejected = [logrank_z(rng, ratio) > _Z for _ in range(400)]

    assert np.mean(rejected) == pytest.approx(0.8, abs=0.07)


def logrank_z(rng, ratio):
    """Log-rank statistic of 100 patients who all have the event, 30 of them at high risk."""
    high = np.arange(100) < 30
    high = high[np.argsort(rng.exponential(size=100) / np.where(high, ratio, 1.0))]
    share = high[::-1].cumsum()[::-1] / np.arange(100, 0, -1)
    return (high - share).sum() / math.sqrt((share * (1 - share)).sum())


def test_an_expected_number_of_events_need_not_be_whole():
    """19.2 events lie between 19 and 20."""
    widths = [auc_half_width(0.8, events, 140.8) for events in (19, 19.2, 20)]
    factors = [observed_expected_factor(0.12, events) for events in (19, 19.2, 20)]

    assert widths == sorted(widths, reverse=True)
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: n_for_observed_expected(0.0, 0.4),
        lambda: n_for_observed_expected(0.1, 0.0),
        lambda: n_for_auc(0.5, 0.1, 0.1),
        lambda: n_for_auc(0.8, 1.0, 0.1),
        lambda: n_for_slope([1.0, 1.0], 0.2),
        lambda: n_for_net_benefit(0.8, 0.1, 1.0, 0.2),
        lambda: n_for_observed_expected(0.1, 0.4, level=1.0),
        lambda: detectable_hazard_ratio(10, 1.0),
        lambda: n_for_development(
            parameters=5, r2_cox_snell=0.8, event_rate=0.05, horizon=2, mean_follow_up=2
        ),
    ],
)
def test_an_assumption_outside_its_range_is_refused(call):
    """With what was expected."""
    with pytest.raises(ConfigError, match=r"expected|allow|differ"):
        call()


def test_all_assumptions_of_a_development_are_refused_at_once():
    """Parameters, R² and rate in one message."""
    with pytest.raises(ConfigError) as caught:
        n_for_development(
            parameters=0, r2_cox_snell=0.95, event_rate=0.0, horizon=2, mean_follow_up=2
        )

    assert all(word in str(caught.value) for word in ("parameters=0", "R²", "rate"))


def test_no_events_have_no_hazard_ratio():
    """Nor a factor."""
    with pytest.raises(NotEstimable):
        detectable_hazard_ratio(0, 0.3)
    with pytest.raises(NotEstimable):
        observed_expected_factor(0.1, 0)
