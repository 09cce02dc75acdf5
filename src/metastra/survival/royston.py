"""Royston and Sauerbrei's D: separation of survival curves by a score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import rankdata

from metastra.errors import NotEstimable
from metastra.survival.cox import fit_cox
from metastra.survival.intervals import normal_quantile
from metastra.survival.outcome import Outcome
from metastra.survival.scores import as_risk_score

__all__ = ["RoystonD", "royston_d"]

_KAPPA_SQUARED = 8.0 / np.pi


@dataclass(frozen=True, kw_only=True)
class RoystonD:
    """Separation by a score.

    Parameters
    ----------
    estimate : float
        D: log hazard ratio between two groups of equal size cut at the median of the score.
    std_error : float
        Its standard error.
    explained_variation : float
        R²_D on the scale of the log relative hazard.
    n, events : int
        Patients and events.
    """

    estimate: float
    std_error: float
    explained_variation: float
    n: int
    events: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Wald limits of D.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        lower, upper : float
            ``estimate ± z std_error``.
        """
        half = normal_quantile(level) * self.std_error
        return self.estimate - half, self.estimate + half


def royston_d(outcome: Outcome, risk_score: ArrayLike, *, cause: int = 1) -> RoystonD:
    """Measure separation by the coefficient of the score's normal ranks.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; other causes than `cause` are censored.
    risk_score : array_like of shape (n,)
        Higher is worse; only its order matters.
    cause : int
        The event of interest.

    Returns
    -------
    RoystonD
        With the explained variation.

    Raises
    ------
    DataError
        When the scores do not fit the outcome.
    NotEstimable
        Without an event, or when all scores are equal.

    Notes
    -----
    Royston and Sauerbrei 2004: a Cox model (Efron) on Blom's rankits (tied scores share their mean
    rank) divided by κ = √(8/π); ``R²_D = (D²/κ²) / (π²/6 + D²/κ²)``.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6], event=[1, 1, 0, 1, 1, 0])
    >>> round(royston_d(y, [5, 6, 2, 4, 3, 1]).estimate, 4)
    3.5892
    """
    score = as_risk_score(risk_score, outcome)
    if np.ptp(score) == 0.0:
        raise NotEstimable("every patient has the same score, so D has no value")
    rankit = ndtri((rankdata(score) - 0.375) / (outcome.n + 0.25)) / np.sqrt(_KAPPA_SQUARED)
    chosen = outcome.only(cause)
    model = fit_cox(chosen, rankit[:, None], names=["rankit"])
    d = float(model.coef[0])
    explained = d**2 / _KAPPA_SQUARED
    return RoystonD(
        estimate=d,
        std_error=float(model.std_error[0]),
        explained_variation=explained / (explained + np.pi**2 / 6.0),
        n=outcome.n,
        events=chosen.n_events(),
    )
