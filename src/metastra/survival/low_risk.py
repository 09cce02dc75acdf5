"""A claim that patients are at low risk: the upper bound against a limit set beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.aalen_johansen import CumulativeIncidence, aalen_johansen
from metastra.survival.beta_product import beta_product_limits, n_needed_without_events
from metastra.survival.intervals import normal_quantile, probability_interval
from metastra.survival.outcome import Outcome

__all__ = ["BoundMethod", "LowRiskClaim", "RiskBound", "Verdict", "low_risk_claim", "risk_bound"]


class BoundMethod(StrEnum):
    """How the upper bound is computed."""

    BETA_PRODUCT = "beta-product"
    """Holds its level with few events or none; the default of a claim."""
    LOG_LOG = "log-log"
    """Large-sample bound on the complementary log-log scale; none without events."""


class Verdict(StrEnum):
    """What became of a claim."""

    MET = "met"
    """The upper bound lies under the limit."""
    NOT_MET = "not met"
    """The upper bound does not lie under the limit; the risk may or may not."""
    NOT_ESTIMABLE = "not estimable"
    """There is no upper bound."""


@dataclass(frozen=True, kw_only=True)
class RiskBound:
    """Absolute risk by a horizon with its upper bound.

    Parameters
    ----------
    horizon : float
        In the unit of the outcome.
    cause : int
        Code of the event.
    risk : float
        Aalen–Johansen estimate; one less Kaplan–Meier without competing events.
    upper : float
        Upper bound.
    method : BoundMethod
        How it was computed.
    sided : {"one", "two"}
        Whether the whole or half of ``1 - level`` lies above the bound.
    level : float
        Confidence level.
    n, n_events, n_competing, n_risk : int
        Patients; events of the cause, and others, by the horizon; at risk just before it.
    """

    horizon: float
    cause: int
    risk: float
    upper: float
    method: BoundMethod
    sided: Literal["one", "two"]
    level: float
    n: int
    n_events: int
    n_competing: int
    n_risk: int


@dataclass(frozen=True, kw_only=True)
class LowRiskClaim:
    """A low-risk claim and its verdict.

    Parameters
    ----------
    limit : float
        Risk that the upper bound has to stay under, set before looking.
    verdict : Verdict
        Met, not met or not estimable.
    bound : RiskBound or None
        None when not estimable.
    reason : str
        The verdict in words, with the figures.
    n_needed_without_events : int
        Patients watched to the horizon, none with the event, that the least proof takes.
    """

    limit: float
    verdict: Verdict
    bound: RiskBound | None
    reason: str
    n_needed_without_events: int


def risk_bound(
    outcome: Outcome,
    horizon: float,
    *,
    cause: int = 1,
    method: BoundMethod = BoundMethod.BETA_PRODUCT,
    sided: Literal["one", "two"] = "one",
    level: float = 0.95,
) -> RiskBound:
    """Upper bound of the absolute risk of an event by a horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    horizon : float
        In the unit of its time, above 0.
    cause : int
        Code of the event.
    method : BoundMethod
        Choose before looking.
    sided : {"one", "two"}
        One-sided bound, or the upper end of a two-sided interval.
    level : float
        Confidence level.

    Returns
    -------
    RiskBound
        With the counts beside it.

    Raises
    ------
    ConfigError
        When an option is out of range.
    NotEstimable
        When follow-up ends before the horizon; for ``log-log``, without events by the horizon or
        with a risk of 1; for ``beta-product``, when entry is delayed or nobody is watched up to
        the horizon.

    Notes
    -----
    ``beta-product``: `beta_product_limits`.  With competing events it bounds
    ``1 - exp(-cause-specific cumulative hazard)``, which is never less than the cumulative
    incidence, so the bound stays valid and is wider than it need be by about the share of patients
    lost to competing events; it assumes nothing about how the events depend on each other.
    ``log-log``: one less the log-log limit of ``1 - risk``, as for Kaplan–Meier, with the
    infinitesimal jack-knife of Aalen and Johansen's estimate; a large-sample bound.

    Examples
    --------
    >>> y = Outcome(time=[24.0] * 99 + [10.0], event=[0] * 99 + [1])
    >>> round(risk_bound(y, 24.0).upper, 4)
    0.0466
    """
    if method not in tuple(BoundMethod):
        raise ConfigError(f"method={method!r} is unknown; expected beta-product or log-log")
    method = BoundMethod(method)
    if sided not in ("one", "two"):
        raise ConfigError(f"sided={sided!r} is unknown; expected one or two")
    if not (np.isfinite(horizon) and horizon > 0.0):
        raise ConfigError(f"the horizon is {horizon}; expected a finite time above 0")
    normal_quantile(level)
    tail = (1.0 - level) if sided == "one" else 0.5 * (1.0 - level)
    curve = aalen_johansen(outcome, causes=[cause])[cause]
    risk = float(curve.incidence_at([horizon])[0])
    if method is BoundMethod.LOG_LOG:
        upper = _log_log_upper(curve, horizon, risk, tail)
    else:
        upper = beta_product_limits(outcome.only(cause), horizon, lower_tail=0.0, upper_tail=tail)[
            1
        ]
    by_then = outcome.time <= horizon
    return RiskBound(
        horizon=float(horizon),
        cause=cause,
        risk=risk,
        upper=upper,
        method=method,
        sided=sided,
        level=level,
        n=outcome.n,
        n_events=int(np.count_nonzero(by_then & (outcome.event == cause))),
        n_competing=int(np.count_nonzero(by_then & ~np.isin(outcome.event, [0, cause]))),
        n_risk=int(curve.n_risk_at([horizon])[0]),
    )


def low_risk_claim(
    outcome: Outcome,
    horizon: float,
    *,
    limit: float,
    cause: int = 1,
    method: BoundMethod = BoundMethod.BETA_PRODUCT,
    sided: Literal["one", "two"] = "one",
    level: float = 0.95,
) -> LowRiskClaim:
    """Judge the claim that a group's risk lies under a limit.

    Parameters
    ----------
    outcome : Outcome
        Of the patients called low-risk.
    horizon : float
        In the unit of its time, above 0.
    limit : float
        Risk inside (0, 1), set before looking.
    cause : int
        Code of the event.
    method : BoundMethod
        Choose before looking.
    sided : {"one", "two"}
        One-sided bound, or the upper end of a two-sided interval.
    level : float
        Confidence level.

    Returns
    -------
    LowRiskClaim
        Met only when the upper bound lies under the limit; a small risk in few patients is not.

    Raises
    ------
    ConfigError
        When an option is out of range.

    Examples
    --------
    >>> y = Outcome(time=[24.0] * 58, event=[0] * 58)
    >>> claim = low_risk_claim(y, 24.0, limit=0.05)
    >>> claim.verdict.value, claim.n_needed_without_events
    ('not met', 59)
    """
    tail_level = level if sided == "one" else 0.5 * (1.0 + level)
    needed = n_needed_without_events(limit, level=tail_level)
    try:
        bound = risk_bound(outcome, horizon, cause=cause, method=method, sided=sided, level=level)
    except NotEstimable as error:
        return LowRiskClaim(
            limit=limit,
            verdict=Verdict.NOT_ESTIMABLE,
            bound=None,
            reason=error.reason,
            n_needed_without_events=needed,
        )
    met = bound.upper < limit
    relation = "lies under" if met else "does not lie under"
    return LowRiskClaim(
        limit=limit,
        verdict=Verdict.MET if met else Verdict.NOT_MET,
        bound=bound,
        reason=(
            f"risk {bound.risk:.4f} at {horizon:g} ({bound.n_events} events among {bound.n} "
            f"patients); its upper bound {bound.upper:.4f} {relation} the limit {limit:g}"
        ),
        n_needed_without_events=needed,
    )


def _log_log_upper(curve: CumulativeIncidence, horizon: float, risk: float, tail: float) -> float:
    if not 0.0 < risk < 1.0:
        raise NotEstimable(
            f"the risk at {horizon:g} is {risk:g}: the log-log scale has no bound there; use "
            "beta-product"
        )
    error = curve.std_error_at([horizon])
    event_free, _ = probability_interval(
        np.array([1.0 - risk]), error, interval="log-log", level=1.0 - 2.0 * tail
    )
    return 1.0 - float(event_free[0])
