"""Brier score, IPA and integrated Brier score: closed forms, jack-knife, what they punish."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import DataError, NotEstimable
from metastra.survival.brier import brier_score, delta_brier, integrated_brier
from metastra.survival.censoring import censoring_survival
from metastra.survival.horizon import view_at
from metastra.survival.outcome import Outcome


def cohort(seed: int, n: int = 200, *, competing: bool = True):
    """Exponential times with a known risk of the first cause by any horizon."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    rate, other = 0.08 * np.exp(0.8 * x), (0.03 if competing else 0.0)
    first = rng.exponential(1 / rate)
    second = rng.exponential(1 / 0.03, n) if competing else np.full(n, np.inf)
    censor = rng.uniform(2, 25, n)
    time = np.minimum(np.minimum(first, second), censor)
    event = np.where(time == first, 1, np.where(time == second, 2, 0))

    def risk(t):
        return rate / (rate + other) * -np.expm1(-(rate + other) * t)

    return Outcome(time=time, event=event), risk


def test_brier_without_censoring_is_the_mean_squared_error():
    """With everybody followed past the horizon nothing is weighted."""
    time = np.array([1.0, 2.0, 3.0, 8.0, 9.0])
    event = np.array([1, 2, 1, 1, 0])
    risk = np.array([0.8, 0.3, 0.5, 0.2, 0.1])

    score = brier_score(Outcome(time=time, event=event), risk, 5.0)

    happened = (time <= 5) & (event == 1)
    assert score.estimate == pytest.approx(np.mean((happened - risk) ** 2))
    assert score.null == pytest.approx(happened.mean() * (1 - happened.mean()))
    assert score.ipa == pytest.approx(1 - score.estimate / score.null)


def test_brier_equals_the_written_out_sum():
    """The weighted sum of the definition, term by term."""
    y, risk = cohort(1)
    y = Outcome(time=np.ceil(y.time), event=y.event)
    t, p, g = 6.0, risk(6.0), censoring_survival(y)
    total = 0.0
    for time, event, value in zip(y.time, y.event, p, strict=True):
        if time <= t and event:
            total += ((event == 1) - value) ** 2 / float(g.left(time))
        elif time > t:
            total += value**2 / float(g(t))

    assert brier_score(y, p, t).estimate == pytest.approx(total / y.n, rel=1e-12)


@pytest.mark.parametrize("what", ["estimate", "ipa"])
def test_standard_errors_are_those_of_leaving_patients_out(what):
    """Brier score and IPA: the influence function agrees with the jack-knife within 3 %."""
    y, risk = cohort(2, n=250)
    p = risk(6.0)
    values = []
    for i in range(y.n):
        keep = np.arange(y.n) != i
        values.append(getattr(brier_score(y.take(keep), p[keep], 6.0), what))
    left_out = np.sqrt((y.n - 1) * np.var(values))
    score = brier_score(y, p, 6.0)

    error = score.std_error if what == "estimate" else score.ipa_std_error
    assert error == pytest.approx(left_out, rel=0.03)


@pytest.mark.parametrize("scaled", [False, True])
def test_difference_is_paired(scaled):
    """Difference in Brier score or IPA, with the standard error of leaving patients out of both."""
    y, risk = cohort(3, n=250)
    good, flat = risk(6.0), np.full(y.n, 0.3)
    difference = delta_brier(y, flat, good, 6.0, scaled=scaled)
    values = []
    for i in range(y.n):
        keep = np.arange(y.n) != i
        values.append(
            delta_brier(y.take(keep), flat[keep], good[keep], 6.0, scaled=scaled).estimate
        )

    assert difference.std_error == pytest.approx(np.sqrt((y.n - 1) * np.var(values)), rel=0.03)
    assert (difference.estimate > 0) is scaled
    one, two = brier_score(y, flat, 6.0), brier_score(y, good, 6.0)
    expected = two.ipa - one.ipa if scaled else two.estimate - one.estimate
    assert difference.estimate == pytest.approx(expected)


