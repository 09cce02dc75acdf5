"""The one primary question of a prospective study: whether the AUC is above the bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logit
from scipy.stats import norm, t

from metastra.errors import ConfigError, NotEstimable
from metastra.evaluation.patients import Patients
from metastra.ledger.protocol import AnalysisSection
from metastra.stats.group_sequential import obrien_fleming_spent, sequential_bounds
from metastra.survival.dynamic_auc import dynamic_auc
from metastra.survival.outcome import Outcome

__all__ = ["PastLook", "error_spent", "events_by", "primary_test"]


@dataclass(frozen=True, kw_only=True)
class PastLook:
    """An interim look that was begun: whether or not it was reported, its error is spent.

    Parameters
    ----------
    look : int
        From 1, in the order of the plan.
    name : str
        Of the plan.
    events : int
        By the horizon, at the look.
    spent : float
        One-sided error spent up to it.
    entry : str
        That began it, the last time.
    attempts : int
        How often it was begun.
    reported : bool
        Whether a report followed.
    reached : bool or None
        Whether its bound was reached; None where nothing was reported.
    """

    look: int
    name: str
    events: int
    spent: float
    entry: str
    attempts: int
    reported: bool
    reached: bool | None


def events_by(outcome: Outcome, horizon: float) -> int:
    """Count the events of interest by the horizon: the information of a look.

    Parameters
    ----------
    outcome : Outcome
        Of the patients of the primary analysis.
    horizon : float
        In the unit of the outcome.

    Returns
    -------
    int
        Events.
    """
    return int(np.count_nonzero((outcome.event == 1) & (outcome.time <= horizon)))


def error_spent(
    plan: AnalysisSection, past: Sequence[PastLook], events: int, *, final: bool
) -> float:
    """Give the one-sided error that is spent up to a look; the predictions are not needed.

    Parameters
    ----------
    plan : AnalysisSection
        Error and planned events.
    past : sequence of PastLook
        Looks begun before.
    events : int
        By the horizon, at this look.
    final : bool
        Whether this is the last look, which spends what is left.

    Returns
    -------
    float
        At most `plan.alpha`, at least what was spent before.
    """
    before = past[-1].spent if past else 0.0
    share = max(events, 1) / max(plan.events, 1)
    spent = plan.alpha if final else float(obrien_fleming_spent([share], plan.alpha)[0])
    return max(spent, before)


def primary_test(
    patients: Patients, plan: AnalysisSection, *, past: Sequence[PastLook] = (), final: bool = True
) -> dict[str, Any]:
    """Test the AUC at the horizon against the bound of the plan.

    Parameters
    ----------
    patients : Patients
        Of the primary analysis; one horizon.
    plan : AnalysisSection
        Bound, error and planned events.
    past : sequence of PastLook
        Looks begun before.
    final : bool
        Whether this is the last look, which spends what is left.

    Returns
    -------
    dict
        ``estimate``, ``std_error``, ``events``, ``statistic``, ``p_value`` (one-sided), ``z``,
        ``z_bound``, ``spent``, ``reached``; with a ``reason`` where the AUC does not exist.

    Notes
    -----
    The statistic is ``(logit AUC - logit bound) / se(logit AUC)``, with the standard error from
    the influence function (Blanche 2013, Statistics in Medicine 32:5381) and Student's t on one
    degree of freedom less than there are events, as the interval beside it.  Its p-value is put on
    the normal scale and compared with the bound of the look (Jennison and Turnbull 2000,
    section 3.3: significance levels in place of known variances).

    Examples
    --------
    >>> from metastra.survival.outcome import Outcome
    >>> rng = np.random.default_rng(1)
    >>> risk = rng.uniform(0.1, 0.9, 200)
    >>> y = Outcome(time=np.where(rng.uniform(size=200) < risk, 1.0, 3.0), event=np.ones(200, int))
    >>> some = Patients(outcome=y, horizons=(2.0,), risks=risk[:, None])
    >>> import datetime as dt
    >>> plan = AnalysisSection(bound=0.6, not_before=dt.date(2029, 1, 30))
    >>> found = primary_test(some, plan)
    >>> found["reached"], round(found["z_bound"], 2)
    (True, 1.96)
    """
    horizon = patients.horizons[-1]
    y = patients.outcome
    events = events_by(y, horizon)
    spent = error_spent(plan, past, events, final=final)
    z_bound = _bound(past, events, spent)
    common = {
        "measure": "cumulative/dynamic AUC at the horizon; controls include patients with the "
        "competing event",
        "horizon": horizon,
        "null": f"AUC at most {plan.bound:g}",
        "bound": plan.bound,
        "alpha": plan.alpha,
        "n": patients.n,
        "events": events,
        "spent": spent,
        "z_bound": z_bound,
    }
    empty = {"estimate": None, "std_error": None, "statistic": None, "p_value": None, "z": None}
    try:
        if patients.risks is None:
            raise NotEstimable("there is no risk")
        found = dynamic_auc(y, patients.risks[:, -1], horizon)
        if not 0.0 < found.estimate < 1.0 or events < 2 or found.std_error <= 0.0:
            raise NotEstimable(
                f"an AUC of {found.estimate:g} from {events} events has no standard error"
            )
    except NotEstimable as error:
        # what was looked at is spent, whatever came of it
        return common | empty | {"reached": False, "reason": error.reason}
    scale = found.std_error / (found.estimate * (1.0 - found.estimate))
    statistic = float((logit(found.estimate) - logit(plan.bound)) / scale)
    p_value = float(t.sf(statistic, events - 1))
    z = float(norm.isf(p_value))
    return common | {
        "estimate": found.estimate,
        "std_error": found.std_error,
        "statistic": statistic,
        "p_value": p_value,
        "z": z,
        "reached": bool(z_bound is not None and z >= z_bound),
    }


def _bound(past: Sequence[PastLook], events: int, spent: float) -> float | None:
    """Give the bound of this look; None where the look spends nothing."""
    before = past[-1].spent if past else 0.0
    information = [float(max(look.events, 1)) for look in past] + [float(max(events, 1))]
    errors = [look.spent for look in past] + [spent]
    try:
        bound = float(sequential_bounds(information, errors)[-1])
    except ConfigError:
        # hardly an event since the last look: what is left is spent on its own, which is safe
        bound = float(norm.isf(spent - before)) if spent > before else float("inf")
    return bound if np.isfinite(bound) else None
