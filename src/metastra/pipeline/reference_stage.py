"""The stage ``reference``: scores for which nothing is fitted, on the folds of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.evaluation.fold_concordance import fold_concordances, mean_difference
from metastra.pipeline.workshop import Stage, Workshop
from metastra.storage import (
    Recipe,
    csv_bytes,
    csv_rows,
    json_bytes,
    product_parent,
    read_product_bytes,
    read_record,
)
from metastra.study.sections import ReferenceScore
from metastra.training.reference import ReferenceScores, reference_scores
from metastra.units import from_days

__all__ = ["REFERENCE_STAGE"]

_COLUMNS = (
    "PATIENT",
    "cohort",
    "fold",
    "reference",
    "risk_score",
    "put_in",
    "time",
    "event",
)
_NO_MODEL = "the study has no fitted model"


def has_references(work: Workshop) -> bool:
    """Whether a study declares scores for which nothing is fitted.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    bool
        True with at least one ``[[reference]]``.
    """
    return bool(work.opened.study.reference)


def _recipe(work: Workshop) -> Recipe:
    run_dir = work.opened.run_dir
    names = ["cohort", "splits"]
    if read_record(run_dir, "predictions") is not None:
        names.append("predictions")
    return Recipe(
        kind="reference",
        parents={name: product_parent(run_dir, name) for name in names},
        settings={"layout": 1},
    )


def _files(work: Workshop) -> dict[str, bytes]:
    made = [
        (one, reference_scores(work.clinical, work.split, one))
        for one in work.opened.study.reference
    ]
    fitted = _fitted_scores(work)
    document = {
        "references": [_judged(work, one, scores, fitted) for one, scores in made],
        "model": _model(work, made[0][1], fitted),
    }
    return {"reference.json": json_bytes(document), "reference.csv": _table(work, made)}


def _judged(
    work: Workshop,
    reference: ReferenceScore,
    made: ReferenceScores,
    fitted: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """Judge one score in the folds and in each cohort that was not fitted on."""
    data = work.clinical
    found: dict[str, Any] = {
        "name": reference.name,
        "column": reference.column,
        "higher_is": reference.higher_is,
        "fitted": False,
        "missing": int(made.missing.sum()),
        "put_in": dict(made.filled),
        **fold_concordances(data.outcome, made.scores, made.folds).to_json(),
    }
    outside = ~data.development
    if outside.any():
        cohorts = data.cohorts[outside].tolist()
        judged = fold_concordances(data.outcome.take(outside), made.scores[outside], cohorts)
        found["cohorts"] = {name: one.to_json() for name, one in judged.folds.items()}
    if fitted is not None:
        found["model_less_reference"] = mean_difference(
            data.outcome, made.scores, fitted, made.folds
        ).to_json()
    return found


def _model(
    work: Workshop, made: ReferenceScores, fitted: NDArray[np.float64] | None
) -> dict[str, Any]:
    """Judge the fitted model in the same way, where there is one."""
    if fitted is None:
        return {"mean": None, "folds": {}, "reason": _NO_MODEL}
    return fold_concordances(work.clinical.outcome, fitted, made.folds).to_json()


def _fitted_scores(work: Workshop) -> NDArray[np.float64] | None:
    """Read the out-of-fold scores of the run's own model, in the order of the patients."""
    run_dir = work.opened.run_dir
    if read_record(run_dir, "predictions") is None:
        return None
    columns, rows = csv_rows(read_product_bytes(run_dir, "predictions", "predictions.csv"))
    patient, score = columns.index("PATIENT"), columns.index("risk_score")
    by_patient = {row[patient]: float(row[score]) for row in rows if row[score]}
    keys = work.clinical.keys.tolist()
    return np.array([by_patient.get(key, np.nan) for key in keys], dtype=np.float64)


def _table(work: Workshop, made: list[tuple[ReferenceScore, ReferenceScores]]) -> bytes:
    data, cohort = work.clinical, work.cohort
    unit = cohort.study.endpoint.time_unit
    rows: list[list[object]] = []
    for reference, scores in made:
        for index, score in enumerate(scores.scores.tolist()):
            known = bool(np.isfinite(score))
            rows.append(
                [
                    data.keys[index].item(),
                    data.cohorts[index].item(),
                    scores.folds[index],
                    reference.name,
                    score if known else None,
                    bool(scores.missing[index]) if known else None,
                    from_days(float(cohort.time_days[index]), unit),
                    int(cohort.event[index]),
                ]
            )
    return csv_bytes(list(_COLUMNS), rows)


REFERENCE_STAGE = Stage(
    name="reference",
    recipe=_recipe,
    make=_files,
    needs=("cohort", "splits"),
    uses=("predictions",),
    wanted=has_references,
)
"""After the predictions, which it reads where there are any."""
