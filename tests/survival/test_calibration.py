"""Calibration at a horizon: O/E, intercept and slope, and the least squares behind them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.calibration import (
    cloglog,
    observed_expected,
    observed_risk,
    weak_calibration,
)
from metastra.survival.cloglog_kernel import fit_cloglog
from metastra.survival.outcome import Outcome
from metastra.survival.pseudo_values import pseudo_observations


def proportional(seed: int, n: int, *, competing: bool = False, spread: float = 0.8):
    """Times whose risk of the first cause by 1 is known and lies on the cloglog scale."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-1.0, spread, n)
    rate = np.exp(x)
    if competing:
        # sub-distribution hazard exp(x): the risk of cause 1 by t is 1 - exp(-exp(x) (1-exp(-t)))
        ever = -np.expm1(-rate)
        first = rng.uniform(size=n) < ever
        inside = np.clip(-np.log1p(-rng.uniform(size=n) * ever) / rate, 0, 1 - 1e-12)
        time = np.where(first, -np.log1p(-inside), rng.exponential(size=n))
        risk = -np.expm1(-rate * -np.expm1(-1.0))
    else:
        first, time = np.ones(n, dtype=bool), rng.exponential(size=n) / rate
        risk = -np.expm1(-rate)
    censor = rng.uniform(0.3, 4.0, n)
    event = np.where(time <= censor, np.where(first, 1, 2), 0)
    return Outcome(time=np.minimum(time, censor), event=event), risk


def test_observed_over_expected_by_hand():
    """Without censoring O is the share of events, with the binomial standard error."""
    time = np.array([1, 2, 3, 9, 9, 9, 9, 9, 9, 9.0])
    y = Outcome(time=time, event=(time < 5) * 1)

    result = observed_expected(y, np.full(10, 0.2), 5.0)

    assert result.ratio == pytest.approx(1.5)
    assert result.observed_std_error == pytest.approx(np.sqrt(0.3 * 0.7 / 10))
    half = 1.959964 * np.sqrt(0.3 * 0.7 / 10) / 0.3
    assert result.interval() == pytest.approx((1.5 * np.exp(-half), 1.5 * np.exp(half)), rel=1e-6)
    events = result.interval(source="events")
    assert events[1] / 1.5 == pytest.approx(np.exp(1.959964 / np.sqrt(3)), rel=1e-6)
    assert result.events == 3


def test_competing_events_lower_the_observed_risk():
    """The Aalen-Johansen risk lies under one minus Kaplan-Meier of the cause alone."""
    y, _ = proportional(1, 800, competing=True)

    right, _ = observed_risk(y, 1.0)
    naive, _ = observed_risk(y.only(1), 1.0)

    assert naive > right + 0.01


@pytest.mark.parametrize("competing", [False, True])
def test_true_risks_are_calibrated(competing):
    """Given the true risks, O/E and slope are 1 and the intercept 0 within their errors."""
    y, risk = proportional(2, 6000, competing=competing)

    large = observed_expected(y, risk, 1.0)
    weak = weak_calibration(y, risk, 1.0)

    assert large.interval()[0] < 1 < large.interval()[1]
    assert abs(weak.intercept.estimate) < 3 * weak.intercept.std_error
    assert abs(weak.slope.estimate - 1) < 3 * weak.slope.std_error
    assert weak.joint_p > 0.001
    assert weak.slope.std_error < 0.08


@pytest.mark.parametrize(("shift", "stretch"), [(0.5, 1.0), (0.0, 1.6), (-0.4, 0.6)])
def test_a_bent_risk_shows_how_it_was_bent(shift, stretch):
    """Risks moved on the cloglog scale give back the inverse of the move."""
    y, risk = proportional(3, 20_000)
    x = cloglog(risk)
    centre = x.mean()
    bent = -np.expm1(-np.exp(np.minimum(shift + centre + stretch * (x - centre), 3.0)))

    weak = weak_calibration(y, bent, 1.0)

    assert weak.slope.estimate == pytest.approx(1 / stretch, abs=0.08)
    assert weak.joint_p < 1e-4
    if stretch == 1.0:
        assert weak.intercept.estimate == pytest.approx(-shift, abs=0.06)
        assert observed_expected(y, bent, 1.0).ratio < 0.75


