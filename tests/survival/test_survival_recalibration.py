"""The ladder of updates: coefficients against weak calibration, tests against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import DataError, NotEstimable
from metastra.stats.closed_testing import UpdateComparison, close_comparisons
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.outcome import Outcome
from metastra.survival.recalibration import RUNGS, fit_recalibration


def made(n, seed, *, factor=1.0, slope=1.0, extra=0.0):
    """Outcomes with competing events and risks that are right, too high, too extreme or short."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(size=(n, 2))
    rate = 0.12 * np.exp(0.8 * x + extra * z[:, 0])
    first, other = rng.exponential(1.0 / rate), rng.exponential(1.0 / 0.05, n)
    censored = rng.uniform(0.5, 6.0, n)
    time = np.minimum(np.minimum(first, other), censored)
    event = np.where(time == first, 1, np.where(time == other, 2, 0))
    known = 0.12 * np.exp(0.8 * x)
    total = known + 0.05
    risk = known / total * -np.expm1(-2.0 * total)
    log = np.log(-np.log1p(-risk))
    middle = log.mean()
    risk = -np.expm1(-np.exp(np.log(factor) + middle + slope * (log - middle)))
    return Outcome(time=time, event=event), np.minimum(risk, 0.999), z


def chosen(y, risk, z=None):
    """What the closed test takes."""
    fit = fit_recalibration(y, risk, 2.0, covariates=z)
    tests = [UpdateComparison(step=t.rung, chi2=t.chi2, df=t.df, p_value=t.p_value)
             for t in fit.tests]  # fmt: skip
    return close_comparisons(tests, fullest=fit.rungs[-1]).chosen


def test_intercept_and_slope_are_those_of_weak_calibration():
    """Two independent programs of the same estimating equations."""
    y, risk, z = made(800, 3, factor=1.4, slope=1.3)
    fit = fit_recalibration(y, risk, 2.0, covariates=z, names=["a", "b"])
    weak = weak_calibration(y, risk, 2.0)
    intercept = fit.coefficients["intercept"][0]
    both = fit.coefficients["intercept and slope"]
    assert intercept.estimate == pytest.approx(weak.intercept.estimate, abs=1e-6)
    assert intercept.std_error == pytest.approx(weak.intercept.std_error, rel=1e-5)
    assert both[1].estimate == pytest.approx(weak.slope.estimate, abs=1e-6)
    assert both[1].std_error == pytest.approx(weak.slope.std_error, rel=1e-5)
    without = fit_recalibration(y, risk, 2.0)
    assert without.rungs == RUNGS[:-1]
    assert without.tests[0].chi2 == pytest.approx(weak.joint_chi2, rel=1e-5)
    assert without.tests[0].p_value == pytest.approx(weak.joint_p, rel=1e-4)


def test_updated_risks_are_calibrated_on_the_scale_they_were_fitted_on():
    """After intercept and slope, the same fit finds 0 and 1; O/E comes close to 1."""
    y, risk, z = made(1500, 5, factor=1.6, slope=1.4)
    fit = fit_recalibration(y, risk, 2.0, covariates=z)
    for rung in ("intercept and slope", "refit"):
        new = fit.updated(rung, risk, z)
        weak = weak_calibration(y, new, 2.0)
        if rung != "refit":
            assert weak.slope.estimate == pytest.approx(1.0, abs=1e-6)
        assert observed_expected(y, new, 2.0).ratio == pytest.approx(1.0, abs=0.05)
    assert fit.updated("none", risk) == pytest.approx(risk)
    with pytest.raises(DataError, match="unknown"):
        fit_recalibration(y, risk, 2.0).updated("refit", risk, z)
    with pytest.raises(DataError, match="covariates"):
        fit.updated("refit", risk)


def test_the_ladder_finds_what_was_spoilt():
    """Right risks stay, too high ones take an intercept, extreme ones a slope, short ones a refit.

    Each test has a level of 5%, so of 20 studies 16 or more end right (binomial 99.7%).
    """
    spoilt = {
        "none": {},
        "intercept": {"factor": 2.0},
        "intercept and slope": {"slope": 1.8},
        "refit": {"extra": 0.6},
    }
    for rung, how in spoilt.items():
        found = [chosen(*made(3000, seed, **how)) for seed in range(20)]
        assert found.count(rung) >= 16, (rung, found)


def test_what_cannot_be_fitted_is_refused_with_the_reason():
    """Too few events, no spread, collinear covariates, another number of rows."""
    y, risk, z = made(300, 6)
    with pytest.raises(NotEstimable, match="same risk"):
        fit_recalibration(y, np.full(300, 0.2), 2.0)
    with pytest.raises(NotEstimable, match="collinear"):
        fit_recalibration(y, risk, 2.0, covariates=np.column_stack([z[:, 0], 2.0 * z[:, 0]]))
    with pytest.raises(DataError, match="rows"):
        fit_recalibration(y, risk, 2.0, covariates=z[:10])
    few = Outcome(time=np.linspace(1, 5, 40), event=np.arange(40) < 1)
    with pytest.raises(NotEstimable, match="1 events by 2 for 2 parameters"):
        fit_recalibration(few, np.linspace(0.1, 0.5, 40), 2.0)


@pytest.mark.slow
def test_p_values_are_uniform_when_the_risks_are_right():
    """600 studies of 300 patients with 65 events: 5% reject at 0.05, half lie below 0.5."""
    p = []
    for seed in range(600):
        y, risk, z = made(300, 10_000 + seed)
        p.append([test.p_value for test in fit_recalibration(y, risk, 2.0, covariates=z).tests])
    below, half = (np.mean(np.array(p) < level, axis=0) for level in (0.05, 0.5))
    assert ((below > 0.025) & (below < 0.085)).all()
    assert ((half > 0.44) & (half < 0.58)).all()
