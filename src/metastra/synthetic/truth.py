"""The truth behind a synthetic study: what no hospital knows, kept apart from its tables."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metastra.synthetic.case_mix import HORIZON_MONTHS, WINDOW_MONTHS, Detection
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.detection import detected_risk
from metastra.synthetic.hazard import SITES, HazardModel
from metastra.synthetic.risk import true_risk
from metastra.synthetic.tables import CohortDraw
from metastra.synthetic.writing import Cell, Table
from metastra.units import TimeUnit, to_days

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_truth", "truth_table"]

_COVARIATES = tuple(item.name for item in fields(Covariates))


def truth_table(
    model: HazardModel,
    cohorts: Sequence[CohortDraw],
    *,
    detection: Detection = Detection.VISITS,
) -> Table:
    """Write down everything that was drawn and the risks that follow from it.

    Parameters
    ----------
    model : HazardModel
        The truth.
    cohorts : sequence of CohortDraw
        Of the study.
    detection : Detection
        When relapses are found, which decides the risk of a record.

    Returns
    -------
    Table
        One row per patient: PATIENT, cohort, site, surgery_date, stage (I to IV), eligible (1 for
        stage I to III without neoadjuvant treatment); the covariates as the hazards took them,
        missing for nobody; ``lp_*``, the log hazard ratios; ``onset_*_day`` and ``death_day`` of
        the complete course; ``risk_H``, the risk of the onset of a liver metastasis within H months
        after the synchronous window; ``recorded_risk_H``, the risk that one is recorded.  Patients
        with metastases at diagnosis have no risks.
    """
    columns = (
        *("PATIENT", "cohort", "site", "surgery_date", "stage", "eligible"),
        *_COVARIATES,
        *(f"lp_{site}" for site in SITES),
        "lp_death",
        *(f"onset_{site}_day" for site in SITES),
        *("death_day", "death_of_disease"),
        *(f"risk_{months}" for months in HORIZON_MONTHS),
        *(f"recorded_risk_{months}" for months in HORIZON_MONTHS),
    )
    rows: list[tuple[Cell, ...]] = []
    for cohort in cohorts:
        rows += _rows(model, cohort, detection)
    return Table(columns=columns, rows=tuple(rows))


def _rows(model: HazardModel, cohort: CohortDraw, detection: Detection) -> list[tuple[Cell, ...]]:
    patients, courses = cohort.patients, cohort.courses
    predictors = np.round(model.linear_predictors(patients.covariates), 6)
    risks = np.round(np.concatenate(_risks(model, cohort, detection), axis=1), 6)
    traits = [getattr(patients.covariates, name) for name in _COVARIATES]
    stages = patients.coarse_stage
    metastatic, eligible = patients.metastatic, patients.eligible
    rows = []
    for i in range(len(patients)):
        row: tuple[Cell, ...] = (
            patients.id[i],
            patients.plan.name,
            patients.plan.centres[patients.centre[i]].name,
            date.fromordinal(int(patients.surgery[i])),
            str(stages[i]),
            int(eligible[i]),
            *(float(v[i]) if v.dtype == np.float64 else int(v[i]) for v in traits),
            *(float(value) for value in predictors[i]),
            *(_whole_day(day) for day in courses.onset_days[i]),
            _whole_day(courses.death_days[i]),
            int(courses.of_disease[i]),
            *(None if metastatic[i] else float(value) for value in risks[i]),
        )
        rows.append(row)
    return rows


def _whole_day(day: np.float64) -> int | None:
    return int(np.ceil(day)) if np.isfinite(day) else None


def _risks(
    model: HazardModel, cohort: CohortDraw, detection: Detection
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Risks of onset and of a record, each of shape (n, horizons)."""
    patients = cohort.patients
    window = to_days(WINDOW_MONTHS, TimeUnit.MONTHS)
    horizons = [to_days(months, TimeUnit.MONTHS) for months in HORIZON_MONTHS]
    x = patients.covariates
    onset = np.stack([true_risk(model, x, h, from_days=window) for h in horizons], axis=1)
    if detection is Detection.AT_ONSET:
        return onset, onset.copy()
    recorded = np.empty_like(onset)
    for number, centre in enumerate(patients.plan.centres):
        mine = np.flatnonzero(patients.centre == number)
        recorded[mine] = detected_risk(
            model, x.take(mine), centre.visits, horizons, from_days=window
        )
    return onset, recorded


def read_truth(data: bytes) -> pd.DataFrame:
    """Read ``truth.csv``.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    pandas.DataFrame
        As `truth_table` describes it; numbers as float, ids as text, missing values as NaN.

    Examples
    --------
    >>> from metastra.synthetic.generate import synthetic_study
    >>> truth = read_truth(synthetic_study(n_patients=30, seed=1)["truth/truth.csv"])
    >>> len(truth), truth["cohort"].unique().tolist()
    (30, ['north', 'rhine', 'south'])
    """
    import pandas as pd

    text = {"PATIENT": str, "cohort": str, "site": str, "surgery_date": str, "stage": str}
    return pd.read_csv(io.BytesIO(data), dtype=text, keep_default_na=False, na_values=[""])
