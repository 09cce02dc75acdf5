"""Net benefit and Royston's D: by hand, and by leaving patients out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from metastra.errors import DataError, NotEstimable
from metastra.survival.calibration import observed_risk
from metastra.survival.cox import fit_cox
from metastra.survival.net_benefit import NetBenefitStatistic, net_benefit
from metastra.survival.outcome import Outcome
from metastra.survival.royston import royston_d


def cohort(seed: int, n: int = 300):
    rng = np.random.default_rng(seed)
    rate = 0.1 * np.exp(rng.normal(size=n))
    first, second, censor = rng.exponential(1 / rate), rng.exponential(30, n), rng.uniform(3, 20, n)
    time = np.minimum(np.minimum(first, second), censor)
    event = np.where(time == first, 1, np.where(time == second, 2, 0))
    return Outcome(time=time, event=event), -np.expm1(-5 * rate)


def test_net_benefit_without_censoring_counts_true_and_false_positives():
    """TP/n - FP/n times the odds of the threshold, for each threshold."""
    time = np.array([1, 2, 3, 9, 9, 9, 9, 9.0])
    y = Outcome(time=time, event=(time < 5) * 1)
    risk = np.array([0.9, 0.5, 0.1, 0.6, 0.3, 0.2, 0.1, 0.1])

    result = net_benefit(y, risk, 5.0, [0.2, 0.5])

    assert result.model == pytest.approx([2 / 8 - 3 / 8 * 0.25, 2 / 8 - 1 / 8 * 1.0])
    assert result.treat_all == pytest.approx([3 / 8 - 5 / 8 * 0.25, 3 / 8 - 5 / 8])
    assert result.share_positive == pytest.approx([5 / 8, 3 / 8])
    assert (result.events, result.n) == (3, 8)


def test_a_threshold_under_every_risk_treats_all():
    """The model and treating all are then one and the same, with no error between them."""
    y, risk = cohort(1)

    result = net_benefit(y, risk, 5.0, [risk.min() / 2])

    assert result.model == pytest.approx(result.treat_all)
    assert result.gain_std_error == pytest.approx([0.0], abs=1e-12)


def test_a_threshold_over_every_risk_treats_nobody():
    """Then the net benefit is 0."""
    y, risk = cohort(2)

    result = net_benefit(y, risk, 5.0, [0.999999])

    assert (result.model[0], result.share_positive[0], result.model_std_error[0]) == (0, 0, 0)


def test_errors_are_those_of_leaving_patients_out():
    """Model and gain over treating all: influence and jack-knife agree within 5 %."""
    y, risk = cohort(3, n=200)
    cuts = [0.2, 0.5]
    result = net_benefit(y, risk, 5.0, cuts)
    model, gain = [], []
    for i in range(y.n):
        keep = np.arange(y.n) != i
        part = net_benefit(y.take(keep), risk[keep], 5.0, cuts)
        model.append(part.model)
        gain.append(part.model - part.treat_all)

    scale = np.sqrt(y.n - 1)
    assert result.model_std_error == pytest.approx(scale * np.std(model, axis=0), rel=0.05)
    assert result.gain_std_error == pytest.approx(scale * np.std(gain, axis=0), rel=0.05)


def test_competing_events_are_no_benefit():
    """Treating all is worth less when competing events are counted as what they are."""
    y, risk = cohort(4, n=2000)

    right = net_benefit(y, risk, 5.0, [0.2])
    naive = net_benefit(y.only(1), risk, 5.0, [0.2])

    observed, _ = observed_risk(y, 5.0)
    assert right.treat_all[0] == pytest.approx(observed - 0.25 * (1 - observed))
    assert right.treat_all[0] < naive.treat_all[0]
    assert right.model[0] > right.treat_all[0]


def test_statistic_of_weights_gives_the_same_numbers():
    """The bootstrap's statistic equals the function, also on repeated patients."""
    y, risk = cohort(5, n=80)
    cuts = [0.2, 0.4]
    statistic = NetBenefitStatistic(y, {"a": risk, "b": risk[::-1]}, 5.0, cuts)
    weights = np.bincount(np.random.default_rng(0).integers(0, 80, 80), minlength=80)
    rows = np.repeat(np.arange(80), weights)

    found = statistic(weights.astype(float))

    whole = net_benefit(y.take(rows), risk[rows], 5.0, cuts)
    other = net_benefit(y.take(rows), risk[::-1][rows], 5.0, cuts)
    expected = np.concatenate([whole.model, other.model, whole.treat_all])
    assert found == pytest.approx(expected, rel=1e-12)
    assert statistic.names[2:] == ("b at 0.2", "b at 0.4", "treat all at 0.2", "treat all at 0.4")


def test_positives_whose_follow_up_ends_early_carry_on():
    """Their last risk stands in for the horizon; for all patients it does not."""
    y = Outcome(time=[1, 2, 8, 9], event=[1, 0, 1, 0])

    result = net_benefit(y, [0.9, 0.8, 0.1, 0.1], 5.0, [0.5])

    assert result.model[0] == pytest.approx(0.5 * 0.5 - 0.5 * 0.5)
    with pytest.raises(NotEstimable, match="past the last follow-up"):
        net_benefit(y, [0.9, 0.8, 0.1, 0.1], 9.5, [0.5])


def test_bad_thresholds_and_risks_are_refused():
    """Thresholds lie inside (0, 1); risks in [0, 1]; delayed entry has no form."""
    y, risk = cohort(6, n=20)
    with pytest.raises(DataError, match="thresholds"):
        net_benefit(y, risk, 5.0, [0.2, 1.0])
    with pytest.raises(DataError, match="outside"):
        net_benefit(y, risk + 1, 5.0, [0.2])
    with pytest.raises(NotEstimable, match="delayed entry"):
        net_benefit(Outcome(time=[2, 3], event=[1, 0], entry=[1, 1]), [0.1, 0.2], 2.5, [0.1])


def test_royston_d_is_a_cox_coefficient_of_rankits():
    """D is the coefficient of the normal scores over kappa, with mean ranks for ties."""
    y, risk = cohort(7)
    score = np.round(risk, 1)
    rankit = norm.ppf((rankdata(score) - 3 / 8) / (y.n + 1 / 4)) / np.sqrt(8 / np.pi)

    result = royston_d(y, score)

    assert result.estimate == pytest.approx(fit_cox(y.only(1), rankit[:, None]).coef[0])
    share = result.estimate**2 * np.pi / 8
    assert result.explained_variation == pytest.approx(share / (share + np.pi**2 / 6))
    assert result.interval()[0] < result.estimate < result.interval()[1]


def test_royston_d_of_a_constant_score_has_no_value():
    """Equal scores and missing events are named."""
    y, _ = cohort(8, n=30)
    with pytest.raises(NotEstimable, match="same score"):
        royston_d(y, np.ones(30))
    with pytest.raises(NotEstimable, match="no event"):
        royston_d(Outcome(time=[1, 2], event=[0, 0]), [1, 2])
