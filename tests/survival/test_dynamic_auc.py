"""Time-dependent AUC and ROC: against all pairs, against leaving patients out, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.auc_parts import Controls
from metastra.survival.censoring import censoring_survival
from metastra.survival.classification import classification_at
from metastra.survival.dynamic_auc import delta_auc, dynamic_auc, roc_curve
from metastra.survival.horizon import view_at
from metastra.survival.outcome import Outcome


def cohort(seed: int, n: int = 150, *, competing: bool = True, tied: bool = True):
    """Patients whose score tells something about their time; months or continuous time."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=n), 1)
    first = rng.exponential(8 * np.exp(-0.7 * x))
    second = rng.exponential(25, n) if competing else np.full(n, np.inf)
    censor = rng.uniform(3, 20, n)
    time = np.minimum(np.minimum(first, second), censor)
    event = np.where(time == first, 1, np.where(time == second, 2, 0))
    return Outcome(time=np.ceil(time) if tied else time, event=event), x


def every_pair(y: Outcome, x, t: float, definition: Controls) -> float:
    g = censoring_survival(y)
    case = np.where((y.time <= t) & (y.event == 1), 1 / g.left(y.time), 0)
    control = np.where(y.time > t, 1 / g(t), 0)
    if definition is Controls.FREE_OF_CAUSE:
        control = control + np.where((y.time <= t) & (y.event > 1), 1 / g.left(y.time), 0)
    higher = (x[:, None] > x) + 0.5 * (x[:, None] == x)
    return float(case @ higher @ control / case.sum() / control.sum())


def jack_knife(function, y: Outcome, *columns) -> float:
    """Standard error from leaving each patient out."""
    values = []
    for i in range(y.n):
        keep = np.arange(y.n) != i
        values.append(function(y.take(keep), *(column[keep] for column in columns)))
    return float(np.sqrt((y.n - 1) * np.var(values)))


@pytest.mark.parametrize("definition", list(Controls))
@pytest.mark.parametrize("competing", [True, False])
@pytest.mark.parametrize("horizon", [4.0, 7.5])
def test_auc_equals_a_comparison_of_all_pairs(definition, competing, horizon):
    """The estimate is the weighted share of case-control pairs in the right order."""
    y, x = cohort(1, competing=competing)

    result = dynamic_auc(y, x, horizon, controls=definition)

    assert result.estimate == pytest.approx(every_pair(y, x, horizon, definition), rel=1e-12)
    assert result.events == np.sum((y.time <= horizon) & (y.event == 1))
    assert result.n == y.n


@pytest.mark.parametrize("definition", list(Controls))
@pytest.mark.parametrize("tied", [True, False])
def test_standard_error_is_that_of_leaving_patients_out(definition, tied):
    """The influence function, with its part for G, agrees with the jack-knife within 3 %."""
    y, x = cohort(2, n=250, tied=tied)

    error = dynamic_auc(y, x, 6.0, controls=definition).std_error

    left_out = jack_knife(
        lambda part, s: dynamic_auc(part, s, 6.0, controls=definition).estimate, y, x
    )
    assert error == pytest.approx(left_out, rel=0.03)


def test_difference_of_two_scores_is_paired():
    """The standard error of the difference is that of leaving patients out of both."""
    y, x = cohort(3, n=250)
    other = x + np.random.default_rng(5).normal(0, 1, 250)

    difference = delta_auc(y, x, other, 6.0)

    left_out = jack_knife(lambda p, a, b: delta_auc(p, a, b, 6.0).estimate, y, x, other)
    assert difference.std_error == pytest.approx(left_out, rel=0.03)
    assert difference.estimate == pytest.approx(
        dynamic_auc(y, other, 6.0).estimate - dynamic_auc(y, x, 6.0).estimate
    )
    unpaired = np.hypot(dynamic_auc(y, x, 6.0).std_error, dynamic_auc(y, other, 6.0).std_error)
    assert difference.std_error < 0.9 * unpaired
    assert delta_auc(y, x, 2 * x + 1, 6.0).p_value() == 1.0


def test_definitions_agree_without_competing_events():
    """With one event type both kinds of controls are the same patients."""
    y, x = cohort(4, competing=False)
    one, two = (dynamic_auc(y, x, 5.0, controls=definition) for definition in Controls)

    assert (one.estimate, one.std_error) == (two.estimate, two.std_error)


def test_competing_patients_are_controls_of_the_second_definition_only():
    """Who had the competing event counts as a control only when "free of the cause" is asked."""
    y, x = cohort(5)
    first, second = (dynamic_auc(y, x, 8.0, controls=definition) for definition in Controls)

    competing = np.sum((y.time <= 8.0) & (y.event == 2))
    assert second.controls - first.controls == competing > 0


def test_event_exactly_at_the_horizon_is_a_case():
    """T <= horizon is a case; a patient watched to exactly the horizon is no control."""
    y = Outcome(time=[2, 4, 4, 9], event=[1, 1, 0, 0])

    result = dynamic_auc(y, [4, 3, 1, 2], 4.0)

    assert (result.events, result.controls) == (2, 1)


def test_roc_curve_has_the_area_and_the_classification():
    """The trapezoid under the curve is the AUC, and its points are sensitivity and specificity."""
    y, x = cohort(6)
    for definition in Controls:
        curve = roc_curve(y, x, 6.0, controls=definition)
        area = dynamic_auc(y, x, 6.0, controls=definition).estimate
        assert curve.area() == pytest.approx(area, rel=1e-12)
        assert (np.diff(curve.sensitivity) >= 0).all()
        assert (curve.sensitivity[-1], curve.false_positive_rate[-1]) == (1.0, 1.0)
        at = curve.threshold.size // 2
        point = classification_at(y, x, curve.threshold[at], 6.0, controls=definition)
        assert point.sensitivity.estimate == pytest.approx(curve.sensitivity[at])
        assert 1 - point.specificity.estimate == pytest.approx(curve.false_positive_rate[at])