def test_fit_is_the_least_squares_one():
    """Intercept and slope minimise the squared distance to the pseudo-observations."""
    y, risk = proportional(4, 300)
    pseudo, x = pseudo_observations(y, 1.0), cloglog(risk)

    best = least_squares(
        lambda p: pseudo - 1 + np.exp(-np.exp(p[0] + p[1] * x)), [0.0, 1.0], xtol=1e-14, ftol=1e-14
    ).x
    weak = weak_calibration(y, risk, 1.0)

    assert weak.intercept_with_slope == pytest.approx(best[0], abs=1e-5)
    assert weak.slope.estimate == pytest.approx(best[1], abs=1e-5)


def test_sandwich_errors_are_those_of_leaving_patients_out():
    """The standard error of the slope agrees with deleting one row of the regression."""
    y, risk = proportional(5, 800)
    pseudo, x = pseudo_observations(y, 1.0), cloglog(risk)
    weak = weak_calibration(y, risk, 1.0)
    fits = []
    for i in range(y.n):
        weights = np.ones(y.n)
        weights[i] = 0.0
        fits.append(fit_cloglog(x, pseudo, weights, 2, 1e-10)[1])

    deleted = np.sqrt((y.n - 1) * np.var(fits))
    assert weak.slope.std_error == pytest.approx(deleted, rel=0.05)


def test_joint_wald_test_keeps_its_level():
    """Under the truth the joint test rejects about one time in twenty."""
    rejected = 0
    for seed in range(300):
        y, risk = proportional(100 + seed, 400)
        rejected += weak_calibration(y, risk, 1.0).joint_p < 0.05
    assert 4 <= rejected <= 30


def test_fit_reports_when_it_does_not_settle():
    """Risks that do not differ leave the slope open, and the kernel says so."""
    _, _, found = fit_cloglog(np.zeros(5), np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.ones(5), 2, 1e-9)
    assert not found


def test_what_cannot_be_estimated_is_refused():
    """No events, equal risks, impossible risks, horizons past follow-up."""
    y = Outcome(time=[1, 2, 3, 4], event=[1, 0, 1, 0])
    risk = [0.4, 0.3, 0.2, 0.1]
    with pytest.raises(NotEstimable, match=r"no event by 0\.5"):
        weak_calibration(y, risk, 0.5)
    with pytest.raises(NotEstimable, match="same risk"):
        weak_calibration(y, [0.2] * 4, 3.5)
    with pytest.raises(NotEstimable, match="exactly 0 or 1 for 1 of 4"):
        weak_calibration(y, [0.0, 0.2, 0.3, 0.4], 3.5)
    with pytest.raises(DataError, match="outside"):
        weak_calibration(y, [-0.1, 0.2, 0.3, 0.4], 3.5)
    with pytest.raises(NotEstimable, match=r"ends at 4|past the last follow-up"):
        observed_expected(y, risk, 5.0)
    with pytest.raises(NotEstimable, match="past the last follow-up"):
        weak_calibration(y, risk, 5.0)
    with pytest.raises(NotEstimable, match="every risk is 0"):
        observed_expected(y, [0.0] * 4, 3.5)
    none = observed_expected(y, risk, 0.5)
    assert none.ratio == 0.0
    with pytest.raises(NotEstimable, match="no interval"):
        none.interval()
    with pytest.raises(ConfigError, match="std-error or events"):
        observed_expected(y, risk, 3.5).interval(source="exact")  # type: ignore[arg-type]


def test_everybody_with_the_event_has_risk_one():
    """When all have had the event the observed risk is 1, without a missing error."""
    assert observed_risk(Outcome(time=[1, 2], event=[1, 1]), 3.0) == (1.0, 0.0)
