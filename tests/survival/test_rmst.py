"""Restricted means against the integral itself, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.rmst import rmst, rmst_difference


def draw(seed: int, n: int = 150, mean: float = 3.0) -> Outcome:
    rng = np.random.default_rng(seed)
    time, censored = rng.exponential(mean, n), rng.uniform(2.0, 9.0, n)
    return Outcome(time=np.ceil(np.minimum(time, censored) * 8) / 8, event=time <= censored)


def test_value_and_error_equal_a_fine_integral() -> None:
    """Area under S and the integrated Greenwood formula, by the midpoint rule."""
    y, tau = draw(1), 5.0
    km = kaplan_meier(y)
    width = 1 / 1024
    middle = np.arange(width / 2, tau, width)
    curve = km.survival_at(middle)
    variance = 0.0
    for t, n, d in zip(km.times, km.n_risk, km.n_event, strict=True):
        if t < tau:
            variance += (curve[middle > t].sum() * width) ** 2 * d / (n * (n - d))
    mean = rmst(y, tau)
    assert mean.value == pytest.approx(curve.sum() * width, rel=1e-12)
    assert mean.std_error == pytest.approx(np.sqrt(variance), rel=1e-12)


def test_without_censoring_it_is_a_mean() -> None:
    """Complete follow-up: the mean of min(T, tau) and its standard error."""
    rng = np.random.default_rng(2)
    time = rng.exponential(2.0, 60)
    mean = rmst(Outcome(time=time, event=np.ones(60, dtype=int)), 3.0)
    short = np.minimum(time, 3.0)
    assert mean.value == pytest.approx(short.mean(), rel=1e-12)
    assert mean.std_error == pytest.approx(short.std() / np.sqrt(60), rel=1e-9)


def test_a_horizon_past_the_data_is_refused_unless_all_are_dead() -> None:
    """The area is known past the last time only where S is 0 there."""
    with pytest.raises(NotEstimable, match="past the last follow-up"):
        rmst(Outcome(time=[1, 2], event=[1, 0]), 3.0)
    assert rmst(Outcome(time=[1, 2], event=[1, 1]), 3.0).value == 1.5
    with pytest.raises(ConfigError, match="greater than 0"):
        rmst(Outcome(time=[1, 2], event=[1, 1]), 0.0)


def test_before_the_first_event_nothing_is_lost() -> None:
    """Up to the first event the mean is the horizon, without error."""
    mean = rmst(Outcome(time=[2, 3], event=[1, 0]), 1.5)
    assert (mean.value, mean.std_error, mean.n_events) == (1.5, 0.0, 0)
    assert (mean.lower, mean.upper) == (1.5, 1.5)


def test_difference_is_second_minus_first() -> None:
    """Independent groups: values subtract, variances add; swapped groups change the sign."""
    a, b = draw(3), draw(4, mean=5.0)
    forth, back = rmst_difference(a, b, 5.0), rmst_difference(b, a, 5.0)
    assert forth.value == pytest.approx(forth.second.value - forth.first.value)
    assert forth.std_error == pytest.approx(
        np.hypot(rmst(a, 5.0).std_error, rmst(b, 5.0).std_error)
    )
    assert back.value == pytest.approx(-forth.value)
    assert back.p == pytest.approx(forth.p)
    assert forth.value > 0
    with pytest.raises(NotEstimable, match="no spread"):
        rmst_difference(Outcome(time=[5], event=[0]), Outcome(time=[5], event=[0]), 4.0)


def test_interval_covers_the_truth() -> None:
    """In 600 studies the 95% interval holds the true restricted mean in 92.5 to 97.5%."""
    truth = 3.0 * (1 - np.exp(-5 / 3))
    inside = 0
    for seed in range(600):
        rng = np.random.default_rng(1000 + seed)
        time, censored = rng.exponential(3.0, 120), rng.uniform(2.0, 12.0, 120)
        y = Outcome(time=np.minimum(time, censored), event=time <= censored)
        mean = rmst(y.until(5.0), 5.0)
        inside += mean.lower <= truth <= mean.upper
    assert 0.925 <= inside / 600 <= 0.975
