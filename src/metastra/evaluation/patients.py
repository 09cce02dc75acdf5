"""What is judged: outcomes and predictions of patients, and how to judge them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, DataError
from metastra.evaluation.covariates import Covariate
from metastra.evaluation.late_columns import LateColumn
from metastra.evaluation.plan import Plan
from metastra.survival.outcome import Outcome
from metastra.units import TimeUnit

__all__ = ["DEFAULT_THRESHOLDS", "Patients", "Settings"]

DEFAULT_THRESHOLDS = tuple(round(0.02 * step, 2) for step in range(1, 26))
"""2% to 50% in steps of 2%: no threshold is chosen after looking."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How predictions are judged.

    Parameters
    ----------
    bootstrap : int
        Draws of patients for the intervals; 0 for none.
    seed : int
        Of the draws.
    cutpoints : tuple of float
        Where risk groups are cut, fixed beforehand; empty for exploratory thirds.  On the risk by
        `cutpoint_horizon` and inside (0, 1), or on the score where there is no risk.
    cutpoint_horizon : float or None
        One of the horizons; the last when left out.
    thresholds : tuple of float
        Risks from which on a patient would be treated, for the net benefit.
    min_events : int
        Subgroups with fewer events are counted and not estimated.
    recalibrate : bool
        Whether a ladder of updates is fitted.
    landmarks : tuple of float
        Times at which the clock is started again for those still at risk.
    grace : float or None
        How late a scan may be and still count at the last horizon.
    low_risk_limit : float or None
        Risk that the lowest group's upper bound has to stay under, set before looking.
    randomised : bool
        Whether treatment was assigned at random.
    imputations : int or None
        Of missing covariates; as many as percent of the patients lack a value when None.
    plan : Plan or None
        What was declared before looking.

    Raises
    ------
    ConfigError
        When a setting is outside its range.

    Examples
    --------
    >>> Settings(bootstrap=200, cutpoints=(0.1, 0.3)).cutpoints
    (0.1, 0.3)
    """

    bootstrap: int = 1000
    seed: int = 0
    cutpoints: tuple[float, ...] = ()
    cutpoint_horizon: float | None = None
    thresholds: tuple[float, ...] = DEFAULT_THRESHOLDS
    min_events: int = 10
    recalibrate: bool = False
    landmarks: tuple[float, ...] = ()
    grace: float | None = None
    low_risk_limit: float | None = None
    randomised: bool = False
    imputations: int | None = None
    plan: Plan | None = None

    def __post_init__(self) -> None:
        if self.bootstrap != 0 and self.bootstrap < 100:
            raise ConfigError(f"bootstrap={self.bootstrap}; expected 0 (none) or 100 and more")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed}; expected 0 or more")
        cuts = self.cutpoints
        if any(not a < b for a, b in pairwise(cuts)) or not all(np.isfinite(cuts)):
            raise ConfigError(f"the cutpoints {list(cuts)} must be finite and ascend")
        if not self.thresholds or not all(0.0 < p < 1.0 for p in self.thresholds):
            raise ConfigError("thresholds must be risks inside (0, 1)")
        if not all(np.isfinite(t) and t >= 0.0 for t in self.landmarks):
            raise ConfigError(f"landmarks {list(self.landmarks)} must be times of 0 or more")
        if self.grace is not None and not (np.isfinite(self.grace) and self.grace >= 0.0):
            raise ConfigError(f"grace={self.grace}; expected a time of 0 or more")
        if self.low_risk_limit is not None and not 0.0 < self.low_risk_limit < 1.0:
            raise ConfigError(f"low_risk_limit={self.low_risk_limit}; expected a risk in (0, 1)")
        if self.imputations is not None and self.imputations < 2:
            raise ConfigError(f"imputations={self.imputations}; expected 2 or more")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Patients:
    """Outcomes with predictions, one entry per patient; no study ids.

    Parameters
    ----------
    outcome : Outcome
        Code 1 is the event of interest, 2 every competing event; times in `time_unit`.
    horizons : tuple of float
        Ascending, in `time_unit`.
    time_unit : TimeUnit
        Of times and horizons.
    risks : ndarray of shape (n, k) or None
        Probability of the event of interest by each horizon.
    score : ndarray of shape (n,) or None
        Higher is worse.
    baseline : ndarray of shape (n, k) or None
        Risks of the model that is to be improved upon.
    cohort : ndarray of shape (n,) or None
        Names of cohorts.
    subgroups : mapping of str to ndarray of shape (n,)
        Labels by column; None where missing.
    last_negative : ndarray of shape (n,) or None
        Time of the last examination without the event; NaN where missing.
    folds : int
        Folds that the predictions come from; 0 when not stated.
    covariates : tuple of Covariate
        That hazard ratios are adjusted for.
    described : tuple of Covariate
        Further columns of table 1.
    assigned : ndarray of shape (n,) or None
        Name of the risk group that the patient's own model gave; None where risks are cut here.
    treatment : ndarray of shape (n,) or None
        1 treated, 0 not; NaN where missing.
    late : tuple of LateColumn
        Columns that became known after the clock started and are in no baseline model.

    Raises
    ------
    DataError
        When arrays do not fit together.
    ConfigError
        When the horizons do not ascend.
    """

    outcome: Outcome
    horizons: tuple[float, ...]
    time_unit: TimeUnit = TimeUnit.DAYS
    risks: NDArray[np.float64] | None = None
    score: NDArray[np.float64] | None = None
    baseline: NDArray[np.float64] | None = None
    cohort: NDArray[np.object_] | None = None
    subgroups: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    last_negative: NDArray[np.float64] | None = None
    folds: int = 0
    covariates: tuple[Covariate, ...] = ()
    described: tuple[Covariate, ...] = ()
    assigned: NDArray[np.object_] | None = None
    treatment: NDArray[np.float64] | None = None
    late: tuple[LateColumn, ...] = ()

    def __post_init__(self) -> None:
        k, n = len(self.horizons), self.outcome.n
        if not k or any(
            not a < b for a, b in zip((0.0, *self.horizons), self.horizons, strict=False)
        ):
            raise ConfigError(f"the horizons {list(self.horizons)} must be positive and ascend")
        if self.risks is None and self.score is None:
            raise DataError("there is neither a risk nor a risk score to judge")
        shapes = {
            "risks": (self.risks, (n, k)),
            "score": (self.score, (n,)),
            "baseline": (self.baseline, (n, k)),
            "cohort": (self.cohort, (n,)),
            "last_negative": (self.last_negative, (n,)),
            "treatment": (self.treatment, (n,)),
            "assigned": (self.assigned, (n,)),
            **{c.name: (c.values, (n,)) for c in (*self.covariates, *self.described)},
            **{f"known_at of {c.name}": (c.known_at, (n,)) for c in self.late},
            **{name: (labels, (n,)) for name, labels in self.subgroups.items()},
        }
        for name, (values, shape) in shapes.items():
            if values is not None and values.shape != shape:
                raise DataError(f"{name} has shape {values.shape}; expected {shape}")
        if set(self.outcome.causes) - {1, 2}:
            raise DataError(f"event codes are {self.outcome.causes}; expected 1 and 2 at most")

    def __repr__(self) -> str:
        # no values: a traceback must show no patient
        return f"Patients(n={self.n}, horizons={self.horizons}, time_unit={self.time_unit!s})"

    @property
    def n(self) -> int:
        """Number of patients."""
        return self.outcome.n

    @property
    def competing(self) -> bool:
        """Whether a competing event occurs."""
        return 2 in self.outcome.causes

    @property
    def scale(self) -> str:
        """What cutpoints and the distribution are on, in words."""
        last = f"{self.last_horizon:g} {self.time_unit}"
        return "risk score" if self.risks is None else f"risk by {last}"

    @property
    def last_horizon(self) -> float:
        """The latest horizon, to which the concordances look."""
        return self.horizons[-1]

    def order(self) -> NDArray[np.float64]:
        """Give what ranks the patients: the score, or the risk by the last horizon.

        Returns
        -------
        ndarray of shape (n,)
            Higher is worse.
        """
        if self.score is not None:
            return self.score
        if self.risks is None:
            raise DataError("there is neither a risk nor a risk score to judge")
        return self.risks[:, -1]

    def take(self, chosen: NDArray[np.bool_]) -> Patients:
        """Select patients, for instance a cohort.

        Parameters
        ----------
        chosen : ndarray of shape (n,), bool
            Who is kept.

        Returns
        -------
        Patients
            Of the same columns.
        """

        def part(values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
            return None if values is None else values[chosen]

        return replace(
            self,
            outcome=self.outcome.take(chosen),
            risks=part(self.risks),
            score=part(self.score),
            baseline=part(self.baseline),
            cohort=None if self.cohort is None else self.cohort[chosen],
            subgroups={name: labels[chosen] for name, labels in self.subgroups.items()},
            last_negative=part(self.last_negative),
            covariates=tuple(one.take(chosen) for one in self.covariates),
            described=tuple(one.take(chosen) for one in self.described),
            assigned=None if self.assigned is None else self.assigned[chosen],
            treatment=part(self.treatment),
            late=tuple(one.take(chosen) for one in self.late),
        )
