"""Pooling over cohorts and imputations, agreement, and closed testing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as sps
from scipy.optimize import minimize_scalar

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.stats.agreement import IccModel, intraclass_correlation
from metastra.stats.closed_testing import UpdateStep, closed_test_of_updates
from metastra.stats.imputation import pool_rubin
from metastra.stats.meta_analysis import Scale, pool_random_effects

C = [0.62, 0.71, 0.78, 0.66, 0.81, 0.69, 0.74, 0.58]
SE = [0.03, 0.025, 0.04, 0.02, 0.05, 0.03, 0.035, 0.045]


def restricted_log_likelihood(tau2, y, v):
    w = 1 / (v + tau2)
    mean = np.average(y, weights=w)
    return -0.5 * (np.sum(np.log(v + tau2)) + np.log(w.sum()) + np.sum(w * (y - mean) ** 2))


def test_between_cohort_variance_maximises_the_restricted_likelihood():
    """tau2 is the REML one, found by a plain search."""
    y = np.log(np.array(C) / (1 - np.array(C)))
    v = (np.array(SE) / (np.array(C) * (1 - np.array(C)))) ** 2
    best = minimize_scalar(
        lambda t: -restricted_log_likelihood(t, y, v),
        bounds=(0, 2),
        method="bounded",
        options={"xatol": 1e-10},
    ).x

    pooled = pool_random_effects(C, SE, scale="logit")

    assert pooled.tau2 == pytest.approx(best, rel=1e-3)
    w = 1 / (v + best)
    mean = np.average(y, weights=w)
    assert pooled.scaled_estimate == pytest.approx(mean, rel=1e-4)
    assert pooled.std_error_wald == pytest.approx(w.sum() ** -0.5, rel=1e-3)
    knapp = np.sqrt(np.sum(w * (y - mean) ** 2) / 7 / w.sum())
    assert pooled.std_error == pytest.approx(knapp, rel=1e-3)


def test_prediction_interval_is_wider_than_that_of_the_mean():
    """A new cohort is less sure than the mean of all; k - 2 degrees are the wider."""
    pooled = pool_random_effects(C, SE, scale="logit")

    assert pooled.prediction_lower < pooled.prediction_lower_km1 < pooled.lower
    assert pooled.upper < pooled.prediction_upper_km1 < pooled.prediction_upper
    assert 0 < pooled.i2 < 100


def test_equal_cohorts_have_no_variance_between_them():
    """Identical estimates: tau2 and I2 vanish, Q is 0 with p = 1."""
    pooled = pool_random_effects([0.7] * 5, [0.03] * 5, scale=Scale.LOGIT)

    assert pooled.estimate == pytest.approx(0.7)
    assert pooled.tau2 == pytest.approx(0.0, abs=1e-5)
    assert pooled.i2 == pytest.approx(0.0, abs=0.1)
    assert (pooled.q, pooled.q_p) == pytest.approx((0.0, 1.0))


def test_scales_go_there_and_back():
    """Pooling O/E on the log scale is pooling their logarithms."""
    ratios, errors = np.array([0.8, 1.3, 1.1]), np.array([0.1, 0.2, 0.15])

    there = pool_random_effects(ratios, errors, scale="log")
    plain = pool_random_effects(np.log(ratios), errors / ratios)

    assert there.estimate == pytest.approx(np.exp(plain.estimate))
    assert (there.lower, there.upper) == pytest.approx(tuple(np.exp([plain.lower, plain.upper])))


def test_two_cohorts_have_no_prediction_interval_on_no_degrees():
    """For k = 2 the interval with k - 2 degrees of freedom is missing; one cohort is refused."""
    pooled = pool_random_effects([0.7, 0.8], [0.02, 0.03], scale="logit")

    assert (pooled.prediction_lower, pooled.prediction_upper) == (None, None)
    with pytest.raises(NotEstimable, match="1 cohort"):
        pool_random_effects([0.7], [0.02])


def test_hartung_knapp_covers_with_few_cohorts():
    """With six cohorts the interval of the mean covers in about 95 of a hundred.

    That of a new cohort covers less often, as tau2 is uncertain (Partlett and Riley 2017).
    """
    rng = np.random.default_rng(0)
    covered = predicted = 0
    for _ in range(600):
        errors = rng.uniform(0.05, 0.2, 6)
        pooled = pool_random_effects(rng.normal(0.5, 0.2, 6) + rng.normal(0, errors), errors)
        covered += pooled.lower <= 0.5 <= pooled.upper
        predicted += pooled.prediction_lower <= rng.normal(0.5, 0.2) <= pooled.prediction_upper
    assert 0.92 <= covered / 600 <= 0.98
    assert 0.86 <= predicted / 600 <= 0.97


def test_bad_cohorts_are_refused():
    """Impossible estimates, missing errors, unknown scales and levels."""
    with pytest.raises(DataError, match="inside"):
        pool_random_effects([0.7, 1.0], [0.1, 0.1], scale="logit")
    with pytest.raises(DataError, match="above 0"):
        pool_random_effects([0.7, -1.0], [0.1, 0.1], scale="log")
    with pytest.raises(DataError, match="standard errors"):
        pool_random_effects([0.7, 0.8], [0.1, 0.0])
    with pytest.raises(DataError, match="equally long"):
        pool_random_effects([0.7, np.nan], [0.1, 0.1])
    with pytest.raises(ConfigError, match="logit"):
        pool_random_effects([0.7, 0.8], [0.1, 0.1], scale="probit")
    with pytest.raises(ConfigError, match="level"):
        pool_random_effects([0.7, 0.8], [0.1, 0.1], level=0)


def test_rubin_by_hand():
    """Mean, within plus (1 + 1/m) between, and t with Barnard-Rubin degrees of freedom."""
    estimates, errors = np.array([0.5, 0.7, 0.6, 0.4]), np.array([0.2, 0.25, 0.2, 0.22])

    pooled = pool_rubin(estimates, errors, n=120, n_parameters=3)

    within, between = np.mean(errors**2), np.var(estimates, ddof=1)
    total = within + 1.25 * between
    share = 1.25 * between / total
    observed = 118 / 120 * 117 * (1 - share)
    df = 1 / (share**2 / 3 + 1 / observed)
    assert (pooled.estimate, pooled.std_error) == pytest.approx((0.55, np.sqrt(total)))
    assert pooled.df == pytest.approx(df)
    half = sps.t.ppf(0.975, df) * np.sqrt(total)
    assert pooled.interval() == pytest.approx((0.55 - half, 0.55 + half))


def test_equal_imputations_lose_nothing():
    """Without variance between imputations the degrees of freedom are those of the data."""
    pooled = pool_rubin([0.5, 0.5], [0.2, 0.2], n=100)

    assert (pooled.between, pooled.total) == pytest.approx((0.0, 0.04))
    assert pooled.df == pytest.approx(100 / 102 * 99)
    assert pooled.relative_increase == 0.0


def test_bad_imputations_are_refused():
    """One imputation, no degrees of freedom, missing numbers, impossible levels."""
    with pytest.raises(NotEstimable, match="1 imputation"):
        pool_rubin([0.5], [0.1], n=10)
    with pytest.raises(NotEstimable, match="degrees of freedom"):
        pool_rubin([0.5, 0.6], [0.1, 0.1], n=3, n_parameters=3)
    with pytest.raises(DataError, match="finite"):
        pool_rubin([0.5, np.nan], [0.1, 0.1], n=10)
    with pytest.raises(DataError, match="equally long"):
        pool_rubin([0.5, 0.6], [0.1], n=10)
    with pytest.raises(ConfigError, match="level"):
        pool_rubin([0.5, 0.6], [0.1, 0.1], n=10).interval(2.0)


SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]


@pytest.mark.parametrize(
    ("model", "estimate", "lower", "upper"),
    [
        ("icc(1,1)", 0.166, -0.133, 0.723),
        ("icc(2,1)", 0.290, 0.019, 0.761),
        ("icc(3,1)", 0.715, 0.342, 0.946),
    ],
)
def test_agreement_in_the_published_table(model, estimate, lower, upper):
    """Shrout and Fleiss 1979: six targets and four judges, with R's psych::ICC limits."""
    icc = intraclass_correlation(SHROUT_FLEISS, model=model)

    assert (icc.estimate, icc.lower, icc.upper) == pytest.approx((estimate, lower, upper), abs=6e-4)
    assert (icc.n, icc.k) == (6, 4)


