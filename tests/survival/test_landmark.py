"""Landmarks and start–stop rows: who stays, who left and why, and the clock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.cox import fit_cox
from metastra.survival.landmark import at_landmark, stack_landmarks
from metastra.survival.outcome import Outcome
from metastra.survival.person_periods import person_periods, switch_periods


def draw(seed: int, n: int = 80) -> Outcome:
    rng = np.random.default_rng(seed)
    return Outcome(time=np.ceil(rng.exponential(10.0, n)), event=rng.integers(0, 3, n))


def test_everybody_is_kept_or_counted() -> None:
    """Kept, left with each event, left censored and not yet entered add up to n."""
    y = Outcome(
        time=[1, 2, 3, 3, 5, 6, 9], event=[1, 2, 0, 1, 0, 1, 1], entry=[0, 0, 0, 0, 4, 1, 0]
    )
    view = at_landmark(y, 3.0)
    assert view.left_with_event == {1: 2, 2: 1}
    assert (view.n_left_censored, view.n_not_entered, view.n_kept) == (1, 1, 2)
    assert view.index.tolist() == [5, 6]
    assert view.outcome.time.tolist() == [3.0, 6.0]
    assert view.outcome.event.tolist() == [1, 1]
    assert view.outcome.entry is None


@pytest.mark.parametrize("landmark", [0.0, 4.0, 11.0])
def test_risk_after_a_landmark_is_conditional_risk(landmark: float) -> None:
    """(F(s) - F(L)) / S(L) of the whole data, by the product-limit identity."""
    y = draw(3)
    whole = aalen_johansen(y)
    free = 1.0 - sum(curve.incidence_at([landmark])[0] for curve in whole.values())
    after = aalen_johansen(at_landmark(y, landmark).outcome, causes=[1])[1]
    end = 18.0
    wanted = (whole[1].incidence_at([end]) - whole[1].incidence_at([landmark])) / free
    assert after.incidence_at([end - landmark]) == pytest.approx(wanted, rel=1e-12)


def test_a_horizon_ends_follow_up_after_the_landmark() -> None:
    """Time since the landmark is cut; an event exactly at the horizon counts."""
    view = at_landmark(Outcome(time=[5, 8, 9], event=[1, 1, 1]), 3.0, horizon=5.0)
    assert view.outcome.time.tolist() == [2.0, 5.0, 5.0]
    assert view.outcome.event.tolist() == [1, 1, 0]


def test_a_landmark_after_everybody_is_refused() -> None:
    """No patient at risk, or a landmark that is no time."""
    y = Outcome(time=[1, 2], event=[1, 0])
    with pytest.raises(NotEstimable, match="follow-up ends at 2"):
        at_landmark(y, 2.0)
    with pytest.raises(ConfigError, match="landmark is -1"):
        at_landmark(y, -1.0)
    with pytest.raises(ConfigError, match="horizon"):
        at_landmark(y, 1.0, horizon=0.0)


def test_the_stack_is_its_landmarks_one_after_the_other() -> None:
    """Each block equals its own landmark analysis, cut at the window."""
    y = draw(5)
    stack = stack_landmarks(y, [2.0, 6.0], width=8.0)
    for landmark in (2.0, 6.0):
        rows = stack.landmark == landmark
        alone = at_landmark(y, landmark, horizon=8.0)
        assert stack.outcome.time[rows].tolist() == alone.outcome.time.tolist()
        assert stack.outcome.event[rows].tolist() == alone.outcome.event.tolist()
        assert stack.patient[rows].tolist() == alone.index.tolist()
    with pytest.raises(ConfigError, match="distinct"):
        stack_landmarks(y, [2.0, 2.0], width=8.0)
    with pytest.raises(ConfigError, match="width"):
        stack_landmarks(y, [2.0], width=0.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), changes=st.integers(0, 25))
def test_periods_keep_time_events_and_values(seed: int, n: int, changes: int) -> None:
    """Person-time, events and the value at every moment are those of the patients."""
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, 20, n).astype(float), rng.integers(0, 3, n)
    pairs = sorted({(int(rng.integers(0, n)), int(rng.integers(-3, 25))) for _ in range(changes)})
    who, when = [a for a, _ in pairs], [float(b) for _, b in pairs]
    value = rng.normal(size=len(pairs))
    rows = person_periods(
        Outcome(time=time, event=event), initial=np.zeros(n), patient=who, time=when, value=value
    )
    y = rows.outcome
    assert np.bincount(rows.patient, weights=y.time - y.entry) == pytest.approx(time)
    assert sorted(y.event[y.event != 0].tolist()) == sorted(event[event != 0].tolist())
    assert rows.n_too_late == sum(t >= time[i] for i, t in zip(who, when, strict=True))
    for i in range(n):
        for moment in np.arange(0.5, time[i], 1.0):
            past = [v for a, t, v in zip(who, when, value, strict=True) if a == i and t < moment]
            row = (rows.patient == i) & (y.entry < moment) & (moment <= y.time)
            assert rows.value[row].tolist() == [past[-1] if past else 0.0]


def test_splitting_without_a_change_changes_no_model() -> None:
    """Rows cut at random but of one value give the coefficients of the patients."""
    rng = np.random.default_rng(8)
    y, x = draw(8).only(1), rng.normal(size=80)
    rows = person_periods(
        y, initial=x, patient=np.arange(80), time=rng.uniform(0.5, 15.0, 80), value=x
    )
    whole, cut = fit_cox(y, x[:, None]), fit_cox(rows.outcome, rows.value[:, None])
    assert rows.outcome.n > 100
    assert cut.coef == pytest.approx(whole.coef, rel=1e-9)
    assert cut.std_error == pytest.approx(whole.std_error, rel=1e-9)


def test_changes_that_cannot_be_placed_are_refused() -> None:
    """Unknown patients, missing values, double changes and follow-up of 0."""
    y = Outcome(time=[5, 6], event=[1, 0])
    for who, when, what, words in (
        ([2], [1.0], [1.0], "outside 0 to 1"),
        ([0, 0], [1.0, 1.0], [1.0, 2.0], "two changes"),
        ([0], [np.nan], [1.0], "missing"),
        ([0], [1.0, 2.0], [1.0], "one entry for each change"),
    ):
        with pytest.raises(DataError, match=words):
            person_periods(y, initial=[0, 0], patient=who, time=when, value=what)
    with pytest.raises(DataError, match="initial"):
        person_periods(y, initial=[0], patient=[], time=[], value=[])
    with pytest.raises(DataError, match="known_at"):
        switch_periods(y, [1.0, np.nan])
    with pytest.raises(DataError, match="follow-up of 0"):
        switch_periods(Outcome(time=[0, 6], event=[1, 0]), [np.inf, np.inf])
    with pytest.raises(DataError, match="covariates"):
        switch_periods(y, [1.0, 2.0]).with_fixed([[1.0]])
