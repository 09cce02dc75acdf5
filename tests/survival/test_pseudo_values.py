"""Pseudo-observations and the weighted tallies: against leaving out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.pseudo_values import (
    SortedStatus,
    incidence_influence,
    pseudo_observations,
)
from metastra.survival.tally_kernel import censoring_curve, incidence_at, leave_one_out, tally


def tied(seed: int, n: int = 50) -> Outcome:
    rng = np.random.default_rng(seed)
    return Outcome(time=rng.integers(1, 12, n).astype(float), event=rng.integers(0, 3, n))


def risk_of(y: Outcome, t: float, cause: int = 1) -> float:
    return float(aalen_johansen(y, causes=(cause,))[cause].incidence_at(t, extend=True))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("horizon", [1.0, 5.0, 11.0])
@pytest.mark.parametrize("cause", [1, 2])
def test_exact_ones_are_n_f_minus_the_rest_without_the_patient(seed, horizon, cause):
    """Each equals recomputing the Aalen-Johansen estimate without that patient."""
    y = tied(seed)
    full = risk_of(y, horizon, cause)
    by_hand = [
        y.n * full - (y.n - 1) * risk_of(y.take(np.arange(y.n) != i), horizon, cause)
        for i in range(y.n)
    ]

    assert pseudo_observations(y, horizon, cause=cause) == pytest.approx(by_hand, abs=1e-11)


def test_without_competing_events_they_are_those_of_kaplan_meier():
    """One event type: n (1 - S) - (n - 1) (1 - S without the patient)."""
    y = tied(9).only(1)
    full = 1 - float(kaplan_meier(y).survival_at(6.0))
    by_hand = []
    for i in range(y.n):
        part = kaplan_meier(y.take(np.arange(y.n) != i))
        by_hand.append(y.n * full - (y.n - 1) * (1 - float(part.survival_at(6.0, extend=True))))

    assert pseudo_observations(y, 6.0) == pytest.approx(by_hand, abs=1e-11)


def test_without_censoring_they_are_the_status_itself():
    """With everybody followed each is 1 for a case by the horizon and 0 otherwise."""
    y = Outcome(time=[1, 2, 3, 4, 5], event=[1, 2, 1, 1, 2])

    for method in ("exact", "infinitesimal"):
        assert pseudo_observations(y, 3.0, method=method) == pytest.approx([1, 0, 1, 0, 0])


def test_infinitesimal_ones_are_the_derivative_by_the_weight():
    """F plus n times the change of F when a patient's weight grows by a little."""
    y = tied(3)
    rows = SortedStatus.of(y)

    def risk(weights):
        counts = tally(rows.group, rows.status, weights[rows.order], rows.times.size)
        return incidence_at(*counts, rows.n_times(6.0))[0]

    step = 1e-6
    slope = [
        (risk(1.0 + step * unit) - risk(1.0 - step * unit)) / (2 * step) for unit in np.eye(y.n)
    ]
    value, influence = incidence_influence(y, 6.0)

    assert influence == pytest.approx(slope, abs=1e-8)
    assert pseudo_observations(y, 6.0, method="infinitesimal") == pytest.approx(
        value + y.n * influence
    )
    assert influence.sum() == pytest.approx(0.0, abs=1e-12)


def test_the_two_kinds_come_together_as_n_grows():
    """Exact and infinitesimal pseudo-observations differ by a term of order 1/n."""
    gap = []
    for n in (100, 10_000):
        rng = np.random.default_rng(1)
        y = Outcome(time=rng.exponential(size=n), event=rng.integers(0, 3, n))
        exact, derivative = (
            pseudo_observations(y, 1.0, method=m) for m in ("exact", "infinitesimal")
        )
        gap.append(np.abs(exact - derivative).max())
    assert gap[1] < gap[0] / 30


def test_jack_knife_error_is_the_aalen_johansen_one():
    """The root of the sum of squared influences is the standard error of the incidence."""
    y = tied(5)
    for horizon in (2.0, 7.0, 11.0):
        _, influence = incidence_influence(y, horizon)
        expected = aalen_johansen(y, causes=(1,))[1].std_error_at(horizon)
        assert np.sqrt(np.sum(influence**2)) == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_weighted_leave_one_out_drops_one_copy(seed):
    """With whole-number weights, the risk without one of several copies of a patient."""
    y = tied(seed, 25)
    weights = np.random.default_rng(seed).integers(1, 4, y.n)
    copies = np.repeat(np.arange(y.n), weights)
    rows = SortedStatus.of(y)
    counts = tally(rows.group, rows.status, weights[rows.order].astype(float), rows.times.size)
    without = np.empty(y.n)
    without[rows.order] = leave_one_out(rows.group, rows.status, *counts, rows.n_times(6.0))

    for i in range(y.n):
        rest = np.delete(copies, np.flatnonzero(copies == i)[0])
        assert without[i] == pytest.approx(risk_of(y.take(rest), 6.0), abs=1e-12)


def test_weighted_censoring_curve_is_that_of_the_copies():
    """G from weights equals G of the repeated rows, before each time and after the last."""
    from metastra.survival.censoring import censoring_survival

    y = tied(7)
    weights = np.random.default_rng(7).integers(0, 3, y.n)
    copies = y.take(np.repeat(np.arange(y.n), weights))
    rows = SortedStatus.of(y)
    counts = tally(rows.group, rows.status, weights[rows.order].astype(float), rows.times.size)

    curve = censoring_curve(counts[0], counts[1])

    expected = censoring_survival(copies)
    assert curve[:-1] == pytest.approx(expected.left(rows.times, extend=True), abs=1e-13)
    assert curve[-1] == pytest.approx(float(expected(rows.times[-1], extend=True)), abs=1e-13)


def test_what_cannot_be_had_is_refused():
    """A horizon past follow-up, delayed entry, a single patient, an unknown method."""
    y = tied(1)
    with pytest.raises(NotEstimable, match="past the last follow-up"):
        pseudo_observations(y, 12.0)
    with pytest.raises(NotEstimable, match="delayed entry"):
        pseudo_observations(Outcome(time=[2, 3], event=[1, 0], entry=[1, 1]), 2.0)
    with pytest.raises(NotEstimable, match="at least two"):
        pseudo_observations(Outcome(time=[2], event=[1]), 1.0)
    with pytest.raises(ConfigError, match="exact or infinitesimal"):
        pseudo_observations(y, 5.0, method="fast")  # type: ignore[arg-type]
