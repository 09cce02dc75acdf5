"""The immortal-time guard: what became known later is no baseline covariate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError, NotEstimable
from metastra.survival.cox import fit_cox
from metastra.survival.cox_model import CoxModel
from metastra.survival.landmark import at_landmark
from metastra.survival.outcome import Outcome
from metastra.survival.person_periods import switch_periods

__all__ = ["HazardRatioRow", "ImmortalTime", "compare_immortal_time", "refuse_late_covariate"]

_Array = NDArray[np.float64]

_EXPLANATION = (
    "Only a patient who stays alive and watched long enough can be seen to reach the state, so "
    "patients who reach it are given, as if from the start, time in which they could not have had "
    "the event, and the others are left with the early events. The hazard ratio of such a "
    "covariate is wrong by construction, in either direction."
)


@dataclass(frozen=True, kw_only=True)
class HazardRatioRow:
    """Hazard ratio of the state under one analysis.

    Parameters
    ----------
    analysis : str
        ``naive``, ``time-dependent`` or ``landmark``.
    valid : bool
        False for the naive analysis, which is there to be seen beside the others.
    answers : str
        The question the analysis answers.
    hazard_ratio, lower, upper, p : float or None
        With the limits of the comparison's level; None when not estimable.
    n, n_events : int or None
        Rows and events of the model; rows are periods in the time-dependent analysis.
    reason : str
        Why the numbers are None; empty otherwise.
    """

    analysis: str
    valid: bool
    answers: str
    hazard_ratio: float | None
    lower: float | None
    upper: float | None
    p: float | None
    n: int | None
    n_events: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class ImmortalTime:
    """One state that became known during follow-up, analysed wrongly and rightly.

    Parameters
    ----------
    name : str
        Of the state.
    explanation : str
        Why the naive analysis is wrong.
    landmark : float
        In the unit of the outcome.
    level : float
        Confidence level.
    n, n_known : int
        Patients, and those in whom the state became known.
    n_too_late : int
        Of these, known at or after the end of their follow-up: the time-dependent analysis has no
        row for them.
    n_left : int
        Patients no longer at risk at the landmark.
    naive, time_dependent, at_landmark : HazardRatioRow
        The three analyses.
    """

    name: str
    explanation: str
    landmark: float
    level: float
    n: int
    n_known: int
    n_too_late: int
    n_left: int
    naive: HazardRatioRow
    time_dependent: HazardRatioRow
    at_landmark: HazardRatioRow

    @property
    def rows(self) -> tuple[HazardRatioRow, ...]:
        """The three analyses, the wrong one first."""
        return (self.naive, self.time_dependent, self.at_landmark)


def refuse_late_covariate(known_at: ArrayLike, *, name: str, origin: float = 0.0) -> None:
    """Refuse a covariate as a baseline covariate when it became known after the time origin.

    Parameters
    ----------
    known_at : array_like of shape (n,)
        When its value became known in each patient, on the clock of the outcome; infinite where
        the state was never reached.
    name : str
        Of the covariate.
    origin : float
        Time at which the prediction is made.

    Raises
    ------
    DataError
        When it became known later in any patient, or a time is missing, with rows and remedies.

    Notes
    -----
    Suissa 2008 (American Journal of Epidemiology 167, 492–499).

    Examples
    --------
    >>> refuse_late_covariate([0.0, -3.0], name="CEA before surgery")
    """
    known = np.asarray(known_at, dtype=np.float64)
    missing = np.isnan(known)
    if missing.any():
        raise DataError(
            f"the time at which {name!r} became known is missing in {_rows(missing)}; expected a "
            "time, or inf where the state was never reached"
        )
    late = known > origin
    if not late.any():
        return
    finite = late & np.isfinite(known)
    found = (
        f"it became known after {origin:g} in {_rows(finite)}"
        if finite.any()
        else "it was looked for after the time origin"
    )
    raise DataError(
        f"{name!r} cannot be a baseline covariate: {found}. {_EXPLANATION} Use it as a "
        "time-dependent covariate (switch_periods), start the clock at a landmark and use what was "
        "known by then (at_landmark), or move the time origin; compare_immortal_time shows the "
        "difference"
    )


def compare_immortal_time(
    outcome: Outcome,
    known_at: ArrayLike,
    *,
    landmark: float,
    name: str,
    fixed: ArrayLike | None = None,
    fixed_names: Sequence[str] | None = None,
    level: float = 0.95,
) -> ImmortalTime:
    """Analyse a state that became known during follow-up as if at baseline, and rightly.

    Parameters
    ----------
    outcome : Outcome
        Of n patients without delayed entry; every code other than 0 is the event, so use
        ``outcome.only(cause)`` for one cause.
    known_at : array_like of shape (n,)
        When the state became known; infinite in patients who never reached it.
    landmark : float
        In the unit of the outcome.
    name : str
        Of the state.
    fixed : array_like of shape (n, p), optional
        True baseline covariates, in every model.
    fixed_names : sequence of str, optional
        Their names.
    level : float
        Confidence level.

    Returns
    -------
    ImmortalTime
        Naive (marked wrong), time-dependent and landmark analysis; Cox, Efron.

    Raises
    ------
    DataError
        When arrays do not fit together, a time is missing, or entry is delayed.

    Notes
    -----
    The time-dependent hazard ratio compares, at each moment, those already in the state with those
    not yet in it; the landmark ratio compares those in it by the landmark with those not, in the
    time after: two right answers to two questions.  A state recorded on the day of the event is
    not known before it; where it should count as known (a recurrence found at death), give a time
    just before.

    Examples
    --------
    >>> y = Outcome(time=[2, 3, 4, 5, 6, 7, 8, 9], event=[1, 1, 1, 0, 1, 1, 0, 1])
    >>> seen = [np.inf, 1.5, np.inf, 3.5, 2.5, np.inf, 5.5, 3.2]
    >>> table = compare_immortal_time(y, seen, landmark=3.5, name="recurrence")
    >>> [row.valid for row in table.rows], table.n_left
    ([False, True, True], 2)
    """
    if outcome.entry is not None:
        raise DataError("the comparison needs follow-up from 0; the outcome has delayed entry")
    known = np.asarray(known_at, dtype=np.float64)
    periods = switch_periods(outcome, known)
    x = np.empty((outcome.n, 0)) if fixed is None else np.asarray(fixed, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] != outcome.n:
        raise DataError(f"fixed has shape {x.shape}; expected ({outcome.n}, p)")
    labels = [name, *(fixed_names or [f"x{k + 1}" for k in range(x.shape[1])])]

    def naive() -> CoxModel:
        state = np.isfinite(known).astype(np.float64)
        return fit_cox(outcome, np.column_stack([state, x]), names=labels)

    def time_dependent() -> CoxModel:
        return fit_cox(periods.outcome, periods.with_fixed(x), names=labels)

    def from_landmark() -> CoxModel:
        view = at_landmark(outcome, landmark)
        state = (known <= landmark).astype(np.float64)
        return fit_cox(view.outcome, np.column_stack([state, x])[view.index], names=labels)

    return ImmortalTime(
        name=name,
        explanation=_EXPLANATION,
        landmark=float(landmark),
        level=level,
        n=outcome.n,
        n_known=int(np.count_nonzero(np.isfinite(known))),
        n_too_late=periods.n_too_late,
        n_left=int(np.count_nonzero(outcome.time <= landmark)),
        naive=_row("naive", "none: it uses the future", naive, level),
        time_dependent=_row(
            "time-dependent",
            "the hazard once the state is known, against the hazard before, at the same time",
            time_dependent,
            level,
        ),
        at_landmark=_row(
            "landmark",
            f"the hazard after {landmark:g} by what was known at {landmark:g}",
            from_landmark,
            level,
        ),
    )


def _row(analysis: str, answers: str, fit: Callable[[], CoxModel], level: float) -> HazardRatioRow:
    valid = analysis != "naive"
    try:
        model = fit()
    except NotEstimable as error:
        return HazardRatioRow(
            analysis=analysis,
            valid=valid,
            answers=answers,
            hazard_ratio=None,
            lower=None,
            upper=None,
            p=None,
            n=None,
            n_events=None,
            reason=error.reason,
        )
    lower, upper = model.hazard_ratio_interval(level)
    return HazardRatioRow(
        analysis=analysis,
        valid=valid,
        answers=answers,
        hazard_ratio=float(model.hazard_ratio[0]),
        lower=float(lower[0]),
        upper=float(upper[0]),
        p=float(model.p[0]),
        n=model.n,
        n_events=model.n_events,
        reason="",
    )


def _rows(mask: NDArray[np.bool_]) -> str:
    rows = (np.flatnonzero(mask) + 1).tolist()
    more = f" and {len(rows) - 8} more" if len(rows) > 8 else ""
    return f"row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows[:8]))}{more}"
