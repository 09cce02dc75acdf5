"""How many patients the development of a model needs: the three criteria for survival outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from metastra.errors import ConfigError

__all__ = ["DevelopmentSize", "n_for_development"]


@dataclass(frozen=True, kw_only=True)
class DevelopmentSize:
    """Patients that each criterion needs.

    Parameters
    ----------
    n_shrinkage : int
        For a mean shrinkage of the coefficients by no more than the target.
    n_optimism : int
        For an optimism in the explained variation of no more than the target.
    n_overall_risk : int
        For an upper limit of the mean risk no further than the margin above it.
    max_r2 : float
        The largest Cox–Snell R² that this share of events allows.
    """

    n_shrinkage: int
    n_optimism: int
    n_overall_risk: int
    max_r2: float

    @property
    def n(self) -> int:
        """Patients that satisfy all three."""
        return max(self.n_shrinkage, self.n_optimism, self.n_overall_risk)


def n_for_development(
    *,
    parameters: int,
    r2_cox_snell: float,
    event_rate: float,
    horizon: float,
    mean_follow_up: float,
    shrinkage: float = 0.9,
    optimism: float = 0.05,
    risk_margin: float = 0.05,
) -> DevelopmentSize:
    """Find the patients needed to develop a model of a survival outcome.

    Parameters
    ----------
    parameters : int
        Candidate predictor parameters, those dropped on the way included.
    r2_cox_snell : float
        Cox–Snell R² that the model is expected to have in new patients.
    event_rate : float
        Events per patient and unit of time.
    horizon, mean_follow_up : float
        In the same unit of time.
    shrinkage : float
        Smallest mean shrinkage factor that is accepted.
    optimism : float
        Largest difference that is accepted between apparent and adjusted R², as a share of the
        largest R² possible.
    risk_margin : float
        Largest distance accepted from the mean risk by the horizon to its upper 95 % limit.

    Returns
    -------
    DevelopmentSize
        One number for each criterion.

    Raises
    ------
    ConfigError
        When an assumption is outside its range, with all that are.

    Notes
    -----
    Riley et al., Stat Med 2019;38:1276–1296 and BMJ 2020;368:m441; R's ``pmsampsize``.  With p
    parameters: n = p / ((S − 1) ln(1 − R²/S)), for S the shrinkage and for S = R²/(R² + δ R²max);
    R²max = 1 − exp(2 (e ln e − e)) with e events per patient; the risk is 1 − exp(−rate · horizon)
    with the Poisson error of the rate.

    Examples
    --------
    >>> size = n_for_development(
    ...     parameters=30, r2_cox_snell=0.051, event_rate=0.065, horizon=2, mean_follow_up=2.07
    ... )
    >>> size.n_shrinkage, size.n_optimism, round(size.max_r2, 3)
    (5143, 1039, 0.555)
    """
    events = event_rate * mean_follow_up
    _check(parameters, r2_cox_snell, shrinkage, event_rate, horizon, mean_follow_up)
    max_r2 = 1 - math.exp(2 * (events * math.log(events) - events))
    if r2_cox_snell >= max_r2:
        raise ConfigError(f"R² is {r2_cox_snell:g}; {events:g} events per patient allow {max_r2:g}")
    needed_shrinkage = r2_cox_snell / (r2_cox_snell + optimism * max_r2)
    free = math.exp(-event_rate * horizon)
    n_risk = 1.0
    if risk_margin < free:
        # the upper limit of the rate at which the risk is its margin higher
        upper = -math.log(free - risk_margin) / horizon
        error = (upper - event_rate) / float(ndtri(0.975))
        n_risk = event_rate / (mean_follow_up * error**2)
    return DevelopmentSize(
        n_shrinkage=_by_shrinkage(parameters, r2_cox_snell, shrinkage),
        n_optimism=_by_shrinkage(parameters, r2_cox_snell, needed_shrinkage),
        n_overall_risk=math.ceil(n_risk),
        max_r2=max_r2,
    )


def _by_shrinkage(parameters: int, r2: float, shrinkage: float) -> int:
    return math.ceil(parameters / ((shrinkage - 1) * math.log1p(-r2 / shrinkage)))


def _check(parameters: int, r2: float, shrinkage: float, *positive: float) -> None:
    wrong = []
    if parameters < 1:
        wrong.append(f"parameters={parameters}; expected 1 or more")
    if not 0 < shrinkage < 1:
        wrong.append(f"shrinkage={shrinkage}; expected a number between 0 and 1")
    if not 0 < r2 < shrinkage:
        wrong.append(f"R² is {r2}; expected a number between 0 and the shrinkage {shrinkage}")
    if not all(value > 0 and math.isfinite(value) for value in positive):
        wrong.append(f"rate, horizon and follow-up are {positive}; expected numbers above 0")
    if wrong:
        raise ConfigError("; ".join(wrong))
