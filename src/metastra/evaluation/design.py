"""What a planned study can show, from simulated studies and closed forms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from metastra.errors import NotEstimable
from metastra.evaluation.design_plan import DesignPlan
from metastra.evaluation.design_risks import AssumedRisks, assumed_risks
from metastra.evaluation.design_simulate import MEASURES, SimulatedStudies, simulate
from metastra.stats.sample_size import (
    auc_half_width,
    n_for_auc,
    n_for_net_benefit,
    n_for_observed_expected,
    n_for_slope_at_auc,
    observed_expected_factor,
)
from metastra.stats.sample_size_development import DevelopmentSize, n_for_development
from metastra.stats.sample_size_groups import detectable_hazard_ratio

__all__ = [
    "AddedValuePower",
    "Chance",
    "Count",
    "Design",
    "DesignDate",
    "DesignMeasure",
    "Needed",
    "design_study",
]

_MOST_FAILED = 0.2
_FEWEST_EVENTS = 5
_WIDTHS = {"oe_ratio": 0.4, "auc": 0.1, "slope": 0.2, "net_benefit": 0.2}


@dataclass(frozen=True, kw_only=True)
class Count:
    """A number of patients over the simulated studies: mean, 5 % and 95 % quantile."""

    mean: float
    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class DesignMeasure:
    """One measure of a perfectly calibrated model.

    Parameters
    ----------
    name : str
        Of `metastra.evaluation.design_simulate.MEASURES`.
    true : float
        What an endless study would find.
    range : tuple of float or None
        2.5 % and 97.5 % quantile of the estimates.
    interval : tuple of float or None
        Medians of the lower and of the upper 95 % limit.
    coverage : float or None
        Share of the intervals that hold the true value.
    closed_form : tuple of float or None
        The interval that a formula expects, without loss to follow-up.
    failed : int
        Studies in which the measure or its interval could not be had.
    reason : str
        Why there is no range.
    """

    name: str
    true: float
    range: tuple[float, float] | None
    interval: tuple[float, float] | None
    coverage: float | None
    closed_form: tuple[float, float] | None
    failed: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Chance that the lower 95 % limit of the AUC exceeds a limit, with its Monte-Carlo error."""

    limit: float
    chance: float
    error: float


@dataclass(frozen=True, kw_only=True)
class AddedValuePower:
    """Power to show a higher AUC than the clinical model's (two-sided 5 %), with its error."""

    baseline_auc: float
    true_gain: float
    range: tuple[float, float] | None
    power: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Needed:
    """Patients that an interval of a given width needs; for the net benefit at a threshold."""

    measure: str
    width: float
    n: int
    events: float
    threshold: float | None = None


