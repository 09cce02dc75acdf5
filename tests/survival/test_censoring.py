"""The distribution of censoring, its two orders at ties, and the weights made from it."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.censoring import censoring_survival, ipcw_weights
from metastra.survival.kaplan_meier import reverse_kaplan_meier
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 300) -> Outcome:
    rng = np.random.default_rng(seed)
    time = np.ceil(rng.exponential(4.0, n) * 2) / 2
    return Outcome(time=time, event=rng.integers(0, 3, n))


def test_events_leave_before_the_censoring_of_the_same_time() -> None:
    """G is a product over censorings among those still there after the events."""
    y = draw(1)
    g = censoring_survival(y)
    expected = 1.0
    for t in np.unique(y.time[y.event == 0]):
        left = np.sum(y.time > t) + np.sum((y.time == t) & (y.event == 0))
        assert g.left(t) == pytest.approx(expected, rel=1e-12)
        expected *= 1 - np.sum((y.time == t) & (y.event == 0)) / left
        assert g(t) == pytest.approx(expected, rel=1e-12)


def test_the_other_order_is_the_reverse_kaplan_meier() -> None:
    """With everybody at risk together G is R's survfit of the reversed indicator."""
    y = draw(2)
    together = censoring_survival(y, ties="together")
    assert together.values == pytest.approx(reverse_kaplan_meier(y).survival, rel=1e-12)
    assert (censoring_survival(y).values <= together.values + 1e-12).all()


def test_both_orders_agree_without_ties() -> None:
    """The conventions differ at ties only."""
    rng = np.random.default_rng(3)
    y = Outcome(time=rng.random(100), event=rng.integers(0, 2, 100))
    one, other = censoring_survival(y), censoring_survival(y, ties="together")
    assert one.values == pytest.approx(other.values, rel=1e-12)


def test_survival_times_censoring_is_the_share_still_watched() -> None:
    """S(t) G(t) is the empirical share with T > t: the identity that fixes the order of ties."""
    from metastra.survival.kaplan_meier import kaplan_meier

    y = draw(4)
    product = kaplan_meier(y).survival * censoring_survival(y).values
    share = [np.mean(y.time > t) for t in np.unique(y.time)]
    assert product == pytest.approx(share, abs=1e-12)


def test_weights_sum_to_the_number_of_patients() -> None:
    """Who is observed stands for those who are not: the weights add up to n exactly."""
    y = draw(5)
    for horizon in (1.0, 2.5, 4.0, 7.3):
        weights = ipcw_weights(y, horizon)
        assert weights.sum() == pytest.approx(y.n, rel=1e-12)
        assert (weights[(y.event == 0) & (y.time <= horizon)] == 0).all()


def test_weighted_events_are_the_incidence() -> None:
    """The weighted share of a cause by t is the Aalen–Johansen estimate of its risk."""
    from metastra.survival.aalen_johansen import aalen_johansen

    y = draw(6)
    weights = ipcw_weights(y, 3.0)
    share = np.sum(weights * ((y.event == 1) & (y.time <= 3.0))) / y.n
    assert share == pytest.approx(float(aalen_johansen(y)[1].incidence_at(3.0)), rel=1e-12)


def test_a_horizon_past_follow_up_is_refused() -> None:
    """Nothing can be weighted up where nobody is left."""
    with pytest.raises(NotEstimable, match="past the last follow-up"):
        ipcw_weights(Outcome(time=[1, 2], event=[1, 0]), 3.0)
    with pytest.raises(NotEstimable):
        censoring_survival(Outcome(time=[1, 2], event=[1, 0]))(3.0)


def test_without_censoring_all_weights_are_one() -> None:
    """Complete follow-up needs no weights."""
    y = Outcome(time=[1, 2, 2, 5], event=[1, 2, 1, 1])
    assert ipcw_weights(y, 2.0).tolist() == [1, 1, 1, 1]


def test_delayed_entry_is_honoured() -> None:
    """Who has not entered is not at risk of being censored; weights have no meaning then."""
    y = Outcome(time=[2, 3, 4], event=[0, 1, 1], entry=[0, 0, 2])
    assert censoring_survival(y).values.tolist() == [0.5, 0.5, 0.5]
    with pytest.raises(NotEstimable, match="delayed entry"):
        ipcw_weights(y, 3.0)


def test_an_unknown_order_is_refused() -> None:
    """The message names the orders there are."""
    with pytest.raises(ConfigError, match="events-first"):
        censoring_survival(draw(1), ties="random")  # type: ignore[arg-type]
