"""Calibration curves and groups: straight when they should be, bent when the risk is."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.calibration import cloglog
from metastra.survival.calibration_curve import (
    calibration_groups,
    cox_slope,
    loess_curve,
    spline_curve,
)
from metastra.survival.cox import fit_cox
from metastra.survival.loess_kernel import local_linear
from metastra.survival.outcome import Outcome


def proportional(seed: int, n: int):
    """Exponential times with known risk by 1, some censored."""
    rng = np.random.default_rng(seed)
    rate = np.exp(rng.normal(-0.8, 0.7, n))
    time, censor = rng.exponential(size=n) / rate, rng.uniform(0.5, 4.0, n)
    y = Outcome(time=np.minimum(time, censor), event=time <= censor)
    return y, -np.expm1(-rate)


def weighted_line(x, y, at, k):
    """Local linear fit at one point, written out with numpy's least squares."""
    distance = np.abs(x - at)
    h = np.sort(distance)[k - 1]
    w = np.where(distance < h, (1 - (distance / h) ** 3) ** 3, 0)
    design = np.column_stack([np.ones_like(x), x - at])
    root = np.sqrt(w)
    return np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0][0]


def test_loess_is_a_weighted_line_around_each_point():
    """The compiled smoother equals weighted least squares, point by point."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(size=80))
    y = np.sin(5 * x) + rng.normal(0, 0.2, 80)

    fitted = local_linear(x, y, x, 26)

    assert fitted == pytest.approx([weighted_line(x, y, at, 26) for at in x], rel=1e-9)


def test_loess_survives_ties():
    """With all neighbours at one value the curve is their mean."""
    x = np.repeat([0.1, 0.5, 0.9], 20)
    y = np.tile([0.0, 1.0], 30)

    assert local_linear(x, y, np.unique(x), 5) == pytest.approx([0.5] * 3)
    assert local_linear(np.array([0.0, 0.0, 1.0, 1.0]), y[:4], np.array([0.5]), 4)[0] == 0.5


@pytest.mark.parametrize("curve", [spline_curve, loess_curve])
def test_true_risks_lie_on_the_diagonal(curve):
    """With many patients and the true risks the curve is close to the diagonal."""
    y, risk = proportional(1, 6000)

    result = curve(y, risk, 1.0)

    assert result.ici < 0.02
    assert result.e50 <= result.e90 <= result.e_max
    assert result.smoother
    assert (result.n, result.horizon) == (6000, 1.0)


@pytest.mark.parametrize("curve", [spline_curve, loess_curve])
def test_risks_that_are_too_high_lie_under_the_diagonal(curve):
    """Risks raised by half show their excess as the integrated calibration index."""
    y, risk = proportional(2, 6000)
    high = -np.expm1(1.5 * np.log1p(-risk))

    result = curve(y, high, 1.0)

    assert result.ici == pytest.approx(np.mean(high - risk), abs=0.02)
    assert np.mean(result.observed < high) > 0.95


def test_spline_curve_without_its_bend_is_the_plain_cox_curve():
    """The observed risk follows the Cox model on the spline's own columns."""
    y, risk = proportional(3, 500)
    result = spline_curve(y, risk, 1.0)
    x, (a, b, c) = cloglog(risk), result.knots

    def cubed(knot):
        return np.maximum(x - knot, 0) ** 3

    bend = (cubed(a) - cubed(b) * (c - a) / (c - b) + cubed(c) * (b - a) / (c - b)) / (c - a) ** 2
    model = fit_cox(y, np.column_stack([x, bend]))
    assert model.coef == pytest.approx(result.coefficients)
    assert result.observed == pytest.approx(model.risk_at(np.column_stack([x, bend]), 1.0))
    assert np.quantile(x, [0.1, 0.5, 0.9]) == pytest.approx(result.knots)


