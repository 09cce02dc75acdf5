"""A yes-or-no label at a horizon, with the weights that stand in for the censored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.survival.horizon import view_at
from metastra.survival.outcome import Outcome

__all__ = ["HorizonLabel", "horizon_label"]


@dataclass(frozen=True, kw_only=True, eq=False)
class HorizonLabel:
    """Whether the event came by a horizon, for each of n patients.

    Parameters
    ----------
    horizon : float
        In the unit of the outcome.
    cause : int
        Code of the event.
    label : ndarray of shape (n,), int64
        1 with the event by the horizon, 0 without it (watched past the horizon, or a competing
        event came first), -1 where censoring hides it.
    weight : ndarray of shape (n,)
        Inverse probability of being observed; 0 where the label is -1.  The weights sum to n.
    """

    horizon: float
    cause: int
    label: NDArray[np.int64]
    weight: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.label.size)

    @property
    def n_hidden(self) -> int:
        """Patients censored by the horizon; they stay, with weight 0."""
        return int(np.count_nonzero(self.label < 0))

    def risk(self) -> float:
        """Give the weighted share of events.

        Returns
        -------
        float
            Equal to the Aalen–Johansen estimate at the horizon; to one minus the Kaplan–Meier
            estimate where nothing competes.
        """
        return float(np.sum(self.weight * (self.label == 1)) / len(self))


def horizon_label(outcome: Outcome, horizon: float, *, cause: int = 1) -> HorizonLabel:
    """Make a label at a horizon without dropping anybody.

    Patients censored by the horizon have no label.  Leaving them out, or calling them free of the
    event, biases every number made from the labels; instead the others are weighted by
    1 / G(T-) (event by the horizon) or 1 / G(horizon) (watched past it), where G is the
    Kaplan–Meier estimate of not being censored.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, without delayed entry.
    horizon : float
        In the unit of the outcome.
    cause : int
        Code of the event of interest.

    Returns
    -------
    HorizonLabel
        One entry per patient, in their order.

    Raises
    ------
    NotEstimable
        When follow-up does not reach past the horizon, or there is delayed entry.

    Notes
    -----
    Inverse-probability-of-censoring weights: Robins and Rotnitzky 1992; at a horizon, Graf and
    colleagues, Stat Med 1999.  Censoring is taken to be independent of outcome and predictors.

    Examples
    --------
    >>> y = Outcome(time=[1.0, 2.0, 3.0, 5.0], event=[1, 0, 2, 0])
    >>> made = horizon_label(y, 4.0)
    >>> made.label.tolist(), made.weight.round(3).tolist(), made.risk()
    ([1, -1, 0, 0], [1.0, 0.0, 1.5, 1.5], 0.25)
    """
    view = view_at(outcome, horizon, cause=cause)
    label = np.full(outcome.n, -1, dtype=np.int64)
    label[view.competing | view.beyond] = 0
    label[view.case] = 1
    return HorizonLabel(horizon=view.horizon, cause=cause, label=label, weight=view.weight)
