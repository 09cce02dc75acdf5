"""Simulated studies: one row of measures for each, under censoring and competing events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.design_plan import DesignPlan
from metastra.evaluation.design_risks import AssumedRisks
from metastra.survival.brier import brier_score
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.dynamic_auc import delta_auc, dynamic_auc
from metastra.survival.intervals import normal_quantile
from metastra.survival.outcome import Outcome

__all__ = ["MEASURES", "SimulatedPatients", "SimulatedStudies", "simulate", "simulate_patients"]

_Vector = NDArray[np.float64]

MEASURES: tuple[str, ...] = ("auc", "oe_ratio", "slope", "ipa")
"""In the order of `SimulatedStudies.values`; named as in `metastra.survival.panel`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedPatients:
    """The patients of one simulated study, with all that will ever happen to them.

    Parameters
    ----------
    risk : ndarray of shape (n,)
        True risk by the horizon, which the model knows.
    baseline_score : ndarray of shape (n,) or None
        Of the clinical model.
    event_days : ndarray of shape (n,)
        To the first event, counted from the entry.
    cause : ndarray of shape (n,), int64
        1 for the event of interest, 2 for a competing one.
    lost_days : ndarray of shape (n,)
        When the patient would be lost; infinite for never.
    entry_days : ndarray of shape (n,)
        From the first day of accrual; 0 for all without a calendar.
    """

    risk: _Vector
    baseline_score: _Vector | None
    event_days: _Vector
    cause: NDArray[np.int64]
    lost_days: _Vector
    entry_days: _Vector

    def outcome(self, analysis_days: float) -> tuple[Outcome, NDArray[np.bool_]]:
        """Look at the study on one day.

        Parameters
        ----------
        analysis_days : float
            From the first day of accrual; infinite for a follow-up without end.

        Returns
        -------
        outcome : Outcome
            In days, of those who had entered by then.
        entered : ndarray of shape (n,), bool
            Who they are.
        """
        entered = self.entry_days < analysis_days
        seen = np.minimum(self.lost_days, analysis_days - self.entry_days)[entered]
        event_days = self.event_days[entered]
        event = np.where(event_days <= seen, self.cause[entered], 0)
        return Outcome(time=np.minimum(event_days, seen), event=event), entered


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedStudies:
    """Measures of all simulated studies.

    Parameters
    ----------
    entered, events, competing, at_risk : ndarray of shape (replicates,), int64
        Patients; with the event and with a competing event by the horizon; under observation at
        the horizon.
    values : ndarray of shape (replicates, 4, 3)
        Estimate, lower and upper 95 % limit of each of `MEASURES`; NaN where not estimable.
    gain : ndarray of shape (replicates, 2)
        Difference in AUC to the clinical model and its two-sided p-value; NaN where there is none.
    dates : tuple of date
        Possible days of the analysis.
    by_date : ndarray of shape (replicates, dates, 3), int64
        Patients entered, events by the horizon and patients at risk at the horizon on each day.
    """

    entered: NDArray[np.int64]
    events: NDArray[np.int64]
    competing: NDArray[np.int64]
    at_risk: NDArray[np.int64]
    values: _Vector
    gain: _Vector
    dates: tuple[date, ...]
    by_date: NDArray[np.int64]


def simulate_patients(
    plan: DesignPlan, risks: AssumedRisks, rng: np.random.Generator
) -> SimulatedPatients:
    """Draw the patients of one study.

    Parameters
    ----------
    plan : DesignPlan
        What is planned.
    risks : AssumedRisks
        Of the model.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    SimulatedPatients
        Of `plan.n` patients.

    Notes
    -----
    The hazards of both events are constant in time, with ratio r : c for a patient whose risk of
    the event is r and of a competing event c = competing (1 − r)/(1 − risk), so that each has
    exactly these risks by the horizon (Beyersmann et al., Stat Med 2009;28:956–971).  Losses have a
    constant hazard and know nothing of the risk.

    Examples
    --------
    >>> from metastra.evaluation.design_risks import assumed_risks
    >>> from metastra.units import TimeUnit
    >>> plan = DesignPlan(n=50, risk=0.3, horizon=2, time_unit=TimeUnit.YEARS, auc=0.8)
    >>> risks = assumed_risks(risk=0.3, auc=0.8)
    >>> patients = simulate_patients(plan, risks, np.random.default_rng(1))
    >>> patients.outcome(np.inf)[0].n
    50
    """
    z, noise = rng.standard_normal((2, plan.n))
    risk = risks.risk(z)
    other = plan.competing * (1.0 - risk) / (1.0 - plan.risk)
    rate = -np.log1p(-(risk + other)) / plan.horizon_days
    loss_rate = -np.log1p(-plan.lost) / plan.horizon_days
    event_days = rng.standard_exponential(plan.n) / rate
    of_interest = rng.random(plan.n) * (risk + other) < risk
    losses, entries = rng.standard_exponential(plan.n), rng.random(plan.n)
    accrual = 0 if plan.calendar is None else (plan.calendar.end - plan.calendar.start).days
    return SimulatedPatients(
        risk=risk,
        baseline_score=None if risks.baseline_share is None else risks.baseline_score(z, noise),
        event_days=event_days,
        cause=np.where(of_interest, 1, 2),
        lost_days=losses / loss_rate if loss_rate > 0.0 else np.full(plan.n, np.inf),
        entry_days=entries * accrual,
    )


