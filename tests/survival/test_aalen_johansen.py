"""Cumulative incidence and its infinitesimal jack-knife against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 120, *, entry: bool = False) -> Outcome:
    rng = np.random.default_rng(seed)
    late = np.floor(rng.uniform(0, 3.0, n) * 2) / 2 if entry else None
    time = np.ceil(rng.exponential(3.0, n) * 4) / 4 + (0.0 if late is None else late)
    return Outcome(time=time, event=rng.choice([0, 1, 2], n, p=[0.3, 0.4, 0.3]), entry=late)


def weighted_incidence(y: Outcome, weight: np.ndarray, at: float, cause: int) -> float:
    """The estimate with a weight for each patient, in a plain loop."""
    entry = np.full(y.n, -1.0) if y.entry is None else y.entry
    survival, incidence = 1.0, 0.0
    for t in np.unique(y.time[y.event > 0]):
        if t > at:
            break
        n = weight[(y.time >= t) & (entry < t)].sum()
        now = y.time == t
        incidence += survival * weight[now & (y.event == cause)].sum() / n
        survival *= 1 - weight[now & (y.event > 0)].sum() / n
    return float(incidence)


@pytest.mark.parametrize("entry", [False, True])
@pytest.mark.parametrize("cause", [1, 2])
def test_error_is_the_root_of_squared_derivatives_by_weight(entry: bool, cause: int) -> None:
    """The running sums equal numeric derivatives of the estimate by each patient's weight."""
    y = draw(1, entry=entry)
    risk = aalen_johansen(y)[cause]
    step = 1e-6
    for at in (1.5, 3.0, 6.0):
        assert risk.incidence_at(at) == pytest.approx(
            weighted_incidence(y, np.ones(y.n), at, cause), rel=1e-12
        )
        influence = np.empty(y.n)
        for i in range(y.n):
            weight = np.ones(y.n)
            weight[i] += step
            up = weighted_incidence(y, weight, at, cause)
            weight[i] -= 2 * step
            influence[i] = (up - weighted_incidence(y, weight, at, cause)) / (2 * step)
        assert risk.std_error_at(at) == pytest.approx(np.sqrt(np.sum(influence**2)), rel=1e-7)


def test_causes_add_up_to_one_less_survival() -> None:
    """Risks of all causes and the survival free of any sum to 1 at every time."""
    y = draw(2)
    risks = aalen_johansen(y)
    total = risks[1].incidence + risks[2].incidence + kaplan_meier(y).survival
    assert total == pytest.approx(np.ones(total.size), abs=1e-12)


def test_one_cause_is_one_less_kaplan_meier() -> None:
    """Without competing events F is 1 - S, and its error is near Greenwood's."""
    y = draw(3, n=400).any_event()
    risk, km = aalen_johansen(y)[1], kaplan_meier(y)
    assert risk.incidence == pytest.approx(1 - km.survival, abs=1e-12)
    inside = km.n_risk > 40
    assert risk.std_error[inside] == pytest.approx(km.std_error[inside], rel=0.02)


def test_without_censoring_the_error_is_binomial() -> None:
    """Complete follow-up: F is a proportion, its jack-knife error sqrt(F (1 - F) / n)."""
    rng = np.random.default_rng(4)
    y = Outcome(time=np.ceil(rng.exponential(3.0, 90)), event=rng.integers(1, 3, 90))
    risk = aalen_johansen(y)[1]
    f = np.array([np.mean((y.time <= t) & (y.event == 1)) for t in risk.times])
    assert risk.incidence == pytest.approx(f, abs=1e-12)
    assert risk.std_error == pytest.approx(np.sqrt(f * (1 - f) / y.n), abs=1e-10)


def test_competing_events_must_not_be_censored_away() -> None:
    """1 - KM with competing events censored is larger than the risk."""
    y = draw(5)
    naive = 1 - kaplan_meier(y.only(1)).survival_at(4.0)
    assert naive > aalen_johansen(y)[1].incidence_at(4.0) + 0.04


