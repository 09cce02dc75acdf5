"""Follow-up and risk at the horizons, for each cohort and for each site within it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from metastra.cohort.cohort import Cohort
from metastra.report.curve_estimates import incidence_curves
from metastra.report.curves import CurveOptions
from metastra.report.wording import number
from metastra.survival.intervals import IntervalScale
from metastra.survival.kaplan_meier import reverse_kaplan_meier
from metastra.survival.outcome import Outcome
from metastra.survival.risk_set import n_at_risk
from metastra.units import from_days, to_days

__all__ = ["AtHorizon", "FollowUpRow", "follow_up_rows"]


@dataclass(frozen=True, kw_only=True)
class AtHorizon:
    """What is known at one horizon.

    Parameters
    ----------
    horizon : float
        In the study's time unit.
    at_risk : int
        Patients with ``entry < t <= time``.
    events, competing : int
        Up to and including the horizon.
    censored_before : int
        Whose follow-up ended without any event before the horizon.
    share_censored : float or None
        Of the row's patients.
    risk, lower, upper : float or None
        Cumulative incidence of the event; None where it cannot be estimated.
    reason : str
        Why there is no risk.
    """

    horizon: float
    at_risk: int
    events: int
    competing: int
    censored_before: int
    share_censored: float | None
    risk: float | None
    lower: float | None
    upper: float | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class FollowUpRow:
    """A cohort, or one site of it.

    Parameters
    ----------
    cohort, role : str
        Of the cohort.
    site : str
        Empty for the whole cohort.
    n, events, competing, censored : int
        Patients, by the end of their follow-up.
    median, lower, upper : float or None
        Follow-up by the reverse Kaplan–Meier, in the study's time unit; None where the curve or
        its limit does not fall to one half.
    longest : float
        The longest follow-up.
    at : tuple of AtHorizon
        One for each horizon.
    """

    cohort: str
    role: str
    site: str = ""
    n: int
    events: int
    competing: int
    censored: int
    median: float | None
    lower: float | None
    upper: float | None
    longest: float
    at: tuple[AtHorizon, ...]


def follow_up_rows(
    cohort: Cohort,
    *,
    competing: bool,
    hidden_below: int = 5,
    level: float = 0.95,
    interval_scale: IntervalScale = "log-log",
) -> tuple[FollowUpRow, ...]:
    """Describe the follow-up of every cohort, and of its sites where the study declares them.

    Parameters
    ----------
    cohort : Cohort
        Of a survival endpoint.
    competing : bool
        Whether anything competes with the event; decides the estimator as in `incidence_curves`,
        so that tables and figures say the same.
    hidden_below : int
        Sites with fewer patients are put together.
    level : float
        Confidence level.
    interval_scale : {"log", "log-log", "plain", "arcsine"}
        Scale of the limits.

    Returns
    -------
    tuple of FollowUpRow
        Each cohort followed by its sites; cohorts without patients are left out.
    """
    rows = []
    whole = cohort.outcome()
    options = CurveOptions(
        time_unit=cohort.study.endpoint.time_unit, level=level, interval_scale=interval_scale
    )
    for section in cohort.study.cohort:
        mask = cohort.cohort_names == section.name
        if not mask.any():
            continue
        parts = {"": mask}
        parts |= _sites(cohort, mask, hidden_below)
        rows += [
            _row(
                cohort,
                whole.take(part),
                names=(section.name, section.role, site),
                competing=competing,
                options=options,
            )
            for site, part in parts.items()
        ]
    return tuple(rows)


def _sites(
    cohort: Cohort, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], hidden_below: int
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Patients by site; none where there is no site column or only one site."""
    column = cohort.study.metadata.site
    if column is None:
        return {}
    values = np.array([p.values.get(column) or "not recorded" for p in cohort.patients])
    counted = Counter(values[mask].tolist())
    if len(counted) < 2:
        return {}
    large = sorted(site for site, n in counted.items() if n >= hidden_below)
    parts = {site: mask & (values == site) for site in large}
    small = [site for site, n in counted.items() if n < hidden_below]
    if small:
        rest = mask & np.isin(values, small)
        if int(rest.sum()) < hidden_below and large:
            # A remainder that is small itself could be worked out; it goes with the smallest site.
            smallest = min(large, key=counted.__getitem__)
            rest |= parts.pop(smallest)
            small.append(smallest)
        parts[f"{len(small)} sites together"] = rest
    return parts


def _row(
    cohort: Cohort,
    outcome: Outcome,
    *,
    names: tuple[str, str, str],
    competing: bool,
    options: CurveOptions,
) -> FollowUpRow:
    unit = options.time_unit
    followed = reverse_kaplan_meier(outcome, interval=options.interval_scale, level=options.level)
    median = followed.median()
    curves = incidence_curves({"": outcome}, event="", competing=competing, options=options)
    longest = from_days(float(outcome.time.max()), unit)
    at = []
    for horizon in cohort.study.endpoint.horizons:
        days = float(to_days(horizon, unit))
        risk, lower, upper = curves.lines[0].at(horizon)
        reason = f"follow-up ends at {number(longest)} {unit}" if risk is None else ""
        before = (outcome.time < days) & (outcome.event == 0)
        by_then = outcome.time <= days
        at.append(
            AtHorizon(
                horizon=horizon,
                at_risk=int(n_at_risk(outcome, days)),
                events=int(np.count_nonzero(by_then & (outcome.event == 1))),
                competing=int(np.count_nonzero(by_then & (outcome.event > 1))),
                censored_before=int(np.count_nonzero(before)),
                share_censored=float(before.mean()),
                risk=risk,
                lower=lower,
                upper=upper,
                reason=reason,
            )
        )
    in_unit = [
        None if value is None else from_days(value, unit)
        for value in (median.value, median.lower, median.upper)
    ]
    return FollowUpRow(
        cohort=names[0],
        role=names[1],
        site=names[2],
        n=outcome.n,
        events=outcome.n_events(1),
        competing=outcome.n_events() - outcome.n_events(1),
        censored=outcome.n - outcome.n_events(),
        median=in_unit[0],
        lower=in_unit[1],
        upper=in_unit[2],
        longest=longest,
        at=tuple(at),
    )
