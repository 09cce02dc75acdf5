"""Data on which a Cox model has no answer, and the reasons it gives."""

from __future__ import annotations

import numpy as np
import pytest

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.cox import fit_cox, likelihood_ratio_test
from metastra.survival.outcome import Outcome


def draw(seed: int = 1, n: int = 80) -> tuple[Outcome, np.ndarray]:
    rng = np.random.default_rng(seed)
    return Outcome(time=rng.exponential(3.0, n), event=rng.random(n) < 0.6), rng.normal(size=(n, 2))


def test_without_an_event_there_is_nothing_to_fit() -> None:
    """All censored: the reason says how many rows there were."""
    y, x = draw()
    with pytest.raises(NotEstimable, match="no event among 80 rows"):
        fit_cox(Outcome(time=y.time, event=np.zeros(80, dtype=int)), x)


def test_a_constant_covariate_is_named() -> None:
    """A covariate that never differs has no coefficient."""
    y, x = draw()
    with pytest.raises(NotEstimable, match=r"constant wherever an event happens.*: site"):
        fit_cox(y, np.column_stack([x, np.full(80, 3.0)]), names=["a", "b", "site"])


def test_a_covariate_that_differs_only_before_the_first_event_is_named() -> None:
    """Patients censored before any event carry no information."""
    y, x = draw()
    time = np.concatenate([y.time + 1.0, [0.2, 0.3]])
    event = np.concatenate([y.event, [0, 0]])
    marker = np.concatenate([np.zeros(80), [1.0, 1.0]])
    covariates = np.column_stack([np.append(x[:, 0], [0.0, 0.0]), marker])
    with pytest.raises(NotEstimable, match="x2"):
        fit_cox(Outcome(time=time, event=event), covariates)


def test_collinear_covariates_are_named_and_others_are_not() -> None:
    """A sum of two columns beside them: all three are listed, the innocent one is not."""
    y, x = draw()
    other = np.random.default_rng(2).normal(size=80)
    covariates = np.column_stack([x, x.sum(axis=1), other])
    with pytest.raises(NotEstimable, match="collinear") as error:
        fit_cox(y, covariates, names=["a", "b", "sum", "other"])
    assert "a, b, sum" in error.value.reason
    assert "other" not in error.value.reason


def test_nearly_collinear_covariates_are_still_fitted() -> None:
    """A correlation of 0.9999 is poor design, not singularity."""
    y, x = draw()
    close = x[:, 0] + 0.01 * x[:, 1]
    model = fit_cox(y, np.column_stack([x[:, 0], close]))
    assert model.converged
    assert np.isfinite(model.std_error).all()


def test_a_marker_no_event_ever_carries_has_no_finite_coefficient() -> None:
    """A group without events: the likelihood rises for ever, and the group is named."""
    y, x = draw(3)
    safe = (y.event == 0) & (np.arange(80) % 2 == 0)
    with pytest.raises(NotEstimable, match="rises for ever: safe") as error:
        fit_cox(y, np.column_stack([x, safe]), names=["a", "b", "safe"])
    assert "a," not in error.value.reason


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_a_covariate_that_orders_all_events_is_refused_in_any_unit(unit: float) -> None:
    """Perfect concordance has no maximum, whatever the covariate's unit."""
    time = np.arange(1.0, 21.0)
    y = Outcome(time=time, event=np.ones(20, dtype=int))
    with pytest.raises(NotEstimable, match="rises for ever"):
        fit_cox(y, -unit * time[:, None])


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_ordinary_covariates_in_odd_units_are_fitted(unit: float) -> None:
    """Very small or large units do not look like a likelihood without maximum."""
    y, x = draw(4)
    one, other = fit_cox(y, x), fit_cox(y, x * unit)
    assert other.coef * unit == pytest.approx(one.coef, rel=1e-6)


def test_one_patient_is_refused_and_one_time_has_no_effect() -> None:
    """n = 1 has no risk set to compare with; if all die together nothing foretells the order."""
    with pytest.raises(NotEstimable, match="constant"):
        fit_cox(Outcome(time=[1.0], event=[1]), [[2.0]])
    together = fit_cox(Outcome(time=[2.0, 2.0, 2.0], event=[1, 1, 1]), [[0.0], [1.0], [2.0]])
    assert together.coef == pytest.approx([0.0], abs=1e-12)


def test_one_event_is_enough_when_it_lies_inside() -> None:
    """A single event of middling covariate has a finite coefficient."""
    y = Outcome(time=[1.0, 2.0, 3.0], event=[1, 0, 0])
    model = fit_cox(y, [[0.4], [0.0], [1.0]])
    assert np.isfinite(model.coef).all()
    assert model.n_events == 1
    with pytest.raises(NotEstimable):
        fit_cox(y, [[1.0], [0.0], [0.5]])


def test_extreme_covariates_do_not_overflow() -> None:
    """An outlier of a million standard deviations is fitted or refused without a warning."""
    y, x = draw(5)
    x = x.copy()
    x[0, 0] = 1e6
    model = fit_cox(y, x)
    assert np.isfinite(model.coef).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ties": "exact"}, ConfigError, "expected efron or breslow"),
        ({"ridge": -1.0}, ConfigError, "0 or more"),
        ({"l1": float("nan")}, ConfigError, "0 or more"),
        ({"names": ["a"]}, DataError, "expected 2 distinct names"),
        ({"names": ["a", "a"]}, DataError, "distinct"),
        ({"weights": [1.0]}, DataError, "weights have shape"),
        ({"weights": [-1.0] * 80}, DataError, "negative"),
        ({"offset": [np.inf] * 80}, DataError, "all finite"),
        ({"strata": ["x"]}, DataError, "one label per patient"),
    ],
)
def test_bad_options_are_refused(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    """Every wrong argument has its own sentence."""
    y, x = draw()
    with pytest.raises(error, match=message):
        fit_cox(y, x, **options)  # type: ignore[arg-type]


def test_rows_must_match_the_outcome() -> None:
    """Covariates of another number of patients are refused."""
    y, x = draw()
    with pytest.raises(DataError, match="79 rows; expected 80"):
        fit_cox(y, x[1:])


def test_models_of_other_rows_or_names_are_not_nested() -> None:
    """A likelihood-ratio test of unlike models is refused."""
    y, x = draw()
    large = fit_cox(y, x, names=["a", "b"])
    with pytest.raises(DataError, match="not nested"):
        likelihood_ratio_test(fit_cox(y, x[:, :1], names=["c"]), large)
    part = fit_cox(y.take(np.arange(70)), x[:70, :1], names=["a"])
    with pytest.raises(DataError, match="same rows"):
        likelihood_ratio_test(part, large)
    with pytest.raises(NotEstimable, match="penalised"):
        likelihood_ratio_test(fit_cox(y, x[:, :1], names=["a"], ridge=1.0), large)
