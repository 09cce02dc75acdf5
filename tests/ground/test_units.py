"""Durations are converted in one place, by one calendar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metastra.units import DAYS_PER_UNIT, TimeUnit, from_days, to_days


def test_the_calendar():
    """A year is 365.25 days, a month a twelfth of it, a day a day."""
    assert to_days(1, "years") == 365.25
    assert to_days(12, "months") == 365.25
    assert to_days(1, "months") == 30.4375
    assert to_days(7, "days") == 7
    assert set(DAYS_PER_UNIT) == set(TimeUnit)


@given(st.floats(0, 1e6), st.sampled_from(TimeUnit))
def test_there_and_back(value, unit):
    """Converting to days and back gives the duration."""
    assert from_days(to_days(value, unit), unit) == pytest.approx(value, rel=1e-15, abs=0)


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.sampled_from(TimeUnit))
def test_order_is_kept(one, other, unit):
    """The longer duration is the longer number of days."""
    assert (one <= other) == (to_days(one, unit) <= to_days(other, unit)) or one == other


def test_words_and_members_are_one():
    """A unit may be given as it stands in a study file."""
    assert to_days(2, "months") == to_days(2, TimeUnit.MONTHS)
    assert from_days(60.875, TimeUnit.MONTHS) == from_days(60.875, "months") == 2


@pytest.mark.parametrize("unit", ["weeks", "month", "Years", ""])
def test_other_units_are_refused(unit):
    """Nothing is guessed from a word that is not a unit."""
    with pytest.raises(ValueError, match="is not a valid TimeUnit"):
        to_days(1, unit)
    with pytest.raises(ValueError, match="is not a valid TimeUnit"):
        from_days(1, unit)
