"""The panel under weights: the same numbers as the single measures, and quick enough to repeat."""

from __future__ import annotations

import time

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.stats.resampling import bootstrap
from metastra.survival.auc_parts import Controls
from metastra.survival.brier import brier_score
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.concordance import concordance
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.outcome import Outcome
from metastra.survival.panel import ValidationPanel


def cohort(seed: int, n: int, *, tied: bool = True):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    first, second = rng.exponential(8 * np.exp(-0.7 * x)), rng.exponential(40, n)
    censor = rng.uniform(4, 25, n)
    t = np.minimum(np.minimum(first, second), censor)
    event = np.where(t == first, 1, np.where(t == second, 2, 0))
    grid = np.array([3.0, 8.0])
    risks = -np.expm1(-np.exp(0.7 * x)[:, None] * grid / 8)
    return Outcome(time=np.ceil(t) if tied else t, event=event), x, risks, grid


@pytest.mark.parametrize("controls", list(Controls))
def test_panel_equals_the_single_measures(controls):
    """With weights of 1 every value is that of the function for it."""
    y, x, risks, grid = cohort(1, 400)
    panel = ValidationPanel(y, x, risks, grid, controls=controls)

    found = dict(zip(panel.names, panel(), strict=True))

    assert found["harrell"] == pytest.approx(concordance(y, x, tau=8.0).estimate)
    assert found["uno"] == pytest.approx(concordance(y, x, method="uno", tau=8.0).estimate)
    for horizon, risk in zip(grid, risks.T, strict=True):
        at = f"@{horizon:g}"
        brier = brier_score(y, risk, horizon)
        auc = dynamic_auc(y, risk, horizon, controls=controls)
        assert found["auc" + at] == pytest.approx(auc.estimate)
        assert found["oe_ratio" + at] == pytest.approx(observed_expected(y, risk, horizon).ratio)
        weak = weak_calibration(y, risk, horizon)
        assert found["slope" + at] == pytest.approx(weak.slope.estimate, abs=1e-6)
        assert found["intercept" + at] == pytest.approx(weak.intercept.estimate, abs=1e-6)
        assert found["brier" + at] == pytest.approx(brier.estimate)
        assert found["ipa" + at] == pytest.approx(brier.ipa)


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_repeated_patients(seed):
    """A draw as weights gives the panel of the drawn rows."""
    y, x, risks, grid = cohort(2, 200)
    rows = np.random.default_rng(seed).integers(0, 200, 200)
    weights = np.bincount(rows, minlength=200).astype(float)

    weighted = ValidationPanel(y, x, risks, grid)(weights)
    drawn = ValidationPanel(y.take(rows), x[rows], risks[rows], grid)()

    assert weighted == pytest.approx(drawn, abs=1e-6)


def test_order_of_the_patients_does_not_matter():
    """Shuffling the rows leaves the panel where it is."""
    y, x, risks, grid = cohort(3, 150)
    order = np.random.default_rng(0).permutation(150)

    one = ValidationPanel(y, x, risks, grid)()
    two = ValidationPanel(y.take(order), x[order], risks[order], grid)()

    assert two == pytest.approx(one, rel=1e-9)


def test_a_draw_without_events_fails_and_is_not_a_number():
    """What a draw does not support is marked, not invented; the rest is given."""
    y, x, risks, grid = cohort(4, 100)
    panel = ValidationPanel(y, x, risks, grid)

    values = dict(zip(panel.names, panel((y.event == 0).astype(float)), strict=True))

    assert np.isnan([values["harrell"], values["auc@3"], values["slope@3"]]).all()
    assert values["oe_ratio@3"] == 0.0
    assert np.isnan(panel(np.zeros(100))).all()


def test_certain_risks_leave_only_slope_and_intercept_open():
    """A risk of exactly 1 has no complementary log-log; everything else is computed."""
    y, x, risks, grid = cohort(5, 100)
    risks[0, 0] = 1.0

    found = ValidationPanel(y, x, risks, grid)
    values = dict(zip(found.names, found(), strict=True))

    open_ones = {"slope@3", "intercept@3"}
    assert np.isnan([values[name] for name in open_ones]).all()
    assert np.isfinite([v for name, v in values.items() if name not in open_ones]).all()


def test_bad_input_is_refused_before_the_first_draw():
    """Horizons past follow-up, delayed entry, shapes and unknown controls."""
    y, x, risks, grid = cohort(6, 50)
    with pytest.raises(NotEstimable, match="past the last follow-up"):
        ValidationPanel(y, x, risks, [3.0, 99.0])
    with pytest.raises(DataError, match="one column per horizon"):
        ValidationPanel(y, x, risks, [3.0])
    with pytest.raises(DataError, match="missing"):
        ValidationPanel(y, np.full(50, np.nan), risks, grid)
    with pytest.raises(ConfigError, match="controls"):
        ValidationPanel(y, x, risks, grid, controls="some")
    late = Outcome(time=y.time + 1, event=y.event, entry=np.full(50, 0.5))
    with pytest.raises(NotEstimable, match="delayed entry"):
        ValidationPanel(late, x, risks, grid)


def test_bootstrap_of_the_panel_matches_the_influence_functions():
    """Bootstrap standard errors of C, AUC, O/E and Brier score are close to the analytic ones."""
    y, x, risks, _ = cohort(7, 500)
    panel = ValidationPanel(y, x, risks[:, 1], 8.0)

    draws = bootstrap(panel, y.n, replicates=600, seed=1)

    expected = {
        "harrell": concordance(y, x, tau=8.0).std_error,
        "auc@8": dynamic_auc(y, risks[:, 1], 8.0).std_error,
        "brier@8": brier_score(y, risks[:, 1], 8.0).std_error,
        "slope@8": weak_calibration(y, risks[:, 1], 8.0).slope.std_error,
    }
    for name, error in expected.items():
        assert draws.std_error(panel.names.index(name)) == pytest.approx(error, rel=0.15), name
    assert draws.n_failed.max() == 0


@pytest.mark.slow
@pytest.mark.parametrize(("n", "seconds"), [(1_000, 2.0), (10_000, 10.0)])
def test_a_thousand_draws_are_a_matter_of_seconds(n, seconds):
    """1 000 bootstraps of the whole panel at one horizon stay inside the promised time."""
    y, x, risks, _ = cohort(8, n, tied=False)
    panel = ValidationPanel(y, x, risks[:, 1], 8.0)
    panel()
    start = time.process_time()

    draws = bootstrap(panel, n, replicates=1000, seed=1)

    assert time.process_time() - start < seconds
    assert draws.n_failed.max() == 0
