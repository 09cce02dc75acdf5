"""Cohorts from a stated hazard, and the true values that intervals should cover."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from metastra.survival.outcome import Outcome

__all__ = ["HORIZON_YEARS", "Cohort", "Model"]

HORIZON_YEARS = 2.0
_FIRST_END, _LAST_END = 1.0, 5.0
_X = np.linspace(-8.0, 8.0, 2001)
_DENSITY = np.exp(-0.5 * _X**2) / np.exp(-0.5 * _X**2).sum()

Array = NDArray[np.float64]


def _time_grid() -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights on the years before and after follow-up begins to end."""
    node, weight = np.polynomial.legendre.leggauss(64)
    edges = ((0.0, _FIRST_END), (_FIRST_END, HORIZON_YEARS))
    times = [0.5 * (b - a) * node + 0.5 * (a + b) for a, b in edges]
    weights = [0.5 * (b - a) * weight for a, b in edges]
    return np.concatenate(times), np.concatenate(weights)


def _still_followed(years: Array) -> Array:
    return np.clip((_LAST_END - years) / (_LAST_END - _FIRST_END), 0.0, 1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cohort:
    """One simulated cohort; the risk is the true one.

    Parameters
    ----------
    outcome : Outcome
        In years; 1 the event of interest, 2 the competing one.
    score : ndarray of shape (n,)
        Standard normal; the log hazard ratio of the event is `Model.slope` a unit.
    risk : ndarray of shape (n,)
        True probability of the event of interest by the horizon.
    """

    outcome: Outcome
    score: Array
    risk: Array

    @property
    def n_events(self) -> int:
        """Events of interest seen by the horizon."""
        time, event = np.asarray(self.outcome.time), np.asarray(self.outcome.event)
        return int(np.count_nonzero((event == 1) & (time <= HORIZON_YEARS)))


@dataclass(frozen=True, kw_only=True)
class Model:
    """Constant hazards a year: ``base exp(slope x)`` and a competing one that is alike for all.

    Follow-up ends uniformly between 1 and 5 years.

    Parameters
    ----------
    base, slope, competing : float
        As above.
    """

    base: float
    slope: float = 1.0
    competing: float = 0.04

    @classmethod
    def with_events(cls, share: float) -> Model:
        """Choose the base hazard so that this share of patients has a seen event by the horizon.

        Parameters
        ----------
        share : float
            Between 0 and 1.

        Returns
        -------
        Model
            With the default slope and competing hazard.
        """
        return cls(base=float(brentq(lambda base: cls(base=base).seen_share() - share, 1e-4, 2.0)))

    def draw(self, n: int, generator: np.random.Generator) -> Cohort:
        """Draw a cohort.

        Parameters
        ----------
        n : int
            Patients.
        generator : numpy.random.Generator
            Of this cohort alone.

        Returns
        -------
        Cohort
            With continuous times.
        """
        score = generator.standard_normal(n)
        hazard = self._hazard(score)
        event = generator.exponential(1.0 / hazard)
        other = generator.exponential(1.0 / self.competing, n)
        end = generator.uniform(_FIRST_END, _LAST_END, n)
        first = np.minimum(event, other)
        code = np.where(first > end, 0, np.where(event <= other, 1, 2))
        outcome = Outcome(time=np.minimum(first, end), event=code)
        return Cohort(outcome=outcome, score=score, risk=self._risk(score))

    def true_auc(self) -> float:
        """Integrate the AUC at the horizon; a patient with the competing event is a control."""
        risk = self._risk(_X)
        case, control = _DENSITY * risk, _DENSITY * (1.0 - risk)
        return float(case @ _below(control) / (case.sum() * control.sum()))

    def large_sample_ipa(self) -> float:
        """The IPA of the true risk in a million patients: 1 - Brier / Brier of the mean risk.

        Without censoring the Brier score of a true risk p is the mean of p (1 - p).
        """
        risk = self._risk(np.random.default_rng(1).standard_normal(1_000_000))
        mean = float(risk.mean())
        return 1.0 - float(np.mean(risk * (1.0 - risk))) / (mean * (1.0 - mean))

    def true_harrell(self) -> float:
        """Integrate what Harrell's C up to the horizon tends to under this censoring."""
        concordant = comparable = 0.0
        for time, weight in zip(*_time_grid(), strict=True):
            hazard = self._hazard(_X)
            present = _DENSITY * np.exp(-(hazard + self.competing) * time)
            fails = present * hazard
            both = weight * float(_still_followed(time)) ** 2
            concordant += both * float(fails @ _below(present))
            comparable += both * float(fails.sum() * present.sum())
        return concordant / comparable

    def _hazard(self, score: Array) -> Array:
        return self.base * np.exp(self.slope * score)

    def _risk(self, score: Array) -> Array:
        hazard = self._hazard(score)
        either = hazard + self.competing
        return hazard / either * -np.expm1(-either * HORIZON_YEARS)

    def seen_share(self) -> float:
        """Integrate the share of patients whose event is seen by the horizon."""
        times, weights = _time_grid()
        hazard = self._hazard(_X)[:, None]
        density = hazard * np.exp(-(hazard + self.competing) * times)
        return float(_DENSITY @ density @ (weights * _still_followed(times)))


def _below(mass: Array) -> Array:
    """Mass at lower scores, and half of that at the same one."""
    return np.cumsum(mass) - 0.5 * mass
