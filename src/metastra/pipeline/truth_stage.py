"""The stage ``truth`` of a synthetic study: what the model has found of what was drawn."""

from __future__ import annotations

import io
from pathlib import Path

from metastra.errors import NotEstimable
from metastra.pipeline.workshop import Stage, Workshop
from metastra.storage import (
    Recipe,
    file_parent,
    json_bytes,
    product_parent,
    read_product_bytes,
)
from metastra.study.paths import resolve_path
from metastra.synthetic.truth import read_truth
from metastra.synthetic.truth_comparison import compare_with_truth
from metastra.units import TimeUnit

__all__ = ["TRUTH_STAGE"]


def has_truth(work: Workshop) -> bool:
    """Whether the outcomes of a study were drawn from stated hazards.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    bool
        True where the study file names the table of true risks.
    """
    return work.opened.study.synthetic is not None


def _table(work: Workshop) -> Path:
    section = work.opened.study.synthetic
    return resolve_path(work.opened.study, section.truth if section is not None else "")


def _absent(work: Workshop) -> str:
    """Say that the declared table is not there; empty where it is."""
    return "" if _table(work).is_file() else "the table that [synthetic] names is not there"


def _recipe(work: Workshop) -> Recipe:
    run_dir = work.opened.run_dir
    return Recipe(
        kind="truth",
        parents={
            "predictions": product_parent(run_dir, "predictions"),
            "truth": file_parent(run_dir, _table(work)),
        },
        settings={"layout": 1, "seed": work.opened.study.study.seed},
    )


def _files(work: Workshop) -> dict[str, bytes]:
    import pandas as pd

    study = work.opened.study
    if study.endpoint.time_unit is not TimeUnit.MONTHS:
        raise NotEstimable("the true risks are by months; the study counts in another unit")
    horizon = study.endpoint.primary_horizon or study.endpoint.horizons[-1]
    predictions = pd.read_csv(
        io.BytesIO(read_product_bytes(work.opened.run_dir, "predictions", "predictions.csv")),
        dtype={"PATIENT": str, "cohort": str},
    )
    compared = compare_with_truth(
        read_truth(_table(work).read_bytes()),
        predictions,
        horizon_months=horizon,
        seed=study.study.seed,
    )
    roles = {section.name: section.role for section in study.cohort}
    document = {
        "what": "concordance of the model beside that of the true risk, from which the outcomes "
        "of this synthetic study were drawn",
        "horizon": horizon,
        "time_unit": study.endpoint.time_unit.value,
        "cohorts": [{**one.to_json(), "role": roles[one.cohort]} for one in compared],
    }
    return {"truth.json": json_bytes(document)}


TRUTH_STAGE = Stage(
    name="truth",
    recipe=_recipe,
    make=_files,
    needs=("predictions",),
    skip=_absent,
    wanted=has_truth,
)
"""After the predictions; only synthetic studies have it."""