def test_shuffled_and_reversed_scores_are_caught():
    """A shuffled score lies around one half, a reversed one mirrors the real one."""
    y, x = cohort(7, n=2000)
    auc = dynamic_auc(y, x, 6.0)
    shuffled = dynamic_auc(y, np.random.default_rng(0).permutation(x), 6.0)

    assert auc.interval()[0] > 0.65
    assert abs(shuffled.estimate - 0.5) < 3 * shuffled.std_error
    assert dynamic_auc(y, -x, 6.0).estimate == pytest.approx(1 - auc.estimate)


def test_constant_score_is_a_coin():
    """A score that is the same for all has an AUC of one half."""
    y, _ = cohort(8)

    result = dynamic_auc(y, np.ones(y.n), 6.0)

    assert result.estimate == pytest.approx(0.5)
    assert result.std_error == pytest.approx(0.0, abs=1e-12)


def test_weights_restore_the_marginal_risk():
    """The weighted cases average to the Aalen-Johansen risk."""
    from metastra.survival.aalen_johansen import aalen_johansen

    y, _ = cohort(9)
    for horizon in (1.0, 4.0, 9.5):
        expected = float(aalen_johansen(y, causes=(1,))[1].incidence_at(horizon))
        assert view_at(y, horizon).risk() == pytest.approx(expected, rel=1e-12)


def test_what_cannot_be_estimated_is_refused_with_the_reason():
    """No cases, no controls, a horizon past or at the end of follow-up, delayed entry."""
    y = Outcome(time=[1, 2, 3, 3], event=[1, 0, 0, 0])
    score = [4, 3, 2, 1]
    with pytest.raises(NotEstimable, match="past the last follow-up at 3"):
        dynamic_auc(y, score, 3.5)
    with pytest.raises(NotEstimable, match="just before the end of follow-up"):
        dynamic_auc(y, score, 3.0)
    with pytest.raises(NotEstimable, match="nobody is known to have had the event"):
        dynamic_auc(y, score, 0.5)
    with pytest.raises(NotEstimable, match="no controls"):
        dynamic_auc(Outcome(time=[1, 2], event=[1, 1]), [1, 2], 2.0)
    with pytest.raises(NotEstimable, match="not after the time origin"):
        dynamic_auc(y, score, 0.0)
    with pytest.raises(NotEstimable, match="delayed entry"):
        dynamic_auc(Outcome(time=[1, 2], event=[1, 0], entry=[0, 1]), [1, 2], 1.5)
    with pytest.raises(NotEstimable, match="at least two"):
        dynamic_auc(Outcome(time=[1], event=[1]), [1], 0.5)
    with pytest.raises(NotEstimable, match="nobody is known"):
        dynamic_auc(Outcome(time=[1, 2, 3], event=[0, 0, 0]), [1, 2, 3], 2.5)


def test_bad_input_is_refused():
    """Missing scores and unknown controls are named."""
    y, x = cohort(10)
    x[3] = np.nan
    with pytest.raises(DataError, match="positions 4"):
        dynamic_auc(y, x, 5.0)
    with pytest.raises(ConfigError, match="event-free, free-of-cause"):
        roc_curve(y, np.zeros(y.n), 5.0, controls="all")


def test_classification_counts_by_hand_without_censoring():
    """With everybody followed, the four shares are those of the two-by-two table."""
    time = np.array([1, 1, 2, 2, 9, 9, 9, 9, 9, 9.0])
    y = Outcome(time=time, event=(time < 5) * 1)
    score = np.array([3, 3, 3, 1, 3, 1, 1, 1, 1, 1])

    result = classification_at(y, score, 2.0, 5.0)

    assert result.sensitivity.estimate == pytest.approx(3 / 4)
    assert result.specificity.estimate == pytest.approx(5 / 6)
    assert result.ppv is not None
    assert result.npv is not None
    assert result.ppv.estimate == pytest.approx(3 / 4)
    assert result.npv.estimate == pytest.approx(5 / 6)
    binomial = np.sqrt(0.75 * 0.25 / 4)
    assert result.sensitivity.std_error == pytest.approx(binomial * np.sqrt(10 / 9))


@pytest.mark.parametrize("measure", ["sensitivity", "specificity", "ppv", "npv"])
def test_classification_errors_are_those_of_leaving_patients_out(measure):
    """Each share's standard error agrees with the jack-knife within 5 %."""
    y, x = cohort(11, n=250)

    def share(part, score):
        return getattr(classification_at(part, score, 0.4, 6.0), measure).estimate

    error = getattr(classification_at(y, x, 0.4, 6.0), measure).std_error
    assert error == pytest.approx(jack_knife(share, y, x), rel=0.05)


def test_threshold_nobody_reaches_has_no_predictive_value():
    """Without positives PPV is missing, with its neighbours still given."""
    y, x = cohort(12)

    result = classification_at(y, x, 99.0, 6.0)

    assert (result.ppv, result.share_positive, result.sensitivity.estimate) == (None, 0.0, 0.0)
    with pytest.raises(NotEstimable):
        result.sensitivity.interval()
    with pytest.raises(NotEstimable, match="0 cases"):
        classification_at(Outcome(time=[1, 2], event=[0, 0]), [1, 2], 1.0, 1.5)
