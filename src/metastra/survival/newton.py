"""Maximise a partial likelihood: Newton's method, and proximal Newton for an elastic net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.survival.partial_likelihood import LikelihoodState, PartialLikelihood

__all__ = ["Fit", "Penalty", "maximise", "maximise_penalised"]

_Array = NDArray[np.float64]

_SINGULAR = 1e-10
"""Smallest eigenvalue of the information scaled to ones on its diagonal."""

_INFINITE = 1e-2
"""A step that still moves a linear predictor by more, when the likelihood no longer rises."""


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """Subtracted from the log-likelihood: ``ridge/2 Σ b² + l1 Σ |b|``, covariates not scaled.

    Parameters
    ----------
    ridge, l1 : float
        Not negative.
    """

    ridge: float = 0.0
    l1: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.ridge > 0.0 or self.l1 > 0.0)

    def value(self, coef: _Array) -> float:
        """Evaluate the penalty.

        Parameters
        ----------
        coef : ndarray of shape (p,)
            Coefficients.

        Returns
        -------
        float
            Not negative.
        """
        return float(0.5 * self.ridge * (coef @ coef) + self.l1 * np.abs(coef).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Where the search ended.

    Parameters
    ----------
    state : LikelihoodState
        The likelihood there.
    null : LikelihoodState
        The likelihood at coefficients of 0.
    converged : bool
        The rule for stopping was met.
    iterations : int
        Newton steps taken.
    """

    state: LikelihoodState
    null: LikelihoodState
    converged: bool
    iterations: int


def maximise(
    likelihood: PartialLikelihood,
    names: Sequence[str],
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 30,
    gradient_rule: bool = False,
) -> Fit:
    """Climb to the maximum from coefficients of 0.

    Parameters
    ----------
    likelihood : PartialLikelihood
        Of p coefficients.
    names : sequence of str
        Of the covariates, for messages.
    tolerance : float
        Stop when a step raises the log-likelihood by less than this share of it (R's
        ``coxph.control(eps)``); with `gradient_rule`, when the largest ``|score| max(|b|, 1)`` is
        below this share of it (``cmprsk::crr(gtol)``).
    max_iterations : int
        Newton steps.
    gradient_rule : bool
        Which rule.

    Returns
    -------
    Fit
        With ``converged`` False when the steps ran out.

    Raises
    ------
    NotEstimable
        When covariates are constant or collinear in the risk sets, or the likelihood rises for
        ever because a covariate foretells the order of the events.
    """
    null = state = likelihood.at(np.zeros(likelihood.design.shape[1]))
    _refuse_singular(null.information, likelihood, names)
    converged = state.coef.size == 0 or (gradient_rule and _flat(state, tolerance))
    iterations = 0
    while not converged and iterations < max_iterations:
        iterations += 1
        before = state
        try:
            step = _solve(state.information, state.score)
        except np.linalg.LinAlgError:
            break
        state = likelihood.at(before.coef + step)
        halvings = 0
        while state.loglik < before.loglik - 1e-12 * abs(before.loglik) and halvings < 30:
            halvings += 1
            step = 0.5 * step
            state = likelihood.at(before.coef + step)
        if gradient_rule:
            converged = _flat(state, tolerance)
        else:
            rise = abs(state.loglik - before.loglik)
            converged = halvings == 0 and rise <= tolerance * abs(state.loglik)
    _refuse_infinite(state, likelihood, names)
    return Fit(state=state, null=null, converged=bool(converged), iterations=iterations)


def maximise_penalised(
    likelihood: PartialLikelihood,
    penalty: Penalty,
    *,
    tolerance: float = 1e-10,
    max_iterations: int = 100,
) -> Fit:
    """Maximise the log-likelihood less a penalty.

    Parameters
    ----------
    likelihood : PartialLikelihood
        Of p coefficients.
    penalty : Penalty
        Ridge, lasso or both.
    tolerance : float
        Stop when a step raises the objective by less than this share of it.
    max_iterations : int
        Newton steps.

    Returns
    -------
    Fit
        Coefficients that a lasso sets to zero are exactly 0.

    Notes
    -----
    Proximal Newton: the quadratic model with the full information is maximised under the penalty
    by coordinate descent, then the step is halved until the objective rises (Simon, Friedman,
    Hastie and Tibshirani 2011; Lee, Sun and Saunders 2014).
    """
    null = state = likelihood.at(np.zeros(likelihood.design.shape[1]))
    objective = state.loglik
    converged, iterations = state.coef.size == 0, 0
    while not converged and iterations < max_iterations:
        iterations += 1
        target = _proximal_step(state, penalty)
        step = target - state.coef
        gain, halvings = -1.0, 0
        while halvings < 40:
            trial = likelihood.at(state.coef + step)
            gain = trial.loglik - penalty.value(trial.coef) - objective
            if gain >= -1e-13 * max(abs(objective), 1.0):
                break
            halvings += 1
            step = 0.5 * step
        else:
            break
        state, objective = trial, objective + gain
        converged = gain <= tolerance * max(abs(objective), 1.0)
    return Fit(state=state, null=null, converged=bool(converged), iterations=iterations)


