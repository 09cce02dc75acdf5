"""Treatment by score: model identities, null distribution, coverage, and the words used."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.cox import fit_cox
from metastra.survival.interaction import group_differences, treatment_interaction
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.survival.outcome import Outcome


def trial(
    seed: int, n: int = 240, *, interaction: float = 0.0
) -> tuple[Outcome, np.ndarray, np.ndarray]:
    """A randomised trial with competing deaths and losses."""
    rng = np.random.default_rng(seed)
    arm, score = rng.integers(0, 2, n), rng.normal(size=n)
    rate = 0.03 * np.exp(-0.4 * arm + 0.7 * score + interaction * arm * score)
    event, death, end = (
        rng.exponential(1.0 / rate),
        rng.exponential(100.0, n),
        rng.uniform(20, 60, n),
    )
    time = np.minimum(np.minimum(event, death), end)
    code = np.where(time == end, 0, np.where(event <= death, 1, 2))
    return Outcome(time=time, event=code), arm, score


def test_numbers_are_those_of_the_two_models() -> None:
    """Ratio, Wald limits and likelihood ratio from models fitted by hand."""
    y, arm, score = trial(1, interaction=0.6)
    age = np.random.default_rng(2).normal(size=y.n)
    found = treatment_interaction(
        y, arm, score, randomised=True, adjust=age[:, None], adjust_names=["age"]
    )
    big = fit_cox(y.only(1), np.column_stack([arm, score, arm * score, age]))
    small = fit_cox(y.only(1), np.column_stack([arm, score, age]))
    assert np.log(found.ratio) == pytest.approx(big.coef[2], rel=1e-8)
    half = 1.959963984540054 * big.std_error[2]
    assert np.log([found.lower, found.upper]) == pytest.approx(
        [big.coef[2] - half, big.coef[2] + half], rel=1e-8
    )
    assert found.test.chisq == pytest.approx(2 * (big.loglik - small.loglik), rel=1e-8)
    assert np.log(found.treated_at_zero) == pytest.approx(big.coef[0], rel=1e-7)
    assert (found.test.df, found.n_events) == (1, y.n_events(1))


def test_in_two_by_two_groups_the_ratio_is_a_ratio_of_hazard_ratios() -> None:
    """A 0/1 score with strata-free models: hazard ratios multiply."""
    y, arm, score = trial(3, 400)
    high = (score > 0).astype(float)
    found = treatment_interaction(y, arm, high, randomised=True)
    cells = np.column_stack([arm * (1 - high), arm * high, high])
    within = fit_cox(y.only(1), cells)
    assert np.log(found.ratio) == pytest.approx(within.coef[1] - within.coef[0], rel=1e-6)


def test_p_values_are_uniform_and_limits_cover_without_interaction() -> None:
    """1000 trials with a constant hazard ratio: Kolmogorov–Smirnov and 95 % coverage."""
    found = [treatment_interaction(*trial(s), randomised=True) for s in range(1000, 2000)]
    p = np.sort([one.test.p for one in found])
    assert np.abs(p - np.arange(1, 1001) / 1000).max() < 1.63 / np.sqrt(1000)
    covered = np.mean([one.lower <= 1.0 <= one.upper for one in found])
    assert 0.93 <= covered <= 0.97


def test_a_true_interaction_is_found() -> None:
    """A coefficient of 0.7 in 600 patients: median near it, most p-values small."""
    found = [
        treatment_interaction(*trial(s, 600, interaction=0.7), randomised=True) for s in range(40)
    ]
    assert np.median([np.log(one.ratio) for one in found]) == pytest.approx(0.7, abs=0.1)
    assert np.mean([one.test.p < 0.05 for one in found]) > 0.9


@pytest.mark.parametrize("interaction", [0.0, 1.2])
def test_only_a_randomised_study_speaks_of_effects(interaction: float) -> None:
    """The numbers are the same; the words are not."""
    y, arm, score = trial(7, 500, interaction=interaction)
    causal = treatment_interaction(y, arm, score, randomised=True)
    not_causal = treatment_interaction(y, arm, score, randomised=False)
    assert causal.ratio == not_causal.ratio
    assert (causal.causal, not_causal.causal) == (True, False)
    assert "effect of treatment" in causal.wording
    claim, _, caveat = not_causal.wording.partition("Treatment was not randomised")
    assert "effect" not in claim
    assert "association" in claim
    assert "cannot be read as an effect" in caveat
    negated = "not show" in causal.wording
    assert negated == (causal.test.p >= 0.05)


def test_group_risks_are_those_of_each_arm() -> None:
    """Risks equal Aalen–Johansen in the cell, and the difference is theirs."""
    y, arm, score = trial(11, 300)
    group = np.where(score > 0, "high", "low")
    rows = group_differences(y, arm, group, horizon=15.0, randomised=False)
    assert [row.group for row in rows] == ["high", "low"]
    assert sum(row.n_treated + row.n_untreated for row in rows) == 300
    for row in rows:
        cell = aalen_johansen(y.take((group == row.group) & (arm == 1)), causes=[1])[1]
        assert row.risk_treated == pytest.approx(cell.incidence_at([15.0])[0], rel=1e-12)
        assert row.difference == row.risk_treated - row.risk_untreated
        assert row.lower < row.difference < row.upper
        assert not row.causal


def test_limits_of_a_difference_join_those_of_the_arms() -> None:
    """Equal arms give limits of ± the root of the sum of squared half-widths."""
    time, event = (
        np.tile(np.append(np.arange(1.0, 21.0), [24.0] * 20), 2),
        np.tile([1] * 20 + [0] * 20, 2),
    )
    row = group_differences(
        Outcome(time=time, event=event),
        np.repeat([1, 0], 40),
        ["a"] * 80,
        horizon=24.0,
        randomised=True,
    )[0]
    km = kaplan_meier(Outcome(time=time[:40], event=event[:40]), interval="log-log")
    low, high = (limit[0] for limit in km.interval_at([24.0]))
    wide = np.hypot(0.5 - (1 - high), (1 - low) - 0.5)
    assert (row.lower, row.upper) == pytest.approx((-wide, wide), rel=1e-6)


def test_an_arm_without_events_still_has_limits() -> None:
    """0 of 30 against 3 of 30: the limits are not those of a known 0."""
    y = Outcome(time=[24.0] * 60, event=[0] * 30 + [1] * 3 + [0] * 27)
    row = group_differences(y, [1] * 30 + [0] * 30, ["a"] * 60, horizon=24.0, randomised=True)[0]
    assert row.difference == pytest.approx(-0.1)
    assert row.upper > 0.0
    assert row.lower < -0.2


def test_limits_of_a_difference_cover_in_small_groups() -> None:
    """80 patients in a group: 95 % limits hold the true difference in 93 to 99 % of 600 trials."""
    truth = (1 - np.exp(-24 * 0.004)) - (1 - np.exp(-24 * 0.012))
    held = 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        arm = np.repeat([1, 0], 40)
        event, end = rng.exponential(1 / np.where(arm == 1, 0.004, 0.012)), rng.uniform(10, 60, 80)
        y = Outcome(time=np.minimum(event, end), event=event <= end)
        row = group_differences(y, arm, ["a"] * 80, horizon=24.0, randomised=True)[0]
        held += row.lower <= truth <= row.upper
    assert 0.93 <= held / 600 <= 0.99


def test_a_group_that_is_not_estimable_keeps_its_row() -> None:
    """No treated patient in a group, or follow-up that ends before the horizon."""
    y = Outcome(time=[5, 30, 30, 30, 9, 8], event=[1, 0, 0, 1, 0, 0])
    rows = group_differences(
        y, [1, 0, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"], horizon=24.0, randomised=True
    )
    assert rows[0].difference == pytest.approx(1.0)
    assert rows[1].reason == "treated: no patients"
    assert rows[1].difference is None
    assert "treated: " in rows[2].reason
    assert "untreated: " in rows[2].reason


def test_unfit_data_are_refused() -> None:
    """One arm, an arm without events, codes that are not 0 and 1, lengths, ranges."""
    y = Outcome(time=[1, 2, 3, 4], event=[1, 1, 0, 0])
    score = [0.1, 0.4, 0.2, 0.3]
    with pytest.raises(NotEstimable, match="one arm only"):
        treatment_interaction(y, [1, 1, 1, 1], score, randomised=True)
    with pytest.raises(NotEstimable, match="events in both arms"):
        treatment_interaction(y, [1, 1, 0, 0], score, randomised=True)
    with pytest.raises(DataError, match="treated"):
        treatment_interaction(y, [1, 2, 0, 0], score, randomised=True)
    with pytest.raises(DataError, match="score"):
        treatment_interaction(y, [1, 0, 0, 1], [0.1, np.nan, 0.2, 0.3], randomised=True)
    with pytest.raises(DataError, match="adjust"):
        treatment_interaction(y, [1, 0, 0, 1], score, randomised=True, adjust=[[1.0]])
    with pytest.raises(NotEstimable):
        treatment_interaction(y, [1, 0, 0, 1], [1.0] * 4, randomised=True)
    with pytest.raises(ConfigError, match="horizon"):
        group_differences(y, [1, 0, 0, 1], ["a"] * 4, horizon=0.0, randomised=True)
