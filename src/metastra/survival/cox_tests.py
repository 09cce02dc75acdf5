"""Chi-squared tests of fitted regressions, and intervals of their coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from metastra.errors import DataError, NotEstimable

__all__ = [
    "ChiSquaredTest",
    "likelihood_ratio_test",
    "sandwich",
    "sum_by_cluster",
    "usable_error",
    "wald_test",
]


@dataclass(frozen=True, kw_only=True)
class ChiSquaredTest:
    """A statistic with its degrees of freedom.

    Parameters
    ----------
    chisq : float
        Test statistic.
    df : int
        Degrees of freedom.
    p : float
        Upper tail of the chi-squared distribution.
    """

    chisq: float
    df: int
    p: float

    @classmethod
    def of(cls, chisq: float, df: int) -> ChiSquaredTest:
        """Look the p-value up.

        Parameters
        ----------
        chisq : float
            Test statistic; rounding noise below 0 counts as 0.
        df : int
            Degrees of freedom; with 0 the p-value is 1.

        Returns
        -------
        ChiSquaredTest
            With p.
        """
        value = max(float(chisq), 0.0)
        return cls(chisq=value, df=df, p=float(chdtrc(df, value)) if df else 1.0)


class _Nested(Protocol):
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def loglik(self) -> float: ...
    @property
    def n(self) -> int: ...
    @property
    def n_events(self) -> int: ...
    @property
    def penalised(self) -> bool: ...


def likelihood_ratio_test(smaller: _Nested, larger: _Nested) -> ChiSquaredTest:
    """Test whether the covariates a model adds to a nested one are needed.

    Parameters
    ----------
    smaller, larger : CoxModel
        Fitted to the same rows, with the same ties and strata.

    Returns
    -------
    ChiSquaredTest
        ``2 (loglik larger - loglik smaller)`` on the number of added coefficients.

    Raises
    ------
    DataError
        When the models are not nested or not of the same rows.
    NotEstimable
        When a model is penalised, so that the statistic has no chi-squared distribution.

    Examples
    --------
    >>> from metastra.survival.cox import fit_cox
    >>> from metastra.survival.outcome import Outcome
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6], event=[1, 1, 0, 1, 1, 0])
    >>> x = np.array([[1, 0], [0, 1], [1, 1], [1, 0], [0, 0], [0, 1.0]])
    >>> small = fit_cox(y, x[:, :1], names=["a"])
    >>> large = fit_cox(y, x, names=["a", "b"])
    >>> likelihood_ratio_test(small, large).df
    1
    """
    if smaller.penalised or larger.penalised:
        raise NotEstimable("a penalised model has no likelihood-ratio test")
    if (smaller.n, smaller.n_events) != (larger.n, larger.n_events):
        raise DataError(
            f"the models were fitted to {smaller.n} rows with {smaller.n_events} events and to "
            f"{larger.n} with {larger.n_events}; expected the same rows"
        )
    extra = set(smaller.names) - set(larger.names)
    if extra:
        raise DataError(f"not nested: {sorted(extra)} only in the smaller model")
    df = len(larger.names) - len(smaller.names)
    return ChiSquaredTest.of(2.0 * (larger.loglik - smaller.loglik), df)


def wald_test(coef: NDArray[np.float64], covariance: NDArray[np.float64]) -> ChiSquaredTest:
    """Test jointly whether coefficients are 0.

    Parameters
    ----------
    coef : ndarray of shape (p,)
        Estimates.
    covariance : ndarray of shape (p, p)
        Of the estimates.

    Returns
    -------
    ChiSquaredTest
        ``b' V⁻¹ b`` on p degrees of freedom.

    Raises
    ------
    NotEstimable
        When the covariance is singular.

    Examples
    --------
    >>> wald_test(np.array([2.0]), np.array([[1.0]])).chisq
    4.0
    """
    try:
        chisq = float(coef @ np.linalg.solve(covariance, coef)) if coef.size else 0.0
    except np.linalg.LinAlgError as error:
        raise NotEstimable("no Wald test: the covariance matrix is singular") from error
    return ChiSquaredTest.of(chisq, coef.size)


def usable_error(robust: NDArray[np.float64], naive: NDArray[np.float64]) -> NDArray[np.float64]:
    """Refuse sandwich standard errors that have collapsed.

    Parameters
    ----------
    robust, naive : ndarray of shape (p,)
        Sandwich and model-based standard errors.

    Returns
    -------
    ndarray of shape (p,)
        `robust`.

    Raises
    ------
    NotEstimable
        When one is 0 (to rounding): with too few clusters their contributions cancel.

    Examples
    --------
    >>> usable_error(np.array([0.2]), np.array([0.1])).tolist()
    [0.2]
    """
    if (robust <= 1e-6 * naive).any():
        raise NotEstimable("robust standard errors are 0: there are too few clusters")
    return robust


def sum_by_cluster(
    values: NDArray[np.float64], cluster: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """Sum rows that belong together.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        One row for each patient or period.
    cluster : ndarray of shape (n,), int64, or None
        0, 1, …; None when every row stands alone.

    Returns
    -------
    ndarray of shape (c, p)
        One row for each cluster.

    Examples
    --------
    >>> sum_by_cluster(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 0])).tolist()
    [[5.0], [2.0]]
    """
    if cluster is None:
        return values
    size = int(cluster.max()) + 1
    columns = [np.bincount(cluster, weights=column, minlength=size) for column in values.T]
    return np.column_stack(columns) if columns else np.empty((size, 0))


def sandwich(
    residuals: NDArray[np.float64],
    covariance: NDArray[np.float64],
    cluster: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """Robust covariance from contributions to the score.

    Parameters
    ----------
    residuals : ndarray of shape (n, p)
        Contributions to the score.
    covariance : ndarray of shape (p, p)
        Inverse information.
    cluster : ndarray of shape (n,), int64, or None
        Rows of one cluster are summed before they are squared.

    Returns
    -------
    ndarray of shape (p, p)
        Lin and Wei 1989, without a correction for the number of clusters, as in R's ``coxph``.

    Examples
    --------
    >>> sandwich(np.array([[1.0], [-1.0]]), np.array([[0.5]]), None).tolist()
    [[0.5]]
    """
    influence = sum_by_cluster(residuals, cluster) @ covariance
    return np.asarray(influence.T @ influence)
