"""Whether finished times and codes can be what the study file says they are."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.errors import Problem, Severity, Where
from metastra.units import DAYS_PER_UNIT, TimeUnit

__all__ = ["recorded_facts", "swapped_by_facts", "swapped_by_shape", "unit_problems"]

_LONGEST_DAYS = 60 * DAYS_PER_UNIT[TimeUnit.YEARS]
_HALF_YEAR_DAYS = DAYS_PER_UNIT[TimeUnit.YEARS] / 2
_ENOUGH_FOR_UNIT = 10
_ENOUGH_FOR_SHAPE = 20
_SIGNIFICANT = 2.33
"""Standard normal deviate of a one-sided test at 1 %."""
_CLEAR_PHI = 0.2
_MANY_EVENTS = 0.75
_SOME_EVENTS = 0.25
_CLEARLY_SHORTER = 0.35
_FACT = re.compile(r"(?:^|[^a-z])(?:death|dead|deceased|died|vital|recur|relaps)")
_NO_FACT = re.compile(r"cens|surv|free|days?|month|year|time|date|site|locat|type|cause")
_YES = frozenset({"1", "1.0", "yes", "y", "true", "dead", "deceased", "died", "recurred"})
_NO = frozenset({"0", "0.0", "no", "n", "false", "alive", "living", "none", "disease-free"})


def unit_problems(values: NDArray[np.float64], unit: TimeUnit, where: Where) -> list[Problem]:
    """Judge whether times are in the declared unit.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Times in the declared unit; NaN where missing.
    unit : TimeUnit
        As declared.
    where : Where
        The time column.

    Returns
    -------
    list of Problem
        EP008 at most once: refused when follow-up exceeds 60 years or, with at least ten patients,
        stays under half a year in days or months; a warning when times in days are mostly not
        whole and short enough to be months.

    Examples
    --------
    >>> months = np.array([3.1, 12.0, 24.5, 36.2, 48.9, 5.5, 60.1, 72.3, 80.0, 91.7])
    >>> [str(item.severity) for item in unit_problems(months, TimeUnit.DAYS, Where())]
    ['refuse']
    >>> unit_problems(months, TimeUnit.MONTHS, Where())
    []
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return []
    longest = float(known.max())
    days = longest * DAYS_PER_UNIT[unit]
    if days > _LONGEST_DAYS:
        years = days / DAYS_PER_UNIT[TimeUnit.YEARS]
        found = f"the longest follow-up is {longest:g} {unit}, which is {years:.0f} years"
        return [problem("EP008", found, where=where, expected="at most 60 years")]
    if known.size < _ENOUGH_FOR_UNIT or unit is TimeUnit.YEARS:
        return []
    if days < _HALF_YEAR_DAYS:
        found = f"the longest follow-up is {longest:g} {unit}, under half a year"
        return [problem("EP008", found, where=where, expected=f"times in {unit}")]
    not_whole = float(np.mean(known != np.round(known)))
    could_be_months = longest * DAYS_PER_UNIT[TimeUnit.MONTHS] <= _LONGEST_DAYS
    if unit is TimeUnit.DAYS and not_whole > 0.5 and could_be_months:
        found = f"{not_whole:.0%} of the times are no whole days, and none is over {longest:g}"
        return [
            problem(
                "EP008",
                found,
                where=where,
                expected="times in days",
                hint="If they are months, say so in time_unit.",
                severity=Severity.WARN,
            )
        ]
    return []


def recorded_facts(table: Table, without: Iterable[str] = ()) -> NDArray[np.bool_] | None:
    """Find what a table's own yes-or-no columns say of deaths and recurrences.

    Parameters
    ----------
    table : Table
        The clinical table.
    without : iterable of str
        Columns that are not looked at: the status column itself.

    Returns
    -------
    ndarray of shape (n,), bool, or None
        Whether a death or a recurrence stands in the patient's row; None when no column is named
        like one (vital status, death, recurrence, …) and holds only plain yes and no.
    """
    facts = np.zeros(len(table), dtype=np.bool_)
    any_column = False
    skip = set(without)
    for name in table.columns:
        folded = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()
        if name in skip or not _FACT.search(folded) or _NO_FACT.search(folded):
            continue
        # cBioPortal writes 1:DECEASED
        words = [
            None if c is None else c.strip().casefold().split(":")[0] for c in table.column(name)
        ]
        said = {word for word in words if word is not None}
        if said <= _YES | _NO and said & _YES and said & _NO:
            any_column = True
            facts |= np.array([word in _YES for word in words], dtype=np.bool_)
    return facts if any_column else None


