"""Calibration slope of a proportional-hazards model: a second, steadier look at the same spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metastra.errors import NotEstimable
from metastra.survival.calibration import Coefficient, cloglog
from metastra.survival.cox import fit_cox
from metastra.survival.fine_gray import fit_fine_gray
from metastra.survival.horizon import events_by
from metastra.survival.outcome import Outcome
from metastra.survival.scores import as_risk

__all__ = ["hazard_slope"]


def hazard_slope(
    outcome: Outcome, risk: ArrayLike, horizon: float, *, cause: int = 1
) -> Coefficient:
    """Coefficient of the complementary log-log of the risk, with follow-up ended at the horizon.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; delayed entry only where nothing competes.
    risk : array_like of shape (n,)
        Probability of the event of interest by the horizon, inside (0, 1).
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest.

    Returns
    -------
    Coefficient
        1 where the risks are right and (subdistribution) hazards are proportional.

    Raises
    ------
    DataError
        When a risk is missing or outside [0, 1].
    NotEstimable
        Without an event by the horizon, when the risks do not differ or one is exactly 0 or 1, or
        the model has no finite estimate.

    Notes
    -----
    Cox's model, or with competing events Fine and Gray's with variances by patient.  It uses the
    order of the times and assumes proportional hazards, where `weak_calibration` uses who had the
    event by the horizon and assumes nothing: with few events it varies far less.  In 400 cohorts of
    160 patients with 16 events, 3% competing, the middle 90% of the slopes of right risks were
    0.57 to 1.55 here and 0.49 to 1.95 there; the largest were 2.0 and 4.8.

    Examples
    --------
    >>> y = Outcome(time=[1, 2, 3, 4, 5, 6], event=[1, 0, 1, 0, 1, 0])
    >>> round(hazard_slope(y, [0.6, 0.5, 0.3, 0.5, 0.4, 0.2], 6.0).estimate, 4)
    1.9361
    """
    risks = as_risk(risk, outcome, inside=True)
    if events_by(outcome, horizon, cause=cause) == 0:
        raise NotEstimable(f"no event by {horizon:g}, so calibration has no slope")
    if np.ptp(risks) == 0.0:
        raise NotEstimable("every patient has the same risk, so calibration has no slope")
    kept = slice(None) if outcome.entry is None else outcome.entry < horizon
    x = cloglog(risks)[kept][:, None]
    until = outcome.until(horizon)
    if set(until.causes) <= {cause}:
        cox = fit_cox(until.only(cause), x, names=["cloglog"])
        return Coefficient(estimate=float(cox.coef[0]), std_error=float(cox.std_error[0]))
    model = fit_fine_gray(until, x, cause=cause, names=["cloglog"])
    return Coefficient(estimate=float(model.coef[0]), std_error=float(model.std_error[0]))