@dataclass(frozen=True, kw_only=True)
class DesignDate:
    """What is there on one possible day of the analysis."""

    day: date
    planned: bool
    entered: Count
    events: Count
    at_risk: Count


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a planned study can show.

    Parameters
    ----------
    plan : DesignPlan
        What was planned.
    risks : AssumedRisks
        Of the model that is assumed.
    entered, events, competing, at_risk : Count
        In the analysis: patients; with the event, and a competing event, by the horizon; still
        under observation there.
    measures : tuple of DesignMeasure
        AUC, O/E, slope and IPA.
    chances : tuple of Chance
        One for each limit below the true AUC.
    added_value : AddedValuePower or None
        None without a clinical model.
    hazard_ratio : float or None
        Smallest that has 80 % power, for the expected events; None for fewer than 5 events, where
        the formula says nothing.
    hazard_ratio_few : float or None
        The same for the lower end of the range of events.
    needed : tuple of Needed
        Riley's criteria for a validation.
    development : DevelopmentSize or None
        Riley's criteria for a development; None when no parameters are stated.
    dates : tuple of DesignDate
        Empty without a calendar.
    """

    plan: DesignPlan
    risks: AssumedRisks
    entered: Count
    events: Count
    competing: Count
    at_risk: Count
    measures: tuple[DesignMeasure, ...]
    chances: tuple[Chance, ...]
    added_value: AddedValuePower | None
    hazard_ratio: float | None
    hazard_ratio_few: float | None
    needed: tuple[Needed, ...]
    development: DevelopmentSize | None
    dates: tuple[DesignDate, ...]

    def measure(self, name: str) -> DesignMeasure:
        """Find a measure.

        Parameters
        ----------
        name : str
            Of `metastra.evaluation.design_simulate.MEASURES`.

        Returns
        -------
        DesignMeasure
            With its range.
        """
        return next(item for item in self.measures if item.name == name)


def design_study(plan: DesignPlan) -> Design:
    """Find out what a planned study can show.

    Parameters
    ----------
    plan : DesignPlan
        What is planned.

    Returns
    -------
    Design
        The same for the same plan.

    Raises
    ------
    NotEstimable
        When a criterion would need more than a thousand million patients.

    Notes
    -----
    Simulation as Riley et al., Stat Med 2021;40:4230–4251 and Snell et al., J Clin Epidemiol
    2021;135:79–89 advise where formulas do not know of censoring; each study is judged by the
    estimators and intervals of ``metastra evaluate``.

    Examples
    --------
    >>> from metastra.units import TimeUnit
    >>> plan = DesignPlan(
    ...     n=160, risk=0.12, horizon=24, time_unit=TimeUnit.MONTHS, auc=0.8, replicates=100
    ... )
    >>> round(design_study(plan).events.mean)
    19
    """
    risks = assumed_risks(risk=plan.risk, auc=plan.auc, baseline_auc=plan.baseline_auc)
    studies = simulate(plan, risks)
    events = _count(studies.events)
    return Design(
        plan=plan,
        risks=risks,
        entered=_count(studies.entered),
        events=events,
        competing=_count(studies.competing),
        at_risk=_count(studies.at_risk),
        measures=_measures(plan, risks, studies),
        chances=_chances(plan, studies),
        added_value=_added_value(plan, studies),
        hazard_ratio=_hazard_ratio(events.mean, plan),
        hazard_ratio_few=_hazard_ratio(events.lower, plan),
        needed=_needed(plan),
        development=_development(plan, risks),
        dates=_dates(plan, studies),
    )


def _count(numbers: NDArray[np.int64]) -> Count:
    lower, upper = np.quantile(numbers, [0.05, 0.95])
    return Count(mean=float(np.mean(numbers)), lower=float(lower), upper=float(upper))


def _measures(
    plan: DesignPlan, risks: AssumedRisks, studies: SimulatedStudies
) -> tuple[DesignMeasure, ...]:
    true = {"auc": plan.auc, "oe_ratio": 1.0, "slope": 1.0, "ipa": risks.ipa}
    closed = _closed_forms(plan, float(np.mean(studies.entered)), float(np.mean(studies.events)))
    found = []
    for row, name in enumerate(MEASURES):
        values = studies.values[:, row, :]
        good = values[np.isfinite(values).all(axis=1)]
        failed = plan.replicates - len(good)
        spread = interval = coverage = None
        reason = ""
        if failed > _MOST_FAILED * plan.replicates:
            reason = f"not estimable in {failed} of {plan.replicates} simulated studies"
        else:
            spread = _pair(np.quantile(good[:, 0], [0.025, 0.975]))
            interval = _pair(np.median(good[:, 1:], axis=0))
            coverage = float(np.mean((good[:, 1] <= true[name]) & (true[name] <= good[:, 2])))
        found.append(
            DesignMeasure(
                name=name,
                true=true[name],
                range=spread,
                interval=interval,
                coverage=coverage,
                closed_form=closed.get(name),
                failed=failed,
                reason=reason,
            )
        )
    return tuple(found)


def _closed_forms(plan: DesignPlan, n: float, events: float) -> dict[str, tuple[float, float]]:
    try:
        half = auc_half_width(plan.auc, events, n - events)
        factor = observed_expected_factor(plan.risk, events)
    except NotEstimable:
        return {}
    return {
        "auc": (plan.auc - half, min(plan.auc + half, 1.0)),
        "oe_ratio": (1.0 / factor, factor),
    }


def _chances(plan: DesignPlan, studies: SimulatedStudies) -> tuple[Chance, ...]:
    lower = studies.values[:, MEASURES.index("auc"), 1]
    # a study without an interval shows nothing: the comparison with NaN is false
    shares = [(limit, float(np.mean(lower > limit))) for limit in sorted(plan.limits)]
    return tuple(
        Chance(limit=limit, chance=share, error=_error(share, plan.replicates))
        for limit, share in shares
        if limit < plan.auc
    )


def _added_value(plan: DesignPlan, studies: SimulatedStudies) -> AddedValuePower | None:
    if plan.baseline_auc is None:
        return None
    gain, p_value = studies.gain.T
    finite = gain[np.isfinite(gain)]
    power = float(np.mean((p_value < 0.05) & (gain > 0.0)))
    return AddedValuePower(
        baseline_auc=plan.baseline_auc,
        true_gain=plan.auc - plan.baseline_auc,
        range=_pair(np.quantile(finite, [0.025, 0.975])) if finite.size else None,
        power=power,
        error=_error(power, plan.replicates),
    )


def _hazard_ratio(events: float, plan: DesignPlan) -> float | None:
    if events < _FEWEST_EVENTS:
        return None
    return detectable_hazard_ratio(events, plan.high_risk_share)


def _needed(plan: DesignPlan) -> tuple[Needed, ...]:
    numbers = {
        "oe_ratio": n_for_observed_expected(plan.risk, _WIDTHS["oe_ratio"]),
        "auc": n_for_auc(plan.auc, plan.risk, _WIDTHS["auc"]),
        "slope": n_for_slope_at_auc(plan.auc, plan.risk, _WIDTHS["slope"]),
        "net_benefit": n_for_net_benefit(plan.auc, plan.risk, plan.risk, _WIDTHS["net_benefit"]),
    }
    return tuple(
        Needed(
            measure=name,
            width=_WIDTHS[name],
            n=n,
            events=n * plan.risk,
            threshold=plan.risk if name == "net_benefit" else None,
        )
        for name, n in numbers.items()
    )


def _development(plan: DesignPlan, risks: AssumedRisks) -> DevelopmentSize | None:
    if plan.parameters is None:
        return None
    survival = 1.0 - plan.risk - plan.competing
    all_rates = -np.log(survival * (1.0 - plan.lost))
    mean_follow_up = plan.horizon * -np.expm1(-all_rates) / all_rates
    return n_for_development(
        parameters=plan.parameters,
        r2_cox_snell=risks.cox_snell,
        event_rate=-float(np.log1p(-plan.risk)) / plan.horizon,
        horizon=plan.horizon,
        mean_follow_up=float(mean_follow_up),
    )


def _dates(plan: DesignPlan, studies: SimulatedStudies) -> tuple[DesignDate, ...]:
    if plan.calendar is None:
        return ()
    planned = plan.calendar.analysis_day(plan.horizon_days)
    return tuple(
        DesignDate(
            day=day,
            planned=day == planned,
            entered=_count(studies.by_date[:, row, 0]),
            events=_count(studies.by_date[:, row, 1]),
            at_risk=_count(studies.by_date[:, row, 2]),
        )
        for row, day in enumerate(studies.dates)
    )


def _error(share: float, replicates: int) -> float:
    return float(np.sqrt(share * (1.0 - share) / replicates))


def _pair(two: NDArray[np.float64]) -> tuple[float, float]:
    return float(two[0]), float(two[1])
