"""The synthetic study with slides in which outcomes belong to other patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from metastra.synthetic.draws import Draws
from metastra.synthetic.generate import SyntheticStudy, generate, study_files
from metastra.synthetic.painted_study import PAINTED_COHORTS, PAINTED_PATIENTS, PAINTED_TRUTH
from metastra.synthetic.patients import Patients
from metastra.synthetic.writing import Cell, Parts, Table

__all__ = ["permuted_files", "permuted_parts"]

_OF_THE_SLIDE = ("FILENAME", "MPP", "STAIN", "BLOCK", "SCANNER", "SCAN_DATE", "INDEX")


def permuted_files(
    *, seed: int, permutation: int, patients: int = PAINTED_PATIENTS
) -> dict[str, bytes]:
    """Make the study's files; what is true of it is not among them."""
    study = generate(n_patients=patients, seed=seed, model=PAINTED_TRUTH, plans=PAINTED_COHORTS)
    files = study_files(study, permuted_parts(study, permutation))
    return {name: content for name, content in files.items() if not name.startswith("truth/")}


def permuted_parts(study: SyntheticStudy, permutation: int) -> Parts:
    """Give each eligible patient predictors and slide of another one of the same hospital.

    Outcomes, dates and hospitals stay where they are, so this is the same as permuting outcomes,
    and no date has to be moved past the data cut.
    """
    cohorts, sources = [], {}
    for cohort in study.cohorts:
        people = cohort.patients
        order = _order(people, Draws(seed=study.seed, label=f"permuted/{permutation}"))
        swapped = replace(
            people,
            covariates=people.covariates.take(order),
            tnm=tuple(people.tnm[row] for row in order),
            stage=tuple(people.stage[row] for row in order),
        )
        cohorts.append(replace(cohort, patients=swapped))
        sources[people.plan.name] = {
            people.id[row]: people.id[other] for row, other in enumerate(order)
        }
    parts = replace(study, cohorts=tuple(cohorts)).parts(slides=True)
    return {name: _swapped(name, part, sources) for name, part in parts.items()}


def _order(people: Patients, draws: Draws) -> NDArray[np.int64]:
    """Permute eligible patients within their hospital; the others stay."""
    order = np.arange(len(people))
    for centre in range(len(people.plan.centres)):
        mine = np.flatnonzero(people.eligible & (people.centre == centre))
        keys = draws.uniform(f"{people.plan.name}/{centre}", mine.size)
        order[mine] = mine[np.argsort(keys, kind="stable")]
    return order


def _swapped(
    name: str, part: Table | bytes, sources: Mapping[str, Mapping[str, str]]
) -> Table | bytes:
    """Let the slides go with the predictors."""
    cohort, _, kind = name.partition("/")
    if not isinstance(part, Table) or not kind.startswith("slides."):
        return part
    rows = {
        str(row[part.columns.index("PATIENT")]): dict(zip(part.columns, row, strict=True))
        for row in part.rows
    }
    made: list[tuple[Cell, ...]] = []
    for patient, own in rows.items():
        other = rows[sources[cohort][patient]]
        cells = {**own, **{column: other[column] for column in _OF_THE_SLIDE}}
        made.append(tuple(cells[column] for column in part.columns))
    return replace(part, rows=tuple(made))
