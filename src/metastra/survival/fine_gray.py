"""The Fine–Gray model of a cumulative incidence, in the two conventions R has for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.censoring import censoring_survival
from metastra.survival.cox import check_rows
from metastra.survival.cox_tests import ChiSquaredTest, sandwich, usable_error, wald_test
from metastra.survival.design import as_covariates, check_names, inverse
from metastra.survival.groups import as_groups
from metastra.survival.intervals import normal_quantile
from metastra.survival.newton import maximise
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import LikelihoodState, PartialLikelihood
from metastra.survival.risk_set import n_at_risk
from metastra.survival.risk_sums import Redistribution, RiskSets
from metastra.survival.step_function import StepFunction

__all__ = ["FineGrayConvention", "FineGrayModel", "fit_fine_gray"]

_Array = NDArray[np.float64]

FineGrayConvention = Literal["finegray", "crr"]
"""Which of R's two implementations is followed; see `fit_fine_gray`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FineGrayModel:
    """A Fine–Gray model fitted by `fit_fine_gray`.

    Parameters
    ----------
    names : tuple of str
        Covariates.
    cause : int
        Code of the event whose incidence is modelled.
    coef : ndarray of shape (p,)
        Log subdistribution hazard ratios.
    covariance : ndarray of shape (p, p)
        Sandwich by patient, or Fine and Gray's variance, as the convention says.
    naive_covariance : ndarray of shape (p, p)
        Inverse information, which takes the weights for known frequencies.
    loglik, loglik_null : float
        Log pseudo-likelihood at `coef` and at 0.
    n, n_events, n_competing : int
        Patients, events of the cause, and competing events.
    convention : {"finegray", "crr"}
        See `fit_fine_gray`.
    converged : bool
        False when the Newton steps ran out.
    means : ndarray of shape (p,)
        Covariate means the baseline refers to.
    baseline : StepFunction
        Cumulative subdistribution hazard at `means`.
    """

    names: tuple[str, ...]
    cause: int
    coef: _Array
    covariance: _Array
    naive_covariance: _Array
    loglik: float
    loglik_null: float
    n: int
    n_events: int
    n_competing: int
    convention: FineGrayConvention
    converged: bool
    means: _Array
    baseline: StepFunction

    @property
    def std_error(self) -> _Array:
        """Standard errors of `coef` from `covariance`, of shape (p,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def naive_std_error(self) -> _Array:
        """Standard errors from `naive_covariance`, of shape (p,)."""
        return np.sqrt(np.diag(self.naive_covariance))

    @property
    def p(self) -> _Array:
        """Two-sided p-values of the coefficients, of shape (p,)."""
        error = usable_error(self.std_error, self.naive_std_error)
        return np.asarray(2.0 * ndtr(-np.abs(self.coef / error)))

    @property
    def hazard_ratio(self) -> _Array:
        """Subdistribution hazard ratios, of shape (p,)."""
        return np.exp(self.coef)

    @property
    def wald_test(self) -> ChiSquaredTest:
        """Wald test of all coefficients with `covariance`."""
        return wald_test(self.coef, self.covariance)

    def hazard_ratio_interval(self, level: float = 0.95) -> tuple[_Array, _Array]:
        """Confidence limits of the subdistribution hazard ratios.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        lower, upper : ndarray of shape (p,)
            ``exp(coef ± z se)``.
        """
        error = usable_error(self.std_error, self.naive_std_error)
        half = normal_quantile(level) * error
        return np.exp(self.coef - half), np.exp(self.coef + half)

    def predict_incidence(
        self, covariates: ArrayLike, times: ArrayLike, *, extend: bool = False
    ) -> _Array:
        """Cumulative incidence of new patients.

        Parameters
        ----------
        covariates : array_like of shape (r, p)
            New rows, in the order of `names`.
        times : array_like of shape (t,)
            In the unit of the outcome.
        extend : bool
            Carry the last value past the last follow-up instead of refusing.

        Returns
        -------
        ndarray of shape (r, t)
            ``1 - exp(-H0(t) exp(linear predictor))``.

        Raises
        ------
        DataError
            When the covariates do not fit the model.
        NotEstimable
            When a time lies past the last follow-up and `extend` is not set.
        """
        x = as_covariates(covariates, len(self.names), self.names)
        hazard = self.baseline(np.atleast_1d(times), extend=extend)
        return np.asarray(-np.expm1(-np.outer(np.exp((x - self.means) @ self.coef), hazard)))


def fit_fine_gray(
    outcome: Outcome,
    covariates: ArrayLike,
    *,
    cause: int = 1,
    names: Sequence[str] | None = None,
    convention: FineGrayConvention = "finegray",
    cluster: ArrayLike | None = None,
    max_iterations: int = 30,
) -> FineGrayModel:
    """Fit proportional subdistribution hazards.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, one row each, without delayed entry.
    covariates : array_like of shape (n, p)
        Known at time 0.
    cause : int
        Code of the event; all others compete.
    names : sequence of str, optional
        Of the covariates; ``x1, x2, …`` when left out.
    convention : {"finegray", "crr"}
        ``finegray``: R's ``survival::finegray`` with a weighted Cox fit: censoring estimated with
        events first at ties, Efron's ties, sandwich variance by patient.  ``crr``: R's
        ``cmprsk::crr``: patients with an event stay in the risk set of the censoring at that
        time, Breslow's ties, Fine and Gray's variance, which counts the estimation of the
        censoring, and the rule for stopping of that program.  The two differ by up to 0.3% where
        ties are many.
    cluster : array_like of shape (n,), optional
        Sum the contributions to the variance within clusters; patients when left out.
    max_iterations : int
        Newton steps.

    Returns
    -------
    FineGrayModel
        With coefficients, both covariances and predictions.

    Raises
    ------
    ConfigError
        When the convention is unknown.
    DataError
        When arrays do not fit together, or a value is missing.
    NotEstimable
        Without an event of the cause, under delayed entry, or as `fit_cox`.

    Notes
    -----
    Fine and Gray 1999.  A patient with a competing event at T stays in the later risk sets with
    weight G(t-) / G(T-).  These sums are running sums, so that nothing is expanded and a step
    costs O(n p²).

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6, 7, 8], event=[1, 2, 1, 0, 1, 2, 0, 1])
    >>> model = fit_fine_gray(y, [[1], [0], [1], [0], [0], [1], [0], [1]], names=["x"])
    >>> model.n_events, model.n_competing, model.coef.shape
    (4, 2, (1,))
    """
    if convention not in ("finegray", "crr"):
        raise ConfigError(f"convention={convention!r} is unknown; expected finegray or crr")
    if outcome.entry is not None:
        raise NotEstimable("the Fine–Gray weights are not defined here under delayed entry")
    x = as_covariates(covariates, None, tuple(names or ()))
    labels = check_names(names, x.shape[1])
    event = outcome.event == cause
    check_rows(outcome, x, event)
    means = x.mean(axis=0)
    crr = convention == "crr"
    likelihood = _likelihood(outcome, x - means, event, crr=crr)
    fit = maximise(
        likelihood,
        labels,
        tolerance=1e-6 if crr else 1e-9,
        max_iterations=max_iterations,
        gradient_rule=crr,
    )
    naive = inverse(fit.state.information)
    residuals = likelihood.score_residuals(fit.state)
    if crr:
        residuals = residuals + _censoring_influence(outcome, likelihood, fit.state)
    clusters = None if cluster is None else as_groups(cluster, outcome.n, "cluster")[0]
    jumps = likelihood.by_time(fit.state.hazard[:, None])[:, 0]
    return FineGrayModel(
        names=labels,
        cause=cause,
        coef=fit.state.coef,
        covariance=sandwich(residuals, naive, clusters),
        naive_covariance=naive,
        loglik=fit.state.loglik,
        loglik_null=fit.null.loglik,
        n=outcome.n,
        n_events=int(event.sum()),
        n_competing=int(np.count_nonzero((outcome.event != 0) & ~event)),
        convention=convention,
        converged=fit.converged,
        means=means,
        baseline=StepFunction(
            times=likelihood.sets.time,
            values=np.cumsum(jumps),
            before=0.0,
            support_end=float(outcome.time.max()),
        ),
    )


def _likelihood(
    outcome: Outcome, design: _Array, event: NDArray[np.bool_], *, crr: bool
) -> PartialLikelihood:
    """Keep patients at risk after a competing event."""
    g = censoring_survival(outcome, ties="together" if crr else "events-first")
    rows = np.flatnonzero((outcome.event != 0) & ~event)
    rows = rows[np.argsort(outcome.time[rows], kind="stable")]
    leaves, times = outcome.time[rows], np.unique(outcome.time[event])
    weights = Redistribution(
        rows=rows,
        inverse=1.0 / g.left(leaves),
        factor=g.left(times),
        n_before=np.searchsorted(leaves, times, side="left"),
        first_after=np.searchsorted(times, leaves, side="right"),
    )
    n = outcome.n
    sets = RiskSets.of(outcome, event, np.zeros(n, dtype=np.int64), weights)
    return PartialLikelihood.of(
        sets, design, np.ones(n), np.zeros(n), "breslow" if crr else "efron"
    )


def _censoring_influence(
    outcome: Outcome, likelihood: PartialLikelihood, state: LikelihoodState
) -> _Array:
    """Contribution of each patient to the score through the estimate of the censoring.

    Fine and Gray 1999, section 3: q(u) / Y(u) integrated over the censoring martingale, q(u)
    being the effect on the score of a censoring at u through the weights of those who had a
    competing event before u.
    """
    weights = likelihood.sets.redistribution
    censored = outcome.event == 0
    if weights is None or not censored.any():
        return np.zeros_like(likelihood.design)
    at = np.unique(outcome.time[censored])
    rows = weights.rows
    kept = np.zeros((rows.size + 1, state.coef.size + 1))
    risk = state.risk[rows] * weights.inverse
    np.cumsum(risk, out=kept[1:, 0])
    np.cumsum(likelihood.design[rows] * risk[:, None], axis=0, out=kept[1:, 1:])
    kept = kept[np.searchsorted(outcome.time[rows], at, side="left")]
    load = weights.factor * state.hazard
    ahead = np.zeros((load.size + 1, state.coef.size + 1))
    ahead[-2::-1, 0] = np.cumsum(load[::-1])
    ahead[-2::-1, 1:] = np.cumsum((state.mean * load[:, None])[::-1], axis=0)
    ahead = ahead[np.searchsorted(likelihood.sets.time, at, side="left")]
    effect = kept[:, 1:] * ahead[:, :1] - kept[:, :1] * ahead[:, 1:]
    at_risk = n_at_risk(outcome, at).astype(np.float64)
    position = np.searchsorted(at, outcome.time[censored], side="left")
    n_censored = np.bincount(position, minlength=at.size)
    drift = np.zeros((at.size + 1, state.coef.size))
    np.cumsum(effect * (n_censored / at_risk**2)[:, None], axis=0, out=drift[1:])
    influence = -drift[np.searchsorted(at, outcome.time, side="right")]
    influence[censored] += effect[position] / at_risk[position, None]
    return influence
