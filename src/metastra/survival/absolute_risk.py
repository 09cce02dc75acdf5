"""Absolute risk of one cause from Cox models of every cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError, NotEstimable
from metastra.survival.cox import fit_cox
from metastra.survival.cox_model import CoxModel
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import Ties

__all__ = ["absolute_risk", "fit_cause_specific_cox", "risk_from_hazards"]

_Array = NDArray[np.float64]

_CELLS = 4_000_000
"""Patients times event times held in memory at once."""


def fit_cause_specific_cox(
    outcome: Outcome,
    covariates: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    ties: Ties = "efron",
    strata: ArrayLike | None = None,
    ridge: float = 0.0,
) -> dict[int, CoxModel]:
    """Fit one Cox model for each cause, the other causes censored.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    covariates : array_like of shape (n, p)
        The same for all causes.
    names : sequence of str, optional
        Of the covariates.
    ties : {"efron", "breslow"}
        Treatment of ties.
    strata : array_like of shape (n,), optional
        Strata with baseline hazards of their own.
    ridge : float
        Penalty, as in `fit_cox`.

    Returns
    -------
    dict of int to CoxModel
        By cause, for every cause that occurs.

    Raises
    ------
    NotEstimable
        When nobody has an event, or a model cannot be fitted.
    DataError
        When arrays do not fit together.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6, 7, 8], event=[1, 2, 1, 0, 1, 2, 0, 1])
    >>> models = fit_cause_specific_cox(y, [[1], [0], [1], [0], [0], [1], [0], [1]])
    >>> sorted(models)
    [1, 2]
    """
    if not outcome.causes:
        raise NotEstimable(f"no event among {outcome.n} patients: there is nothing to fit")
    return {
        cause: fit_cox(
            outcome.only(cause), covariates, names=names, ties=ties, strata=strata, ridge=ridge
        )
        for cause in outcome.causes
    }


def absolute_risk(
    models: Mapping[int, CoxModel],
    covariates: ArrayLike | Mapping[int, ArrayLike],
    times: ArrayLike,
    *,
    cause: int = 1,
    stratum: object = None,
) -> _Array:
    """Risk of a cause by given times, competing causes taken into account.

    Parameters
    ----------
    models : mapping of int to CoxModel
        One for each cause, fitted to the same patients.
    covariates : array_like of shape (r, p), or mapping of int to such
        New rows; a mapping by cause where the models have different covariates.
    times : array_like of shape (t,)
        Horizons in the unit of the outcome.
    cause : int
        Which cause.
    stratum : object, optional
        Label of the patients' stratum; not needed when there is one.

    Returns
    -------
    ndarray of shape (r, t)
        Probabilities.

    Raises
    ------
    DataError
        When there is no model of the cause, or covariates do not fit.
    NotEstimable
        When a time lies past the last follow-up.

    Notes
    -----
    Benichou and Gail 1990; Ozenne et al. 2017: the sum over event times u of S(u-) dH_cause(u),
    with S the product of one less the sum of all causes' jumps (the product-limit form of R's
    ``riskRegression::CSC``).  Where the jumps of a patient at very high risk add up to more than 1
    they are scaled to 1, so that risks stay probabilities.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6, 7, 8], event=[1, 2, 1, 0, 1, 2, 0, 1])
    >>> x = [[1], [0], [1], [0], [0], [1], [0], [1]]
    >>> models = fit_cause_specific_cox(y, x)
    >>> both = [absolute_risk(models, [[1.0]], [5.0], cause=k)[0, 0] for k in (1, 2)]
    >>> bool(0 < sum(both) < 1)
    True
    """
    if cause not in models:
        raise DataError(f"there is no model of cause {cause}; expected one of {sorted(models)}")
    at = np.atleast_1d(np.asarray(times, dtype=np.float64))
    curves = {code: model.baseline(stratum) for code, model in models.items()}
    end = min(curve.support_end for curve in curves.values())
    if at.size and at.max() > end:
        raise NotEstimable(
            f"nothing is known at time {float(at.max()):g}: follow-up ends at {end:g}"
        )
    grid = np.unique(np.concatenate([curve.times for curve in curves.values()]))
    grid = grid[grid <= at.max(initial=-np.inf)]
    jumps = {code: np.diff(curve(grid, extend=True), prepend=0.0) for code, curve in curves.items()}
    relative = {
        code: np.exp(model.linear_predictor(_rows_for(covariates, code)))
        for code, model in models.items()
    }
    return risk_from_hazards(relative, grid, jumps, at, cause=cause)


def risk_from_hazards(
    relative: Mapping[int, _Array],
    grid: _Array,
    jumps: Mapping[int, _Array],
    times: _Array,
    *,
    cause: int = 1,
) -> _Array:
    """Risk of a cause from relative hazards and the jumps of the baseline hazards.

    Parameters
    ----------
    relative : mapping of int to ndarray of shape (r,)
        Relative hazard of each patient, by cause.
    grid : ndarray of shape (m,)
        Ascending times at which a baseline hazard jumps.
    jumps : mapping of int to ndarray of shape (m,)
        Jumps of the baseline hazard of each cause.
    times : ndarray of shape (t,)
        Horizons, in the unit of `grid`; that they lie within the follow-up is not checked here.
    cause : int
        Which cause.

    Returns
    -------
    ndarray of shape (r, t)
        Probabilities, as `absolute_risk` defines them.

    Raises
    ------
    DataError
        When the causes have different numbers of patients.

    Examples
    --------
    >>> one = {1: np.array([1.0])}
    >>> risk_from_hazards(
    ...     one, np.array([1.0, 2.0]), {1: np.array([0.5, 0.5])}, np.array([1.0, 2.0])
    ... )
    array([[0.5 , 0.75]])
    """
    n_rows = {values.size for values in relative.values()}
    if len(n_rows) != 1:
        raise DataError(f"the covariates of the causes have {sorted(n_rows)} rows; expected one n")
    position = np.searchsorted(grid, times, side="right")
    total = n_rows.pop()
    step = max(_CELLS // max(grid.size, 1), 1)
    parts = [
        _risk(
            {code: values[first : first + step] for code, values in relative.items()}, jumps, cause
        )[:, position]
        for first in range(0, total, step)
    ]
    return np.concatenate(parts) if parts else np.empty((0, times.size))


def _rows_for(covariates: ArrayLike | Mapping[int, ArrayLike], code: int) -> ArrayLike:
    if isinstance(covariates, Mapping):
        if code not in covariates:
            raise DataError(f"there are no covariates for cause {code}")
        return covariates[code]
    return covariates


def _risk(relative: Mapping[int, _Array], jumps: Mapping[int, _Array], cause: int) -> _Array:
    """Risk of some patients before the first and after every event time."""
    hazard = np.zeros((relative[cause].size, jumps[cause].size))
    for code in relative:
        hazard += np.outer(relative[code], jumps[code])
    before = np.ones_like(hazard)
    np.cumprod(np.maximum(1.0 - hazard[:, :-1], 0.0), axis=1, out=before[:, 1:])
    own = np.outer(relative[cause], jumps[cause]) / np.maximum(hazard, 1.0)
    risk = np.zeros((hazard.shape[0], hazard.shape[1] + 1))
    np.cumsum(before * own, axis=1, out=risk[:, 1:])
    return risk
