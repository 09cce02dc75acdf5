"""Checks of what a model says: risk scores and risks, one for each patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError, NotEstimable
from metastra.survival.outcome import Outcome

__all__ = ["as_risk", "as_risk_score", "require_follow_up", "require_no_entry"]


def as_risk_score(
    values: ArrayLike, outcome: Outcome, *, name: str = "risk_score"
) -> NDArray[np.float64]:
    """Take an unbounded score; higher is worse.

    Parameters
    ----------
    values : array_like of shape (n,)
        Finite numbers in the order of the outcome.
    outcome : Outcome
        Of the same n patients.
    name : str
        What the values are called in an error.

    Returns
    -------
    ndarray of shape (n,)
        The scores as float64.

    Raises
    ------
    DataError
        When the shape differs or a score is missing or infinite, with all positions.

    Examples
    --------
    >>> as_risk_score([1, 2], Outcome(time=[3, 4], event=[1, 0])).tolist()
    [1.0, 2.0]
    """
    try:
        scores = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds something that is not a number: {error}") from error
    if scores.shape != (outcome.n,):
        raise DataError(
            f"{name} has shape {scores.shape}; expected ({outcome.n},), one number per patient"
        )
    _refuse(~np.isfinite(scores), f"{name} is missing or infinite", "a finite number")
    return scores


def as_risk(
    values: ArrayLike, outcome: Outcome, *, name: str = "risk", inside: bool = False
) -> NDArray[np.float64]:
    """Take the probability of the event by a horizon.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers from 0 to 1 in the order of the outcome.
    outcome : Outcome
        Of the same n patients.
    name : str
        What the values are called in an error.
    inside : bool
        Whether 0 and 1 cannot be used because their complementary log-log does not exist.

    Returns
    -------
    ndarray of shape (n,)
        The risks as float64.

    Raises
    ------
    DataError
        When the shape differs or a risk is missing or outside the range, with all positions.
    NotEstimable
        When `inside` is set and a risk is exactly 0 or 1.

    Examples
    --------
    >>> as_risk([0.2, 0.7], Outcome(time=[3, 4], event=[1, 0])).tolist()
    [0.2, 0.7]
    """
    risks = as_risk_score(values, outcome, name=name)
    _refuse(
        (risks < 0.0) | (risks > 1.0), f"{name} is outside [0, 1]", "a probability by the horizon"
    )
    at_edge = (risks == 0.0) | (risks == 1.0)
    if inside and at_edge.any():
        raise NotEstimable(
            f"{name} is exactly 0 or 1 for {int(at_edge.sum())} of {outcome.n} patients, where "
            "log(-log(1 - risk)) has no value"
        )
    return risks


def require_no_entry(outcome: Outcome, what: str) -> None:
    """Refuse delayed entry where an estimator has no form for it.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    what : str
        The estimator, as the beginning of a sentence.

    Raises
    ------
    NotEstimable
        When the outcome has delayed entry.
    """
    if outcome.entry is not None:
        raise NotEstimable(f"{what} is not defined under delayed entry (left truncation)")


def require_follow_up(outcome: Outcome, horizon: float) -> None:
    """Refuse a horizon that nobody was followed to.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    horizon : float
        In the unit of the outcome.

    Raises
    ------
    NotEstimable
        When the horizon is not after 0, or lies past the last follow-up.
    """
    last = float(outcome.time.max())
    if not horizon > 0.0:
        raise NotEstimable(f"the horizon {horizon:g} is not after the time origin")
    if horizon > last:
        raise NotEstimable(f"the horizon {horizon:g} lies past the last follow-up at {last:g}")


def _refuse(bad: NDArray[np.bool_], found: str, expected: str) -> None:
    if not bad.any():
        return
    positions = np.flatnonzero(bad) + 1
    shown = ", ".join(map(str, positions[:8]))
    more = f" and {positions.size - 8} more" if positions.size > 8 else ""
    raise DataError(
        f"{found} for {positions.size} of {bad.size} patients (positions {shown}{more}); "
        f"expected {expected}"
    )