@pytest.mark.parametrize("competing", [False, True])
def test_the_truth_has_the_lowest_brier_score(competing):
    """Every way of bending the true risk makes the score worse, with and without competition."""
    y, risk = cohort(4, n=8000, competing=competing)
    truth = risk(6.0)
    logit = np.log(truth / (1 - truth))
    bent = {
        "too high": 1 / (1 + np.exp(-logit - 0.7)),
        "too low": 1 / (1 + np.exp(-logit + 0.7)),
        "too extreme": 1 / (1 + np.exp(-2 * logit)),
        "too flat": 1 / (1 + np.exp(-0.3 * logit - 0.5)),
        "shuffled": np.random.default_rng(0).permutation(truth),
        "reversed": np.sort(truth)[::-1][np.argsort(np.argsort(truth))],
    }

    for name, wrong in bent.items():
        difference = delta_brier(y, truth, wrong, 6.0)
        assert difference.estimate > 2 * difference.std_error, name
    assert brier_score(y, truth, 6.0).ipa > 0.03
    assert brier_score(y, bent["reversed"], 6.0).ipa < 0


def test_dropping_competing_events_would_move_the_score():
    """Taking competing events for censored gives another number: the definitions differ."""
    y, risk = cohort(5, n=2000)

    right = brier_score(y, risk(10.0), 10.0)
    wrong = brier_score(y.only(1), risk(10.0), 10.0)

    assert abs(right.estimate - wrong.estimate) > 1e-3
    assert view_at(y, 10.0).risk() < view_at(y.only(1), 10.0).risk() - 0.02


def test_marginal_risk_has_no_ipa():
    """Giving everybody the observed risk has IPA 0 and the Brier score of the null model."""
    y, _ = cohort(6)
    from metastra.survival.calibration import observed_risk

    risk, _ = observed_risk(y, 6.0)
    score = brier_score(y, np.full(y.n, risk), 6.0)

    assert score.ipa == pytest.approx(0.0, abs=1e-12)
    assert score.ipa_std_error == pytest.approx(0.0, abs=1e-9)


def test_integrated_brier_is_the_trapezoid():
    """Area over the grid divided by its span; its error is that of leaving patients out."""
    y, risk = cohort(7, n=200)
    grid = np.array([3.0, 5.0, 9.0])
    risks = np.column_stack([risk(t) for t in grid])

    whole = integrated_brier(y, risks, grid)

    each = [brier_score(y, risks[:, k], t).estimate for k, t in enumerate(grid)]
    assert whole.estimate == pytest.approx(np.trapezoid(each, grid) / 6.0)
    assert [score.estimate for score in whole.scores] == each
    values = []
    for i in range(y.n):
        keep = np.arange(y.n) != i
        values.append(integrated_brier(y.take(keep), risks[keep], grid).estimate)
    assert whole.std_error == pytest.approx(np.sqrt((y.n - 1) * np.var(values)), rel=0.03)


def test_no_event_by_the_horizon_leaves_the_score_without_an_index():
    """The Brier score exists, the IPA does not, and says so."""
    y = Outcome(time=[3, 4, 5, 6], event=[1, 0, 1, 0])

    score = brier_score(y, [0.1, 0.1, 0.2, 0.2], 2.0)

    assert score.estimate == pytest.approx(0.025)
    assert (score.ipa, score.events) == (None, 0)
    with pytest.raises(NotEstimable, match="no IPA"):
        score.ipa_interval()
    with pytest.raises(NotEstimable, match="no IPA"):
        delta_brier(y, [0.1] * 4, [0.2] * 4, 2.0, scaled=True)


def test_intervals_stay_in_their_range():
    """A Brier score's limits are cut at 0 and 1, the index's at 1."""
    y, risk = cohort(8, n=40)
    score = brier_score(y, risk(6.0), 6.0)

    assert 0 <= score.interval()[0] < score.estimate < score.interval()[1] <= 1
    lower, upper = score.ipa_interval(0.9999)
    assert lower < score.ipa <= upper <= 1


def test_bad_input_is_refused():
    """Risks outside [0, 1], missing ones, bad grids, horizons past follow-up."""
    y, risk = cohort(9, n=30)
    p = risk(5.0)
    for wrong in (np.where(np.arange(30) == 4, 1.2, p), np.where(np.arange(30) == 4, np.nan, p)):
        with pytest.raises(DataError, match="positions 5"):
            brier_score(y, wrong, 5.0)
    with pytest.raises(NotEstimable, match="past the last follow-up"):
        brier_score(y, p, 99.0)
    with pytest.raises(DataError, match="ascending"):
        integrated_brier(y, np.column_stack([p, p]), [5.0, 4.0])
    with pytest.raises(DataError, match="one column per horizon"):
        integrated_brier(y, p, [4.0, 5.0])
    with pytest.raises(NotEstimable, match="delayed entry"):
        brier_score(Outcome(time=[2, 3], event=[1, 0], entry=[1, 1]), [0.1, 0.2], 2.5)
