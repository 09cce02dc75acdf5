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
from metastra.training.slide_hazards import HazardObjective
from metastra.training.slide_task import SlideTask

__all__ = ["ClassObjective", "CoxObjective", "Objective", "objective_of"]

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]

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
