"""Cohorts and centres: who is treated where, on which scanner, and how they are followed up.

Nothing here changes a hazard.  Cohorts differ by their case mix, calendar, follow-up and the way
their tables are written, and by nothing else; so a model that is right in one is right in all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal

import numpy as np

from metastra.units import TimeUnit, to_days

__all__ = [
    "COHORTS",
    "HORIZON_MONTHS",
    "WINDOW_MONTHS",
    "Centre",
    "CohortPlan",
    "Detection",
    "Style",
    "VisitPlan",
    "allocate",
]

HORIZON_MONTHS: tuple[int, ...] = (12, 24, 36)
"""Horizons of the study, counted from the end of the synchronous window."""
WINDOW_MONTHS = 3
"""The synchronous window: time zero is this long after surgery."""


class Detection(StrEnum):
    """When a relapse is found."""

    VISITS = "visits"
    """At the next attended visit: recorded dates lag behind the onset, as in hospitals."""
    AT_ONSET = "at-onset"
    """On the day of its onset: what a judge of predictions is tested with."""


class Style(StrEnum):
    """How the tables of a cohort are written."""

    ISO = "iso"
    """Commas, decimal points, 2021-03-14, UTF-8."""
    GERMAN = "german"
    """Semicolons, decimal commas, 14.03.2021, cp1252, German columns and words."""
    TABBED = "tabbed"
    """Tabs, 14/03/2021, UTF-8 with a byte order mark, as a spreadsheet saves it."""


@dataclass(frozen=True, kw_only=True)
class VisitPlan:
    """Scheduled imaging after surgery.

    Parameters
    ----------
    planned_days : tuple of int
        Days since surgery, ascending, more than two jitters apart.
    jitter_days : int
        A visit falls on any day up to this many before or after the plan, each equally likely.
    attendance : float
        Probability that a visit takes place.

    Raises
    ------
    ValueError
        If two visits could change places, or a visit could fall on the day of surgery.
    """

    planned_days: tuple[int, ...]
    jitter_days: int = 14
    attendance: float = 0.92

    def __post_init__(self) -> None:
        gaps = np.diff((0, *self.planned_days))
        if (gaps <= 2 * self.jitter_days).any():
            raise ValueError("planned visits must lie more than two jitters apart")

    @classmethod
    def every(cls, *stages: tuple[int, int], attendance: float = 0.92) -> VisitPlan:
        """Plan visits at regular intervals.

        Parameters
        ----------
        *stages : tuple of int
            Interval in months, and until which month after surgery it holds.
        attendance : float
            Probability that a visit takes place.

        Returns
        -------
        VisitPlan
            With two weeks of jitter.

        Examples
        --------
        >>> VisitPlan.every((6, 12), (12, 36)).planned_days
        (183, 365, 730, 1096)
        """
        months: list[int] = []
        for interval, until in stages:
            start = months[-1] if months else 0
            months += range(start + interval, until + 1, interval)
        days = tuple(round(to_days(month, TimeUnit.MONTHS)) for month in months)
        return cls(planned_days=days, attendance=attendance)


@dataclass(frozen=True, kw_only=True)
class Centre:
    """One hospital.

    Parameters
    ----------
    name : str
        As the tables have it.
    share : float
        Of its cohort's patients.
    stages : tuple of float
        Shares of stages I, II, III and IV.
    locations : tuple of float
        Shares of left colon, right colon and rectum.
    age_mean_years : float
        Mean age at surgery.
    scanner : str
        On which all its slides are scanned.
    mpp : float
        Of the scanner, micrometres per pixel.
    visits : VisitPlan
        Its follow-up.
    lost_per_year : float
        Hazard of being lost to follow-up.
    """

    name: str
    share: float
    stages: tuple[float, float, float, float]
    locations: tuple[float, float, float]
    age_mean_years: float
    scanner: str
    mpp: float
    visits: VisitPlan
    lost_per_year: float = 0.03


@dataclass(frozen=True, kw_only=True)
class CohortPlan:
    """One cohort of the study.

    Parameters
    ----------
    name : str
        As the study file has it.
    role : {"development", "external", "temporal"}
        As the study file has it.
    style : Style
        Of its tables.
    prefix : str
        Of its patients' ids.
    share : float
        Of the study's patients.
    centres : tuple of Centre
        Its hospitals.
    accrual : tuple of date
        First and last day of surgery.
    data_cut : date
        Nothing later is known.
    """

    name: str
    role: Literal["development", "external", "temporal"]
    style: Style
    prefix: str
    share: float
    centres: tuple[Centre, ...]
    accrual: tuple[date, date]
    data_cut: date


_CLOSE = VisitPlan.every((3, 24), (6, 60))
_USUAL = VisitPlan.every((3, 6), (6, 60), attendance=0.90)
_SPARSE = VisitPlan.every((6, 36), (12, 60), attendance=0.85)

COHORTS: tuple[CohortPlan, ...] = (
    CohortPlan(
        name="north",
        role="development",
        style=Style.ISO,
        prefix="NO-",
        share=0.40,
        accrual=(date(2013, 1, 7), date(2018, 12, 20)),
        data_cut=date(2022, 6, 30),
        centres=(
            Centre(
                name="Northgate",
                share=0.36,
                stages=(0.25, 0.32, 0.34, 0.09),
                locations=(0.36, 0.36, 0.28),
                age_mean_years=69.0,
                scanner="Aurora S60",
                mpp=0.25,
                visits=_CLOSE,
            ),
            Centre(
                name="Harbour",
                share=0.34,
                stages=(0.20, 0.29, 0.39, 0.12),
                locations=(0.28, 0.24, 0.48),
                age_mean_years=66.0,
                scanner="Aurora S60",
                mpp=0.25,
                visits=_CLOSE,
            ),
            Centre(
                name="Moorland",
                share=0.30,
                stages=(0.26, 0.38, 0.29, 0.07),
                locations=(0.34, 0.48, 0.18),
                age_mean_years=73.0,
                scanner="Pelican 2",
                mpp=0.5,
                visits=_USUAL,
            ),
        ),
    ),
    CohortPlan(
        name="rhine",
        role="development",
        style=Style.GERMAN,
        prefix="RH",
        share=0.32,
        accrual=(date(2014, 3, 3), date(2018, 11, 30)),
        data_cut=date(2022, 9, 30),
        centres=(
            Centre(
                name="Süderstadt",
                share=0.36,
                stages=(0.24, 0.31, 0.34, 0.11),
                locations=(0.34, 0.36, 0.30),
                age_mean_years=70.0,
                scanner="Falter 3D",
                mpp=0.2428,
                visits=_USUAL,
            ),
            Centre(
                name="Mühlental",
                share=0.34,
                stages=(0.28, 0.34, 0.31, 0.07),
                locations=(0.36, 0.40, 0.24),
                age_mean_years=71.0,
                scanner="Falter 3D",
                mpp=0.2428,
                visits=_USUAL,
            ),
            Centre(
                name="Großenfeld",
                share=0.30,
                stages=(0.22, 0.33, 0.36, 0.09),
                locations=(0.32, 0.36, 0.32),
                age_mean_years=68.0,
                scanner="Aurora S60",
                mpp=0.25,
                visits=_CLOSE,
            ),
        ),
    ),
    CohortPlan(
        name="south",
        role="external",
        style=Style.TABBED,
        prefix="S",
        share=0.28,
        accrual=(date(2015, 2, 2), date(2018, 10, 31)),
        data_cut=date(2022, 12, 31),
        centres=(
            Centre(
                name="Southbank",
                share=0.56,
                stages=(0.16, 0.32, 0.41, 0.11),
                locations=(0.32, 0.42, 0.26),
                age_mean_years=70.0,
                scanner="Pelican 2",
                mpp=0.5,
                visits=_USUAL,
                lost_per_year=0.05,
            ),
            Centre(
                name="Hillside",
                share=0.44,
                stages=(0.30, 0.34, 0.29, 0.07),
                locations=(0.36, 0.38, 0.26),
                age_mean_years=72.0,
                scanner="Orbit 450",
                mpp=0.465,
                visits=_SPARSE,
                lost_per_year=0.05,
            ),
        ),
    ),
)
"""The default study; every share is chosen."""


def allocate(total: int, shares: tuple[float, ...]) -> tuple[int, ...]:
    """Divide a number into whole parts by the largest remainders.

    Parameters
    ----------
    total : int
        To be divided.
    shares : tuple of float
        Of the parts; scaled to sum to 1.

    Returns
    -------
    tuple of int
        Their sum is `total`.

    Examples
    --------
    >>> allocate(10, (0.4, 0.32, 0.28))
    (4, 3, 3)
    """
    exact = np.array(shares) / sum(shares) * total
    parts = np.floor(exact).astype(int)
    order = np.argsort(parts - exact, kind="stable")
    parts[order[: total - int(parts.sum())]] += 1
    return tuple(int(part) for part in parts)
