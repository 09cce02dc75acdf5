"""Follow-up in intervals: hazards of the event and of competing events, one interval at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from metastra.bundle.slide_head import Head
from metastra.errors import NotEstimable
from metastra.survival.outcome import Outcome
from metastra.training.slide_task import SlideTask

__all__ = ["HazardObjective"]

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]

_INTERVALS = 6
"""At least, up to the last horizon."""
_PRIOR = 0.5
"""Added to each count behind a starting hazard, so that none is 0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HazardObjective:
    """Hazards of the event and of competing events in a few intervals.

    Parameters
    ----------
    edges_days : ndarray of shape (j,)
        Ends of the intervals.
    primary_interval : int
        Intervals up to the primary horizon.
    n_causes : int
        2 where competing events occur, else 1.
    target : ndarray of shape (n, j), int64
        0 nothing, 1 the event, 2 a competing one.
    at_risk : ndarray of shape (n, j)
        1 for the intervals that a patient lived through or had an event in.
    """

    edges_days: _Array
    primary_interval: int
    n_causes: int
    target: NDArray[np.int64]
    at_risk: _Array

    @classmethod
    def of(cls, outcome: Outcome, task: SlideTask) -> HazardObjective:
        """Cut follow-up into intervals.

        Parameters
        ----------
        outcome : Outcome
            Of n patients, in days.
        task : SlideTask
            Its horizons are ends of intervals; what happens after the last one is not looked at.

        Returns
        -------
        HazardObjective
            Between horizons the intervals are equally long, at most a sixth of the last horizon:
            where they end is decided without looking at outcomes.

        Raises
        ------
        NotEstimable
            Under delayed entry.

        Notes
        -----
        A patient censored in the second half of an interval counts as having lived through it, one
        censored in the first half as not having been in it (Gensheimer and Narasimhan 2019).
        """
        if outcome.entry is not None:
            raise NotEstimable("the head 'discrete-hazard' is not defined under delayed entry")
        edges = _intervals(task.horizons_days)
        begins = np.concatenate([[0.0], edges[:-1]])
        time, event = outcome.time[:, None], outcome.event[:, None]
        inside = (time > begins) & (time <= edges)
        inside[:, 0] |= outcome.time == 0.0
        happened = inside & (event > 0)
        lived = (time > edges) | (inside & (event == 0) & (time >= 0.5 * (begins + edges)))
        return cls(
            edges_days=edges,
            primary_interval=int(np.searchsorted(edges, task.primary_days)) + 1,
            n_causes=2 if (outcome.event > 1).any() else 1,
            target=np.where(happened, np.minimum(event, 2), 0),
            at_risk=(lived | happened).astype(np.float64),
        )

    @property
    def readout(self) -> Head:
        """What the outputs mean."""
        return Head(
            kind="discrete-hazard",
            edges_days=self.edges_days,
            primary_interval=self.primary_interval,
        )

    @property
    def n_effects(self) -> int:
        """One for each cause, in all intervals."""
        return self.n_causes

    def start(self, kept: _Mask) -> _Array:
        """Logits of the observed hazards.

        Parameters
        ----------
        kept : ndarray of shape (n,), bool
            Patients to count.

        Returns
        -------
        ndarray of shape (j * c,)
            The causes of an interval side by side.
        """
        target, at_risk = self.target[kept], self.at_risk[kept]
        counts = [(at_risk * (target == code)).sum(axis=0) for code in range(self.n_causes + 1)]
        logs = np.log(np.array(counts).T + _PRIOR)
        return np.asarray((logs[:, 1:] - logs[:, :1]).ravel(), dtype=np.float64)

    def gain(self, outputs: _Array, kept: _Mask, held: _Mask) -> float:
        """Log-likelihood of patients left out, above that of the observed hazards.

        Parameters
        ----------
        outputs : ndarray of shape (n, j * c)
            Of a model that was fitted on `kept`.
        kept, held : ndarray of shape (n,), bool
            Patients fitted on, and patients to be judged.

        Returns
        -------
        float
            Summed over patients and intervals.
        """
        nothing = np.broadcast_to(self.start(kept), outputs.shape)
        return float((self._loglik(outputs) - self._loglik(nothing))[held].sum())

    def _loglik(self, outputs: _Array) -> _Array:
        logits = outputs.reshape(len(outputs), self.edges_days.size, -1)
        padded = np.concatenate([np.zeros((*logits.shape[:2], 1)), logits], axis=2)
        shares = log_softmax(padded, axis=2)
        happened = np.take_along_axis(shares, self.target[:, :, None], axis=2)[:, :, 0]
        return np.asarray((happened * self.at_risk).sum(axis=1), dtype=np.float64)


def _intervals(horizons_days: tuple[float, ...]) -> _Array:
    """Cut the time up to each horizon into equal pieces that are short enough."""
    longest = horizons_days[-1] / _INTERVALS
    edges = [0.0]
    for horizon in horizons_days:
        pieces = max(int(np.ceil((horizon - edges[-1]) / longest - 1e-9)), 1)
        edges += np.linspace(edges[-1], horizon, pieces + 1)[1:].tolist()
    return np.array(edges[1:])
