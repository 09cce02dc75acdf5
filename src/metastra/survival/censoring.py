"""The distribution of censoring and the inverse-probability weights made from it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.outcome import Outcome
from metastra.survival.risk_set import risk_table
from metastra.survival.step_function import StepFunction

__all__ = ["TieOrder", "censoring_survival", "ipcw_weights"]

TieOrder = Literal["events-first", "together"]
"""Whether a patient with an event at t still counts as at risk of censoring at t."""


def censoring_survival(outcome: Outcome, *, ties: TieOrder = "events-first") -> StepFunction:
    """Estimate G(t), the probability of not being censored by t.

    Parameters
    ----------
    outcome : Outcome
        Code 0 is the censoring; every other code is an event.
    ties : {"events-first", "together"}
        ``events-first``: events at t happen before censorings at t, so patients with an event at
        t have left the risk set of the censoring at t.  This is what R's ``concordance``,
        ``finegray``, ``prodlim`` and ``riskRegression`` use.  ``together``: they stay in it, as
        in ``cmprsk::crr``.

    Returns
    -------
    StepFunction
        ``g(t)`` is G(t), ``g.left(t)`` is G(t-).  Known up to the last follow-up.

    Raises
    ------
    ConfigError
        When `ties` is unknown.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 2, 3], event=[1, 1, 0, 0])
    >>> censoring_survival(y).values.tolist()
    [1.0, 0.5, 0.0]
    >>> censoring_survival(y, ties="together").values.round(4).tolist()
    [1.0, 0.6667, 0.0]
    """
    table = risk_table(outcome)
    if ties == "events-first":
        at_risk = table.n_risk - table.n_event
    elif ties == "together":
        at_risk = table.n_risk
    else:
        raise ConfigError(f"ties={ties!r} is unknown; expected events-first or together")
    values = np.cumprod(1.0 - table.n_censored / np.maximum(at_risk, 1))
    return StepFunction(
        times=table.times, values=values, before=1.0, support_end=float(table.times[-1])
    )


def ipcw_weights(outcome: Outcome, horizon: float) -> NDArray[np.float64]:
    """Weigh each patient by the inverse probability of being observed at a horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry; all event types count as not censored.
    horizon : float
        In the unit of the outcome.

    Returns
    -------
    ndarray of shape (n,)
        ``1 / G(T-)`` for an event by the horizon, ``1 / G(horizon)`` for follow-up beyond it,
        0 for those censored by the horizon.  The weights sum to n in expectation.

    Raises
    ------
    NotEstimable
        When follow-up ends before the horizon, or there is delayed entry.

    Notes
    -----
    Graf et al. 1999; Gerds and Schumacher 2006.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 5], event=[1, 0, 1, 0])
    >>> ipcw_weights(y, 4.0).round(3).tolist()
    [1.0, 0.0, 1.5, 1.5]
    """
    if outcome.entry is not None:
        raise NotEstimable("inverse-probability weights are not defined under delayed entry")
    last = float(outcome.time.max())
    if horizon > last:
        raise NotEstimable(f"the horizon {horizon:g} lies past the last follow-up at {last:g}")
    g = censoring_survival(outcome)
    weights = np.zeros(outcome.n)
    event = (outcome.event != 0) & (outcome.time <= horizon)
    beyond = outcome.time > horizon
    weights[event] = 1.0 / g.left(outcome.time[event])
    if beyond.any():
        weights[beyond] = 1.0 / float(g(horizon))
    return weights
