"""The baseline of every slide model: ridge Cox regression on the mean features of a patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.slide_member import Member
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import LikelihoodState, PartialLikelihood
from metastra.survival.risk_sums import RiskSets
from metastra.training.slide_objective import CoxObjective
from metastra.training.slide_parts import InnerParts
from metastra.training.slide_space import MeanSpace, plain_space

__all__ = ["LinearPaths", "fit_linear_paths"]

_Array = NDArray[np.float64]

_RIDGES = tuple(float(g) for g in np.geomspace(10.0, 3e-3, 8))
"""Penalties per event, as shares of the variance along the widest direction."""
_MOST_STEPS, _MOST_HALVINGS = 50, 30
_STOP = 1e-10
"""A Newton step that raises the objective by less than this share of it is the last."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearPaths:
    """Ridge models along a grid of penalties, one path for each set of parts left out.

    Parameters
    ----------
    centre, scale : ndarray of shape (d,)
        Of the patients' means.
    low, high : ndarray of shape (d,)
        Least and largest standardised mean of any patient.
    coef : ndarray of shape (m, s, d)
        For m models and s penalties, from the strongest.
    bias : ndarray of shape (m, s)
        Makes the mean score of the patients fitted on 0.
    gains : dict of (int, int) to ndarray of shape (s,)
        For a model and a part that it was fitted without: the gain of each penalty.
    settings : tuple of str
        Names of the penalties.
    """

    centre: _Array
    scale: _Array
    low: _Array
    high: _Array
    coef: _Array
    bias: _Array
    gains: dict[tuple[int, int], _Array]
    settings: tuple[str, ...]

    def member(self, model: int, setting: int) -> Member:
        """Take one fitted model.

        Parameters
        ----------
        model, setting : int
            Positions.

        Returns
        -------
        Member
            For `metastra.bundle.slide_model.SlideModel`.  It holds the mean of each feature inside
            the range of the patients fitted on: what lies beyond was never seen, and a feature
            that hardly varied among them would carry the score anywhere.
        """
        return Member(
            head_weight=self.coef[model, setting][:, None],
            head_bias=self.bias[model, setting, None],
            mean_low=self.low,
            mean_high=self.high,
        )


def fit_linear_paths(
    means: _Array, outcome: Outcome, parts: InnerParts, space: MeanSpace | None = None
) -> LinearPaths:
    """Fit ridge Cox models of the event of interest, without each set of inner parts.

    Parameters
    ----------
    means : ndarray of shape (n, d)
        Mean features of each patient's tiles.
    outcome : Outcome
        Of the same patients.
    parts : InnerParts
        Which to leave out.
    space : MeanSpace, optional
        In which all directions are shrunk alike; by default that of the features, standardised and
        turned to principal components.  It has not looked at an outcome.

    Returns
    -------
    LinearPaths
        Of all models and penalties.

    Raises
    ------
    NotEstimable
        When the mean features are the same for all patients.
    """
    space = plain_space(means) if space is None else space
    components = space.components(means)
    standardised = (means - space.centre) / space.scale
    largest = float(np.linalg.norm(components, 2) ** 2 / len(components))
    own = outcome.only(1)
    objective = CoxObjective(outcome=outcome)
    coef = np.zeros((len(parts.left_out), len(_RIDGES), means.shape[1]))
    bias = np.zeros(coef.shape[:2])
    gains = {}
    for model, out in enumerate(parts.left_out):
        rows = parts.kept(model)
        inside = own.take(rows)
        strengths = [ridge * largest * inside.n_events() for ridge in _RIDGES]
        path = _ridge_path(inside, components[rows], strengths)
        coef[model] = path @ space.basis.T
        bias[model] = -path @ components[rows].mean(axis=0)
        scores = components @ path.T + bias[model]
        for part in out:
            held = parts.label == part
            gains[model, part] = np.array(
                [objective.gain(column[:, None], rows, held) for column in scores.T]
            )
    return LinearPaths(
        centre=space.centre,
        scale=space.scale,
        low=standardised.min(axis=0),
        high=standardised.max(axis=0),
        coef=coef,
        bias=bias,
        gains=gains,
        settings=tuple(f"ridge {ridge:.3g}" for ridge in _RIDGES),
    )


def _ridge_path(outcome: Outcome, x: _Array, ridges: list[float]) -> _Array:
    """Maximise the penalised partial likelihood, each time from the stronger penalty's maximum."""
    n, p = x.shape
    sets = RiskSets.of(outcome, outcome.event != 0, np.zeros(n, dtype=np.int64))
    likelihood = PartialLikelihood.of(sets, x - x.mean(axis=0), np.ones(n), np.zeros(n), "efron")
    path = np.empty((len(ridges), p))
    state = likelihood.at(np.zeros(p))
    for setting, ridge in enumerate(ridges):
        objective = _penalised(state, ridge)
        for _ in range(_MOST_STEPS):
            slope = state.score - ridge * state.coef
            step = np.linalg.solve(state.information + ridge * np.eye(p), slope)
            trial, risen = state, objective
            for _ in range(_MOST_HALVINGS):
                trial = likelihood.at(state.coef + step)
                risen = _penalised(trial, ridge)
                if risen >= objective:
                    break
                step = 0.5 * step
            else:
                break
            gain, state, objective = risen - objective, trial, risen
            if gain <= _STOP * max(abs(objective), 1.0):
                break
        path[setting] = state.coef
    return path


def _penalised(state: LikelihoodState, ridge: float) -> float:
    return state.loglik - 0.5 * ridge * float(state.coef @ state.coef)
