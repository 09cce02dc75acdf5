"""How well outputs of a slide model fit outcomes: the likelihood of patients who were left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.slide_head import Head
from metastra.survival.outcome import Outcome
from metastra.survival.partial_likelihood import PartialLikelihood
from metastra.survival.risk_sums import RiskSets

__all__ = ["CoxObjective", "Objective"]

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]


class Objective(Protocol):
    """What the heads have in common."""

    @property
    def readout(self) -> Head:
        """What the outputs mean."""

    @property
    def n_outputs(self) -> int:
        """Outputs of a member."""

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
    def n_outputs(self) -> int:
        """One."""
        return 1

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
        return _gain(own.take(both), scores[both]) - _gain(own.take(kept), scores[kept])


def _gain(outcome: Outcome, scores: _Array) -> float:
    """Log partial likelihood above that of scores of 0."""
    event = outcome.event != 0
    if not event.any():
        return 0.0
    n = outcome.n
    sets = RiskSets.of(outcome, event, np.zeros(n, dtype=np.int64))
    design = (scores - scores.mean())[:, None]
    likelihood = PartialLikelihood.of(sets, design, np.ones(n), np.zeros(n), "efron")
    return likelihood.at(np.ones(1)).loglik - likelihood.at(np.zeros(1)).loglik
