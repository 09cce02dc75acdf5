"""Landmark analyses: the clock starts again for those still at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.survival.outcome import Outcome

__all__ = ["LandmarkData", "StackedLandmarks", "at_landmark", "stack_landmarks"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LandmarkData:
    """Patients at risk at a landmark, with the clock started there.

    Parameters
    ----------
    landmark : float
        In the unit of the original time.
    outcome : Outcome
        Of the patients kept; time since the landmark.
    index : ndarray of shape (k,), int64
        Their positions among the n patients.
    n : int
        Patients before the selection.
    left_with_event : dict of int to int
        Patients whose event came at or before the landmark, by its code.
    n_left_censored : int
        Patients whose follow-up ended without an event at or before the landmark.
    n_not_entered : int
        Patients with delayed entry after the landmark: not watched yet.
    """

    landmark: float
    outcome: Outcome
    index: NDArray[np.int64]
    n: int
    left_with_event: dict[int, int]
    n_left_censored: int
    n_not_entered: int

    @property
    def n_kept(self) -> int:
        """Patients at risk just after the landmark."""
        return int(self.index.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class StackedLandmarks:
    """Several landmark data sets, one under the other, for one landmark supermodel.

    Parameters
    ----------
    outcome : Outcome
        Time since each row's landmark, ended after `width`.
    patient : ndarray of shape (r,), int64
        Position of each row's patient: the cluster of robust standard errors.
    landmark : ndarray of shape (r,)
        Each row's landmark: a stratum, or a covariate with its powers.
    width : float
        Prediction window.
    parts : tuple of LandmarkData
        One for each landmark, before the window cut them.
    """

    outcome: Outcome
    patient: NDArray[np.int64]
    landmark: NDArray[np.float64]
    width: float
    parts: tuple[LandmarkData, ...]


def at_landmark(outcome: Outcome, landmark: float, *, horizon: float | None = None) -> LandmarkData:
    """Keep the patients at risk at a landmark and start their clock there.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    landmark : float
        In the unit of its time, 0 or more.
    horizon : float, optional
        Time *since the landmark* at which follow-up ends.

    Returns
    -------
    LandmarkData
        kept + left with event + left censored + not entered = n.

    Raises
    ------
    ConfigError
        When the landmark or the horizon is out of range.
    NotEstimable
        When nobody is at risk after the landmark.

    Notes
    -----
    Anderson, Cain and Gelber 1983.  Follow-up that ends exactly at the landmark ends before it, so
    ``time > landmark`` stays, as in R's ``subset = time > landmark``.  Only what was known at
    the landmark may be used on the result; select covariates with `index`.

    Examples
    --------
    >>> view = at_landmark(Outcome(time=[1, 3, 4, 5], event=[1, 0, 1, 2]), 3.0)
    >>> view.outcome.time.tolist(), view.left_with_event, view.n_left_censored
    ([1.0, 2.0], {1: 1, 2: 0}, 1)
    """
    if not (np.isfinite(landmark) and landmark >= 0.0):
        raise ConfigError(f"the landmark is {landmark}; expected a finite time of 0 or more")
    if horizon is not None and not horizon > 0.0:
        raise ConfigError(f"the horizon is {horizon} after the landmark; expected more than 0")
    gone = outcome.time <= landmark
    entered = (
        np.ones(outcome.n, dtype=np.bool_) if outcome.entry is None else outcome.entry <= landmark
    )
    keep = ~gone & entered
    if not keep.any():
        raise NotEstimable(
            f"nobody of {outcome.n} is at risk after the landmark {landmark:g}: follow-up ends at "
            f"{outcome.time.max():g}"
        )
    shifted = Outcome(time=outcome.time[keep] - landmark, event=outcome.event[keep])
    return LandmarkData(
        landmark=float(landmark),
        outcome=shifted if horizon is None else shifted.until(horizon),
        index=np.flatnonzero(keep),
        n=outcome.n,
        left_with_event={
            code: int(np.count_nonzero(gone & (outcome.event == code))) for code in outcome.causes
        },
        n_left_censored=int(np.count_nonzero(gone & (outcome.event == 0))),
        n_not_entered=int(np.count_nonzero(~gone & ~entered)),
    )


def stack_landmarks(
    outcome: Outcome, landmarks: Sequence[float], *, width: float
) -> StackedLandmarks:
    """Stack the data sets of several landmarks, each followed for the same window.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    landmarks : sequence of float
        Distinct times, 0 or more.
    width : float
        Window after each landmark.

    Returns
    -------
    StackedLandmarks
        For ``fit_cox(…, strata=stack.landmark, cluster=stack.patient)``.

    Raises
    ------
    ConfigError
        When landmarks are missing or repeated, or a number is out of range.
    NotEstimable
        When nobody is at risk after a landmark.

    Notes
    -----
    Van Houwelingen 2007 (Scandinavian Journal of Statistics 34, 70–85).  A patient stands in
    several rows; only standard errors clustered by `patient` are right.

    Examples
    --------
    >>> stack = stack_landmarks(Outcome(time=[1, 3, 5], event=[1, 1, 0]), [0.0, 2.0], width=2.0)
    >>> stack.patient.tolist(), stack.outcome.time.tolist(), stack.outcome.event.tolist()
    ([0, 1, 2, 1, 2], [1.0, 2.0, 2.0, 1.0, 2.0], [1, 0, 0, 1, 0])
    """
    if not len(landmarks) or len(set(landmarks)) != len(landmarks):
        raise ConfigError(f"landmarks are {tuple(landmarks)}; expected one or more distinct times")
    parts = tuple(at_landmark(outcome, landmark) for landmark in landmarks)
    if not width > 0.0:
        raise ConfigError(f"the width is {width}; expected more than 0")
    cut = [part.outcome.until(width) for part in parts]
    return StackedLandmarks(
        outcome=Outcome(
            time=np.concatenate([one.time for one in cut]),
            event=np.concatenate([one.event for one in cut]),
        ),
        patient=np.concatenate([part.index for part in parts]),
        landmark=np.concatenate([np.full(part.n_kept, part.landmark) for part in parts]),
        width=float(width),
        parts=parts,
    )
