"""What two models differ by on the same patients, and intervals on the scale that suits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr, stdtr

from metastra.errors import NotEstimable
from metastra.survival.intervals import t_quantile

__all__ = ["PairedDifference", "logit_interval"]


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """A difference of one measure between two models, with the variance of the pair.

    Parameters
    ----------
    reference, candidate : float
        The measure of the first and of the second model.
    estimate : float
        ``candidate - reference``.
    std_error : float
        From the joint influence of each patient on both measures.
    measure : str
        Name of the measure.
    n, events : int
        Patients, and events that the measure uses.
    horizon : float or None
        Where the measure has one.

    Examples
    --------
    >>> d = PairedDifference(
    ...     reference=0.70,
    ...     candidate=0.74,
    ...     estimate=0.04,
    ...     std_error=0.02,
    ...     measure="auc",
    ...     n=500,
    ...     events=80,
    ...     horizon=730.0,
    ... )
    >>> [round(limit, 4) for limit in d.interval()]
    [0.0008, 0.0792]
    >>> round(d.p_value(), 4)
    0.0455
    """

    reference: float
    candidate: float
    estimate: float
    std_error: float
    measure: str
    n: int
    events: int
    horizon: float | None = None

    def interval(self, level: float = 0.95, *, df: float | None = None) -> tuple[float, float]:
        """Wald limits of the difference.

        Parameters
        ----------
        level : float
            Confidence level.
        df : float, optional
            Degrees of freedom of the standard error; infinite when left out.

        Returns
        -------
        lower, upper : float
            ``estimate ± z std_error``.

        Raises
        ------
        ConfigError
            When the level is not inside (0, 1).
        """
        half = t_quantile(level, df) * self.std_error
        return self.estimate - half, self.estimate + half

    def p_value(self, *, df: float | None = None) -> float:
        """Two-sided p-value of no difference.

        Parameters
        ----------
        df : float, optional
            Degrees of freedom of the standard error; infinite when left out.

        Returns
        -------
        float
            From the normal or Student's distribution; 1 where both models rank the patients alike.

        Raises
        ------
        NotEstimable
            When the standard error is 0 though the estimates differ.
        """
        if self.std_error == 0.0:
            if self.estimate == 0.0:
                return 1.0
            raise NotEstimable(f"the difference in {self.measure} has a standard error of 0")
        ratio = -abs(self.estimate / self.std_error)
        return float(2.0 * (ndtr(ratio) if df is None else stdtr(df, ratio)))


def logit_interval(
    estimate: float, std_error: float, *, level: float = 0.95, df: float | None = None
) -> tuple[float, float]:
    """Wald limits of a probability on the logit scale.

    Parameters
    ----------
    estimate : float
        Inside (0, 1).
    std_error : float
        On the probability scale.
    level : float
        Confidence level.
    df : float, optional
        Degrees of freedom of the standard error; infinite when left out.

    Returns
    -------
    lower, upper : float
        Inside (0, 1).

    Raises
    ------
    NotEstimable
        When the estimate is 0 or 1, where the scale has no value.

    Examples
    --------
    >>> [round(limit, 4) for limit in logit_interval(0.8, 0.04)]
    [0.7102, 0.8672]
    """
    if not 0.0 < estimate < 1.0:
        raise NotEstimable(
            f"an estimate of exactly {estimate:g} has no interval on the logit scale"
        )
    half = t_quantile(level, df) * std_error / (estimate * (1.0 - estimate))
    centre = float(logit(estimate))
    limits = expit(np.array([centre - half, centre + half]))
    return float(limits[0]), float(limits[1])
