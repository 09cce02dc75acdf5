"""Kaplan–Meier, reverse Kaplan–Meier and Nelson–Aalen against brute force and lifelines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.kaplan_meier import kaplan_meier, reverse_kaplan_meier
from metastra.survival.nelson_aalen import nelson_aalen
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 200, *, entry: bool = False, grid: float = 0.25) -> Outcome:
    """Exponential times with many ties, a third censored, optionally entering late."""
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.exponential(3.0, n) / grid) * grid
    late = np.floor(rng.uniform(0, 2.0, n) / grid) * grid if entry else None
    if late is not None:
        time = time + late
    return Outcome(time=time, event=rng.random(n) < 0.67, entry=late)


def by_hand(y: Outcome, at: float) -> tuple[float, float]:
    """S(at) and Greenwood's sum in a plain loop."""
    survival, greenwood = 1.0, 0.0
    entry = np.zeros(y.n) - 1 if y.entry is None else y.entry
    for t in np.unique(y.time[y.event > 0]):
        if t > at:
            break
        n = int(np.sum((y.time >= t) & (entry < t)))
        d = int(np.sum((y.time == t) & (y.event > 0)))
        survival *= 1 - d / n
        greenwood += d / (n * (n - d)) if n > d else np.inf
    return survival, survival * float(np.sqrt(greenwood))


@pytest.mark.parametrize("entry", [False, True])
def test_it_is_the_product_limit_with_greenwoods_error(entry: bool) -> None:
    """S and its standard error equal a plain loop over event times."""
    y = draw(3, entry=entry)
    km = kaplan_meier(y)
    for at in (0.5, 1.25, 2.0, 4.9):
        survival, error = by_hand(y, at)
        assert km.survival_at(at) == pytest.approx(survival, rel=1e-12)
        assert km.std_error_at(at) == pytest.approx(error, rel=1e-12)


def test_it_agrees_with_lifelines() -> None:
    """An independent program gives the same curve and log-log limits."""
    from lifelines import KaplanMeierFitter

    y = draw(4)
    km = kaplan_meier(y, interval="log-log")
    other = KaplanMeierFitter().fit(y.time, y.event)
    at = np.array([0.6, 1.0, 2.0, 5.0])
    assert km.survival_at(at) == pytest.approx(other.survival_function_at_times(at), rel=1e-10)
    limits = other.confidence_interval_.iloc[:, 0]
    expected = [limits[limits.index <= t].iloc[-1] for t in at]
    assert km.interval_at(at)[0] == pytest.approx(expected, rel=1e-8)


def test_number_at_risk_counts_those_censored_at_the_time() -> None:
    """Who is censored at t is at risk at t; who enters at t is not yet."""
    y = Outcome(time=[2, 3, 3, 5], event=[1, 0, 1, 0], entry=[0, 0, 2, 3])
    km = kaplan_meier(y)
    assert km.n_risk_at([0.5, 2, 3, 4, 5, 6]).tolist() == [2, 2, 2, 1, 1, 0]
    assert km.n_risk.tolist() == [2, 2, 1]


def test_median_lies_where_the_curve_crosses_one_half() -> None:
    """The median is the first time at or under one half, with limits from the limits."""
    y = draw(5, n=300)
    km = kaplan_meier(y)
    median = km.median()
    assert median.value == km.times[np.argmax(km.survival <= 0.5)]
    assert median.lower == km.times[np.argmax(km.lower <= 0.5)]
    assert median.lower is not None
    assert median.upper is not None
    assert median.value is not None
    assert median.lower <= median.value <= median.upper


def test_median_of_a_flat_stretch_is_its_middle_as_in_r() -> None:
    """With S exactly one half from 2 to 3 the median is 2.5."""
    km = kaplan_meier(Outcome(time=[1, 2, 3, 4], event=[1, 1, 1, 1]))
    assert km.median().value == 2.5
    assert km.quantile(0.25).value == 1.5


def test_a_median_that_is_not_reached_is_none() -> None:
    """A curve that stays high has no median, not an infinite one."""
    km = kaplan_meier(Outcome(time=[1, 2, 3, 4], event=[1, 0, 0, 0]))
    assert km.median().value is None
    assert km.median().upper is None


def test_nothing_is_read_past_the_last_follow_up() -> None:
    """Past the last censoring the curve is refused; after the last death it is 0."""
    km = kaplan_meier(Outcome(time=[1, 2], event=[1, 0]))
    with pytest.raises(NotEstimable, match="follow-up ends at 2"):
        km.survival_at(2.5)
    assert km.survival_at(2.5, extend=True) == 0.5
    assert kaplan_meier(Outcome(time=[1, 2], event=[1, 1])).survival_at(9.0) == 0.0


