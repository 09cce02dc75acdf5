"""Join clinical columns and a slide score: what the columns say together is one number, too.

A score of slides that was made from hundreds of features is one column beside ten clinical ones.
Shrunk by one penalty they pull it down, and free they are overfitted.  So the columns are first
shrunk among themselves to a clinical score; the two scores, both of patients whom what made them
had not seen, are then joined by two coefficients (stacked regressions: Wolpert 1992; Breiman 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome
from metastra.survival.step_function import StepFunction
from metastra.training.penalty import ChosenPenalty, choose_penalty

__all__ = ["Joined", "cross_fitted_scores", "join"]

_Array = NDArray[np.float64]

_FLAT = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Joined:
    """Columns and a score in one linear predictor.

    Parameters
    ----------
    coef : ndarray of shape (p,)
        Of the columns as they were given, the score among them.
    baseline : StepFunction
        Cumulative hazard at columns of 0.
    chosen : ChosenPenalty
        Of the columns without the score.
    weights : tuple of (float, float)
        Coefficients of the clinical score and of the slide score; 0 for one that pointed the wrong
        way.
    """

    coef: _Array
    baseline: StepFunction
    chosen: ChosenPenalty
    weights: tuple[float, float]


def join(outcome: Outcome, x: _Array, groups: NDArray[np.int64], score: int) -> Joined:
    """Fit one cause by clinical columns and a score.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, one cause (others censored).
    x : ndarray of shape (n, p)
        Columns with mean 0 and standard deviation 1, none missing.
    groups : ndarray of shape (n,), int64
        Parts; the score of a patient is of a model that has not seen the patient's part.
    score : int
        Which column is the score.

    Returns
    -------
    Joined
        Its coefficient is not below 0, nor is that of the clinical score.

    Notes
    -----
    The clinical score of a patient comes from coefficients without the patient's part.  The
    penalty behind them is one for all parts and was chosen by their outcomes together.  The two
    joining coefficients are shrunk by a penalty of their own, chosen in the same way.
    """
    others = np.delete(np.arange(x.shape[1]), score)
    chosen = choose_penalty(outcome, x[:, others], groups)
    whole = fit_cox(outcome, x[:, others], ridge=chosen.ridge, l1=chosen.l1).coef
    clinical = cross_fitted_scores(outcome, x[:, others], groups, chosen)
    first, second = _weights(outcome, clinical, x[:, score], groups)
    coef = np.empty(x.shape[1])
    coef[others], coef[score] = first * whole, second
    level = first * clinical + second * x[:, score]
    flat = fit_cox(outcome, np.empty((outcome.n, 0)), offset=level)
    return Joined(coef=coef, baseline=flat.baseline(), chosen=chosen, weights=(first, second))


def cross_fitted_scores(
    outcome: Outcome, x: _Array, groups: NDArray[np.int64], chosen: ChosenPenalty
) -> _Array:
    """Score each patient by coefficients that were fitted without the patient's part.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, one cause.
    x : ndarray of shape (n, p)
        Columns of one scale.
    groups : ndarray of shape (n,), int64
        Parts; -1 for patients who are never held out, whose score is of all patients.
    chosen : ChosenPenalty
        For all patients; it is a penalty per event, and a part's others have fewer.

    Returns
    -------
    ndarray of shape (n,)
        With mean 0 over the patients that each set of coefficients was fitted on; 0 for a part
        without which nobody has the event.
    """
    scores = np.zeros(outcome.n)
    for part in np.unique(groups):
        held = groups == part
        kept = ~held if part >= 0 else np.ones(outcome.n, dtype=np.bool_)
        inside = outcome.take(kept)
        if not inside.n_events():
            continue
        share = inside.n_events() / outcome.n_events()
        level = x[kept].mean(axis=0)
        fit = fit_cox(inside, x[kept], ridge=chosen.ridge * share, l1=chosen.l1 * share)
        scores[held] = (x[held] - level) @ fit.coef
    return scores


def _weights(
    outcome: Outcome, clinical: _Array, score: _Array, groups: NDArray[np.int64]
) -> tuple[float, float]:
    """Maximise over two coefficients that are not below 0, shrunk as any columns are."""
    both = np.column_stack([clinical, score])
    spread = both.std(axis=0)
    weights = np.zeros(2)
    free = np.flatnonzero(spread > _FLAT)
    while free.size:
        scaled = both[:, free] / spread[free]
        chosen = choose_penalty(outcome, scaled, groups)
        coef = fit_cox(outcome, scaled, ridge=chosen.ridge, l1=chosen.l1).coef
        if (coef >= 0.0).all():
            weights[free] = coef / spread[free]
            break
        # of two bounds in a convex problem the one that is broken most holds first
        free = np.delete(free, int(coef.argmin()))
    return float(weights[0]), float(weights[1])
