"""Concordance: against counting every pair, against R, against lifelines, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines.utils import concordance_index

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.censoring import censoring_survival
from metastra.survival.concordance import (
    Concordance,
    ConcordanceMethod,
    concordance,
    delta_concordance,
)
from metastra.survival.concordance_pairs import censoring_left, dense_rank
from metastra.survival.outcome import Outcome


def tied_data(seed: int, n: int = 60, *, competing: bool = False, entry: bool = False):
    """Small integers, so that times and scores tie in every way."""
    rng = np.random.default_rng(seed)
    time = rng.integers(2, 15, n).astype(float)
    event = rng.choice([0, 1, 2] if competing else [0, 1], n)
    start = np.minimum(rng.integers(0, 8, n), time - 1).astype(float) if entry else None
    return Outcome(time=time, event=event, entry=start), rng.integers(0, 6, n).astype(float)


def every_pair(y: Outcome, x, method: str, tau=np.inf, w=None):
    """Count all pairs in a double loop, straight from the definitions."""
    n, wolbers = y.n, "wolbers" in method
    w = np.ones(n) if w is None else w
    event = y.event if wolbers else np.where(y.event == 1, 1, 0)
    g = np.ones(n)
    if method not in ("harrell", "wolbers"):
        rows = np.repeat(np.arange(n), w.astype(int))
        g = censoring_survival(Outcome(time=y.time[rows], event=event[rows])).left(y.time)
    totals, won, compared = np.zeros(3), np.zeros(n), np.zeros(n)
    for i in np.flatnonzero(event == 1):
        if y.time[i] > tau or (method == "uno-strict" and y.time[i] >= tau):
            continue
        for j in range(n):
            later = y.time[j] > y.time[i]
            if method != "uno-strict":
                later |= y.time[j] == y.time[i] and event[j] == 0
            if y.entry is not None:
                later &= y.entry[j] < y.time[i]
            before = wolbers and event[j] > 1 and y.time[j] <= y.time[i]
            if i == j or not (later or before):
                continue
            pair = 1 / (g[i] * (g[j] if before else g[i]))
            kind = 0 if x[i] > x[j] else 2 if x[i] == x[j] else 1
            totals[kind] += pair * w[i] * w[j]
            for a, b in ((i, j), (j, i)):
                won[a] += pair * w[b] * (1.0, 0.0, 0.5)[kind]
                compared[a] += pair * w[b]
    c = (totals[0] + totals[2] / 2) / totals.sum()
    return c, totals, np.sqrt(np.sum((w * (won - c * compared) / totals.sum()) ** 2))


@pytest.mark.parametrize("method", list(ConcordanceMethod))
@pytest.mark.parametrize("tau", [None, 9.0])
@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_a_double_loop_over_all_pairs(method, tau, seed):
    """Pairs, estimate and standard error are those of comparing everybody with everybody."""
    y, x = tied_data(seed, competing=True)
    c, pairs, error = every_pair(y, x, method.value, np.inf if tau is None else tau)

    result = concordance(y, x, method=method, tau=tau)

    assert result.estimate == pytest.approx(c, rel=1e-12)
    assert result.std_error == pytest.approx(error, rel=1e-10)
    found = [result.concordant, result.discordant, result.tied_score]
    assert found == pytest.approx(pairs, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_delayed_entry_compares_only_those_already_watched(seed):
    """With left truncation a pair needs the later patient under observation at the event."""
    y, x = tied_data(seed, entry=True)
    c, pairs, error = every_pair(y, x, "harrell")
    unaware = concordance(Outcome(time=y.time, event=y.event), x)

    result = concordance(y, x)

    assert result.estimate == pytest.approx(c, rel=1e-12)
    assert result.std_error == pytest.approx(error, rel=1e-10)
    assert result.concordant == pairs[0]
    assert result.concordant < unaware.concordant


def test_entry_before_every_event_changes_nothing():
    """Entering before the first time is the same as being watched from 0."""
    y, x = tied_data(5)
    late = Outcome(time=y.time, event=y.event, entry=np.full(y.n, 0.5))

    assert concordance(late, x) == concordance(y, x)


@pytest.mark.parametrize("method", list(ConcordanceMethod))
def test_a_weight_is_the_same_as_that_many_patients(method):
    """Whole-number weights give the concordance of the repeated rows, also through G."""
    y, x = tied_data(11, competing=True)
    times = np.random.default_rng(1).integers(0, 4, y.n)
    rows = np.repeat(np.arange(y.n), times)

    weighted = concordance(y, x, method=method, weights=times, tau=12)
    repeated = concordance(y.take(rows), x[rows], method=method, tau=12)

    assert weighted.estimate == pytest.approx(repeated.estimate, rel=1e-12)
    assert weighted.concordant == pytest.approx(repeated.concordant, rel=1e-12)


def test_clusters_sum_the_influence_before_squaring():
    """Rows written twice under one label have the standard error of the single rows."""
    y, x = tied_data(3)
    twice = np.concatenate([np.arange(y.n)] * 2)

    alone = concordance(y, x)
    doubled = concordance(y.take(twice), x[twice], cluster=twice)
    naive = concordance(y.take(twice), x[twice])

    assert doubled.estimate == pytest.approx(alone.estimate, rel=1e-12)
    assert doubled.std_error == pytest.approx(alone.std_error, rel=1e-12)
    assert naive.std_error < 0.8 * alone.std_error


def test_strata_compare_within_and_add_up():
    """Stratified pairs are the sum of the pairs of each stratum."""
    y, x = tied_data(8, n=80)
    centre = np.arange(80) % 3
    parts = [concordance(y.take(centre == c), x[centre == c]) for c in range(3)]

    whole = concordance(y, x, strata=centre)

    assert whole.concordant == sum(part.concordant for part in parts)
    assert whole.tied_both == sum(part.tied_both for part in parts)
    assert whole.events == sum(part.events for part in parts)
    pairs = np.array([p.concordant + p.discordant + p.tied_score for p in parts])
    scaled = np.array([p.std_error for p in parts]) * pairs / pairs.sum()
    won = np.array([p.concordant + p.tied_score / 2 for p in parts])
    assert whole.estimate == pytest.approx(won.sum() / pairs.sum())
    assert 0.5 * np.sqrt((scaled**2).sum()) < whole.std_error < 2 * np.sqrt((scaled**2).sum())


def test_a_higher_score_is_worse_and_only_order_counts():
    """Reversing the score mirrors C; any rising transformation leaves every count alone."""
    y, x = tied_data(4)
    forwards, back = concordance(y, x), concordance(y, -x)

    assert forwards.estimate == pytest.approx(1 - back.estimate)
    assert forwards.std_error == pytest.approx(back.std_error)
    assert concordance(y, np.exp(3 * x) - 7) == forwards


def test_lifelines_counts_the_same_pairs():
    """Harrell's C agrees with lifelines to the last digits, with ties of every kind."""
    for seed in range(5):
        y, x = tied_data(seed, n=200)
        assert concordance(y, x).estimate == pytest.approx(
            concordance_index(y.time, -x, y.event), rel=1e-13
        )


