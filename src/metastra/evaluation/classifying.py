"""What a locked threshold does at the horizon: sensitivity, specificity, predictive values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.estimate import LEVEL, Estimate, attempt
from metastra.evaluation.patients import Patients
from metastra.stats.proportions import wilson_interval
from metastra.survival.classification import Classification, Share, classification_at
from metastra.survival.horizon import events_by

__all__ = ["SHARES", "classification", "classified"]

SHARES = {
    "sensitivity": "sensitivity: share of the patients with the event who are called high",
    "specificity": "specificity: share of the patients without the event who are not called high",
    "ppv": "positive predictive value: share of those called high who have the event",
    "npv": "negative predictive value: share of those not called high who do not have the event",
}
"""Keys and what they mean."""

_WORDS = (
    "inverse probability of censoring weights; influence function, logit scale, Student's t on one "
    "degree of freedom less than there are events"
)


def classification(
    patients: Patients,
    group: NDArray[np.int64],
    cutpoints: tuple[float, ...],
    *,
    exploratory: bool,
) -> list[dict[str, Any]]:
    """Judge every cutpoint at the last horizon.

    Parameters
    ----------
    patients : Patients
        Whom.
    group : ndarray of shape (n,), int64
        Their risk groups, counted from 0; the k-th cutpoint lies below group k.
    cutpoints : tuple of float
        Ascending; at or above is high.
    exploratory : bool
        Whether they were taken from these very patients.

    Returns
    -------
    list of dict
        ``cutpoint``, ``exploratory``, ``share_high`` and the keys of `SHARES`.
    """
    return [
        {"cutpoint": cut, "exploratory": exploratory, **classified(patients, group > k)}
        for k, cut in enumerate(cutpoints)
    ]


def classified(patients: Patients, high: NDArray[np.bool_]) -> dict[str, dict[str, Any]]:
    """Judge one division into high and not high.

    Parameters
    ----------
    patients : Patients
        Whom.
    high : ndarray of shape (n,), bool
        Who is called high.

    Returns
    -------
    dict
        ``share_high`` and the keys of `SHARES`, each an EST.

    Notes
    -----
    Blanche et al. 2013; patients with a competing event by the horizon count among those without
    the event.
    """
    horizon = patients.last_horizon
    events = events_by(patients.outcome, horizon)
    n_high = int(np.count_nonzero(high))
    lower, upper = wilson_interval(n_high, patients.n, level=LEVEL)
    share = Estimate(
        estimate=n_high / patients.n,
        lower=lower,
        upper=upper,
        method="share of the patients at or above the cutpoint; Wilson interval",
        n=patients.n,
        events=events,
    )
    found: Classification | NotEstimable
    try:
        found = classification_at(patients.outcome, high.astype(np.float64), 1.0, horizon)
    except NotEstimable as error:
        found = error

    def make(key: str) -> Callable[[], Estimate]:
        def one() -> Estimate:
            if isinstance(found, NotEstimable):
                raise found
            part: Share | None = getattr(found, key)
            if part is None:
                raise NotEstimable("nobody on this side of the cutpoint has a known status")
            limits: tuple[float, float] | tuple[None, None] = (None, None)
            reason = None
            try:
                limits = part.interval(LEVEL, df=found.events - 1.0)
            except NotEstimable as error:
                reason = f"no interval: {error.reason}"
            return Estimate(
                estimate=part.estimate,
                lower=limits[0],
                upper=limits[1],
                method=f"{SHARES[key]}; {_WORDS}",
                n=found.n,
                events=found.events,
                horizon=horizon,
                reason=reason,
            )

        return one

    numbers = {
        key: attempt(
            make(key), method=SHARES[key], n=patients.n, events=events, horizon=horizon
        ).to_json()
        for key in SHARES
    }
    return {"share_high": share.to_json(), **numbers}
