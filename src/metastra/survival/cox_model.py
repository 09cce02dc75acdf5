"""A fitted Cox model: coefficients, their uncertainty, baseline hazard and predictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from metastra.errors import DataError, NotEstimable
from metastra.survival.cox_tests import ChiSquaredTest, usable_error, wald_test
from metastra.survival.design import as_covariates, inverse
from metastra.survival.intervals import normal_quantile
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import LikelihoodState, PartialLikelihood, Ties
from metastra.survival.step_function import StepFunction

__all__ = ["CoxModel"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxModel:
    """A Cox model fitted by `fit_cox`.

    Parameters
    ----------
    names : tuple of str
        Covariates.
    coef : ndarray of shape (p,)
        Log hazard ratios for one unit of each covariate.
    robust_covariance : ndarray of shape (p, p) or None
        Sandwich summed within clusters; None when no clusters were given.
    n, n_events : int
        Rows and events.
    n_clusters : int or None
        Distinct clusters.
    ties : {"efron", "breslow"}
        Treatment of ties.
    ridge, l1 : float
        Penalties; 0 for none.
    converged : bool
        False when the Newton steps ran out.
    iterations : int
        Newton steps taken.
    means : ndarray of shape (p,)
        Covariate means the baseline refers to.
    strata : tuple
        Labels of the strata; ``(None,)`` without.
    last_time : ndarray of shape (s,)
        Last follow-up in each stratum.
    outcome : Outcome
        The rows it was fitted to.
    likelihood : PartialLikelihood
        Of these rows, covariates less `means`.
    state, null : LikelihoodState
        The likelihood at `coef` and at 0.
    """

    names: tuple[str, ...]
    coef: _Array
    robust_covariance: _Array | None
    n: int
    n_events: int
    n_clusters: int | None
    ties: Ties
    ridge: float
    l1: float
    converged: bool
    iterations: int
    means: _Array
    strata: tuple[object, ...]
    last_time: _Array
    outcome: Outcome
    likelihood: PartialLikelihood
    state: LikelihoodState
    null: LikelihoodState

    @property
    def loglik(self) -> float:
        """Log partial likelihood at `coef`, without penalty."""
        return self.state.loglik

    @property
    def loglik_null(self) -> float:
        """Log partial likelihood at coefficients of 0."""
        return self.null.loglik

    @property
    def penalised(self) -> bool:
        """Whether a penalty shrinks the coefficients."""
        return self.ridge > 0.0 or self.l1 > 0.0

    @cached_property
    def covariance(self) -> _Array:
        """Inverse of the (with `ridge`, penalised) information, of shape (p, p).

        Raises
        ------
        NotEstimable
            When `l1` is set: the lasso has no such covariance.
        """
        if self.l1 > 0.0:
            raise NotEstimable("coefficients under an L1 penalty have no covariance matrix")
        return inverse(self.state.information + self.ridge * np.eye(self.coef.size))

    @property
    def std_error(self) -> _Array:
        """Model-based standard errors of `coef`, of shape (p,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def robust_std_error(self) -> _Array:
        """Sandwich standard errors of `coef`, of shape (p,).

        Raises
        ------
        NotEstimable
            When the model was fitted without clusters.
        """
        if self.robust_covariance is None:
            raise NotEstimable("no robust standard errors: the model was fitted without clusters")
        return np.sqrt(np.diag(self.robust_covariance))

    @property
    def z(self) -> _Array:
        """Coefficients in standard errors: robust ones where clusters were given."""
        return self.coef / self._reported_error()

    @property
    def p(self) -> _Array:
        """Two-sided p-values of the coefficients, of shape (p,)."""
        return np.asarray(2.0 * ndtr(-np.abs(self.z)))

    @property
    def hazard_ratio(self) -> _Array:
        """``exp(coef)``, of shape (p,)."""
        return np.exp(self.coef)

    @property
    def aic(self) -> float:
        """Akaike's criterion, ``-2 loglik + 2 p``."""
        return -2.0 * self.loglik + 2.0 * len(self.names)

    @property
    def lr_test(self) -> ChiSquaredTest:
        """Likelihood-ratio test of all coefficients.

        Raises
        ------
        NotEstimable
            When the model is penalised.
        """
        self._refuse_penalised()
        return ChiSquaredTest.of(2.0 * (self.loglik - self.loglik_null), self.coef.size)

    @property
    def wald_test(self) -> ChiSquaredTest:
        """Wald test of all coefficients, robust where clusters were given.

        Raises
        ------
        NotEstimable
            When the model is penalised.
        """
        self._refuse_penalised()
        robust = self.robust_covariance
        return wald_test(self.coef, self.covariance if robust is None else robust)

    @property
    def score_test(self) -> ChiSquaredTest:
        """Score test of all coefficients at 0.

        Raises
        ------
        NotEstimable
            When the model is penalised.
        """
        self._refuse_penalised()
        return wald_test(self.null.score, self.null.information)

    def hazard_ratio_interval(self, level: float = 0.95) -> tuple[_Array, _Array]:
        """Confidence limits of the hazard ratios.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        lower, upper : ndarray of shape (p,)
            ``exp(coef ± z se)``, with robust standard errors where clusters were given.
        """
        half = normal_quantile(level) * self._reported_error()
        return np.exp(self.coef - half), np.exp(self.coef + half)

    def linear_predictor(self, covariates: ArrayLike, *, centred: bool = True) -> _Array:
        """Weighted sum of covariates.

        Parameters
        ----------
        covariates : array_like of shape (r, p)
            New rows, in the order of `names`.
        centred : bool
            Relative to `means`, so that 0 is the hazard of `baseline`.

        Returns
        -------
        ndarray of shape (r,)
            Log relative hazards.

        Raises
        ------
        DataError
            When the shape is wrong or a value is missing.
        """
        x = as_covariates(covariates, len(self.names), self.names)
        return (x - self.means if centred else x) @ self.coef

    def baseline(self, stratum: object = None, *, centred: bool = True) -> StepFunction:
        """Baseline cumulative hazard of a stratum.

        Parameters
        ----------
        stratum : object, optional
            Label; not needed when there is one stratum.
        centred : bool
            At the means of the covariates; else at covariates of 0.

        Returns
        -------
        StepFunction
            With Efron's increments for Efron's ties, as R's ``basehaz``; Breslow's otherwise.

        Raises
        ------
        DataError
            When there is no such stratum.
        """
        number = self._stratum(stratum)
        sets = self.likelihood.sets
        inside = sets.stratum == number
        jumps = self.likelihood.by_time(self.state.hazard[:, None])[:, 0][inside]
        factor = 1.0 if centred else float(np.exp(-self.means @ self.coef))
        return StepFunction(
            times=sets.time[inside],
            values=np.cumsum(jumps) * factor,
            before=0.0,
            support_end=float(self.last_time[number]),
        )

    def predict_survival(
        self,
        covariates: ArrayLike,
        times: ArrayLike,
        *,
        stratum: object = None,
        extend: bool = False,
    ) -> _Array:
        """Survival of new patients.

        Parameters
        ----------
        covariates : array_like of shape (r, p)
            New rows.
        times : array_like of shape (t,)
            In the unit of the outcome.
        stratum : object, optional
            Label of their stratum; not needed when there is one.
        extend : bool
            Carry the last value past the last follow-up instead of refusing.

        Returns
        -------
        ndarray of shape (r, t)
            ``exp(-H0(t) exp(linear predictor))``.

        Raises
        ------
        DataError
            When the covariates or the stratum do not fit the model.
        NotEstimable
            When a time lies past the last follow-up and `extend` is not set.
        """
        hazard = self.baseline(stratum)(np.atleast_1d(times), extend=extend)
        relative = np.exp(self.linear_predictor(covariates))
        return np.asarray(np.exp(-np.outer(relative, hazard)))

    def risk_at(self, covariates: ArrayLike, horizon: float, *, stratum: object = None) -> _Array:
        """Risk of the event by a horizon.

        Parameters
        ----------
        covariates : array_like of shape (r, p)
            New rows.
        horizon : float
            In the unit of the outcome.
        stratum : object, optional
            Label of their stratum; not needed when there is one.

        Returns
        -------
        ndarray of shape (r,)
            ``1 - S(horizon)``.

        Raises
        ------
        DataError
            When the covariates or the stratum do not fit the model.
        NotEstimable
            When the horizon lies past the last follow-up.
        """
        hazard = float(self.baseline(stratum)(horizon))
        return np.asarray(-np.expm1(-hazard * np.exp(self.linear_predictor(covariates))))

    def score_residuals(self) -> _Array:
        """Contribution of each row to the score, of shape (n, p); they sum to about 0."""
        return self.likelihood.score_residuals(self.state)

    def _reported_error(self) -> _Array:
        if self.robust_covariance is None:
            return self.std_error
        return usable_error(self.robust_std_error, self.std_error)

    def _refuse_penalised(self) -> None:
        if self.penalised:
            raise NotEstimable("a penalised model has no chi-squared test of its coefficients")

    def _stratum(self, label: object) -> int:
        if label is None and len(self.strata) == 1:
            return 0
        if label not in self.strata:
            raise DataError(f"the stratum {label!r} is unknown; expected one of {self.strata}")
        return self.strata.index(label)
