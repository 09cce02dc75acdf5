"""The stated truth: cause-specific hazards of relapse at four sites and of death.

After surgery a patient is free of disease until the first of four kinds of relapse (liver,
peritoneum, lung, local) or death of another cause.  A relapse at one site does not end the question
for the others: their hazards go on, multiplied by `HazardModel.spread_factor`, and death of the
disease becomes possible.  All hazards are piecewise constant in the time since surgery and
proportional in the covariates, so the process is a Markov chain and every risk has a closed form
(`metastra.synthetic.risk`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from metastra.study.vocabulary import Site
from metastra.synthetic.covariates import TERMS, Covariates
from metastra.units import TimeUnit, to_days

__all__ = ["CUTS_DAYS", "SITES", "Baseline", "Effect", "HazardModel", "PiecewiseHazard"]

_Vector = NDArray[np.float64]

SITES: tuple[Site, ...] = (Site.LIVER, Site.PERITONEUM, Site.LUNG, Site.LOCAL)
"""Sites of relapse, in the order of every array with a site axis."""

_MONTHS = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 36.0, 60.0, 1200.0)
CUTS_DAYS: _Vector = np.array([to_days(m, TimeUnit.MONTHS) for m in _MONTHS])
"""Bounds of the intervals in which hazards are constant, days since surgery; a century in all."""
CUTS_DAYS.setflags(write=False)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Log hazard ratios of one covariate, per unit of its term.

    Parameters
    ----------
    term : str
        Name of a term in `metastra.synthetic.covariates.TERMS`.
    liver, peritoneum, lung, local : float
        On the hazards of relapse.
    death : float
        On the hazard of death of another cause.
    source : str
        Where the number comes from; "chosen" where it was chosen to be plausible.
    """

    term: str
    liver: float = 0.0
    peritoneum: float = 0.0
    lung: float = 0.0
    local: float = 0.0
    death: float = 0.0
    source: str = "chosen"

    @property
    def values(self) -> tuple[float, ...]:
        """The coefficients in the order of `SITES`, then death."""
        return (self.liver, self.peritoneum, self.lung, self.local, self.death)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Hazard of the reference patient.

    Parameters
    ----------
    per_year : float
        Level, per year.
    shape : tuple of float
        Multiples of the level in the eight intervals of `CUTS_DAYS`.
    source : str
        Where it comes from.
    """

    per_year: float
    shape: tuple[float, ...]
    source: str = "chosen"


_RELAPSE_SHAPE = (0.3, 0.5, 1.0, 1.3, 1.2, 0.75, 0.35, 0.08)
_LATER_SHAPE = (0.2, 0.3, 0.7, 1.0, 1.2, 1.0, 0.5, 0.1)
_DEATH_SHAPE = (8.0, 2.0, 1.2, 1.0, 1.0, 1.0, 1.0, 1.2)

_EFFECTS = (
    Effect(term="age", liver=-0.05, peritoneum=-0.10, lung=-0.05, death=0.80),
    Effect(term="male", liver=0.10, lung=0.10, death=0.35),
    Effect(
        term="pT1",
        liver=-1.30,
        peritoneum=-1.50,
        lung=-1.10,
        local=-1.00,
        source="chosen; with pT2 and pN it gives the stages' rates of Manfredi 2006",
    ),
    Effect(term="pT2", liver=-1.05, peritoneum=-1.10, lung=-0.70, local=-0.60),
    Effect(term="pT4", liver=0.35, peritoneum=1.00, lung=0.30, local=0.60),
    Effect(
        term="pN1",
        liver=0.40,
        peritoneum=0.50,
        lung=0.50,
        local=0.40,
        source="chosen; with pN2 it gives the stages' rates of Manfredi 2006",
    ),
    Effect(term="pN2", liver=0.75, peritoneum=1.00, lung=0.85, local=0.70),
    Effect(term="G3", liver=0.15, peritoneum=0.35, lung=0.10, local=0.20),
    Effect(term="dMMR", liver=-0.60, peritoneum=-0.20, lung=-0.70, local=-0.40),
    Effect(term="CEA", liver=0.18, peritoneum=0.12, lung=0.15, local=0.08),
    Effect(
        term="right",
        liver=-0.10,
        peritoneum=0.30,
        lung=-0.35,
        source="chosen; sign for liver and lung as in Engstrand 2018",
    ),
    Effect(term="rectum", peritoneum=-0.50, lung=0.50, local=0.60),
    Effect(term="tumour", liver=0.05, lung=0.05),
    Effect(term="stroma", liver=0.25, peritoneum=0.20, lung=0.20, local=0.15),
    Effect(term="lymphocytes", liver=-0.35, peritoneum=-0.15, lung=-0.30, local=-0.20),
    Effect(term="necrosis", liver=0.12, lung=0.10),
    Effect(
        term="budding",
        liver=0.25,
        peritoneum=0.30,
        lung=0.20,
        local=0.25,
        source="chosen; sign as in Rogers 2016",
    ),
)


@dataclass(frozen=True, kw_only=True)
class HazardModel:
    """All hazards; the defaults are the truth of the synthetic study.

    Parameters
    ----------
    effects : tuple of Effect
        At most one for each term; a term without one has no effect.
    liver, peritoneum, lung, local : Baseline
        Of relapse.
    death : Baseline
        Of death of another cause.
    relapse_death_per_year : float
        Hazard of death of the disease from the first relapse on, whatever its site and the
        covariates.  The default gives a median of 18 months; Manfredi 2006 saw 38 % alive one year
        after a metachronous liver metastasis in 1976 to 2000.
    spread_factor : float
        By what the hazards of the other sites are multiplied after a first relapse; chosen.

    Raises
    ------
    ValueError
        If an effect names an unknown term, or a baseline has the wrong number of intervals.

    Notes
    -----
    Manfredi 2006: Ann Surg 244:254, registry of Burgundy; 5-year rates of metachronous liver
    metastasis 3.7, 13.3 and 30.4 % in stages I, II and III.  Engstrand 2018: BMC Cancer 18, 2008
    patients of Stockholm; liver and lung metastases are rarer from the right colon.  Rogers 2016:
    review and meta-analysis of budding (PMC5046217), odds ratio of recurrence 5.5.  Landreau 2015
    (J Gastroenterol Hepatol, doi 10.1111/jgh.12685) gives hazard ratios of liver metastasis of 3.2
    for stage II and 6.9 for stage III against I, and 2.2 % between 5 and 10 years.

    Examples
    --------
    >>> model = HazardModel()
    >>> model.linear_predictors(Covariates.reference()).any()
    np.False_
    """

    effects: tuple[Effect, ...] = _EFFECTS
    liver: Baseline = Baseline(
        per_year=0.045,
        shape=_RELAPSE_SHAPE,
        source="set so that the 2-year risks by stage are near 2.5, 9 and 20 %",
    )
    peritoneum: Baseline = Baseline(per_year=0.010, shape=_RELAPSE_SHAPE)
    lung: Baseline = Baseline(per_year=0.014, shape=_LATER_SHAPE)
    local: Baseline = Baseline(per_year=0.010, shape=_RELAPSE_SHAPE)
    death: Baseline = Baseline(
        per_year=0.018,
        shape=_DEATH_SHAPE,
        source="chosen; the first months hold the mortality of surgery",
    )
    relapse_death_per_year: float = 0.46
    spread_factor: float = 2.0

    def __post_init__(self) -> None:
        unknown = {effect.term for effect in self.effects} - {term.name for term in TERMS}
        if unknown or len({effect.term for effect in self.effects}) < len(self.effects):
            raise ValueError(f"effects must name known terms, each once; unknown: {unknown or '-'}")
        for baseline in (*self.site_baselines, self.death):
            if len(baseline.shape) != CUTS_DAYS.size - 1:
                raise ValueError(f"a baseline needs {CUTS_DAYS.size - 1} intervals")

    @property
    def site_baselines(self) -> tuple[Baseline, ...]:
        """Baselines of relapse in the order of `SITES`."""
        return (self.liver, self.peritoneum, self.lung, self.local)

    @cached_property
    def coefficients(self) -> _Vector:
        """Log hazard ratios, shape (terms, sites + 1); the last column is death."""
        named = {effect.term: effect.values for effect in self.effects}
        return np.array([named.get(term.name, (0.0,) * 5) for term in TERMS], dtype=np.float64)

    @cached_property
    def site_hazards(self) -> tuple[PiecewiseHazard, ...]:
        """Baseline hazards of relapse in the order of `SITES`."""
        return tuple(PiecewiseHazard.of(baseline) for baseline in self.site_baselines)

    @cached_property
    def death_hazard(self) -> PiecewiseHazard:
        """Baseline hazard of death of another cause."""
        return PiecewiseHazard.of(self.death)

    @property
    def relapse_death_per_day(self) -> float:
        """Hazard of death of the disease after a relapse, per day."""
        return self.relapse_death_per_year / to_days(1.0, TimeUnit.YEARS)

    def linear_predictors(self, covariates: Covariates) -> _Vector:
        """Sum the log hazard ratios of each patient.

        Parameters
        ----------
        covariates : Covariates
            Of n patients.

        Returns
        -------
        ndarray of shape (n, sites + 1)
            Log hazard ratio against the reference patient; columns in the order of `SITES`, then
            death of another cause.
        """
        # a sum in a fixed order: matrix products differ in the last digit between machines
        design, table = covariates.design(), self.coefficients
        total = np.zeros((covariates.n, table.shape[1]))
        for column, row in zip(design.T, table, strict=True):
            total += column[:, None] * row[None, :]
        return total


@dataclass(frozen=True, kw_only=True, eq=False)
class PiecewiseHazard:
    """A hazard that is constant between the bounds of `CUTS_DAYS`.

    Parameters
    ----------
    per_day : ndarray of shape (intervals,)
        Its values.
    cumulative_at_cuts : ndarray of shape (intervals + 1,)
        Its integral at the bounds.
    """

    per_day: _Vector
    cumulative_at_cuts: _Vector

    @classmethod
    def of(cls, baseline: Baseline) -> PiecewiseHazard:
        """Make the hazard of a baseline.

        Parameters
        ----------
        baseline : Baseline
            Level and shape.

        Returns
        -------
        PiecewiseHazard
            Per day.
        """
        level = baseline.per_year / to_days(1.0, TimeUnit.YEARS)
        per_day = level * np.array(baseline.shape, dtype=np.float64)
        cumulative = np.concatenate([[0.0], np.cumsum(per_day * np.diff(CUTS_DAYS))])
        return cls(per_day=per_day, cumulative_at_cuts=cumulative)

    def cumulative(self, days: NDArray[np.float64] | float) -> _Vector:
        """Integrate the hazard from 0.

        Parameters
        ----------
        days : float or ndarray
            Since surgery, any shape.

        Returns
        -------
        ndarray
            Of the same shape.
        """
        return np.asarray(np.interp(days, CUTS_DAYS, self.cumulative_at_cuts), dtype=np.float64)

    def time_at(self, cumulative: _Vector) -> _Vector:
        """Find when the integral reaches a value.

        Parameters
        ----------
        cumulative : ndarray
            Any shape.

        Returns
        -------
        ndarray
            Days since surgery; infinite where it is not reached within the last bound.
        """
        return np.asarray(
            np.interp(cumulative, self.cumulative_at_cuts, CUTS_DAYS, right=np.inf),
            dtype=np.float64,
        )
