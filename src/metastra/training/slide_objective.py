"""What the heads are fitted to, and how well their outputs fit patients who were left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from metastra.bundle.slide_head import Head
from metastra.errors import NotEstimable
from metastra.survival.censoring import censoring_survival
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import PartialLikelihood
from metastra.survival.risk_sums import RiskSets
from metastra.training.slide_task import SlideTask

__all__ = ["ClassObjective", "CoxObjective", "HazardObjective", "Objective", "objective_of"]

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]

_INTERVALS = 6
"""Of discrete hazards, at least, up to the last horizon."""
_PRIOR = 0.5
"""Added to each count behind a starting hazard, so that none is 0."""


class Objective(Protocol):
    """What the heads have in common."""

    @property
    def readout(self) -> Head:
        """What the outputs mean."""

    @property
    def n_effects(self) -> int:
        """Outputs with an effect of their own."""

    def start(self, kept: _Mask) -> _Array:
        """Give the outputs of a model without slides.

        Parameters
        ----------
        kept : ndarray of shape (n,), bool
            Patients it is fitted on.

        Returns
        -------
        ndarray of shape (o,)
            The same for every patient.
        """

    def gain(self, outputs: _Array, kept: _Mask, held: _Mask) -> float:
        """Log-likelihood of patients left out, above that of a model without slides.

        Parameters
        ----------
        outputs : ndarray of shape (n, o)
            Of a model that was fitted on `kept`.
        kept, held : ndarray of shape (n,), bool
            Patients fitted on, and patients to be judged.

        Returns
        -------
        float
            0 where the patients to be judged tell nothing.
        """


def objective_of(outcome: Outcome, task: SlideTask) -> Objective:
    """Lay out what a head is fitted to.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, in days.
    task : SlideTask
        Names the head and the horizons.

    Returns
    -------
    Objective
        Of the same patients.

    Raises
    ------
    NotEstimable
        When the head has no form for the outcome.
    """
    if task.head == "cox":
        return CoxObjective(outcome=outcome)
    if task.head == "discrete-hazard":
        return HazardObjective.of(outcome, task)
    return ClassObjective.of(outcome, task.primary_days)


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxObjective:
    """Log relative hazards, judged by the partial likelihood (Efron's ties, full risk sets).

    Parameters
    ----------
    outcome : Outcome
        Of n patients; causes other than 1 are censored.

    Notes
    -----
    A part without an event, or a single patient, has no partial likelihood of its own.  So a part
    left out is judged by ``l(b; with it) - l(b; without it)`` (Verweij and van Houwelingen 1993),
    less the same for a score of 0.
    """

    outcome: Outcome

    @property
    def readout(self) -> Head:
        """What the outputs mean."""
        return Head(kind="cox")

    @property
    def n_effects(self) -> int:
        """One."""
        return 1

    def start(self, kept: _Mask) -> _Array:
        """Give the outputs of a model without slides.

        Parameters
        ----------
        kept : ndarray of shape (n,), bool
            Not looked at.

        Returns
        -------
        ndarray of shape (1,)
            0.
        """
        del kept
        return np.zeros(1)

    def gain(self, outputs: _Array, kept: _Mask, held: _Mask) -> float:
        """Log partial likelihood of patients left out, above that of scores of 0.

        Parameters
        ----------
        outputs : ndarray of shape (n, 1)
            Of a model that was fitted on `kept`.
        kept, held : ndarray of shape (n,), bool
            Patients fitted on, and patients to be judged.

        Returns
        -------
        float
            Minus infinity where it overflows.
        """
        own = self.outcome.only(1)
        scores = outputs[:, 0]
        both = kept | held
        return _partial(own.take(both), scores[both]) - _partial(own.take(kept), scores[kept])


def _partial(outcome: Outcome, scores: _Array) -> float:
    """Log partial likelihood above that of scores of 0."""
    event = outcome.event != 0
    if not event.any():
        return 0.0
    n = outcome.n
    sets = RiskSets.of(outcome, event, np.zeros(n, dtype=np.int64))
    design = (scores - scores.mean())[:, None]
    likelihood = PartialLikelihood.of(sets, design, np.ones(n), np.zeros(n), "efron")
    return likelihood.at(np.ones(1)).loglik - likelihood.at(np.zeros(1)).loglik


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


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassObjective:
    """What had happened by the primary horizon: nothing, the event, or a competing event.

    Parameters
    ----------
    outcome : Outcome
        Of n patients, in days.
    primary_days : float
        The horizon.
    n_classes : int
        3 where competing events occur by then, else 2.
    target : ndarray of shape (n,), int64
        Class of each patient.
    """

    outcome: Outcome
    primary_days: float
    n_classes: int
    target: NDArray[np.int64]

    @classmethod
    def of(cls, outcome: Outcome, primary_days: float) -> ClassObjective:
        """Sort patients into classes.

        Parameters
        ----------
        outcome : Outcome
            Of n patients, in days.
        primary_days : float
            The horizon.

        Returns
        -------
        ClassObjective
            Of the same patients.

        Raises
        ------
        NotEstimable
            Under delayed entry.
        """
        if outcome.entry is not None:
            raise NotEstimable("the head 'classification' is not defined under delayed entry")
        target = np.where(outcome.time <= primary_days, np.minimum(outcome.event, 2), 0)
        return cls(
            outcome=outcome,
            primary_days=primary_days,
            n_classes=3 if (target == 2).any() else 2,
            target=target,
        )

    @property
    def readout(self) -> Head:
        """What the outputs mean."""
        return Head(kind="classification")

    @property
    def n_effects(self) -> int:
        """One for each class."""
        return self.n_classes

    def weight(self, kept: _Mask) -> _Array:
        """Weigh patients by the inverse probability of being observed at the horizon.

        Parameters
        ----------
        kept : ndarray of shape (n,), bool
            Patients from whom the distribution of censoring is learned.

        Returns
        -------
        ndarray of shape (n,)
            0 for patients censored by the horizon, who have no class (Graf et al. 1999).

        Raises
        ------
        NotEstimable
            When none of them is followed beyond the horizon.
        """
        inside = self.outcome.take(kept)
        at = self.primary_days
        if not (inside.time > at).any():
            raise NotEstimable(f"nobody fitted on is followed beyond the horizon at {at:g} days")
        g = censoring_survival(inside)
        time, weight = self.outcome.time, np.zeros(self.outcome.n)
        happened = (self.outcome.event != 0) & (time <= at)
        weight[happened] = 1.0 / g.left(time[happened])
        weight[time > at] = 1.0 / float(g(at))
        return weight

    def start(self, kept: _Mask) -> _Array:
        """Logarithms of the observed shares.

        Parameters
        ----------
        kept : ndarray of shape (n,), bool
            Patients to count.

        Returns
        -------
        ndarray of shape (o,)
            Their mean is 0.
        """
        weight = self.weight(kept)[kept]
        counts = np.bincount(self.target[kept], weights=weight, minlength=self.n_classes)
        logs = np.log(counts + _PRIOR)
        return np.asarray(logs - logs.mean(), dtype=np.float64)

    def gain(self, outputs: _Array, kept: _Mask, held: _Mask) -> float:
        """Weighted log-likelihood of patients left out, above that of the observed shares.

        Parameters
        ----------
        outputs : ndarray of shape (n, o)
            Of a model that was fitted on `kept`.
        kept, held : ndarray of shape (n,), bool
            Patients fitted on, and patients to be judged.

        Returns
        -------
        float
            Summed over patients.
        """
        nothing = np.broadcast_to(self.start(kept), outputs.shape)
        shares = log_softmax(outputs, axis=1) - log_softmax(nothing, axis=1)
        happened = np.take_along_axis(shares, self.target[:, None], axis=1)[:, 0]
        return float((happened * self.weight(kept))[held].sum())