def test_an_absent_cause_has_no_risk() -> None:
    """A code that does not occur can be asked for and has risk 0 and error 0."""
    y = Outcome(time=[1, 2, 3], event=[1, 0, 1])
    risk = aalen_johansen(y, causes=[1, 2])[2]
    assert risk.incidence.tolist() == [0, 0, 0]
    assert risk.std_error.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("time", "event", "value"),
    [([1.0], [1], 1.0), ([1.0], [0], 0.0), ([2.0, 2.0], [1, 2], 0.5), ([2.0, 2.0], [1, 0], 0.5)],
)
def test_small_data_have_defined_values(time: list[float], event: list[int], value: float) -> None:
    """One patient or one time: values without a warning, errors finite."""
    risk = aalen_johansen(Outcome(time=time, event=event), causes=[1])[1]
    assert risk.incidence[-1] == value
    assert np.isfinite(risk.std_error).all()
    assert risk.frame().shape[0] == np.unique(time).size


def test_nothing_is_read_past_the_last_follow_up() -> None:
    """Past the last censoring the risk is unknown; once all have had an event it is known."""
    with pytest.raises(NotEstimable):
        aalen_johansen(Outcome(time=[1, 2], event=[1, 0]))[1].incidence_at(3.0)
    done = aalen_johansen(Outcome(time=[1, 2], event=[1, 2]))[1]
    assert done.incidence_at(99.0) == 0.5
    assert done.n_risk_at([1.5]).tolist() == [1]


def test_a_code_that_is_no_event_is_refused() -> None:
    """Censoring has no incidence."""
    with pytest.raises(ConfigError, match="no event"):
        aalen_johansen(draw(1), causes=[0])


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2)), min_size=2, max_size=25),
    st.randoms(use_true_random=False),
)
def test_order_does_not_matter_and_errors_are_real(
    rows: list[tuple[int, int]], random: object
) -> None:
    """Permuted patients give the same risk; no variance is negative, no value leaves [0, 1]."""
    time, event = np.array(rows, dtype=float).T
    risks = aalen_johansen(Outcome(time=time, event=event), causes=[1, 2])
    order = list(range(time.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    others = aalen_johansen(Outcome(time=time[order], event=event[order]), causes=[1, 2])
    for cause, risk in risks.items():
        assert others[cause].incidence == pytest.approx(risk.incidence, abs=1e-12)
        assert others[cause].std_error == pytest.approx(risk.std_error, abs=1e-7)
        assert (np.diff(risk.incidence) >= -1e-15).all()
        assert risk.incidence.max() <= 1 + 1e-12


def test_late_errors_do_not_drown_in_rounding() -> None:
    """At n = 20 000 the running sums equal the sum of explicit influences to eight digits."""
    rng = np.random.default_rng(8)
    n = 20_000
    y = Outcome(time=rng.exponential(1.0, n), event=rng.integers(0, 3, n))
    risk = aalen_johansen(y)[1]
    at = float(np.quantile(y.time, 0.999))
    j = int(np.searchsorted(risk.times, at, side="right")) - 1
    late = np.arange(risk.times.size) <= j
    left = risk.n_risk - (kaplan_meier(y).n_event)
    f_t = risk.incidence[j]
    survival = np.concatenate([[1.0], kaplan_meier(y).survival[:-1]])
    b = np.where(left > 0, (f_t - risk.incidence) / np.maximum(left, 1), 0.0) * late
    own = survival / risk.n_risk * late
    drift = np.cumsum(own * risk.n_event / risk.n_risk - b * kaplan_meier(y).n_event / risk.n_risk)
    row = np.searchsorted(risk.times, y.time)
    influence = own[row] * (y.event == 1) - b[row] * (y.event > 0) - drift[row]
    assert risk.std_error[j] == pytest.approx(np.sqrt(np.sum(influence**2)), rel=1e-8)
