"""Closed testing: how far a model has to be updated for a new population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from metastra.errors import ConfigError, DataError

__all__ = [
    "ClosedTest",
    "UpdateComparison",
    "UpdateStep",
    "close_comparisons",
    "closed_test_of_updates",
]


@dataclass(frozen=True, kw_only=True)
class UpdateStep:
    """One rung of the ladder: a way to update the model, fitted to the new data.

    Parameters
    ----------
    name : str
        For instance ``"none"``, ``"intercept"``, ``"recalibration"``, ``"refit"``.
    log_likelihood : float
        On the new data.
    n_parameters : int
        Parameters that were estimated from them; 0 for the model as it is.
    """

    name: str
    log_likelihood: float
    n_parameters: int


@dataclass(frozen=True, kw_only=True)
class UpdateComparison:
    """Likelihood-ratio test of the last rung against an earlier one.

    Parameters
    ----------
    step : str
        Name of the earlier rung.
    chi2 : float
        Twice the difference in log-likelihood.
    df : int
        Difference in parameters.
    p_value : float
        From the chi-squared distribution.
    """

    step: str
    chi2: float
    df: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class ClosedTest:
    """The update that the data call for.

    Parameters
    ----------
    chosen : str
        Name of the first rung that the fullest update does not beat; of the fullest otherwise.
    comparisons : tuple of UpdateComparison
        The tests that were made, in order; later ones are not needed.
    level : float
        Of each test, and by closure of the whole procedure.
    """

    chosen: str
    comparisons: tuple[UpdateComparison, ...]
    level: float


def closed_test_of_updates(steps: Sequence[UpdateStep], *, level: float = 0.05) -> ClosedTest:
    """Choose the smallest update that does as well as the fullest.

    Parameters
    ----------
    steps : sequence of UpdateStep
        Nested, from the model as it is to the fullest update.
    level : float
        Significance level.

    Returns
    -------
    ClosedTest
        With the tests that led to it.

    Raises
    ------
    ConfigError
        When the level is outside (0, 1).
    DataError
        When there are fewer than two steps, parameters do not rise, or a fuller step fits worse.

    Notes
    -----
    Vergouwe et al. 2017 (Stat Med 36, 4529–4539): the fullest update is tested against each rung
    in turn at the full level; the first test that does not reject ends the procedure, which keeps
    the overall error at the level.

    Examples
    --------
    >>> ladder = [
    ...     UpdateStep(name="none", log_likelihood=-210.0, n_parameters=0),
    ...     UpdateStep(name="intercept", log_likelihood=-203.0, n_parameters=1),
    ...     UpdateStep(name="recalibration", log_likelihood=-202.0, n_parameters=2),
    ...     UpdateStep(name="refit", log_likelihood=-200.0, n_parameters=6),
    ... ]
    >>> closed_test_of_updates(ladder).chosen
    'intercept'
    """
    _check_level(level)
    parameters = [step.n_parameters for step in steps]
    likelihoods = np.array([step.log_likelihood for step in steps])
    if len(steps) < 2 or not (np.diff(parameters) > 0).all():
        raise DataError("the ladder of updates needs two or more steps with rising parameters")
    if not np.isfinite(likelihoods).all() or (np.diff(likelihoods) < -1e-6).any():
        raise DataError(
            "a fuller update cannot fit worse: are the steps nested and fitted to one set?"
        )
    fullest = steps[-1]
    comparisons = []
    for step in steps[:-1]:
        chi2 = max(2.0 * (fullest.log_likelihood - step.log_likelihood), 0.0)
        df = fullest.n_parameters - step.n_parameters
        p_value = float(chdtrc(df, chi2))
        comparisons.append(UpdateComparison(step=step.name, chi2=chi2, df=df, p_value=p_value))
    return close_comparisons(comparisons, fullest=fullest.name, level=level)


def close_comparisons(
    comparisons: Sequence[UpdateComparison], *, fullest: str, level: float = 0.05
) -> ClosedTest:
    """Choose the smallest update from tests that were made elsewhere, for instance Wald tests.

    Parameters
    ----------
    comparisons : sequence of UpdateComparison
        The fullest update against each rung below it, from the lowest.
    fullest : str
        Name of the fullest update.
    level : float
        Significance level of each test.

    Returns
    -------
    ClosedTest
        With the tests up to the first that does not reject.

    Raises
    ------
    ConfigError
        When the level is outside (0, 1).
    DataError
        When there is no test, or one has no p-value.

    Notes
    -----
    Any test of the right level may stand in for the likelihood ratio of Vergouwe et al. 2017:
    closure does not ask what the tests are.

    Examples
    --------
    >>> tests = [
    ...     UpdateComparison(step="none", chi2=9.0, df=2, p_value=0.011),
    ...     UpdateComparison(step="intercept", chi2=1.0, df=1, p_value=0.32),
    ... ]
    >>> close_comparisons(tests, fullest="intercept and slope").chosen
    'intercept'
    """
    _check_level(level)
    if not comparisons or not all(0.0 <= one.p_value <= 1.0 for one in comparisons):
        raise DataError("a closed test needs one or more tests, each with its p-value")
    made = []
    for comparison in comparisons:
        made.append(comparison)
        if comparison.p_value > level:
            return ClosedTest(chosen=comparison.step, comparisons=tuple(made), level=level)
    return ClosedTest(chosen=fullest, comparisons=tuple(made), level=level)


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ConfigError(f"the level is {level}; expected a number between 0 and 1")