def test_methods_agree_without_censoring():
    """With everybody followed to the event, Uno's and Wolbers' weights are all 1."""
    y, x = tied_data(6)
    y = Outcome(time=y.time, event=np.ones(y.n))
    estimates = {concordance(y, x, method=method).estimate for method in ConcordanceMethod}

    assert max(estimates) - min(estimates) < 1e-12


def test_uno_agrees_with_the_long_run_where_harrell_drifts():
    """Under heavy censoring Uno's C stays at the uncensored value; Harrell's moves away."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=20_000)
    time = 2.0 * rng.weibull(1.0 + 2.0 * (x > 0), 20_000) * np.exp(-0.6 * x)
    censor = rng.exponential(0.8, 20_000)
    truth = concordance(Outcome(time=time, event=np.ones(x.size)), x, tau=1.5).estimate
    y = Outcome(time=np.minimum(time, censor), event=time <= censor)

    uno = concordance(y, x, method="uno", tau=1.5).estimate
    harrell = concordance(y, x, tau=1.5).estimate

    assert abs(uno - truth) < 0.007
    assert abs(harrell - truth) > 2 * abs(uno - truth)


def test_difference_of_two_scores_uses_the_joint_influence():
    """The standard error of a difference is that of leaving patients out of both at once."""
    y, x = tied_data(9, n=300)
    other = x + np.random.default_rng(0).normal(0, 2, 300)

    difference = delta_concordance(y, x, other)

    assert difference.estimate == pytest.approx(
        concordance(y, other).estimate - concordance(y, x).estimate
    )
    full = np.array([concordance(y, s, std_error=False).estimate for s in (x, other)])
    left_out = []
    for i in range(y.n):
        keep = np.arange(y.n) != i
        part = y.take(keep)
        c = [concordance(part, s[keep], std_error=False).estimate for s in (x, other)]
        left_out.append((c[1] - c[0]) - (full[1] - full[0]))
    assert difference.std_error == pytest.approx(np.sqrt(np.sum(np.square(left_out))), rel=0.02)
    assert delta_concordance(y, x, x).p_value() == 1.0


def test_constant_score_is_a_coin():
    """A score that is the same for all gives one half with no spread."""
    y, _ = tied_data(0)
    result = concordance(y, np.zeros(y.n))

    assert (result.estimate, result.std_error) == (0.5, 0.0)
    assert result.interval() == pytest.approx((0.5, 0.5))


def test_one_event_is_enough_and_none_is_not():
    """One event with somebody after it is estimable; all censored is a reason, not a NaN."""
    one = concordance(Outcome(time=[1, 2, 3], event=[1, 0, 0]), [2, 1, 3])
    assert (one.estimate, one.events) == (0.5, 1)

    with pytest.raises(NotEstimable, match="no two patients are comparable: 0 events"):
        concordance(Outcome(time=[1, 2], event=[0, 0]), [1, 2])
    with pytest.raises(NotEstimable, match=r"by 0\.5"):
        concordance(Outcome(time=[1, 2], event=[1, 0]), [1, 2], tau=0.5)
    with pytest.raises(NotEstimable, match="1 events"):
        concordance(Outcome(time=[1, 2], event=[0, 1]), [1, 2])


def test_perfect_concordance_has_no_logit_interval():
    """C of exactly 1 is given, its interval is refused with the reason."""
    result = concordance(Outcome(time=[1, 2, 3], event=[1, 1, 0]), [3, 2, 1])

    assert result.estimate == 1.0
    with pytest.raises(NotEstimable, match="exactly 1"):
        result.interval()
    with pytest.raises(NotEstimable, match="not asked for"):
        concordance(Outcome(time=[1, 2], event=[1, 0]), [1, 2], std_error=False).interval()


def test_bad_input_is_refused_with_positions():
    """Missing scores, wrong shapes, bad weights and unknown methods are named."""
    y = Outcome(time=[1, 2, 3], event=[1, 1, 0])
    with pytest.raises(DataError, match=r"missing or infinite for 2 of 3 .*positions 1, 3"):
        concordance(y, [np.nan, 1, np.inf])
    with pytest.raises(DataError, match="shape"):
        concordance(y, [1, 2])
    with pytest.raises(DataError, match="not a number"):
        concordance(y, ["a", "b", "c"])
    with pytest.raises(DataError, match="weights"):
        concordance(y, [1, 2, 3], weights=[1, -1, 1])
    with pytest.raises(DataError, match="cluster"):
        concordance(y, [1, 2, 3], cluster=[1])
    with pytest.raises(ConfigError, match="uno-strict"):
        concordance(y, [1, 2, 3], method="antolini")
    late = Outcome(time=[1, 2, 3], event=[1, 1, 0], entry=[0, 1, 1])
    with pytest.raises(NotEstimable, match="delayed entry"):
        concordance(late, [1, 2, 3], method="uno")
    with pytest.raises(NotEstimable, match="delayed entry"):
        delta_concordance(late, [1, 2, 3], [1, 2, 3], method="wolbers")


def test_result_carries_its_facts():
    """The result names method, tau, patients and events."""
    y, x = tied_data(2)
    result = concordance(y, x, method="uno", tau=9)

    assert isinstance(result, Concordance)
    assert (result.method, result.tau, result.n) == (ConcordanceMethod.UNO, 9, y.n)
    assert result.events == int(np.sum((y.event == 1) & (y.time <= 9)))
    lower, upper = result.interval()
    assert 0 < lower < result.estimate < upper < 1


def test_weighted_censoring_curve_is_the_censoring_kaplan_meier():
    """The compiled G(t-) equals the public one when every weight is 1."""
    y, _ = tied_data(7, competing=True)
    group, _ = dense_rank(y.time)

    mine = censoring_left(group, y.event != 0, np.ones(y.n))

    assert mine == pytest.approx(censoring_survival(y).left(y.time), rel=1e-13)


@pytest.mark.parametrize(
    ("method", "entry"),
    [
        ("harrell", False),
        ("harrell", True),  # the only one with a form for delayed entry
        ("uno", False),
        ("uno-strict", False),
        ("wolbers", False),
    ],
)
def test_totals_are_the_same_with_and_without_shares(method: str, entry: bool) -> None:
    """The quick way of a point estimate counts the pairs that the shares add up to."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        time = rng.integers(2, 9, 60).astype(float)
        late = np.where(rng.uniform(size=60) < 0.3, 1.0, 0.0) if entry else None
        y = Outcome(time=time, event=rng.integers(0, 3, 60), entry=late)
        score = rng.integers(0, 6, 60).astype(float)
        weights = rng.integers(0, 3, 60).astype(float)
        quick, whole = (
            concordance(y, score, method=method, tau=7.0, weights=weights, std_error=error)
            for error in (False, True)
        )
        for name in ("estimate", "concordant", "discordant", "tied_score", "tied_time"):
            assert getattr(quick, name) == pytest.approx(getattr(whole, name), rel=1e-12)
