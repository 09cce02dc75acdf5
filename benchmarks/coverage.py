"""How often intervals cover the truth, and how often a test of no difference rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.simulation import HORIZON_YEARS, Cohort, Model
from metastra.errors import NotEstimable
from metastra.survival.calibration import observed_expected
from metastra.survival.concordance import concordance
from metastra.survival.dynamic_auc import delta_auc, dynamic_auc

__all__ = ["Covered", "Rejected", "Study", "simulate"]

_SEED = 20260101
_LEVEL = 0.95

Estimator = Callable[[Cohort], tuple[float, tuple[float, float]]]


def _auc(cohort: Cohort) -> tuple[float, tuple[float, float]]:
    found = dynamic_auc(cohort.outcome, cohort.score, HORIZON_YEARS)
    return found.estimate, found.interval(_LEVEL)


def _harrell(cohort: Cohort) -> tuple[float, tuple[float, float]]:
    found = concordance(cohort.outcome, cohort.score, tau=HORIZON_YEARS)
    return found.estimate, found.interval(_LEVEL)


def _ratio(cohort: Cohort) -> tuple[float, tuple[float, float]]:
    found = observed_expected(cohort.outcome, cohort.risk, HORIZON_YEARS)
    return found.ratio, found.interval(_LEVEL)


def _ratio_events(cohort: Cohort) -> tuple[float, tuple[float, float]]:
    found = observed_expected(cohort.outcome, cohort.risk, HORIZON_YEARS)
    return found.ratio, found.interval(_LEVEL, source="events")


@dataclass(kw_only=True)
class Covered:
    """One interval over all cohorts: estimates and limits, and cohorts without either."""

    name: str
    truth: float
    estimates: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    refused: int = 0

    def add(self, estimator: Estimator, cohort: Cohort) -> None:
        """Estimate on one more cohort."""
        try:
            estimate, (lower, upper) = estimator(cohort)
        except NotEstimable:
            self.refused += 1
            return
        self.estimates.append(estimate)
        self.lower.append(lower)
        self.upper.append(upper)

    @property
    def all_below(self) -> float:
        """Share of intervals that lie below the truth."""
        return float(np.mean(np.asarray(self.upper) < self.truth))

    @property
    def all_above(self) -> float:
        """Share of intervals that lie above the truth."""
        return float(np.mean(np.asarray(self.lower) > self.truth))

    @property
    def width(self) -> float:
        """Median width."""
        return float(np.median(np.asarray(self.upper) - np.asarray(self.lower)))


@dataclass(kw_only=True)
class Rejected:
    """A test of two scores with the same true AUC: p-values, and cohorts without one."""

    name: str
    share_of_score: float
    p_values: list[float] = field(default_factory=list)
    refused: int = 0

    def add(self, cohort: Cohort, generator: np.random.Generator) -> None:
        """Test two scores that know equally much, with noise of their own."""
        noise = generator.standard_normal((2, cohort.score.size))
        known = self.share_of_score
        first, second = known * cohort.score + np.sqrt(1.0 - known**2) * noise
        try:
            found = delta_auc(cohort.outcome, first, second, HORIZON_YEARS)
            self.p_values.append(found.p_value())
        except NotEstimable:
            self.refused += 1

    def rate(self, level: float) -> float:
        """Share of p-values below a level."""
        return float(np.mean(np.asarray(self.p_values) < level))


@dataclass(kw_only=True)
class Study:
    """One design over all its cohorts."""

    n: int
    events: list[int]
    covered: Sequence[Covered]
    rejected: Sequence[Rejected]


def simulate(model: Model, *, n: int, cohorts: int) -> Study:
    """Draw cohorts of one size and judge every interval and test on each.

    Parameters
    ----------
    model : Model
        The truth.
    n : int
        Patients in a cohort.
    cohorts : int
        How many are drawn; cohort number k is the same however many there are.

    Returns
    -------
    Study
        All of it.
    """
    judged: list[tuple[Covered, Estimator]] = [
        (Covered(name="AUC at the horizon", truth=model.true_auc()), _auc),
        (Covered(name="Harrell's C up to the horizon", truth=model.true_harrell()), _harrell),
        (Covered(name="O/E, from the standard error", truth=1.0), _ratio),
        (Covered(name="O/E, from the events", truth=1.0), _ratio_events),
    ]
    tests = [
        Rejected(name="both correlate 0.7 with the true score", share_of_score=0.7),
        Rejected(name="both are noise", share_of_score=0.0),
    ]
    events = []
    for number in range(cohorts):
        generator = np.random.default_rng([_SEED, n, number])
        cohort = model.draw(n, generator)
        events.append(cohort.n_events)
        for covered, estimator in judged:
            covered.add(estimator, cohort)
        for test in tests:
            test.add(cohort, generator)
    return Study(n=n, events=events, covered=[covered for covered, _ in judged], rejected=tests)