def test_a_constant_offset_hurts_absolute_agreement_only():
    """A scanner that reads one higher is consistent but does not agree."""
    first = np.random.default_rng(0).normal(size=40)
    table = np.column_stack([first, first + 1.0])

    assert intraclass_correlation(table, model=IccModel.CONSISTENCY).estimate == pytest.approx(1)
    assert intraclass_correlation(table, model=IccModel.ABSOLUTE).estimate < 0.8
    same = intraclass_correlation(np.column_stack([first, first]))
    assert (same.estimate, same.lower, same.upper) == (1.0, 1.0, 1.0)


def test_agreement_estimates_the_variance_share():
    """With known variances the estimate is near the truth and the limits cover it."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        table = rng.normal(size=(30, 1)) + rng.normal(0, 0.3, (1, 3)) + rng.normal(0, 0.5, (30, 3))
        icc = intraclass_correlation(table)
        covered += icc.lower <= 1 / (1 + 0.09 + 0.25) <= icc.upper
    assert 0.90 <= covered / 300 <= 0.99


def test_bad_ratings_are_refused():
    """Missing ratings, single columns, nothing that varies, unknown models."""
    with pytest.raises(DataError, match="none missing"):
        intraclass_correlation([[1.0, np.nan], [2.0, 3.0]])
    with pytest.raises(NotEstimable, match="1 measurements"):
        intraclass_correlation([[1.0], [2.0]])
    with pytest.raises(NotEstimable, match="all ratings are equal"):
        intraclass_correlation([[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(ConfigError, match="icc"):
        intraclass_correlation([[1.0, 2.0], [2.0, 1.0]], model="icc(9)")
    with pytest.raises(ConfigError, match="level"):
        intraclass_correlation([[1.0, 2.0], [2.0, 1.0]], level=1.0)


def ladder(*likelihoods: float) -> list[UpdateStep]:
    names = ("none", "intercept", "recalibration", "refit")
    return [
        UpdateStep(name=name, log_likelihood=value, n_parameters=parameters)
        for name, value, parameters in zip(names, likelihoods, (0, 1, 2, 7), strict=True)
    ]


@pytest.mark.parametrize(
    ("likelihoods", "chosen", "tests"),
    [
        ((-100, -99, -98.5, -97), "none", 1),
        ((-120, -101, -100, -97), "intercept", 2),
        ((-130, -120, -101, -97), "recalibration", 3),
        ((-130, -125, -120, -97), "refit", 3),
    ],
)
def test_closed_test_stops_at_the_first_update_that_is_enough(likelihoods, chosen, tests):
    """The fullest update is tested against each rung until it no longer wins."""
    result = closed_test_of_updates(ladder(*likelihoods))

    assert (result.chosen, len(result.comparisons)) == (chosen, tests)
    first = result.comparisons[0]
    assert first.p_value == pytest.approx(sps.chi2.sf(2 * (likelihoods[3] - likelihoods[0]), 7))


def test_closed_test_keeps_its_level():
    """When the model is right as it is, it is kept in about 95 of a hundred."""
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(2000):
        gains = np.concatenate([[0.0], np.cumsum(rng.chisquare([1, 1, 5]) / 2)])
        kept += closed_test_of_updates(ladder(*(gains - 100))).chosen == "none"
    assert kept / 2000 == pytest.approx(0.95, abs=0.015)


def test_impossible_ladders_are_refused():
    """A fuller update cannot fit worse; one step is no ladder."""
    with pytest.raises(DataError, match="cannot fit worse"):
        closed_test_of_updates(ladder(-100, -105, -104, -90))
    with pytest.raises(DataError, match="two or more"):
        closed_test_of_updates(ladder(-100, -99, -98, -97)[:1])
    with pytest.raises(ConfigError, match="level"):
        closed_test_of_updates(ladder(-100, -99, -98, -97), level=0.0)
