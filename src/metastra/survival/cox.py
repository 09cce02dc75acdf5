"""Cox's proportional hazards model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import ConfigError, DataError, NotEstimable
from metastra.survival.cox_model import CoxModel
from metastra.survival.cox_tests import ChiSquaredTest, likelihood_ratio_test, sandwich
from metastra.survival.design import as_covariates, check_names, inverse
from metastra.survival.groups import as_groups
from metastra.survival.newton import Penalty, maximise, maximise_penalised
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import PartialLikelihood, Ties
from metastra.survival.risk_sums import RiskSets

__all__ = ["ChiSquaredTest", "CoxModel", "fit_cox", "likelihood_ratio_test"]

_Array = NDArray[np.float64]
_TIES = ("efron", "breslow")


def fit_cox(
    outcome: Outcome,
    covariates: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    ties: Ties = "efron",
    strata: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    ridge: float = 0.0,
    l1: float = 0.0,
    tolerance: float = 1e-9,
    max_iterations: int = 30,
) -> CoxModel:
    """Fit a Cox model by its partial likelihood.

    Parameters
    ----------
    outcome : Outcome
        Of n rows; every code other than 0 counts as the event, so use ``outcome.only(cause)``
        for a cause-specific hazard.  Rows with `entry` are (start, stop] periods: a patient with
        time-dependent covariates has several, named by `cluster`.
    covariates : array_like of shape (n, p)
        Known at the start of each row.
    names : sequence of str, optional
        Of the covariates; ``x1, x2, …`` when left out.
    ties : {"efron", "breslow"}
        Treatment of events at one time.
    strata : array_like of shape (n,), optional
        Each stratum has a baseline hazard of its own.
    weights : array_like of shape (n,), optional
        Case weights, not negative.
    offset : array_like of shape (n,), optional
        Added to the linear predictor with a coefficient of 1.
    cluster : array_like of shape (n,), optional
        Patients (or centres): asks for sandwich standard errors, summed within them.
    ridge, l1 : float
        Elastic net: ``ridge/2 Σ b² + l1 Σ |b|`` is subtracted from the log partial likelihood;
        covariates are used as they are, so bring them to one scale first.
    tolerance : float
        Stop when a Newton step raises the log-likelihood by less than this share of it.
    max_iterations : int
        Newton steps.

    Returns
    -------
    CoxModel
        With coefficients, tests, baseline and predictions.

    Raises
    ------
    ConfigError
        When an option is unknown or a penalty negative.
    DataError
        When arrays do not fit together, or a value is missing.
    NotEstimable
        Without an event; when covariates are constant or collinear; when the likelihood rises
        for ever.

    Notes
    -----
    Cox 1972; Efron 1977; Lin and Wei 1989.  The rule for stopping is that of R's ``coxph``, so
    that coefficients agree to its digits.

    Examples
    --------
    >>> y = Outcome(time=[4, 3, 1, 1, 2, 2, 3], event=[1, 1, 1, 0, 1, 1, 0])
    >>> x, sex = [[0], [2], [1], [1], [1], [0], [0]], [0, 0, 0, 0, 1, 1, 1]
    >>> model = fit_cox(y, x, names=["x"], strata=sex)
    >>> model.coef.round(3).tolist(), model.std_error.round(3).tolist()
    ([0.802], [0.822])
    """
    if ties not in _TIES:
        raise ConfigError(f"ties={ties!r} is unknown; expected efron or breslow")
    if not (ridge >= 0.0 and l1 >= 0.0):
        raise ConfigError(f"penalties are ridge={ridge} and l1={l1}; expected 0 or more")
    x = as_covariates(covariates, None, tuple(names or ()))
    labels = check_names(names, x.shape[1])
    weight = _vector(weights, outcome.n, "weights", 1.0)
    if (weight < 0.0).any():
        raise DataError("weights hold negative values; expected 0 or more")
    event = (outcome.event != 0) & (weight > 0.0)
    check_rows(outcome, x, event)
    stratum, strata_labels = (
        (np.zeros(outcome.n, dtype=np.int64), (None,))
        if strata is None
        else as_groups(strata, outcome.n, "strata")
    )
    means = np.average(x, axis=0, weights=weight)
    likelihood = PartialLikelihood.of(
        RiskSets.of(outcome, event, stratum),
        x - means,
        weight,
        _vector(offset, outcome.n, "offset", 0.0),
        ties,
    )
    penalty = Penalty(ridge=ridge, l1=l1)
    if penalty:
        fit = maximise_penalised(likelihood, penalty)
    else:
        fit = maximise(likelihood, labels, tolerance=tolerance, max_iterations=max_iterations)
    last_time = np.full(len(strata_labels), -np.inf)
    np.maximum.at(last_time, stratum, outcome.time)
    groups = None if cluster is None else as_groups(cluster, outcome.n, "cluster")
    robust = None
    if groups is not None and l1 == 0.0:
        bread = inverse(fit.state.information + ridge * np.eye(x.shape[1]))
        robust = sandwich(likelihood.score_residuals(fit.state), bread, groups[0])
    return CoxModel(
        names=labels,
        coef=fit.state.coef,
        robust_covariance=robust,
        n=outcome.n,
        n_events=int(np.count_nonzero(event)),
        n_clusters=None if groups is None else len(groups[1]),
        ties=ties,
        ridge=float(ridge),
        l1=float(l1),
        converged=fit.converged,
        iterations=fit.iterations,
        means=means,
        strata=strata_labels,
        last_time=last_time,
        outcome=outcome,
        likelihood=likelihood,
        state=fit.state,
        null=fit.null,
    )


def check_rows(outcome: Outcome, covariates: _Array, event: NDArray[np.bool_]) -> None:
    """Refuse data without a partial likelihood.

    Parameters
    ----------
    outcome : Outcome
        Of n rows.
    covariates : ndarray of shape (r, p)
        Of as many rows.
    event : ndarray of shape (n,), bool
        Which rows end with the event.

    Raises
    ------
    DataError
        When the numbers of rows differ.
    NotEstimable
        When nobody has the event.
    """
    if covariates.shape[0] != outcome.n:
        raise DataError(
            f"covariates have {covariates.shape[0]} rows; expected {outcome.n}, as the outcome"
        )
    if not event.any():
        raise NotEstimable(f"no event among {outcome.n} rows: there is nothing to fit")


def _vector(values: ArrayLike | None, n: int, name: str, default: float) -> _Array:
    if values is None:
        return np.full(n, default)
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (n,) or not np.isfinite(vector).all():
        raise DataError(f"{name} have shape {vector.shape}; expected ({n},), all finite")
    return vector
