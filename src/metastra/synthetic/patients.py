"""Patients as they come to surgery: stage, histology, tissue composition, calendar and care.

Every distribution here is chosen so that the usual associations hold (deficient mismatch repair on
the right and in stage II, more lymphocytes with it, more buds and stroma in advanced stages); none
is an estimate.  The hazards take what is drawn here as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.study.vocabulary import Site
from metastra.synthetic.case_mix import CohortPlan, allocate
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.draws import Draws
from metastra.synthetic.hazard import SITES
from metastra.synthetic.staging import M_SUB, N_SUB, T_SUB, stage_group

__all__ = ["Patients", "draw_patients"]

_Vector = NDArray[np.float64]
_Codes = NDArray[np.int64]
_Flags = NDArray[np.bool_]

_T_BY_STAGE = np.array(
    [
        [0.35, 0.65, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.86, 0.09, 0.05],
        [0.05, 0.11, 0.64, 0.13, 0.07],
        [0.0, 0.03, 0.58, 0.25, 0.14],
    ]
)
"""Shares of pT1, pT2, pT3, pT4a and pT4b in stages I to IV."""
_N_BY_STAGE = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.29, 0.29, 0.09, 0.19, 0.14],
        [0.20, 0.16, 0.18, 0.04, 0.22, 0.20],
    ]
)
"""Shares of pN0, pN1a, pN1b, pN1c, pN2a and pN2b in stages I to IV."""
_PN = np.array([0, 1, 1, 1, 2, 2])
_SITE_AT_DIAGNOSIS = {Site.LIVER: 0.72, Site.PERITONEUM: 0.25, Site.LUNG: 0.25, Site.LOCAL: 0.0}
"""Probability that a site is involved at diagnosis in stage IV; the liver if none is drawn."""
_DMMR_BY_STAGE = np.array([0.08, 0.14, 0.08, 0.03])
"""Share of deficient mismatch repair in the left colon; three times as much on the right."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patients:
    """Patients of one cohort at surgery, in the order of their tables.

    Parameters
    ----------
    plan : CohortPlan
        Of the cohort.
    id : tuple of str
        Study ids.
    centre : ndarray of shape (n,), int
        Position in ``plan.centres``.
    surgery : ndarray of shape (n,), int
        Day of surgery, as Python's ``date.toordinal``.
    covariates : Covariates
        Of the n patients.
    tnm : tuple of (str, str, str)
        T, N and M without prefixes, for instance ``("3", "1b", "0")``.
    stage : tuple of str
        Stage group, for instance ``"IIIB"``.
    at_diagnosis : ndarray of shape (n, sites), bool
        Sites with metastases at diagnosis.
    neoadjuvant : ndarray of shape (n,), bool
        Whether treatment came before surgery; only in cancers of the rectum.
    """

    plan: CohortPlan
    id: tuple[str, ...]
    centre: _Codes
    surgery: _Codes
    covariates: Covariates
    tnm: tuple[tuple[str, str, str], ...]
    stage: tuple[str, ...]
    at_diagnosis: _Flags
    neoadjuvant: _Flags

    def __len__(self) -> int:
        return len(self.id)

    @property
    def metastatic(self) -> _Flags:
        """Whether there were metastases at diagnosis, shape (n,)."""
        return np.asarray(self.at_diagnosis.any(axis=1), dtype=np.bool_)

    @property
    def eligible(self) -> _Flags:
        """Stage I to III without neoadjuvant treatment, shape (n,)."""
        return ~self.metastatic & ~self.neoadjuvant

    @property
    def coarse_stage(self) -> NDArray[np.str_]:
        """I, II, III or IV, shape (n,)."""
        return np.array([stage.rstrip("ABC") for stage in self.stage], dtype=np.str_)


def draw_patients(plan: CohortPlan, n: int, seed: int) -> Patients:
    """Draw the patients of a cohort.

    Parameters
    ----------
    plan : CohortPlan
        Case mix and calendar.
    n : int
        How many; divided among the centres by their shares.
    seed : int
        Of the study.

    Returns
    -------
    Patients
        In the order of their surgery.

    Examples
    --------
    >>> from metastra.synthetic.case_mix import COHORTS
    >>> patients = draw_patients(COHORTS[0], 40, seed=1)
    >>> len(patients), patients.id[0]
    (40, 'NO-0001')
    """
    draws = Draws(seed=seed, label=plan.name)
    sizes = allocate(n, tuple(centre.share for centre in plan.centres))
    centre = np.repeat(np.arange(len(sizes)), sizes)
    stage = draws.categories("stage", np.array([c.stages for c in plan.centres])[centre], n)
    places = np.array([c.locations for c in plan.centres])[centre]
    location = draws.categories("location", places, n)
    t_code = draws.categories("T", _T_BY_STAGE[stage], n)
    n_code = draws.categories("N", _N_BY_STAGE[stage], n)
    at_diagnosis = _sites_at_diagnosis(stage == 3, draws)
    neoadjuvant = (location == 2) & (draws.uniform("neoadjuvant", n) < 0.40)
    ages = np.array([c.age_mean_years for c in plan.centres])[centre]
    ages += 11.0 * draws.normal("age", n)
    covariates = _covariates(
        draws,
        stage=stage,
        location=location,
        pt=np.minimum(t_code + 1, 4),
        pn=_PN[n_code],
        ages=np.clip(ages, 32.0, 93.0),
        neoadjuvant=neoadjuvant,
    )
    first, last = (day.toordinal() for day in plan.accrual)
    surgery = draws.integers("surgery", n, low=first, high=last)
    order = np.argsort(surgery, kind="stable")
    m_code = _metastasis_category(at_diagnosis)
    tnm = tuple((T_SUB[t_code[i]], N_SUB[n_code[i]], M_SUB[m_code[i]]) for i in order)
    return Patients(
        plan=plan,
        id=tuple(f"{plan.prefix}{number:04d}" for number in range(1, n + 1)),
        centre=centre[order],
        surgery=surgery[order],
        covariates=covariates.take(order),
        tnm=tnm,
        stage=tuple(stage_group(*categories) for categories in tnm),
        at_diagnosis=at_diagnosis[order],
        neoadjuvant=neoadjuvant[order],
    )


