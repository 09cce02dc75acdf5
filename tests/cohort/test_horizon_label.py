"""Labels at a horizon: nobody is dropped, and the weights give back the risk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from metastra.cohort.endpoint_status import status_endpoint
from metastra.cohort.horizon_label import horizon_label
from metastra.cohort.tables import read_table
from metastra.errors import NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.units import TimeUnit


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[Outcome, float]:
    """Follow-up with many ties, and a horizon inside it."""
    pairs = draw(
        st.lists(
            st.tuples(st.integers(1, 8), st.sampled_from([0, 0, 1, 2])), min_size=1, max_size=30
        )
    )
    time, event = (list(column) for column in zip(*pairs, (9, 0), strict=True))
    return Outcome(time=time, event=event), draw(st.sampled_from([0.5, 2.0, 4.5, 8.0]))


def referee(outcome: Outcome, horizon: float) -> tuple[list[int], list[float]]:
    """Labels and weights patient by patient, with G by hand."""

    def g(until: float, *, upto: bool) -> float:
        value = 1.0
        for t in sorted(set(outcome.time[outcome.event == 0].tolist())):
            if t < until or (upto and t == until):
                left = (outcome.time > t) | ((outcome.time == t) & (outcome.event == 0))
                value *= 1 - np.sum((outcome.time == t) & (outcome.event == 0)) / np.sum(left)
        return value

    labels, weights = [], []
    for t, e in zip(outcome.time.tolist(), outcome.event.tolist(), strict=True):
        if t > horizon:
            labels.append(0)
            weights.append(1 / g(horizon, upto=True))
        elif e == 0:
            labels.append(-1)
            weights.append(0.0)
        else:
            labels.append(int(e == 1))
            weights.append(1 / g(t, upto=False))
    return labels, weights


@given(drawn=outcomes())
@examples(max_examples=100, deadline=None)
def test_labels_and_weights_equal_the_referee(drawn: tuple[Outcome, float]) -> None:
    """Every patient has a place, the censored with weight 0."""
    outcome, horizon = drawn
    made = horizon_label(outcome, horizon)
    labels, weights = referee(outcome, horizon)
    assert len(made) == outcome.n
    assert made.label.tolist() == labels
    assert made.weight.tolist() == pytest.approx(weights)
    assert made.n_hidden == labels.count(-1)


@given(drawn=outcomes())
@examples(max_examples=100, deadline=None)
def test_weighted_share_of_events_is_the_aalen_johansen_risk(drawn: tuple[Outcome, float]) -> None:
    """For each cause, and the weights sum to the number of patients."""
    outcome, horizon = drawn
    risks = aalen_johansen(outcome, causes=[1, 2])
    for cause in (1, 2):
        made = horizon_label(outcome, horizon, cause=cause)
        expected = float(risks[cause].curve()(horizon))
        assert made.risk() == pytest.approx(expected, abs=1e-12)
        assert made.weight.sum() == pytest.approx(outcome.n)


@given(drawn=outcomes())
@examples(max_examples=100, deadline=None)
def test_without_competing_events_it_is_one_minus_kaplan_meier(
    drawn: tuple[Outcome, float],
) -> None:
    """The closed form."""
    outcome, horizon = drawn[0].any_event(), drawn[1]
    survival = float(kaplan_meier(outcome).curve()(horizon))
    assert horizon_label(outcome, horizon).risk() == pytest.approx(1 - survival, abs=1e-12)


def test_leaving_the_censored_out_would_be_wrong() -> None:
    """What the weights are for: half are lost early, and the naive share is too high."""
    outcome = Outcome(time=[1, 1, 2, 3, 5, 5], event=[0, 0, 1, 0, 0, 0])
    made = horizon_label(outcome, 4.0)
    known = made.label >= 0
    assert made.label[known].mean() == pytest.approx(1 / 3)
    assert made.risk() == pytest.approx(0.25)


def test_horizon_past_follow_up_is_not_estimable() -> None:
    """And so is a horizon that nobody passes."""
    outcome = Outcome(time=[1, 2, 3], event=[1, 0, 0])
    for horizon in (3.5, 3.0):
        with pytest.raises(NotEstimable, match="horizon"):
            horizon_label(outcome, horizon)


def test_delayed_entry_is_not_estimable() -> None:
    """These weights know nothing of late entry."""
    outcome = Outcome(time=[2, 3, 4], event=[1, 0, 0], entry=[0, 1, 0])
    with pytest.raises(NotEstimable, match="entry"):
        horizon_label(outcome, 2.5)


def test_five_year_risk_of_real_follow_up(shared: Path) -> None:
    """Melanoma deaths by 1825 days: 0.22354 in R's riskRegression."""
    table, _ = read_table(shared / "data" / "survival" / "melanoma.csv")
    assert table is not None
    built = status_endpoint(
        table,
        time="time",
        event="status",
        codes={"0": "censored", "1": "event", "2": "competing"},
        unit=TimeUnit.DAYS,
        names=[str(row) for row in table.rows],
    )
    made = horizon_label(built.outcome(), 1825.0)
    assert made.risk() == pytest.approx(0.22354, abs=5e-6)
    assert len(made) == 205
    assert made.n_hidden > 0
