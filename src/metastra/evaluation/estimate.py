"""One published number with all that has to stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from metastra.errors import NotEstimable

__all__ = ["LEVEL", "Estimate", "Limits", "attempt"]

LEVEL = 0.95
"""Confidence level of every interval."""

Limits = tuple[float, float]
"""Lower and upper end of an interval."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number, or the reason why there is none.

    Parameters
    ----------
    estimate, lower, upper : float or None
        None where the data cannot support it; `reason` then says why.
    method : str
        Estimator and interval in words.
    n, events : int
        Patients, and events of interest that the number rests on.
    horizon : float or None
        In the unit of the evaluation, where the number has one.
    level : float
        Confidence level.
    reason : str or None
        Why the number or its interval is missing.
    bootstrap : mapping or None
        Percentile limits of the same patients' draws, whichever interval is shown: ``lower``,
        ``upper``, ``draws`` and, where there are none, ``reason``.  None where the number is not
        drawn at all.

    Examples
    --------
    >>> Estimate(estimate=0.7, lower=0.6, upper=0.8, method="x", n=9, events=3).to_json()["level"]
    0.95
    """

    estimate: float | None
    lower: float | None
    upper: float | None
    method: str
    n: int
    events: int
    horizon: float | None = None
    level: float = LEVEL
    reason: str | None = None
    bootstrap: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Write the number as plain values.

        Returns
        -------
        dict
            The keys of the contract's EST; ``reason`` and ``bootstrap`` only where there is one.
        """
        values: dict[str, Any] = {
            "estimate": self.estimate,
            "lower": self.lower,
            "upper": self.upper,
            "level": self.level,
            "method": self.method,
            "n": self.n,
            "events": self.events,
            "horizon": self.horizon,
        }
        if self.reason is not None:
            values["reason"] = self.reason
        if self.bootstrap is not None:
            values["bootstrap"] = dict(self.bootstrap)
        return values


def attempt(
    make: Callable[[], Estimate],
    *,
    method: str,
    n: int,
    events: int,
    horizon: float | None = None,
) -> Estimate:
    """Compute a number, or keep the reason why it does not exist.

    Parameters
    ----------
    make : callable
        Gives the number; may raise `NotEstimable`.
    method : str
        Estimator, for the case that there is no number.
    n, events : int
        What the number would rest on.
    horizon : float, optional
        Where it has one.

    Returns
    -------
    Estimate
        Never with a number that is not finite.

    Examples
    --------
    >>> def fails():
    ...     raise NotEstimable("no events")
    >>> attempt(fails, method="AUC", n=3, events=0).reason
    'no events'
    """
    try:
        found = make()
    except NotEstimable as error:
        reason = error.reason
    else:
        if found.estimate is None or np.isfinite(found.estimate):
            return _finite_limits(found)
        reason = "the number is not finite"
    return Estimate(
        estimate=None,
        lower=None,
        upper=None,
        method=method,
        n=n,
        events=events,
        horizon=horizon,
        reason=reason,
    )


def _finite_limits(found: Estimate) -> Estimate:
    limits = [v for v in (found.lower, found.upper) if v is not None]
    if all(np.isfinite(limits)):
        return found
    reason = found.reason or "the interval is not finite"
    return replace(found, lower=None, upper=None, reason=reason)
