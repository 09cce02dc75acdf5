"""The outcome value: what it refuses, how it merges near ties, what its views give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.errors import DataError
from metastra.survival.outcome import Outcome, merge_near_ties


def codes(error: pytest.ExceptionInfo[DataError]) -> list[str]:
    return [problem.code for problem in error.value.problems]


def test_all_problems_are_listed_at_once_with_their_rows() -> None:
    """A missing time, a negative time, a missing and an unknown status are all reported."""
    with pytest.raises(DataError) as error:
        Outcome(time=[np.nan, -1.0, 3.0, 4.0], event=[1, 0, np.nan, -2])
    assert codes(error) == ["EP004", "EP005", "EP002", "EP001"]
    assert [problem.where.rows for problem in error.value.problems] == [(1,), (2,), (3,), (4,)]


def test_no_patients_are_refused() -> None:
    """An empty outcome is no outcome."""
    with pytest.raises(DataError, match="no patients"):
        Outcome(time=[], event=[])


@pytest.mark.parametrize("event", [[1, 0], [[1], [0], [1]]])
def test_wrong_shape_of_event_is_refused(event: list[object]) -> None:
    """Events must be one for each patient."""
    with pytest.raises(DataError, match="event has shape"):
        Outcome(time=[1.0, 2.0, 3.0], event=event)


def test_text_for_time_is_refused_in_words() -> None:
    """A time that is no number is told, not raised as a bare ValueError of numpy."""
    with pytest.raises(DataError, match="not a number"):
        Outcome(time=["1", "soon"], event=[1, 0])


def test_half_an_event_is_refused() -> None:
    """Codes must be whole."""
    with pytest.raises(DataError, match="not whole"):
        Outcome(time=[1.0, 2.0], event=[0.5, 1])


@pytest.mark.parametrize("entry", [[0.0, 2.0], [0.0, np.nan], [0.0, 3.0]])
def test_entry_at_or_after_the_end_is_refused(entry: list[float]) -> None:
    """Observation must begin before it ends."""
    with pytest.raises(DataError) as error:
        Outcome(time=[1.0, 2.0], event=[1, 1], entry=entry)
    assert codes(error) == ["EP007"]
    assert error.value.problems[0].where.rows == (2,)


def test_entry_of_another_length_is_refused() -> None:
    """Entries must be one for each patient."""
    with pytest.raises(DataError, match="entry has shape"):
        Outcome(time=[1.0, 2.0], event=[1, 1], entry=[0.0])


def test_rounding_noise_in_years_makes_ties() -> None:
    """Months divided by twelve in two ways are the same time again."""
    months = np.arange(1.0, 200.0)
    noisy = (months + 7.0) / 12.0 - 7.0 / 12.0
    assert np.unique(np.concatenate([noisy, months / 12.0])).size > months.size
    merged = merge_near_ties(np.concatenate([noisy, months / 12.0]))
    assert np.unique(merged).size == months.size


def test_times_apart_by_more_than_the_tolerance_stay_apart() -> None:
    """Days are never merged, however long the follow-up."""
    days = np.array([1.0, 2.0, 9999.0, 10000.0])
    assert merge_near_ties(days).tolist() == days.tolist()


def test_merging_is_consistent_between_entry_and_time() -> None:
    """A patient who enters when another leaves meets the same instant in both columns."""
    y = Outcome(time=[0.3, 1.0], event=[1, 1], entry=[0.0, 0.1 + 0.2])
    assert y.entry is not None
    assert y.entry[1] == y.time[0]


def test_arrays_are_read_only() -> None:
    """An outcome cannot be changed behind the back of a result."""
    y = Outcome(time=[1.0, 2.0], event=[1, 0])
    with pytest.raises(ValueError, match="read-only"):
        y.time[0] = 5.0


def test_views_count_what_they_say() -> None:
    """Only, any_event and censored_as_event recode and keep the times."""
    y = Outcome(time=[1, 2, 3, 4], event=[0, 1, 2, 3], entry=[0, 1, 1, 1])
    assert y.causes == (1, 2, 3)
    assert y.only(2).event.tolist() == [0, 0, 1, 0]
    assert y.any_event().event.tolist() == [0, 1, 1, 1]
    assert y.censored_as_event().event.tolist() == [1, 0, 0, 0]
    assert y.n_events() == 3
    assert y.only(1).entry is y.entry


def test_until_keeps_events_at_the_horizon_and_drops_late_entries() -> None:
    """An event exactly at the horizon counts; who enters then is left out."""
    y = Outcome(time=[2, 3, 5, 6], event=[1, 1, 1, 0], entry=[0, 0, 0, 3])
    cut = y.until(3.0)
    assert cut.time.tolist() == [2, 3, 3]
    assert cut.event.tolist() == [1, 1, 0]


def test_take_repeats_and_masks() -> None:
    """A bootstrap draw may repeat patients; a mask selects."""
    y = Outcome(time=[1, 2, 3], event=[1, 0, 1])
    assert y.take(np.array([2, 2, 0])).time.tolist() == [3, 3, 1]
    assert y.take(y.event == 1).n == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 1e6, allow_nan=False), min_size=1, max_size=40))
def test_merging_moves_no_time_far_and_keeps_the_order(times: list[float]) -> None:
    """Merged times differ from the given by rounding only, and never change places."""
    given_times = np.array(times)
    merged = merge_near_ties(given_times)
    scale = max(float(np.mean(np.unique(given_times))), 1.0)
    assert np.abs(merged - given_times).max() <= 1.5e-8 * scale * given_times.size
    order = np.argsort(given_times, kind="stable")
    assert (np.diff(merged[order]) >= 0).all()
