"""Right-continuous steps, their left limits and the end of their support."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.intervals import normal_quantile, probability_interval
from metastra.survival.step_function import StepFunction

STEPS = StepFunction(
    times=np.array([1.0, 3.0]), values=np.array([0.7, 0.2]), before=1.0, support_end=4.0
)


def test_the_jump_belongs_to_its_time_and_not_to_the_left_limit() -> None:
    """f(t) includes the jump at t, f(t-) does not."""
    assert STEPS([0.5, 1.0, 2.0, 3.0, 4.0]).tolist() == [1.0, 0.7, 0.7, 0.2, 0.2]
    assert STEPS.left([1.0, 3.0, 3.5]).tolist() == [1.0, 0.7, 0.2]
    assert STEPS.index([0.5, 1.0, 9.0]).tolist() == [-1, 0, 1]


def test_past_the_end_it_refuses_unless_told_to_extend() -> None:
    """Nothing is read off past the data by accident."""
    with pytest.raises(NotEstimable, match="follow-up ends at 4"):
        STEPS([2.0, 4.5])
    with pytest.raises(NotEstimable):
        STEPS.left(5.0)
    assert STEPS([4.5], extend=True).tolist() == [0.2]


def test_shapes_are_kept() -> None:
    """Scalars give scalars, matrices give matrices."""
    assert STEPS(2.0).shape == ()
    assert STEPS(np.full((2, 3), 2.0)).shape == (2, 3)
    assert STEPS(np.array([])).shape == (0,)


@pytest.mark.parametrize("scale", ["log", "log-log", "plain", "arcsine"])
def test_limits_enclose_the_estimate_and_stay_probabilities(scale: str) -> None:
    """On every scale 0 <= lower <= p <= upper <= 1."""
    p = np.linspace(0.02, 0.98, 25)
    lower, upper = probability_interval(p, np.full(25, 0.08), interval=scale)
    assert (lower >= 0.0).all()
    assert (lower < p).all()
    assert (p < upper).all()
    assert (upper <= 1.0).all()


def test_limits_follow_their_formulas() -> None:
    """Each scale is the textbook formula at one point."""
    p, se, z = 0.7, 0.06, normal_quantile(0.9)
    assert z == pytest.approx(1.6448536269514722, rel=1e-12)

    def limits(scale: str) -> list[float]:
        lower, upper = probability_interval(
            np.array([p]), np.array([se]), interval=scale, level=0.9
        )
        return [float(lower[0]), float(upper[0])]

    assert limits("plain") == pytest.approx([p - z * se, p + z * se])
    assert limits("log") == pytest.approx(
        [np.exp(np.log(p) - z * se / p), np.exp(np.log(p) + z * se / p)]
    )
    wide = z * se / (p * np.log(p))
    inner = np.log(-np.log(p))
    assert limits("log-log") == pytest.approx(
        [np.exp(-np.exp(inner - wide)), np.exp(-np.exp(inner + wide))]
    )
    half = 0.5 * z * se / np.sqrt(p * (1 - p))
    assert limits("arcsine") == pytest.approx(
        [np.sin(np.arcsin(np.sqrt(p)) - half) ** 2, np.sin(np.arcsin(np.sqrt(p)) + half) ** 2]
    )


def test_no_limits_where_a_scale_has_none() -> None:
    """At 0 the log scale has no limits, at 0 and 1 the log-log scale has none."""
    p, se = np.array([0.0, 1.0]), np.zeros(2)
    assert np.isnan(probability_interval(p, se, interval="log")[0]).tolist() == [True, False]
    assert np.isnan(probability_interval(p, se, interval="log-log")[0]).all()
    assert probability_interval(p, se, interval="arcsine")[1].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_levels_outside_zero_and_one_are_refused(level: float) -> None:
    """A level of 95 is a mistake, not 95%."""
    with pytest.raises(ConfigError, match="confidence level"):
        normal_quantile(level)


def test_unknown_scale_is_refused() -> None:
    """The message names the scales there are."""
    with pytest.raises(ConfigError, match="log-log"):
        probability_interval(np.array([0.5]), np.array([0.1]), interval="probit")  # type: ignore[arg-type]
