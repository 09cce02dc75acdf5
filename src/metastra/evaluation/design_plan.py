"""What is planned: patients, risks, losses and the calendar, refused where it cannot be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

from metastra.errors import ConfigError
from metastra.units import Days, TimeUnit, to_days

__all__ = ["DesignCalendar", "DesignPlan"]

_FEWEST, _MOST = 10, 100_000
_FEWEST_REPLICATES, _MOST_REPLICATES = 100, 100_000
_MOST_DATES = 13
_FEWEST_DAYS_APART = 30


@dataclass(frozen=True, kw_only=True)
class DesignCalendar:
    """When patients enter and when the study is analysed.

    Parameters
    ----------
    start, end : date
        First and last day of accrual; patients enter evenly between them.
    analysis : date or None
        Day of the analysis; None for the day after the last patient reaches the horizon.
    """

    start: date
    end: date
    analysis: date | None = None

    def analysis_day(self, horizon_days: float) -> date:
        """Give the day of the analysis.

        Parameters
        ----------
        horizon_days : float
            Of the study.

        Returns
        -------
        date
            As stated, or when everybody has been followed past the horizon.

        Examples
        --------
        >>> DesignCalendar(start=date(2026, 1, 30), end=date(2027, 1, 30)).analysis_day(730.5)
        datetime.date(2029, 1, 30)
        """
        return self.analysis or self.end + timedelta(days=math.floor(horizon_days) + 1)

    def candidates(self, horizon_days: float) -> tuple[date, ...]:
        """List possible days of the analysis, evenly spaced, and the planned one.

        Parameters
        ----------
        horizon_days : float
            Of the study.

        Returns
        -------
        tuple of date
            From the day when the first patient has passed the horizon to the day when all have.

        Examples
        --------
        >>> days = DesignCalendar(start=date(2026, 1, 30), end=date(2026, 7, 30)).candidates(365.25)
        >>> [day.isoformat() for day in days]
        ['2027-01-31', '2027-04-30', '2027-07-31']
        """
        passed = timedelta(days=math.floor(horizon_days) + 1)
        first, last = self.start + passed, self.end + passed
        quarters = 1 + (last - first).days // 91
        step = math.ceil(quarters / (_MOST_DATES - 1))
        days = [first]
        while True:
            following = _months_later(first, 3 * step * len(days))
            if (last - following).days < _FEWEST_DAYS_APART:
                break
            days.append(following)
        planned = self.analysis_day(horizon_days)
        apart = [day for day in (*days, last) if abs((day - planned).days) >= _FEWEST_DAYS_APART]
        return tuple(sorted({*apart, planned}))


@dataclass(frozen=True, kw_only=True)
class DesignPlan:
    """A validation study before its first patient.

    Parameters
    ----------
    n : int
        Patients.
    risk : float
        Mean probability of the event by the horizon.
    horizon : float
        In `time_unit`.
    time_unit : TimeUnit
        Of the horizon.
    auc : float
        True AUC at the horizon of the model to be validated.
    competing : float
        Probability of a competing event by the horizon.
    lost : float
        Share of patients lost to follow-up by the horizon, were there no events.
    baseline_auc : float or None
        True AUC of a clinical model that the model is compared with.
    high_risk_share : float
        Share of patients whom the model calls high-risk.
    parameters : int or None
        Candidate parameters of a model that would be developed.
    limits : tuple of float
        That the lower limit of the AUC should exceed.
    calendar : DesignCalendar or None
        None: everybody is followed past the horizon.
    replicates : int
        Studies that are simulated.
    seed : int
        Of the simulation.

    Raises
    ------
    ConfigError
        When the plan cannot be, with everything that is wrong.

    Examples
    --------
    >>> DesignPlan(n=160, risk=0.12, horizon=24, time_unit=TimeUnit.MONTHS, auc=0.8).horizon_days
    730.5
    """

    n: int
    risk: float
    horizon: float
    time_unit: TimeUnit
    auc: float
    competing: float = 0.0
    lost: float = 0.0
    baseline_auc: float | None = None
    high_risk_share: float = 0.3
    parameters: int | None = None
    limits: tuple[float, ...] = (0.6, 0.65, 0.7, 0.75)
    calendar: DesignCalendar | None = None
    replicates: int = 1000
    seed: int = 2026

    def __post_init__(self) -> None:
        wrong = [*_wrong_risks(self), *_wrong_models(self), *_wrong_counts(self)]
        if self.calendar is not None:
            sound = self.horizon > 0 and math.isfinite(self.horizon)
            wrong += _wrong_calendar(self.calendar, self.horizon_days if sound else 0.0)
        if wrong:
            count = f"{len(wrong)} problem{'s' if len(wrong) > 1 else ''}"
            raise ConfigError(f"this study cannot be ({count}): " + "; ".join(wrong))

    @property
    def horizon_days(self) -> Days:
        """The horizon in days."""
        return to_days(self.horizon, self.time_unit)


def _wrong_risks(plan: DesignPlan) -> list[str]:
    wrong = []
    if not 0 < plan.risk < 1:
        wrong.append(f"risk is {plan.risk:g}, expected above 0 and below 1")
    for name, share in (("competing", plan.competing), ("lost", plan.lost)):
        if not 0 <= share < 1:
            wrong.append(f"{name} is {share:g}, expected 0 or more and below 1")
    if 0 < plan.risk < 1 and 0 <= plan.competing < 1 and plan.risk + plan.competing >= 1:
        wrong.append(
            f"risk and competing add to {plan.risk + plan.competing:g}, expected less than 1: "
            "a patient has the one or the other first"
        )
    return wrong


def _wrong_models(plan: DesignPlan) -> list[str]:
    wrong = []
    if not 0.5 < plan.auc <= 0.99:
        wrong.append(f"auc is {plan.auc:g}, expected above 0.5 (chance) and at most 0.99")
    baseline = plan.baseline_auc
    if baseline is not None and not 0.5 < baseline < plan.auc:
        wrong.append(
            f"baseline-auc is {baseline:g}, expected above 0.5 and below the model's {plan.auc:g}"
        )
    if not 0 < plan.high_risk_share < 1:
        wrong.append(f"high-risk-share is {plan.high_risk_share:g}, expected between 0 and 1")
    far = [f"{limit:g}" for limit in plan.limits if not 0 < limit < 1]
    if far:
        wrong.append(f"limit is {', '.join(far)}, expected between 0 and 1")
    return wrong


def _wrong_counts(plan: DesignPlan) -> list[str]:
    wrong = []
    if not _FEWEST <= plan.n <= _MOST:
        wrong.append(f"n is {plan.n}, expected {_FEWEST} to {_MOST}")
    if not (plan.horizon > 0 and math.isfinite(plan.horizon)):
        wrong.append(f"horizon is {plan.horizon:g}, expected above 0")
    if plan.parameters is not None and plan.parameters < 1:
        wrong.append(f"parameters is {plan.parameters}, expected 1 or more")
    if not _FEWEST_REPLICATES <= plan.replicates <= _MOST_REPLICATES:
        wrong.append(
            f"replicates is {plan.replicates}, expected {_FEWEST_REPLICATES} to {_MOST_REPLICATES}"
        )
    if plan.seed < 0:
        wrong.append(f"seed is {plan.seed}, expected 0 or more")
    return wrong


def _wrong_calendar(calendar: DesignCalendar, horizon_days: float) -> list[str]:
    wrong = []
    if calendar.end <= calendar.start:
        wrong.append(
            f"accrual-end {calendar.end} is not after accrual-start {calendar.start}; expected "
            "the last day of accrual"
        )
    day = calendar.analysis
    if day is not None and day <= calendar.start:
        wrong.append(f"analysis-date {day} is not after accrual-start {calendar.start}")
    elif day is not None and (day - calendar.start).days <= horizon_days:
        first = calendar.start + timedelta(days=math.floor(horizon_days) + 1)
        wrong.append(
            f"analysis-date {day} comes before any patient has passed the horizon; expected "
            f"{first} or later"
        )
    return wrong


def _months_later(day: date, months: int) -> date:
    """Shift by calendar months; the last day of a shorter month where the day does not exist."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise ConfigError(f"{day} has no day {months} months later")
