"""Rubin's rules: one estimate from several imputed data sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from metastra.errors import ConfigError, DataError, NotEstimable

__all__ = ["RubinPooled", "pool_rubin"]


@dataclass(frozen=True, kw_only=True)
class RubinPooled:
    """An estimate pooled over imputations.

    Parameters
    ----------
    estimate : float
        Mean over the imputations.
    within, between, total : float
        Variance within and between imputations, and of the pooled estimate.
    df : float
        Barnard–Rubin degrees of freedom.
    fraction_missing : float
        Fraction of information that is missing.
    relative_increase : float
        Relative increase in variance due to the missing values.
    m : int
        Imputations.
    """

    estimate: float
    within: float
    between: float
    total: float
    df: float
    fraction_missing: float
    relative_increase: float
    m: int

    @property
    def std_error(self) -> float:
        """Root of the total variance."""
        return float(np.sqrt(self.total))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Limits from the t distribution, on the scale that was pooled.

        Parameters
        ----------
        level : float
            Confidence level.

        Returns
        -------
        lower, upper : float
            ``estimate ± t std_error``.

        Raises
        ------
        ConfigError
            When the level is outside (0, 1).
        """
        if not 0.0 < level < 1.0:
            raise ConfigError(f"the confidence level is {level}; expected a number between 0 and 1")
        half = float(stdtrit(self.df, 0.5 * (1.0 + level))) * self.std_error
        return self.estimate - half, self.estimate + half


def pool_rubin(
    estimates: ArrayLike, std_errors: ArrayLike, *, n: int, n_parameters: int = 1
) -> RubinPooled:
    """Pool one estimate over imputed data sets.

    Parameters
    ----------
    estimates : array_like of shape (m,)
        One for each imputation, on a scale where it is about normal (log, logit).
    std_errors : array_like of shape (m,)
        On the same scale.
    n : int
        Patients.
    n_parameters : int
        Parameters of the model the estimate is from.

    Returns
    -------
    RubinPooled
        With Barnard–Rubin degrees of freedom.

    Raises
    ------
    DataError
        When estimates and standard errors do not fit each other.
    NotEstimable
        For fewer than two imputations, or not more patients than parameters.

    Notes
    -----
    Rubin 1987; Barnard and Rubin 1999; R's ``mice::pool.scalar``.

    Examples
    --------
    >>> pooled = pool_rubin([0.5, 0.7, 0.6], [0.2, 0.2, 0.2], n=100)
    >>> round(pooled.estimate, 3), round(pooled.std_error, 4)
    (0.6, 0.2309)
    """
    value = np.asarray(estimates, dtype=np.float64)
    spread = np.asarray(std_errors, dtype=np.float64)
    if value.ndim != 1 or value.shape != spread.shape:
        raise DataError("estimates and standard errors must be two equally long lists")
    if not (np.isfinite(value).all() and (np.isfinite(spread) & (spread > 0.0)).all()):
        raise DataError("estimates must be finite, and standard errors finite and above 0")
    m = value.size
    if m < 2:
        raise NotEstimable(f"{m} imputation cannot be pooled; two are the least")
    complete = float(n - n_parameters)
    if complete <= 0.0:
        raise NotEstimable(
            f"{n} patients and {n_parameters} parameters leave no degrees of freedom"
        )
    within = float(np.mean(spread**2))
    between = float(np.var(value, ddof=1))
    extra = (1.0 + 1.0 / m) * between
    total = within + extra
    share = extra / total
    observed = (complete + 1.0) / (complete + 3.0) * complete * (1.0 - share)
    df = observed
    if share > 0.0:
        between_df = (m - 1) / share**2
        df = between_df * observed / (between_df + observed)
    increase = extra / within
    return RubinPooled(
        estimate=float(np.mean(value)),
        within=within,
        between=between,
        total=total,
        df=df,
        fraction_missing=(increase + 2.0 / (df + 3.0)) / (increase + 1.0),
        relative_increase=increase,
        m=m,
    )
