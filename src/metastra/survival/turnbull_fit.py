"""Innermost intervals, and the masses on them that maximise the likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from metastra.errors import NotEstimable

__all__ = ["InnermostIntervals", "MassFit", "innermost_intervals", "maximise_masses"]

_Array = NDArray[np.float64]
_EM_STEPS = 25
"""Steps of self-consistency before the quadratic steps: cheap, and near enough to start."""
_MAX_STEPS = 300
_GAP = 1e-9
"""Largest share of the weight by which the likelihood may still rise."""


@dataclass(frozen=True, kw_only=True, eq=False)
class InnermostIntervals:
    """Where a likelihood of censored events can have mass, and which patients reach it.

    Parameters
    ----------
    left, right : ndarray of shape (m,)
        Ends of the intervals, ascending; ``(left, right]``, or the point itself when equal.
    first, last : ndarray of shape (k,), int64
        Distinct sets of patients: set i can have its event in the intervals ``first[i]`` to
        ``last[i] - 1``.
    weight : ndarray of shape (k,)
        Sum of the patients' weights in each set.
    """

    left: _Array
    right: _Array
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    weight: _Array

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(self.weight.sum())

    def membership(self) -> _Array:
        """Which intervals each set reaches.

        Returns
        -------
        ndarray of shape (k, m)
            1 where interval j lies in set i, else 0.
        """
        place = np.arange(self.left.size)
        inside = (place >= self.first[:, None]) & (place < self.last[:, None])
        return inside.astype(np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class MassFit:
    """Masses at the maximum of the likelihood, with the proof that it is one.

    Parameters
    ----------
    mass : ndarray of shape (m,)
        Not negative, sum 1.
    gradient : ndarray of shape (m,)
        Derivative of the log-likelihood by each mass; at the maximum it equals the total weight
        where there is mass and is not above it elsewhere.
    loglik : float
        Weighted log-likelihood.
    gap : float
        No distribution whatsoever has a log-likelihood higher by more than this.
    n_steps : int
        Quadratic steps taken.
    """

    mass: _Array
    gradient: _Array
    loglik: float
    gap: float
    n_steps: int


def innermost_intervals(left: _Array, right: _Array, weight: _Array) -> InnermostIntervals:
    """Find the intervals on which a maximum-likelihood distribution can have mass.

    Parameters
    ----------
    left, right : ndarray of shape (n,)
        Events lie in ``(left, right]``, or at `left` when equal; `right` may be infinite.
    weight : ndarray of shape (n,)
        Not negative; patients of weight 0 do not take part.

    Returns
    -------
    InnermostIntervals
        A left end followed by a right end with no other end between (Peto 1973; Turnbull 1976).

    Raises
    ------
    NotEstimable
        When every weight is 0.

    Examples
    --------
    >>> cells = innermost_intervals(np.array([0.0, 1.0]), np.array([2.0, np.inf]), np.ones(2))
    >>> cells.left.tolist(), cells.right.tolist()
    ([1.0], [2.0])
    """
    use = weight > 0.0
    if not use.any():
        raise NotEstimable("no patient has a weight above 0: there is nothing to fit")
    left, right = left[use], right[use]
    values = np.unique(np.concatenate([left, right]))
    # An open left end lies just after its value, an exact event and a right end at it.
    start = 2 * np.searchsorted(values, left) + (left < right)
    stop = 2 * np.searchsorted(values, right)
    starts, stops = np.unique(start), np.unique(stop)
    next_stop = stops[np.searchsorted(stops, starts)]
    next_start = np.append(starts[1:], 2 * values.size + 2)
    inner = next_start > next_stop
    inner_start, inner_stop = starts[inner], next_stop[inner]
    sets, number = np.unique(
        np.column_stack(
            [
                np.searchsorted(inner_start, start, side="left"),
                np.searchsorted(inner_stop, stop, side="right"),
            ]
        ),
        axis=0,
        return_inverse=True,
    )
    return InnermostIntervals(
        left=values[inner_start // 2],
        right=values[inner_stop // 2],
        first=sets[:, 0].astype(np.int64),
        last=sets[:, 1].astype(np.int64),
        weight=np.bincount(number.reshape(-1), weights=weight[use]).astype(np.float64),
    )


def maximise_masses(cells: InnermostIntervals) -> MassFit:
    """Find the masses that maximise the likelihood.

    Parameters
    ----------
    cells : InnermostIntervals
        Where mass can lie.

    Returns
    -------
    MassFit
        With `gap` at most 1e-9 of the total weight.

    Raises
    ------
    NotEstimable
        When the steps run out before the gap is that small.

    Notes
    -----
    Self-consistency steps (Turnbull 1976), then the constrained Newton method of Wang (2007,
    Journal of the Royal Statistical Society B 69, 185–198; for interval-censored data Wang 2008,
    Computational Statistics & Data Analysis 52, 2388–2402): each step minimises the quadratic
    approximation of the log-likelihood over the simplex as one non-negative least-squares problem
    and halves its length until the likelihood rises.  Because the log-likelihood is concave, its
    distance from the maximum is at most ``max(gradient) - total weight`` (Lindsay 1983; the
    condition of Gentleman and Geyer 1994), whatever path was taken.

    Examples
    --------
    >>> cells = innermost_intervals(
    ...     np.array([0.0, 0.0, 1.0]), np.array([1.0, 2.0, 2.0]), np.ones(3)
    ... )
    >>> maximise_masses(cells).mass.round(6).tolist()
    [0.5, 0.5]
    """
    reach, weight, total = cells.membership(), cells.weight, cells.total
    mass = np.full(reach.shape[1], 1.0 / reach.shape[1])
    for _ in range(_EM_STEPS):
        mass = mass * (reach.T @ (weight / (reach @ mass))) / total
    mass /= mass.sum()
    for step in range(_MAX_STEPS):
        probability = reach @ mass
        gradient = reach.T @ (weight / probability)
        gap = float(gradient.max()) - total
        if gap <= _GAP * total:
            return MassFit(
                mass=mass,
                gradient=gradient,
                loglik=float(weight @ np.log(probability)),
                gap=max(gap, 0.0),
                n_steps=step,
            )
        mass = _quadratic_step(reach, weight, mass, gradient)
    raise NotEstimable(
        f"the likelihood could still rise by {gap:.2g} after {_MAX_STEPS} steps: no maximum to "
        "report"
    )


def _quadratic_step(reach: _Array, weight: _Array, mass: _Array, gradient: _Array) -> _Array:
    """One step of the constrained Newton method, never downhill."""
    total = float(weight.sum())
    above = gradient >= total
    peak = above & (gradient >= np.append(gradient[1:], 0.0))
    peak &= gradient >= np.insert(gradient[:-1], 0, 0.0)
    chosen = np.flatnonzero((mass > 0.0) | peak)
    probability = reach @ mass
    # Minimising |P x| over the simplex is this non-negative least squares, rescaled (Dax 1990).
    rows = np.sqrt(weight)[:, None] * (reach[:, chosen] / probability[:, None] - 2.0)
    target = np.zeros(rows.shape[0] + 1)
    target[-1] = 1.0
    try:
        solution = nnls(np.vstack([rows, np.ones(chosen.size)]), target)[0]
    except RuntimeError as error:
        raise NotEstimable(f"the masses could not be solved for: {error}") from error
    goal = np.zeros_like(mass)
    goal[chosen] = solution / solution.sum()
    return _climb(reach, weight, mass, goal)


def _climb(reach: _Array, weight: _Array, mass: _Array, goal: _Array) -> _Array:
    """Go towards a goal as far as the likelihood rises."""
    here = reach @ mass
    there = reach @ goal
    start = float(weight @ np.log(here))
    slope = float((weight / here) @ (there - here))
    length = 1.0
    for _ in range(40):
        probability = (1.0 - length) * here + length * there
        if (probability > 0.0).all():
            rise = float(weight @ np.log(probability)) - start
            if rise >= slope * length / 3.0 - 1e-14 * abs(start):
                break
        length *= 0.5
    return (1.0 - length) * mass + length * goal