def swapped_by_facts(
    event: NDArray[np.int64], facts: NDArray[np.bool_], where: Where
) -> tuple[bool, list[Problem]]:
    """Compare coded events with deaths and recurrences that are recorded independently.

    Parameters
    ----------
    event : ndarray of shape (n,)
        0 censored, 1 and 2 events.
    facts : ndarray of shape (n,), bool
        Whether a death or a recurrence is recorded.
    where : Where
        The status column.

    Returns
    -------
    decided : bool
        Whether the facts speak clearly, one way or the other.
    problems : list of Problem
        EP003 when patients coded as events have fewer recorded ones than patients coded as
        censored: phi coefficient below -0.2 and its test significant at 1 % (one-sided).
    """
    coded = event != 0
    both = [np.count_nonzero(coded == c) for c in (True, False)]
    if min(both) == 0 or facts.all() or not facts.any():
        return False, []
    with_event, without = float(np.mean(facts[coded])), float(np.mean(facts[~coded]))
    phi = float(np.corrcoef(coded, facts)[0, 1])
    if abs(phi) <= _CLEAR_PHI or abs(phi) * np.sqrt(event.size) <= _SIGNIFICANT:
        return False, []
    if phi > 0:
        return True, []
    found = (
        f"a death or recurrence is recorded for {with_event:.0%} of the patients coded as events "
        f"and for {without:.0%} of those coded as censored"
    )
    return True, [problem("EP003", found, where=where)]


def swapped_by_shape(
    time: NDArray[np.float64], event: NDArray[np.int64], where: Where
) -> list[Problem]:
    """Judge coded events by the lengths of follow-up alone.

    Parameters
    ----------
    time : ndarray of shape (n,)
        Follow-up in any unit.
    event : ndarray of shape (n,)
        0 censored, 1 and 2 events.
    where : Where
        The status column.

    Returns
    -------
    list of Problem
        EP003 with at least 20 patients in either of two cases.  (1) Over 75 % are events, the
        censored were watched for a shorter time than the events (by more than a standard error),
        and events are commoner still among the longest tenth: late deaths of a metastatic cohort
        do not look like that, its longest survivors are censored.  (2) At least 25 % are events
        and the probability that an event comes before a censoring is under 0.35 by two standard
        errors: patients alive at the end of a study are watched longer than those who died.

    Notes
    -----
    The standard error is that of Hanley and McNeil, Radiology 1982.  The limits were set on the
    public tables that the tests name; none of them is reported with its right codes.
    """
    coded = event != 0
    share = float(np.mean(coded)) if coded.size else 0.0
    if coded.size < _ENOUGH_FOR_SHAPE or share in (0.0, 1.0):
        return []
    earlier, error = _probability_earlier(time[coded], time[~coded])
    longest = time >= np.quantile(time, 0.9)
    late_share = float(np.mean(coded[longest]))
    mostly = share > _MANY_EVENTS and earlier + error < 0.5 and late_share > share
    clearly = share >= _SOME_EVENTS and earlier + 2 * error < _CLEARLY_SHORTER
    if not (mostly or clearly):
        return []
    middle = [float(np.median(time[mask])) for mask in (~coded, coded)]
    found = (
        f"{share:.0%} of the patients are coded as events, and the censored were watched for less "
        f"time than the events (median {middle[0]:g} against {middle[1]:g})"
    )
    return [problem("EP003", found, where=where)]


def _probability_earlier(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[float, float]:
    """Estimate P(first < second), ties counting half, with its standard error."""
    ordered = np.sort(second)
    below = np.searchsorted(ordered, first, side="left")
    upto = np.searchsorted(ordered, first, side="right")
    p = 1.0 - float(np.mean(below + upto)) / (2.0 * second.size)
    q1, q2 = p / (2 - p), 2 * p * p / (1 + p)
    variance = p * (1 - p) + (first.size - 1) * (q1 - p * p) + (second.size - 1) * (q2 - p * p)
    return p, float(np.sqrt(max(0.0, variance) / (first.size * second.size)))
