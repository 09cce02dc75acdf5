"""The absolute risk by a horizon as a function of case weights, for the bootstrap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metastra.survival.outcome import Outcome
from metastra.survival.pseudo_values import SortedStatus
from metastra.survival.tally_kernel import incidence_at, tally

__all__ = ["IncidenceStatistic"]


class IncidenceStatistic:
    """Aalen–Johansen risk of one group; one less Kaplan–Meier where nothing competes.

    Patients are sorted once; each call is O(n).

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry.
    horizon : float
        In the unit of the outcome.
    cause : int
        The event of interest.

    Examples
    --------
    >>> risk = IncidenceStatistic(Outcome(time=[1, 2, 3, 4], event=[1, 0, 1, 0]), 3.5)
    >>> risk(np.ones(4)), round(risk(np.array([0.0, 1.0, 2.0, 1.0])), 4)
    (0.625, 0.6667)
    """

    def __init__(self, outcome: Outcome, horizon: float, *, cause: int = 1) -> None:
        self._rows = SortedStatus.of(outcome, cause=cause)
        self._n_times = self._rows.n_times(horizon)
        self._first_reaching = int(np.searchsorted(self._rows.times, horizon, side="left"))

    def __call__(self, weights: NDArray[np.float64]) -> float:
        """Compute the risk under case weights.

        Parameters
        ----------
        weights : ndarray of shape (n,)
            How often each patient was drawn, in the order of the outcome.

        Returns
        -------
        float
            NaN where nobody drawn is watched up to the horizon although some were free of any
            event; the bootstrap counts a failed replicate.
        """
        rows = self._rows
        weight = weights[rows.order]
        counts = tally(rows.group, rows.status, weight, rows.times.size)
        risk, free = incidence_at(*counts, self._n_times)
        at = self._first_reaching
        watched = at < rows.times.size and counts[0][at] > 0.0
        return float(risk) if watched or free <= 0.0 else float("nan")