def simulate(plan: DesignPlan, risks: AssumedRisks) -> SimulatedStudies:
    """Run the planned study many times.

    Parameters
    ----------
    plan : DesignPlan
        What is planned.
    risks : AssumedRisks
        Of the model.

    Returns
    -------
    SimulatedStudies
        Study number b depends on the seed and b alone.
    """
    horizon, calendar = float(plan.horizon_days), plan.calendar
    dates = () if calendar is None else calendar.candidates(horizon)
    analysis = np.inf
    if calendar is not None:
        analysis = float((calendar.analysis_day(horizon) - calendar.start).days)
    days = np.array([(d - calendar.start).days for d in dates] if calendar else [], dtype=float)
    counts = np.zeros((plan.replicates, 4), dtype=np.int64)
    values = np.full((plan.replicates, len(MEASURES), 3), np.nan)
    gain = np.full((plan.replicates, 2), np.nan)
    by_date = np.zeros((plan.replicates, days.size, 3), dtype=np.int64)
    for number in range(plan.replicates):
        patients = simulate_patients(plan, risks, np.random.default_rng([plan.seed, number]))
        by_date[number] = _on_dates(patients, days, horizon)
        if not (patients.entry_days < analysis).any():
            continue
        outcome, entered = patients.outcome(analysis)
        by_horizon = outcome.time <= horizon
        counts[number] = (
            outcome.n,
            np.count_nonzero(by_horizon & (outcome.event == 1)),
            np.count_nonzero(by_horizon & (outcome.event == 2)),
            np.count_nonzero(~by_horizon),
        )
        values[number] = _measures(outcome, patients.risk[entered], horizon)
        if patients.baseline_score is not None:
            gain[number] = _gain(
                outcome, patients.baseline_score[entered], patients.risk[entered], horizon
            )
    return SimulatedStudies(
        entered=counts[:, 0],
        events=counts[:, 1],
        competing=counts[:, 2],
        at_risk=counts[:, 3],
        values=values,
        gain=gain,
        dates=dates,
        by_date=by_date,
    )


def _measures(outcome: Outcome, risk: _Vector, horizon: float) -> _Vector:
    """Estimate and limits of each measure, by the functions that the evaluation itself uses."""

    def auc() -> tuple[float, float, float]:
        found = dynamic_auc(outcome, risk, horizon)
        return found.estimate, *found.interval()

    def ratio() -> tuple[float, float, float]:
        found = observed_expected(outcome, risk, horizon)
        return found.ratio, *found.interval()

    def slope() -> tuple[float, float, float]:
        found = weak_calibration(outcome, risk, horizon).slope
        return found.estimate, *found.interval()

    def ipa() -> tuple[float, float, float]:
        found = brier_score(outcome, risk, horizon)
        if found.ipa is None or found.ipa_std_error is None:
            raise NotEstimable("the marginal risk is 0 or 1")
        half = normal_quantile(0.95) * found.ipa_std_error
        return found.ipa, found.ipa - half, found.ipa + half

    values = np.full((len(MEASURES), 3), np.nan)
    for row, measure in enumerate((auc, ratio, slope, ipa)):
        try:
            values[row] = measure()
        except NotEstimable:
            continue
    return values


def _gain(
    outcome: Outcome, baseline: _Vector, risk: _Vector, horizon: float
) -> tuple[float, float]:
    try:
        found = delta_auc(outcome, baseline, risk, horizon)
        return found.estimate, found.p_value()
    except NotEstimable:
        return np.nan, np.nan


def _on_dates(patients: SimulatedPatients, days: _Vector, horizon: float) -> NDArray[np.int64]:
    counts = np.zeros((days.size, 3), dtype=np.int64)
    for row, day in enumerate(days):
        watched = np.minimum(patients.lost_days, day - patients.entry_days)
        had_event = (patients.event_days <= np.minimum(watched, horizon)) & (patients.cause == 1)
        counts[row] = (
            np.count_nonzero(patients.entry_days < day),
            np.count_nonzero(had_event & (patients.entry_days < day)),
            np.count_nonzero(np.minimum(watched, patients.event_days) > horizon),
        )
    return counts