def _proximal_step(state: LikelihoodState, penalty: Penalty) -> _Array:
    """Maximise the quadratic model less the penalty, one coordinate at a time."""
    curvature = state.information
    diagonal = np.diag(curvature) + penalty.ridge
    usable = diagonal > 0.0
    if penalty.l1 == 0.0:
        ridged = curvature + penalty.ridge * np.eye(state.coef.size)
        linear = state.score + curvature @ state.coef
        return np.asarray(np.linalg.lstsq(ridged, linear, rcond=None)[0], dtype=np.float64)
    coef = state.coef.copy()
    gradient = state.score.copy()
    for _ in range(1000):
        largest = 0.0
        for k in np.flatnonzero(usable):
            pull = gradient[k] + curvature[k, k] * coef[k]
            shrunk = np.sign(pull) * max(abs(pull) - penalty.l1, 0.0) / diagonal[k]
            change = shrunk - coef[k]
            if change != 0.0:
                coef[k] = shrunk
                gradient -= curvature[:, k] * change
                largest = max(largest, abs(change) * np.sqrt(diagonal[k]))
        if largest < 1e-10:
            break
    return coef


def _solve(information: _Array, score: _Array) -> _Array:
    """Newton's step, by a Cholesky factor of the information scaled to a unit diagonal."""
    diagonal = np.diag(information)
    if not (np.isfinite(information).all() and (diagonal > 0.0).all()):
        raise np.linalg.LinAlgError("no curvature")
    scale = np.sqrt(diagonal)
    scaled = information / np.outer(scale, scale)
    factor = np.linalg.cholesky(scaled)
    half = np.linalg.solve(factor, score / scale)
    return np.asarray(np.linalg.solve(factor.T, half) / scale, dtype=np.float64)


def _flat(state: LikelihoodState, tolerance: float) -> bool:
    """Apply the rule of ``crr``, which alone would stop at once on covariates in tiny units."""
    reach = np.abs(state.score) * np.maximum(np.abs(state.coef), 1.0)
    if reach.max(initial=0.0) >= max(abs(state.loglik), 1.0) * tolerance:
        return False
    try:
        rise = float(state.score @ _solve(state.information, state.score))
    except np.linalg.LinAlgError:
        return False
    return rise < 1e-3


def _refuse_singular(
    information: _Array, likelihood: PartialLikelihood, names: Sequence[str]
) -> None:
    if not names:
        return
    diagonal = np.diag(information)
    spread = np.einsum("ij,ij->j", likelihood.design, likelihood.design)
    level = likelihood.multiplicity.sum() * np.finfo(np.float64).eps * 1e4
    share = spread / max(likelihood.design.shape[0], 1)
    flat = (diagonal <= level * share) | (diagonal <= 0.0)
    if flat.any():
        constant = [name for name, is_flat in zip(names, flat, strict=True) if is_flat]
        raise NotEstimable(
            f"constant wherever an event happens, so without a coefficient: {', '.join(constant)}"
        )
    scale = np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    if values[0] < _SINGULAR:
        involved = np.abs(vectors[:, values < _SINGULAR]).max(axis=1) > 0.05
        tied = [name for name, is_tied in zip(names, involved, strict=True) if is_tied]
        raise NotEstimable(
            f"collinear, so without coefficients of their own: {', '.join(tied)}; leave one out"
        )


def _refuse_infinite(
    state: LikelihoodState, likelihood: PartialLikelihood, names: Sequence[str]
) -> None:
    """Refuse a likelihood that has no maximum.

    Where a coefficient runs away each Newton step still moves the linear predictor by about 1
    while the likelihood stands still; at a true maximum the next step is next to nothing.
    """
    if not names:
        return
    reach = np.abs(likelihood.design).max(axis=0)
    try:
        step = _solve(state.information, state.score)
    except np.linalg.LinAlgError:
        step = np.where(np.abs(state.coef) * reach > 5.0, np.inf, 0.0)
        if not np.isinf(step).any():
            step = np.full(state.coef.size, np.inf)
    runaway = np.abs(step) * reach > _INFINITE
    if runaway.any():
        listed = [name for name, is_runaway in zip(names, runaway, strict=True) if is_runaway]
        raise NotEstimable(
            f"the likelihood rises for ever: {', '.join(listed)} foretells the order of the "
            "events; a penalty (ridge > 0) makes it estimable"
        )
