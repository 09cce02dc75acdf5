"""Whether a finished endpoint can carry what the study wants of it: events, folds, horizons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from metastra.catalogue import problem
from metastra.cohort.endpoint_built import BuiltEndpoint
from metastra.errors import Problem, Where
from metastra.units import TimeUnit, from_days

__all__ = ["FEWEST_FOR_A_MODEL", "enough_problems", "event_problems", "horizon_problems"]

FEWEST_FOR_A_MODEL = 10
"""With fewer events of interest in development no model is fitted."""

_FEWEST_EVENTS = 2
_EVENTS_PER_PARAMETER = 10
_EVENTS_FOR_VALIDATION = 100
_FEW_AT_RISK = 10


def enough_problems(
    endpoints: Mapping[str, BuiltEndpoint],
    roles: Mapping[str, str],
    *,
    horizons_days: Sequence[float] = (),
    unit: TimeUnit = TimeUnit.DAYS,
    folds: int = 0,
    parameters: int = 0,
) -> list[Problem]:
    """Judge events and follow-up against what the study wants of them.

    Parameters
    ----------
    endpoints, roles, folds, parameters
        As in `event_problems`.
    horizons_days, unit
        As in `horizon_problems`.

    Returns
    -------
    list of Problem
        EP014 to EP017.
    """
    return [
        *event_problems(endpoints, roles, folds=folds, parameters=parameters),
        *horizon_problems(endpoints, horizons_days, unit=unit),
    ]


def event_problems(
    endpoints: Mapping[str, BuiltEndpoint],
    roles: Mapping[str, str],
    *,
    folds: int = 0,
    parameters: int = 0,
) -> list[Problem]:
    """Count events against folds, parameters and the needs of a validation.

    Parameters
    ----------
    endpoints : mapping of str to BuiltEndpoint
        By cohort.
    roles : mapping of str to {"development", "external", "temporal"}
        By cohort.
    folds : int
        Of the cross-validation in development; 0 when there is none.
    parameters : int
        Of the declared model; 0 when there is none.

    Returns
    -------
    list of Problem
        EP014: fewer events in development than folds, or fewer than two.  EP015, a warning: fewer
        than ten events per parameter in development, or fewer than 100 in another cohort (Collins
        and colleagues, Stat Med 2016).
    """
    problems = []
    inside = [one for cohort, one in endpoints.items() if roles[cohort] == "development"]
    events = sum(one.n_events for one in inside)
    needed = max(_FEWEST_EVENTS, folds)
    if inside and events < needed:
        wanted = f"at least {needed}" + (f" for {folds} folds" if folds > _FEWEST_EVENTS else "")
        problems.append(problem("EP014", _events(events, "development"), expected=wanted))
    elif inside and parameters and events < _EVENTS_PER_PARAMETER * parameters:
        found = f"{_events(events, 'development')} for {parameters} parameter"
        found += "s" if parameters > 1 else ""
        if events < FEWEST_FOR_A_MODEL:
            found += f"; below {FEWEST_FOR_A_MODEL} events no model is fitted"
        expected = f"at least {_EVENTS_PER_PARAMETER} per parameter"
        problems.append(problem("EP015", found, expected=expected))
    for cohort, one in endpoints.items():
        if roles[cohort] != "development" and one.n_events < _EVENTS_FOR_VALIDATION:
            problems.append(
                problem(
                    "EP015",
                    _events(one.n_events, f"cohort {cohort!r}"),
                    where=Where(file=one.file, cohort=cohort),
                    expected=f"at least {_EVENTS_FOR_VALIDATION} for a validation",
                    hint="The report prints the intervals; more patients make them narrower.",
                )
            )
    return problems


def horizon_problems(
    endpoints: Mapping[str, BuiltEndpoint],
    horizons_days: Sequence[float],
    *,
    unit: TimeUnit = TimeUnit.DAYS,
) -> list[Problem]:
    """Compare horizons with the follow-up of each cohort.

    Parameters
    ----------
    endpoints : mapping of str to BuiltEndpoint
        By cohort.
    horizons_days : sequence of float
        Days from time zero.
    unit : TimeUnit
        In which the messages speak.

    Returns
    -------
    list of Problem
        EP016 for horizons past the largest follow-up; EP017, a warning, for horizons at which fewer
        than ten patients are at risk (watched up to the horizon or longer), or past which nobody is
        watched.

    Notes
    -----
    Only the times count.  A patient with short follow-up is never left out for it.
    """
    problems = []
    for cohort, one in endpoints.items():
        keep = one.included
        if not keep.any():
            continue
        time = one.time_days[keep]
        entry = np.zeros(time.size) if one.entry_days is None else one.entry_days[keep]
        where = Where(file=one.file, cohort=cohort)
        longest = float(time.max())
        for horizon in horizons_days:
            shown = f"{from_days(horizon, unit):g} {unit}"
            if horizon > longest:
                found = f"the horizon {shown} lies past the longest follow-up"
                found += f" of {from_days(longest, unit):.4g} {unit}"
                problems.append(problem("EP016", found, where=where))
                continue
            at_risk = int(np.count_nonzero((time >= horizon) & (entry < horizon)))
            if at_risk < _FEW_AT_RISK:
                found = f"{at_risk} of {time.size} patients are at risk at {shown}"
                problems.append(problem("EP017", found, where=where))
            elif not (time > horizon).any():
                found = f"nobody is watched past {shown}: follow-up ends there"
                problems.append(problem("EP017", found, where=where))
    return problems


def _events(count: int, where: str) -> str:
    return f"{count} event{'' if count == 1 else 's'} in {where}"
