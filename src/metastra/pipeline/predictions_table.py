"""The predictions of a study as the table that the judge reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.cohort import Cohort
from metastra.storage import csv_bytes
from metastra.units import from_days

__all__ = ["PREDICTION_COLUMNS", "PredictionRows", "predictions_csv"]

_Array = NDArray[np.float64]

PREDICTION_COLUMNS = (
    "PATIENT",
    "cohort",
    "fold",
    "horizon",
    "risk",
    "risk_score",
    "risk_group",
    "bundle",
    "predicted_at",
    "modalities",
    "in_scope",
    "reason",
    "note",
)
"""Of every table of predictions; a study's also has time, event and, with delayed entry, entry,
and a model that reads slides gives ``risk_…`` for each of its models, ``slide_score`` and
``n_tiles``."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PredictionRows:
    """Predictions of n patients by t horizons, before they are written.

    Parameters
    ----------
    ids : sequence of str, of length n
        Study ids: the table is asked for by its user.
    horizons : tuple of float
        In the study's unit.
    risks : ndarray of shape (n, t)
        NaN for patients without a risk.
    scores : ndarray of shape (n,)
        NaN for patients without one.
    groups, reasons, notes : sequence of (str or None), of length n
        Risk groups, why a patient has no risk, what to read first.
    folds, bundles : sequence of (str or None), of length n
        The fold whose model predicted, or the digest of the bundle.
    cohorts : sequence of (str or None), of length n
        Names of cohorts.
    modalities : str
        What the model looks at.
    predicted_at : str
        UTC; empty in a run, whose completion record has the time.
    models : mapping of str to ndarray of shape (n, t)
        Risks of every model by name, the baseline first; empty for models of tables alone.
    slide_scores, n_tiles : ndarray of shape (n,) or None
        What the slide model said, and of how many tiles; None for models of tables alone.
    """

    ids: Sequence[str]
    horizons: tuple[float, ...]
    risks: _Array
    scores: _Array
    groups: Sequence[str | None]
    reasons: Sequence[str | None]
    notes: Sequence[str | None]
    folds: Sequence[str | None]
    bundles: Sequence[str | None]
    cohorts: Sequence[str | None]
    modalities: str = "clinical"
    predicted_at: str = ""
    models: Mapping[str, _Array] = field(default_factory=dict)
    slide_scores: _Array | None = None
    n_tiles: NDArray[np.int64] | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns of `rows`."""
        further = [f"risk_{name}" for name in self.models]
        further += ["slide_score"] if self.slide_scores is not None else []
        further += ["n_tiles"] if self.n_tiles is not None else []
        return [*PREDICTION_COLUMNS, *further]

    def rows(self, index: int) -> list[list[object]]:
        """Write one patient.

        Parameters
        ----------
        index : int
            Position of the patient.

        Returns
        -------
        list of list
            A row for each horizon, in the order of `columns`.
        """
        score, group = _number(self.scores[index]), self.groups[index]
        scope = self.reasons[index] is None
        last: list[object] = []
        if self.slide_scores is not None:
            last.append(_number(self.slide_scores[index]))
        if self.n_tiles is not None:
            last.append(int(self.n_tiles[index]))
        return [
            [
                self.ids[index],
                self.cohorts[index],
                self.folds[index],
                horizon,
                _number(risk),
                score,
                group,
                self.bundles[index],
                self.predicted_at or None,
                self.modalities,
                scope,
                self.reasons[index],
                self.notes[index] or None,
                *(_number(risks[index, position]) for risks in self.models.values()),
                *last,
            ]
            for position, (horizon, risk) in enumerate(
                zip(self.horizons, self.risks[index], strict=True)
            )
        ]


def predictions_csv(made: PredictionRows, cohort: Cohort | None = None) -> bytes:
    """Write ``predictions.csv``: one row for each patient and horizon.

    Parameters
    ----------
    made : PredictionRows
        The predictions.
    cohort : Cohort, optional
        The same patients with their outcomes, which are written beside the predictions in the
        study's time unit.

    Returns
    -------
    bytes
        CSV.
    """
    columns = made.columns
    outcomes: list[list[object]] = [[] for _ in made.ids]
    if cohort is not None:
        unit = cohort.study.endpoint.time_unit
        entry = cohort.entry_days
        columns += ["time", "event", *([] if entry is None else ["entry"])]
        for index, outcome in enumerate(outcomes):
            outcome += [from_days(float(cohort.time_days[index]), unit), int(cohort.event[index])]
            outcome += [] if entry is None else [from_days(float(entry[index]), unit)]
    rows = [[*row, *outcomes[index]] for index in range(len(made.ids)) for row in made.rows(index)]
    return csv_bytes(columns, rows)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
