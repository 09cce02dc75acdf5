"""Gray's test: its score, its behaviour without competing events, and its size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from metastra.errors import NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.gray import gray_test
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.logrank import logrank
from metastra.survival.outcome import Outcome


def draw(seed: int, n: int = 200) -> tuple[Outcome, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = rng.choice(["a", "b", "c"], n)
    time = np.ceil(rng.exponential(3.0, n) * 4) / 4
    return Outcome(time=time, event=rng.choice([0, 1, 2], n, p=[0.3, 0.4, 0.3])), group


@pytest.mark.parametrize("rho", [0.0, 1.0])
def test_score_is_the_weighted_difference_of_subdistribution_hazards(rho: float) -> None:
    """Scores equal a plain loop over event times with group-wise S and F, and the pooled F."""
    y, group = draw(1)
    labels = np.unique(group)
    score, pooled = np.zeros(3), 0.0
    parts = [y.take(group == label) for label in labels]
    curves = [kaplan_meier(part).curve() for part in parts]
    risks = [aalen_johansen(part, causes=[1])[1].curve() for part in parts]
    for t in np.unique(y.time[y.event == 1]):
        r = np.array(
            [
                np.sum(part.time >= t)
                * (1 - risk.left(t, extend=True))
                / max(float(curve.left(t, extend=True)), 1e-300)
                for part, curve, risk in zip(parts, curves, risks, strict=True)
            ]
        )
        d = np.array([np.sum((part.time == t) & (part.event == 1)) for part in parts])
        score += (1 - pooled) ** rho * (d - d.sum() * r / r.sum())
        inflated = [
            np.sum(part.time >= t) / max(float(curve.left(t, extend=True)), 1e-300)
            for part, curve in zip(parts, curves, strict=True)
        ]
        pooled += d.sum() / np.sum(inflated)
    assert gray_test(y, group, rho=rho).score == pytest.approx(score[:2], rel=1e-9)


def test_without_competing_events_the_score_is_the_logrank_score() -> None:
    """One cause only: Gray's risk set is the ordinary one."""
    y, group = draw(2)
    y = y.any_event()
    gray, ordinary = gray_test(y, group), logrank(y, group)
    assert gray.score == pytest.approx((ordinary.observed - ordinary.expected)[:2], rel=1e-10)
    assert gray.chisq == pytest.approx(ordinary.chisq, rel=0.15)


def test_which_group_is_last_does_not_matter() -> None:
    """The statistic is the same however the groups are named."""
    y, group = draw(3)
    renamed = np.where(group == "a", "z", group)
    for cause in (1, 2):
        one, other = gray_test(y, group, cause=cause), gray_test(y, renamed, cause=cause)
        assert one.chisq == pytest.approx(other.chisq, rel=1e-8)


def test_order_and_unit_do_not_matter() -> None:
    """Permuted patients in another unit give the same statistic."""
    y, group = draw(4)
    order = np.random.default_rng(0).permutation(y.n)
    other = Outcome(time=y.time[order] * 365.25, event=y.event[order])
    assert gray_test(other, group[order]).chisq == pytest.approx(
        gray_test(y, group).chisq, rel=1e-9
    )


def test_strata_are_summed() -> None:
    """Scores and variances of a stratified test are sums over strata."""
    y, group = draw(5)
    centre = np.arange(y.n) % 2
    whole = gray_test(y, group, strata=centre)
    parts = [gray_test(y.take(centre == k), group[centre == k]) for k in (0, 1)]
    assert whole.score == pytest.approx(parts[0].score + parts[1].score, rel=1e-10)
    assert whole.variance == pytest.approx(parts[0].variance + parts[1].variance, rel=1e-10)


def test_it_sees_a_difference_that_the_competing_cause_makes() -> None:
    """Equal hazards of cause 1 but more competing deaths: log-rank silent, Gray's test not."""
    rng = np.random.default_rng(6)
    n = 1500
    group = np.repeat([0, 1], n)
    first = rng.exponential(4.0, 2 * n)
    second = rng.exponential(np.where(group == 1, 2.0, 20.0))
    y = Outcome(time=np.minimum(first, second), event=np.where(first < second, 1, 2)).until(4.0)
    assert gray_test(y, group, cause=1).p < 1e-6
    assert logrank(y.only(1), group).p > 0.01


def test_what_cannot_be_compared_is_not_estimable() -> None:
    """One group, no event of the cause, delayed entry: a reason, no number."""
    y = Outcome(time=[1, 2, 3, 4], event=[1, 2, 0, 1])
    with pytest.raises(NotEstimable, match="there is one"):
        gray_test(y, ["a"] * 4)
    with pytest.raises(NotEstimable, match="no event of cause 3"):
        gray_test(y, ["a", "b", "a", "b"], cause=3)
    late = Outcome(time=[1, 2, 3], event=[1, 2, 0], entry=[0, 1, 1])
    with pytest.raises(NotEstimable, match="delayed entry"):
        gray_test(late, ["a", "b", "b"])


def test_p_values_are_uniform_when_groups_do_not_differ() -> None:
    """Under the null 500 p-values pass a Kolmogorov–Smirnov test for uniformity."""
    rng = np.random.default_rng(7)
    values = []
    for _ in range(500):
        time, censored = rng.exponential(1.0, 150), rng.uniform(0.2, 3.0, 150)
        event = np.where(time <= censored, rng.integers(1, 3, 150), 0)
        y = Outcome(time=np.minimum(time, censored), event=event)
        values.append(gray_test(y, rng.integers(0, 2, 150)).p)
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert 0.03 <= np.mean(np.array(values) < 0.05) <= 0.075