@pytest.mark.parametrize(
    ("time", "event", "survival"),
    [
        ([1.0], [1], [0.0]),
        ([1.0], [0], [1.0]),
        ([2.0, 2.0, 2.0], [1, 1, 0], [1 / 3]),
        ([1.0, 2.0], [0, 0], [1.0, 1.0]),
        ([0.0, 1.0], [1, 0], [0.5, 0.5]),
    ],
)
def test_small_data_have_defined_values(
    time: list[float], event: list[int], survival: list[float]
) -> None:
    """One patient, one time, no event, an event at time 0: defined, without a warning."""
    km = kaplan_meier(Outcome(time=time, event=event))
    assert km.survival == pytest.approx(survival)
    assert km.frame().shape == (len(survival), 8)


def test_an_empty_risk_set_in_between_changes_nothing() -> None:
    """Under delayed entry nobody may be watched for a while; the curve stays."""
    y = Outcome(time=[1, 1.5, 5, 6], event=[1, 0, 1, 0], entry=[0, 0, 3, 3])
    assert kaplan_meier(y).survival.tolist() == [0.5, 0.5, 0.25, 0.25]


def test_reverse_estimate_takes_censoring_for_the_event() -> None:
    """Without an event the reverse curve is the empirical distribution of follow-up."""
    follow_up = reverse_kaplan_meier(Outcome(time=[1, 2, 3, 4, 5], event=[0, 0, 0, 0, 0]))
    assert follow_up.survival == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert follow_up.median().value == 3.0


def test_nelson_aalen_sums_events_over_those_at_risk() -> None:
    """H, its error and a single cause equal plain sums; lifelines agrees without ties."""
    y = Outcome(time=[1, 2, 2, 3, 5], event=[1, 1, 2, 0, 2])
    h = nelson_aalen(y)
    assert h.cumulative_hazard == pytest.approx([1 / 5, 1 / 5 + 2 / 4, 0.7, 1.7])
    assert h.std_error**2 == pytest.approx([1 / 25, 1 / 25 + 2 / 16, 0.165, 1.165])
    assert nelson_aalen(y, cause=2).cumulative_hazard == pytest.approx([0, 0.25, 0.25, 1.25])
    assert h.hazard_at([0.5, 2.0]) == pytest.approx([0.0, 0.7])
    assert (h.lower <= h.cumulative_hazard).all()
    with pytest.raises(NotEstimable):
        h.hazard_at(6.0)
    with pytest.raises(ConfigError):
        nelson_aalen(y, cause=0)


def test_hazard_and_survival_are_close_in_large_samples() -> None:
    """exp(-H) and S differ by less than one over the smallest risk set."""
    y = draw(6, n=5000, grid=0.01)
    h, km = nelson_aalen(y), kaplan_meier(y)
    watched = km.n_risk > 500
    assert np.abs(np.exp(-h.cumulative_hazard) - km.survival)[watched].max() < 1e-3
    assert h.frame()["time"].tolist() == km.times.tolist()


outcomes = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 8), min_size=n, max_size=n),
        st.lists(st.integers(0, 1), min_size=n, max_size=n),
    )
)


@settings(max_examples=60, deadline=None)
@given(outcomes, st.randoms(use_true_random=False), st.floats(0.01, 100.0))
def test_order_and_unit_do_not_matter(
    data: tuple[list[int], list[int]], random: object, unit: float
) -> None:
    """Permuted patients give the same curve; another unit only moves the times."""
    time, event = np.array(data[0], dtype=float), np.array(data[1])
    km = kaplan_meier(Outcome(time=time, event=event))
    order = list(range(time.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    other = kaplan_meier(Outcome(time=time[order] * unit, event=event[order]))
    assert other.survival.tolist() == km.survival.tolist()
    assert other.times == pytest.approx(km.times * unit)
    assert ((km.survival >= 0) & (km.survival <= 1)).all()
    assert (np.diff(km.survival) <= 0).all()


def test_intervals_cover_the_truth() -> None:
    """In 600 studies of 80 patients the 95% limits hold S(2) in 93 to 97% of them."""
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(600):
        time, censored = rng.exponential(3.0, 80), rng.uniform(1.0, 8.0, 80)
        y = Outcome(time=np.minimum(time, censored), event=time <= censored)
        lower, upper = kaplan_meier(y, interval="log-log").interval_at(2.0, extend=True)
        covered += bool(lower <= np.exp(-2 / 3) <= upper)
    assert 0.93 <= covered / 600 <= 0.97