def test_loess_curve_reads_many_patients_at_fewer_points():
    """Above two thousand distinct risks the joined curve stays where the full one is."""
    y, risk = proportional(4, 4000)

    result = loess_curve(y, risk, 1.0)

    few = np.argsort(risk)[::400]
    from metastra.survival.pseudo_values import pseudo_observations

    order = np.argsort(risk)
    full = local_linear(risk[order], pseudo_observations(y, 1.0)[order], risk[few], 1320)
    assert result.observed[few] == pytest.approx(full, abs=2e-3)


def test_cox_slope_gives_back_the_stretch():
    """Risks stretched on the cloglog scale have the inverse slope; true ones have 1."""
    y, risk = proportional(5, 8000)
    x = cloglog(risk)
    stretched = -np.expm1(-np.exp(x.mean() + 1.5 * (x - x.mean())))

    assert cox_slope(y, risk).estimate == pytest.approx(1.0, abs=0.06)
    slope = cox_slope(y, stretched)
    assert slope.interval()[0] < 1 / 1.5 < slope.interval()[1]
    assert slope.interval()[1] < 1.0


def test_groups_hold_every_patient_once():
    """Groups are cut at the quantiles, add up to all patients and rise in risk."""
    y, risk = proportional(6, 333)

    groups = calibration_groups(y, risk, 1.0, n_groups=4)

    assert sum(group.n for group in groups) == 333
    assert [group.n for group in groups] == [84, 83, 83, 83]
    assert np.all(np.diff([group.mean_risk for group in groups]) > 0)
    assert np.average(
        [group.mean_risk for group in groups], weights=[group.n for group in groups]
    ) == pytest.approx(risk.mean())


def test_equal_cut_points_are_merged():
    """Few distinct risks give fewer groups, none of them empty."""
    y, _ = proportional(7, 100)
    risk = np.repeat([0.1, 0.2, 0.6], [20, 50, 30])

    groups = calibration_groups(y, risk, 1.0, n_groups=5)

    assert [group.n for group in groups] == [20, 50, 30]
    assert len(calibration_groups(y, np.full(100, 0.3), 1.0)) == 1


def test_a_group_that_ends_early_carries_its_last_value_on():
    """Follow-up of one group may end before the horizon, that of all may not."""
    y = Outcome(time=[1, 2, 3, 8, 9, 9], event=[1, 0, 0, 1, 0, 0])
    risk = [0.9, 0.8, 0.7, 0.3, 0.2, 0.1]

    high = calibration_groups(y, risk, 5.0, n_groups=2)[1]

    assert high.observed == pytest.approx(1 / 3)
    with pytest.raises(NotEstimable):
        calibration_groups(y, risk, 10.0, n_groups=2)


def test_what_has_no_form_is_refused():
    """Competing events and the spline, delayed entry, too few patients, wrong options."""
    y, risk = proportional(8, 60)
    competing = Outcome(time=y.time, event=np.where(np.arange(60) % 7 == 0, 2, y.event))
    for curve in (lambda: spline_curve(competing, risk, 1.0), lambda: cox_slope(competing, risk)):
        with pytest.raises(NotEstimable, match="competing events"):
            curve()
    assert loess_curve(competing, risk, 1.0).ici > 0
    late = Outcome(time=y.time + 1, event=y.event, entry=np.full(60, 0.5))
    with pytest.raises(NotEstimable, match="delayed entry"):
        cox_slope(late, risk)
    with pytest.raises(NotEstimable, match="no knots"):
        spline_curve(y, np.where(np.arange(60) < 50, 0.2, 0.4), 1.0)
    with pytest.raises(NotEstimable, match="3 are needed"):
        loess_curve(y, risk, 1.0, span=0.04)
    with pytest.raises(ConfigError, match="span"):
        loess_curve(y, risk, 1.0, span=0.0)
    with pytest.raises(ConfigError, match="n_groups"):
        calibration_groups(y, risk, 1.0, n_groups=1)
    with pytest.raises(NotEstimable, match="exactly 0 or 1"):
        spline_curve(y, np.where(np.arange(60) == 0, 1.0, risk), 1.0)
