"""Closed testing: how far a model has to be updated for a new population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from metastra.errors import ConfigError, DataError

__all__ = ["ClosedTest", "UpdateComparison", "UpdateStep", "closed_test_of_updates"]


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
    if not 0.0 < level < 1.0:
        raise ConfigError(f"the level is {level}; expected a number between 0 and 1")
    parameters = [step.n_parameters for step in steps]
    likelihoods = np.array([step.log_likelihood for step in steps])
    if len(steps) < 2 or not (np.diff(parameters) > 0).all():
        raise DataError("the ladder of updates needs two or more steps with rising parameters")
    if not np.isfinite(likelihoods).all() or (np.diff(likelihoods) < -1e-6).any():
        raise DataError(
            "a fuller update cannot fit worse: are the steps nested and fitted to one set?"
        )
    fullest = steps[-1]
    made = []
    for step in steps[:-1]:
        chi2 = max(2.0 * (fullest.log_likelihood - step.log_likelihood), 0.0)
        df = fullest.n_parameters - step.n_parameters
        p_value = float(chdtrc(df, chi2))
        made.append(UpdateComparison(step=step.name, chi2=chi2, df=df, p_value=p_value))
        if p_value > level:
            return ClosedTest(chosen=step.name, comparisons=tuple(made), level=level)
    return ClosedTest(chosen=fullest.name, comparisons=tuple(made), level=level)
