"""How often intervals cover the truth, and how often a test of no difference rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.simulation import HORIZON_YEARS, Cohort, Model
from metastra.errors import NotEstimable
from metastra.stats.resampling import bootstrap
from metastra.survival.brier import brier_score
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.concordance import concordance
from metastra.survival.dynamic_auc import delta_auc, dynamic_auc
from metastra.survival.panel import ValidationPanel

__all__ = ["Covered", "Rejected", "Study", "simulate"]

_SEED = 20260101
_LEVEL = 0.95
_DRAWS = 400

Limits = tuple[float, float]
Estimator = Callable[[Cohort], tuple[float, Callable[[float | None], Limits]]]
"""A measure, and its limits for given degrees of freedom (none: the normal distribution)."""


def _auc(cohort: Cohort) -> tuple[float, Callable[[float | None], Limits]]:
    found = dynamic_auc(cohort.outcome, cohort.risk, HORIZON_YEARS)
    return found.estimate, lambda df: found.interval(_LEVEL, df=df)


def _harrell(cohort: Cohort) -> tuple[float, Callable[[float | None], Limits]]:
    found = concordance(cohort.outcome, cohort.risk, tau=HORIZON_YEARS)
    return found.estimate, lambda df: found.interval(_LEVEL, df=df)


def _ratio(cohort: Cohort) -> tuple[float, Callable[[float | None], Limits]]:
    found = observed_expected(cohort.outcome, cohort.risk, HORIZON_YEARS)
    return found.ratio, lambda df: found.interval(_LEVEL, df=df)


def _slope(cohort: Cohort) -> tuple[float, Callable[[float | None], Limits]]:
    found = weak_calibration(cohort.outcome, cohort.risk, HORIZON_YEARS).slope
    return found.estimate, lambda df: found.interval(_LEVEL, df=df)


def _ipa(cohort: Cohort) -> tuple[float, Callable[[float | None], Limits]]:
    found = brier_score(cohort.outcome, cohort.risk, HORIZON_YEARS)
    if found.ipa is None:
        raise NotEstimable("the marginal risk is 0")
    return found.ipa, lambda df: found.ipa_interval(_LEVEL, df=df)


_MEASURES: dict[str, tuple[str, Estimator]] = {
    "AUC at the horizon": ("auc", _auc),
    "Harrell's C up to the horizon": ("harrell", _harrell),
    "O/E": ("oe_ratio", _ratio),
    "calibration slope": ("slope", _slope),
    "IPA": ("ipa", _ipa),
}
_WAYS = ("formula, normal", "formula, Student's t on events - 1", "percentile bootstrap")


@dataclass(kw_only=True)
class Covered:
    """One interval over all cohorts: estimates and limits, and cohorts without either."""

    name: str
    truth: float
    estimates: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    refused: int = 0

    def add(self, make: Callable[[], tuple[float, Limits]]) -> None:
        """Estimate on one more cohort."""
        try:
            estimate, (lower, upper) = make()
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
    students: bool
    p_values: list[float] = field(default_factory=list)
    refused: int = 0

    def add(self, cohort: Cohort, generator: np.random.Generator) -> None:
        """Test two scores that know equally much, with noise of their own."""
        noise = generator.standard_normal((2, cohort.score.size))
        known = self.share_of_score
        first, second = known * cohort.score + np.sqrt(1.0 - known**2) * noise
        try:
            found = delta_auc(cohort.outcome, first, second, HORIZON_YEARS)
            df = found.events - 1.0 if self.students else None
            self.p_values.append(found.p_value(df=df))
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


def simulate(model: Model, *, n: int, cohorts: int, redrawn: int) -> Study:
    """Draw cohorts of one size and judge every interval and test on each.

    Parameters
    ----------
    model : Model
        The truth.
    n : int
        Patients in a cohort.
    cohorts : int
        How many are drawn; cohort number k is the same however many there are.
    redrawn : int
        In how many of them the bootstrap is judged too, which takes longer.

    Returns
    -------
    Study
        All of it.
    """
    truth = {
        "auc": model.true_auc(),
        "harrell": model.true_harrell(),
        "oe_ratio": 1.0,
        "slope": 1.0,
        "ipa": model.large_sample_ipa(),
    }
    judged = {
        (name, way): Covered(name=f"{name}: {way}", truth=truth[key])
        for name, (key, _) in _MEASURES.items()
        for way in _WAYS
    }
    tests = [
        Rejected(name=f"both {words}: {way}", share_of_score=share, students=students)
        for words, share in (("correlate 0.7 with the true score", 0.7), ("are noise", 0.0))
        for way, students in (("normal", False), ("Student's t", True))
    ]
    events = []
    for number in range(cohorts):
        cohort = model.draw(n, np.random.default_rng([_SEED, n, number]))
        events.append(cohort.n_events)
        _by_formula(cohort, judged)
        if number < redrawn:
            _by_bootstrap(cohort, judged, seed=number)
        for test in tests:
            # both ways of a test see the same noise; a last word of 0 would repeat the cohort's
            words = [_SEED, n, number, 1 + int(10 * test.share_of_score)]
            noise = np.random.default_rng(words)
            test.add(cohort, noise)
    return Study(n=n, events=events, covered=list(judged.values()), rejected=tests)


def _by_formula(cohort: Cohort, judged: dict[tuple[str, str], Covered]) -> None:
    for name, (_, estimator) in _MEASURES.items():
        for way, df in zip(_WAYS, (None, cohort.n_events - 1.0), strict=False):

            def make(
                estimator: Estimator = estimator, df: float | None = df
            ) -> tuple[float, Limits]:
                estimate, limits = estimator(cohort)
                return estimate, limits(df)

            judged[name, way].add(make)


def _by_bootstrap(cohort: Cohort, judged: dict[tuple[str, str], Covered], *, seed: int) -> None:
    risk = cohort.risk
    panel = ValidationPanel(cohort.outcome, risk, risk[:, None], [HORIZON_YEARS])
    sample = bootstrap(panel, risk.size, replicates=_DRAWS, seed=seed)
    values = dict(zip(panel.names, panel(np.ones(risk.size)).tolist(), strict=True))
    for name, (key, _) in _MEASURES.items():
        label = key if key == "harrell" else f"{key}@{HORIZON_YEARS:g}"
        position = panel.names.index(label)
        judged[name, _WAYS[2]].add(
            lambda label=label, position=position: (
                values[label],
                sample.percentile(position, level=_LEVEL),
            )
        )
