"""Absolute risk from cause-specific models against a plain loop and Aalen–Johansen."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import DataError, NotEstimable
from metastra.survival import absolute_risk as module
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.absolute_risk import absolute_risk, fit_cause_specific_cox
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 200) -> tuple[Outcome, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    first = rng.exponential(4.0 * np.exp(-0.7 * x[:, 0]))
    second = rng.exponential(5.0 * np.exp(0.4 * x[:, 1]))
    censored = rng.uniform(1.0, 9.0, n)
    time = np.minimum(np.minimum(first, second), censored)
    event = np.where(time == first, 1, np.where(time == second, 2, 0))
    return Outcome(time=np.ceil(time * 4) / 4, event=event), x


def test_it_is_the_sum_of_survival_times_hazard() -> None:
    """A plain loop over event times of any cause gives the same risks."""
    y, x = draw(1)
    models = fit_cause_specific_cox(y, x)
    for cause in (1, 2):
        for row, horizon in ((0, 1.0), (3, 2.5), (7, 4.0)):
            survival, risk = 1.0, 0.0
            relative = {
                k: float(np.exp(m.linear_predictor(x[[row]])[0])) for k, m in models.items()
            }
            for t in np.unique(y.time[(y.event > 0) & (y.time <= horizon)]):
                jump = {
                    k: relative[k] * float(m.baseline()(t) - m.baseline().left(t))
                    for k, m in models.items()
                }
                risk += survival * jump[cause]
                survival *= 1 - sum(jump.values())
            found = absolute_risk(models, x[[row]], [horizon], cause=cause)[0, 0]
            assert found == pytest.approx(risk, rel=1e-10)


def test_without_covariates_it_is_the_aalen_johansen_estimate() -> None:
    """Models with nothing in them, Breslow's baseline: the risk of everybody is F(t)."""
    y, _ = draw(2)
    models = fit_cause_specific_cox(y, np.empty((y.n, 0)), ties="breslow")
    times = [0.5, 2.0, 5.0]
    for cause, curve in aalen_johansen(y).items():
        found = absolute_risk(models, np.empty((1, 0)), times, cause=cause)[0]
        assert found == pytest.approx(curve.incidence_at(times), rel=1e-10)


def test_risks_of_all_causes_stay_within_one() -> None:
    """Even for patients at very high risk of both causes."""
    y, x = draw(3)
    models = fit_cause_specific_cox(y, x)
    extreme = np.array([[6.0, -6.0], [9.0, 9.0], [0.0, 0.0]])
    total = sum(absolute_risk(models, extreme, [1.0, 5.0], cause=k) for k in (1, 2))
    assert (total <= 1.0 + 1e-9).all()
    assert (total >= 0.0).all()


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patients computed a few at a time have the same risks."""
    y, x = draw(4)
    models = fit_cause_specific_cox(y, x)
    whole = absolute_risk(models, x, [1.0, 3.0])
    monkeypatch.setattr(module, "_CELLS", 100)
    assert absolute_risk(models, x, [1.0, 3.0]).tolist() == whole.tolist()


def test_causes_may_have_covariates_of_their_own() -> None:
    """A mapping gives each model its own columns."""
    from metastra.survival.cox import fit_cox

    y, x = draw(5)
    models = {1: fit_cox(y.only(1), x), 2: fit_cox(y.only(2), x[:, 1:])}
    risk = absolute_risk(models, {1: x[:4], 2: x[:4, 1:]}, [2.0])
    assert risk.shape == (4, 1)
    with pytest.raises(DataError, match="no covariates for cause 2"):
        absolute_risk(models, {1: x[:4]}, [2.0])
    with pytest.raises(DataError, match="expected one n"):
        absolute_risk(models, {1: x[:4], 2: x[:3, 1:]}, [2.0])


def test_what_cannot_be_predicted_is_refused() -> None:
    """A horizon past the data, a cause without model, nobody with an event."""
    y, x = draw(6)
    models = fit_cause_specific_cox(y, x)
    with pytest.raises(NotEstimable, match="follow-up ends"):
        absolute_risk(models, x, [99.0])
    with pytest.raises(DataError, match=r"expected one of \[1, 2\]"):
        absolute_risk(models, x, [1.0], cause=3)
    with pytest.raises(NotEstimable, match="nothing to fit"):
        fit_cause_specific_cox(Outcome(time=[1, 2], event=[0, 0]), [[1.0], [2.0]])


def test_before_the_first_event_nobody_is_at_risk() -> None:
    """At time 0 the risk is 0, and no patients give no rows."""
    y, x = draw(7)
    models = fit_cause_specific_cox(y, x)
    assert absolute_risk(models, x[:2], [0.0]).tolist() == [[0.0], [0.0]]
    assert absolute_risk(models, x[:0], [1.0]).shape == (0, 1)