def _sites_at_diagnosis(metastatic: _Flags, draws: Draws) -> _Flags:
    n = metastatic.size
    involved = np.stack(
        [draws.uniform(f"M1-{site}", n) < _SITE_AT_DIAGNOSIS[site] for site in SITES], axis=1
    )
    involved[~involved.any(axis=1), SITES.index(Site.LIVER)] = True
    return np.asarray(involved & metastatic[:, None], dtype=np.bool_)


def _metastasis_category(at_diagnosis: _Flags) -> _Codes:
    """M1a is one organ, M1b several, M1c the peritoneum."""
    peritoneum = at_diagnosis[:, SITES.index(Site.PERITONEUM)]
    organs = at_diagnosis.sum(axis=1)
    return np.where(peritoneum, 3, np.minimum(organs, 2)).astype(np.int64)


def _covariates(
    draws: Draws,
    *,
    stage: _Codes,
    location: _Codes,
    pt: _Codes,
    pn: _Codes,
    ages: _Vector,
    neoadjuvant: _Flags,
) -> Covariates:
    n = stage.size
    right = location == 1
    dmmr = draws.uniform("dMMR", n) < _DMMR_BY_STAGE[stage] * np.where(right, 3.0, 1.0)
    poor = 0.06 + 0.05 * (pt - 1) + 0.06 * pn + 0.15 * dmmr
    well = np.full(n, 0.10)
    grade = 1 + draws.categories("grade", np.stack([well, 0.9 - poor, poor], axis=1), n)
    log_cea = 0.9 + 0.18 * (pt - 1) + 0.15 * pn + 1.3 * (stage == 3) + 0.9 * draws.normal("CEA", n)
    fractions, desmoplasia = _composition(draws, pt=pt, pn=pn, dmmr=dmmr, neoadjuvant=neoadjuvant)
    log_buds = 0.95 + 0.35 * desmoplasia + 0.25 * pn - 0.3 * dmmr + 0.75 * draws.normal("buds", n)
    return Covariates(
        age_years=np.round(ages, 1),
        male=draws.uniform("sex", n) < 0.55,
        pt=pt.astype(np.int64),
        pn=pn.astype(np.int64),
        grade=grade,
        dmmr=dmmr,
        cea_ng_ml=np.maximum(np.round(np.exp(log_cea), 1), 0.2),
        right=right,
        rectum=location == 2,
        tumour_fraction=fractions[:, 0],
        stroma_fraction=fractions[:, 1],
        lymphocyte_fraction=fractions[:, 2],
        necrosis_fraction=fractions[:, 3],
        budding=np.floor(np.exp(log_buds)).astype(np.int64),
    )


def _composition(
    draws: Draws, *, pt: _Codes, pn: _Codes, dmmr: _Flags, neoadjuvant: _Flags
) -> tuple[_Vector, _Vector]:
    """Draw shares of tumour, stroma, lymphocytes, necrosis and the rest (logistic-normal)."""
    n = pt.size
    desmoplasia = draws.normal("stroma", n)
    parts = np.stack(
        [
            0.25 * draws.normal("tumour", n) - 0.6 * neoadjuvant,
            -0.2 + 0.45 * desmoplasia + 0.08 * (pt - 3) + 0.10 * pn - 0.15 * dmmr,
            -1.75 + 0.50 * draws.normal("lymphocytes", n) + 0.60 * dmmr - 0.12 * pn,
            -2.30 + 0.60 * draws.normal("necrosis", n) + 0.15 * (pt - 3),
            -1.20 + 0.50 * draws.normal("rest", n),
        ],
        axis=1,
    )
    weights = np.exp(parts)
    # rounded as a table would have them, so that the truth can be computed again from the table
    return np.round(weights / weights.sum(axis=1, keepdims=True), 4), desmoplasia
