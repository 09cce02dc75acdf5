"""Cases and controls at a horizon, and the sums of which the AUC is made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.horizon import HorizonView
from metastra.survival.sorting_kernel import dense_rank

__all__ = ["AucParts", "Controls", "as_controls", "auc_parts", "is_control", "weigh_sides"]


class Controls(StrEnum):
    """Who the cases are compared with (Blanche et al. 2013); the same without competing events."""

    EVENT_FREE = "event-free"
    """Definition (i): patients without any event by the horizon."""
    FREE_OF_CAUSE = "free-of-cause"
    """Definition (ii): also those with a competing event by the horizon."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AucParts:
    """Cases against controls for one score: all that the AUC and its influence are made of.

    Parameters
    ----------
    case, control : ndarray of shape (n,)
        Weights; 0 for patients who are none.
    won_by_case : ndarray of shape (n,)
        For each case its weight times the controls that score lower (equal ones count half).
    won_over_control : ndarray of shape (n,)
        For each control its weight times the cases that score higher (equal ones count half).
    """

    case: NDArray[np.float64]
    control: NDArray[np.float64]
    won_by_case: NDArray[np.float64]
    won_over_control: NDArray[np.float64]

    @property
    def estimate(self) -> float:
        """Area under the ROC curve."""
        return float(self.won_by_case.sum() / (self.case.sum() * self.control.sum()))

    def influence(self, view: HorizonView) -> NDArray[np.float64]:
        """Trace what each patient does to the AUC.

        Parameters
        ----------
        view : HorizonView
            The one the parts were made from.

        Returns
        -------
        ndarray of shape (n,)
            Its standard deviation over √n is the standard error.
        """
        auc, cases, controls = self.estimate, self.case.sum(), self.control.sum()
        terms = self.won_by_case - auc * controls * self.case
        terms += self.won_over_control - auc * cases * self.control
        influence = view.n * (terms + view.weight_influence(terms)) / (cases * controls)
        return np.asarray(influence, dtype=np.float64)


def as_controls(controls: Controls | str) -> Controls:
    """Read the definition of the controls.

    Parameters
    ----------
    controls : Controls or str
        A member or its value.

    Returns
    -------
    Controls
        The member.

    Raises
    ------
    ConfigError
        When it is unknown.

    Examples
    --------
    >>> as_controls("event-free") is Controls.EVENT_FREE
    True
    """
    try:
        return Controls(controls)
    except ValueError as error:
        known = ", ".join(Controls)
        raise ConfigError(f"the controls {controls!r} are unknown; expected {known}") from error


def is_control(view: HorizonView, definition: Controls) -> NDArray[np.bool_]:
    """Mark the controls.

    Parameters
    ----------
    view : HorizonView
        Status at the horizon.
    definition : Controls
        Who the controls are.

    Returns
    -------
    ndarray of shape (n,), bool
        True for a control.
    """
    return view.beyond | view.competing if definition is Controls.FREE_OF_CAUSE else view.beyond


def weigh_sides(
    view: HorizonView, definition: Controls
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weigh the cases and the controls.

    Parameters
    ----------
    view : HorizonView
        Status and weights at the horizon.
    definition : Controls
        Who the controls are.

    Returns
    -------
    case, control : ndarray of shape (n,)
        Weights; 0 for patients who are none.

    Raises
    ------
    NotEstimable
        When either side is empty.
    """
    case = view.weight * view.case
    control = view.weight * is_control(view, definition)
    if not case.any():
        raise NotEstimable(f"nobody is known to have had the event by {view.horizon:g}")
    if not control.any():
        raise NotEstimable(
            f"there are no controls at {view.horizon:g}: nobody is watched past it "
            f"(last follow-up {float(view.outcome.time.max()):g})"
        )
    return case, control


def auc_parts(view: HorizonView, score: NDArray[np.float64], definition: Controls) -> AucParts:
    """Set cases against controls in O(n log n).

    Parameters
    ----------
    view : HorizonView
        Status and weights at the horizon.
    score : ndarray of shape (n,)
        Finite; higher is worse.
    definition : Controls
        Who the controls are.

    Returns
    -------
    AucParts
        Of this score.

    Raises
    ------
    NotEstimable
        When there are no cases or no controls.

    Examples
    --------
    >>> from metastra.survival.horizon import view_at
    >>> from metastra.survival.outcome import Outcome
    >>> view = view_at(Outcome(time=[1, 2, 5, 5], event=[1, 1, 0, 0]), 4.0)
    >>> auc_parts(view, np.array([4.0, 2.0, 3.0, 1.0]), Controls.EVENT_FREE).estimate
    0.75
    """
    case, control = weigh_sides(view, definition)
    rank, n_ranks = dense_rank(score)
    below = _cumulated(rank, control, n_ranks)[rank]
    above = case.sum() - _cumulated(rank, case, n_ranks)[rank]
    return AucParts(
        case=case,
        control=control,
        won_by_case=case * below,
        won_over_control=control * above,
    )


def _cumulated(
    rank: NDArray[np.int64], weight: NDArray[np.float64], n_ranks: int
) -> NDArray[np.float64]:
    """Weight at lower ranks plus half of that at the rank itself."""
    at_rank = np.bincount(rank, weights=weight, minlength=n_ranks)
    return np.asarray(np.cumsum(at_rank) - 0.5 * at_rank, dtype=np.float64)
