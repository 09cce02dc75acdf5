"""The slope of a proportional-hazards model: the models' own coefficient, to the horizon."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import NotEstimable
from metastra.survival.calibration_curve import cox_slope
from metastra.survival.fine_gray import fit_fine_gray
from metastra.survival.hazard_slope import hazard_slope
from metastra.survival.outcome import Outcome


def cohort(seed: int, n: int, *, competing: float, spread: float = 1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    hazard = 0.1 * np.exp(x)
    first = rng.exponential(1.0 / hazard)
    other = rng.exponential(1.0 / competing, n) if competing else np.full(n, np.inf)
    censored = rng.uniform(1.0, 6.0, n)
    time = np.minimum(np.minimum(first, other), censored)
    event = np.where(time == first, 1, np.where(time == other, 2, 0))
    risk = -np.expm1(-0.3 * np.exp(np.minimum(spread * x, 4.0)))
    return Outcome(time=time, event=event), risk


def test_one_event_type_is_cox_to_the_horizon():
    """The Cox slope of follow-up that ends at the horizon; later events do not count."""
    y, risk = cohort(1, 400, competing=0.0)
    found = hazard_slope(y, risk, 3.0)
    assert found.estimate == pytest.approx(cox_slope(y.until(3.0), risk).estimate, rel=1e-9)
    assert found.estimate != pytest.approx(cox_slope(y, risk).estimate, rel=1e-3)


def test_competing_events_take_fine_and_gray():
    """The coefficient and error of the subdistribution model."""
    y, risk = cohort(2, 400, competing=0.1)
    model = fit_fine_gray(y.until(3.0), np.log(-np.log1p(-risk))[:, None])
    found = hazard_slope(y, risk, 3.0)
    assert found.estimate == pytest.approx(model.coef[0], rel=1e-9)
    assert found.std_error == pytest.approx(model.std_error[0], rel=1e-9)


@pytest.mark.parametrize(("spread", "slope"), [(1.0, 1.0), (2.0, 0.5), (0.5, 2.0)])
def test_risks_too_extreme_or_too_alike_show(spread, slope):
    """Twice the spread on the log scale gives half the slope."""
    y, risk = cohort(3, 6000, competing=0.0, spread=spread)
    found = hazard_slope(y, risk, 3.0)
    assert found.interval()[0] < slope < found.interval()[1]
    assert found.std_error < 0.1


def test_delayed_entry_is_honoured():
    """Who enters after the horizon is left out, with the risk that belongs to it."""
    y, risk = cohort(4, 400, competing=0.0)
    entry = np.random.default_rng(0).uniform(0.0, 1.0, 400) * y.time
    entry[y.time > 4.0] = 3.5
    late = Outcome(time=y.time, event=y.event, entry=entry)
    keep = entry < 3.0
    assert not keep.all()
    part = Outcome(time=y.time[keep], event=y.event[keep], entry=entry[keep])
    expected = hazard_slope(part, risk[keep], 3.0).estimate
    assert hazard_slope(late, risk, 3.0).estimate == pytest.approx(expected, rel=1e-12)


def test_what_has_no_slope_says_why():
    """No event by the horizon, one risk for all, a risk of 1."""
    y, risk = cohort(5, 50, competing=0.0)
    with pytest.raises(NotEstimable, match="no event"):
        hazard_slope(Outcome(time=y.time + 9.0, event=y.event), risk, 3.0)
    with pytest.raises(NotEstimable, match="same risk"):
        hazard_slope(y, np.full(50, 0.2), 3.0)
    with pytest.raises(NotEstimable):
        hazard_slope(y, np.where(risk > 0.5, 1.0, risk), 3.0)
