"""The risk of a group under case weights: the estimator's own value, on the drawn rows."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.survival.calibration import observed_risk
from metastra.survival.incidence_statistic import IncidenceStatistic
from metastra.survival.outcome import Outcome


def cohort(seed: int, n: int, *, competing: bool) -> Outcome:
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.uniform(1, 30, n))
    codes = (0, 1, 2) if competing else (0, 1)
    return Outcome(time=time, event=rng.choice(codes, n))


@pytest.mark.parametrize("competing", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_weights_are_repeated_patients(seed: int, competing: bool) -> None:
    """With weights of 1 and of a draw it is the risk that the estimator gives for these rows."""
    y = cohort(seed, 120, competing=competing)
    rows = np.random.default_rng(seed).integers(0, 120, 120)
    weights = np.bincount(rows, minlength=120).astype(float)

    risk = IncidenceStatistic(y, 12.0)

    assert risk(np.ones(120)) == pytest.approx(observed_risk(y, 12.0)[0], rel=1e-12)
    assert risk(weights) == pytest.approx(observed_risk(y.take(rows), 12.0)[0], rel=1e-12)


def test_a_draw_that_nobody_outlasts_has_no_risk() -> None:
    """Watched up to the horizon counts; not watched is no risk of 0."""
    y = Outcome(time=[3.0, 5.0, 12.0], event=[1, 0, 0])
    risk = IncidenceStatistic(y, 12.0)

    assert risk(np.ones(3)) == pytest.approx(1.0 / 3.0)
    assert np.isnan(risk(np.array([1.0, 2.0, 0.0])))
    assert np.isnan(risk(np.zeros(3)))
    assert risk(np.array([3.0, 0.0, 0.0])) == 1.0
