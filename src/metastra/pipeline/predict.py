"""Predict new patients by a bundle, from a table to a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metastra.bundle.loading import open_bundle
from metastra.bundle.opened import Bundle
from metastra.bundle.predicting import Predicted, predict
from metastra.bundle.slide_reading import read_patients
from metastra.cohort.identifiers import normalise_id
from metastra.cohort.tables import Table, TableFormat, read_table, require_columns
from metastra.errors import DataError, Problem, Severity
from metastra.evaluation.joining import table_ids
from metastra.pipeline.given_slides import SlideSource, give_slides
from metastra.pipeline.lock import run_folder
from metastra.pipeline.model_recipes import BUNDLE_DIR
from metastra.pipeline.predictions_table import PredictionRows, predictions_csv
from metastra.signing import TrustList
from metastra.storage import write_bytes

__all__ = ["PredictSummary", "bundle_folder", "predict_table"]


@dataclass(frozen=True, kw_only=True)
class PredictSummary:
    """What was predicted.

    Parameters
    ----------
    bundle : Bundle
        By which.
    n, n_not_assessable, n_outside : int
        Patients, those without a risk, those outside the validated range.
    problems : tuple of Problem
        Warnings first: what should be read before a risk.
    slides : dict of str to int or None
        Slides by what became of them; None for a bundle that reads none.
    """

    bundle: Bundle
    n: int
    n_not_assessable: int
    n_outside: int
    problems: tuple[Problem, ...]
    slides: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "bundle": self.bundle.digest,
            "locked": self.bundle.locked,
            "n": self.n,
            "not_assessable": self.n_not_assessable,
            "outside_the_validated_range": self.n_outside,
            "slides": self.slides,
            "problems": [one.to_json() for one in self.problems],
        }


def bundle_folder(path: Path) -> Path:
    """Find the bundle that a path means.

    Parameters
    ----------
    path : Path
        A bundle, a run, or the folder of its study.

    Returns
    -------
    Path
        The bundle's folder; the path itself where there is no run.
    """
    run_dir = run_folder(path)
    return path if run_dir is None else run_dir / BUNDLE_DIR


def predict_table(
    path: Path,
    source: Path,
    out: Path,
    *,
    id_column: str = "PATIENT",
    written: TableFormat | None = None,
    slides: SlideSource | None = None,
    trusted: TrustList | None = None,
    program_dir: Path | None = None,
) -> PredictSummary:
    """Predict the patients of a table.

    Parameters
    ----------
    path : Path
        The bundle.
    source : Path
        A table with one row per patient: ids and the contract's predictors.
    out : Path
        Table of predictions that is written.
    id_column : str
        Column of the ids.
    written : TableFormat, optional
        How the table is written.
    slides : SlideSource, optional
        Where the patients' slides are; a bundle that reads slides needs it.
    trusted : TrustList, optional
        Keys that are believed; the program of a foreign model is started for them alone.
    program_dir : Path, optional
        Where that program lies on this machine; by default the folder that was recorded.

    Returns
    -------
    PredictSummary
        With warnings.

    Raises
    ------
    DataError
        With everything that lies outside the contract; nothing is written.
    BundleError
        If the bundle does not hold, or features are not those that it reads.
    ConfigError
        If slides are given to a bundle that reads none, or none to one that does.
    """
    bundle = open_bundle(bundle_folder(path), trusted=trusted, program_dir=program_dir)
    table, problems = read_table(source, format=written or TableFormat())
    if table is not None:
        lacking = require_columns(table, [id_column])
        problems += lacking or table_ids(table, id_column, unique=True)
    refused = [one for one in problems if one.severity is Severity.REFUSE]
    if table is None or refused:
        raise DataError("the table cannot be read; nothing was predicted", problems)
    given, readings = None, None
    if slides is not None:
        ids = [normalise_id(str(cell)) for cell in table.column(id_column)]
        given = give_slides(bundle, slides, ids)
        problems += given.problems
        readings = read_patients(bundle, given.patients)
    made = predict(bundle, table, slides=readings, run_programs=trusted is not None)
    write_bytes(out, predictions_csv(_rows(bundle, table, made, id_column)))
    order = {Severity.REFUSE: 0, Severity.WARN: 1, Severity.NOTE: 2}
    found = sorted((*problems, *made.problems), key=lambda one: order[one.severity])
    return PredictSummary(
        bundle=bundle,
        n=len(table),
        n_not_assessable=made.n_not_assessable,
        n_outside=sum("outside the validated range" in note for note in made.notes),
        problems=tuple(found),
        slides=None if given is None else given.counts,
    )


def _rows(bundle: Bundle, table: Table, made: Predicted, id_column: str) -> PredictionRows:
    n = len(table)
    return PredictionRows(
        ids=[normalise_id(str(cell)) for cell in table.column(id_column)],
        horizons=made.horizons,
        risks=made.risks,
        scores=made.scores,
        groups=made.groups,
        reasons=made.reasons,
        notes=made.notes,
        folds=[None] * n,
        bundles=[bundle.digest] * n,
        cohorts=[None] * n,
        modalities=_modalities(bundle),
        predicted_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        models=made.models,
        slide_scores=None if made.readings is None else made.readings.slide_scores,
        n_tiles=None if made.readings is None else made.readings.n_tiles,
    )


def _modalities(bundle: Bundle) -> str:
    slides = bundle.contract.slides
    if slides is not None:
        return "clinical+slides" if slides.primary == "combined" else "slides"
    return "clinical" if bundle.kind == "linear" else "as the foreign model declares"
