"""Risks for new patients: what the contract does not cover is refused, not guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.columns import CodedPatients, code_patients
from metastra.bundle.contract import Cutpoints, Predictor
from metastra.bundle.layout import MANIFEST
from metastra.bundle.linear import LinearModel
from metastra.bundle.opened import Bundle
from metastra.bundle.running import run_program
from metastra.bundle.slide_parts import MODELS, ModelName, model_inputs
from metastra.bundle.slide_reading import SlideReadings
from metastra.catalogue import problem
from metastra.cohort.tables import Table
from metastra.errors import ConfigError, DataError, Problem, Severity, Where
from metastra.units import to_days

__all__ = ["Predicted", "group_names", "predict"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Predicted:
    """Risks of n patients.

    Parameters
    ----------
    horizons : tuple of float
        In the contract's unit.
    risks : ndarray of shape (n, t)
        NaN for patients who are not assessable.
    scores : ndarray of shape (n,)
        Higher is worse; NaN for patients who are not assessable or where the model gives none.
    groups : tuple of str or None, of length n
        Risk groups by the locked cut-points; None without cut-points or risk.
    reasons : tuple of str or None, of length n
        Why a patient is not assessable.
    notes : tuple of str, of length n
        What should be read before the risk: outside the validated range, values put in.
    problems : tuple of Problem
        Warnings and notes with their rows.
    models : mapping of str to ndarray of shape (n, t)
        Risks of every model of a bundle that reads slides, the primary one among them, in the
        order of `metastra.bundle.slide_parts.MODELS`; empty for other bundles.
    readings : SlideReadings or None
        What the slide models said.
    """

    horizons: tuple[float, ...]
    risks: _Array
    scores: _Array
    groups: tuple[str | None, ...]
    reasons: tuple[str | None, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    models: Mapping[str, _Array] = field(default_factory=dict)
    readings: SlideReadings | None = None

    @property
    def n_not_assessable(self) -> int:
        """Patients without a risk."""
        return sum(reason is not None for reason in self.reasons)


def predict(
    bundle: Bundle,
    table: Table,
    *,
    slides: SlideReadings | None = None,
    run_programs: bool = False,
) -> Predicted:
    """Predict patients.

    Parameters
    ----------
    bundle : Bundle
        As `metastra.bundle.loading.open_bundle` gives it.
    table : Table
        One row per patient with the contract's predictors; other columns are not looked at.
    slides : SlideReadings, optional
        What `metastra.bundle.slide_reading.read_patients` gave for the same patients; a bundle
        that reads slides needs it.
    run_programs : bool
        Allow the program of a foreign model to be started: say so only for a signer you trust.

    Returns
    -------
    Predicted
        In the order of the rows.

    Raises
    ------
    DataError
        With every cell that lies outside the contract, each with its code and rows.
    ConfigError
        For a foreign model, unless programs may be started; for a bundle that reads slides,
        without them.
    BundleError
        When a foreign program fails.
    """
    contract = bundle.contract
    if bundle.slides is not None and slides is None:
        raise ConfigError(
            f"the bundle {bundle.name!r} reads slides: name them with --slide-table and --slide-dir"
        )
    coded = code_patients(_predictors(bundle, table), table)
    refusals = [one for one in coded.problems if one.severity is Severity.REFUSE]
    if refusals:
        raise DataError(
            "the table lies outside the bundle's contract; nothing was predicted", refusals
        )
    if slides is not None and bundle.slides is not None:
        return _with_slides(bundle, coded, slides)
    risks = np.full((len(table), len(contract.horizons)), np.nan)
    scores = np.full(len(table), np.nan)
    reasons = list(coded.refused)
    able = np.array([reason is None for reason in reasons], dtype=np.bool_)
    if able.any():
        risks[able], scores[able] = _run(bundle, table, coded, able, run_programs=run_programs)
    silent = able & np.isnan(risks).any(axis=1)
    for row in np.flatnonzero(silent):
        reasons[row] = "the model gave no risk"
    risks[silent], scores[silent] = np.nan, np.nan
    return Predicted(
        horizons=contract.horizons,
        risks=risks,
        scores=scores,
        groups=group_names(contract.cutpoints, contract.horizons, risks),
        reasons=tuple(reasons),
        notes=coded.notes,
        problems=(*_draft(bundle), *coded.problems),
    )


def _predictors(bundle: Bundle, table: Table) -> tuple[Predictor, ...]:
    """Choose what is read of the table: the clinical columns of a slide model may all be absent."""
    predictors, slides = bundle.contract.predictors, bundle.contract.slides
    optional = slides is not None and slides.primary == "slides"
    if optional and not any(table.has(predictor.name) for predictor in predictors):
        return ()
    return predictors


def _with_slides(bundle: Bundle, coded: CodedPatients, slides: SlideReadings) -> Predicted:
    """Give the risks of all models of a bundle that reads slides; the primary one decides."""
    contract, parts, primary = bundle.contract, bundle.slides, bundle.contract.slides
    if parts is None or primary is None or not isinstance(bundle.model, LinearModel):
        raise ConfigError(f"the bundle {bundle.name!r} reads no slides")
    n, days = len(coded.refused), _days(bundle)
    layers: dict[ModelName, LinearModel] = {**parts.companions, primary.primary: bundle.model}
    models: dict[str, _Array] = {}
    scores = np.full(n, np.nan)
    for name in (name for name in MODELS if name in layers):
        columns = model_inputs(name, coded.columns, slides.slide_scores, slides.pooled_scores)
        risks = np.full((n, len(days)), np.nan)
        models[name] = risks
        if columns.shape[1] != layers[name].centre.size:
            continue
        able = np.isfinite(columns).all(axis=1)
        risks[able] = layers[name].risks(columns[able], days)
        if name == primary.primary:
            scores[able] = layers[name].scores(columns[able])
    clinical = coded.refused if primary.primary == "combined" else (None,) * n
    reasons = [
        "; ".join(filter(None, pair)) or None for pair in zip(slides.refused, clinical, strict=True)
    ]
    risks = models[primary.primary]
    return Predicted(
        horizons=contract.horizons,
        risks=risks,
        scores=scores,
        groups=group_names(contract.cutpoints, contract.horizons, risks),
        reasons=tuple(reasons),
        notes=_notes(slides, coded),
        problems=(*_draft(bundle), *slides.problems, *coded.problems),
        models=models,
        readings=slides,
    )


def _notes(slides: SlideReadings, coded: CodedPatients) -> tuple[str, ...]:
    """Say first what lies outside the validated range."""
    notes = []
    for outside, note, clinical in zip(slides.outside, slides.notes, coded.notes, strict=True):
        first = f"outside the validated range: {outside}" if outside else ""
        words = [first, *clinical.split("; "), note]
        words.sort(key=lambda word: not word.startswith("outside the validated range"))
        notes.append("; ".join(filter(None, words)))
    return tuple(notes)


def _days(bundle: Bundle) -> list[float]:
    contract = bundle.contract
    return [float(to_days(horizon, contract.time_unit)) for horizon in contract.horizons]


def _draft(bundle: Bundle) -> tuple[Problem, ...]:
    if bundle.locked:
        return ()
    return (problem("BU023", "the bundle is a draft", where=Where(file=MANIFEST)),)


def group_names(
    cutpoints: Cutpoints | None, horizons: Sequence[float], risks: _Array
) -> tuple[str | None, ...]:
    """Sort patients into risk groups.

    Parameters
    ----------
    cutpoints : Cutpoints or None
        Locked ones.
    horizons : sequence of float
        Of the columns of `risks`.
    risks : ndarray of shape (n, t)
        NaN for patients without a risk.

    Returns
    -------
    tuple of str or None
        None without cut-points or risk.
    """
    if cutpoints is None:
        return (None,) * len(risks)
    at = risks[:, list(horizons).index(cutpoints.horizon)]
    position = np.searchsorted(np.asarray(cutpoints.values), at, side="right")
    return tuple(
        None if np.isnan(risk) else cutpoints.names[int(k)]
        for risk, k in zip(at, position, strict=True)
    )


def _run(
    bundle: Bundle,
    table: Table,
    coded: CodedPatients,
    able: NDArray[np.bool_],
    *,
    run_programs: bool,
) -> tuple[_Array, _Array]:
    contract = bundle.contract
    if isinstance(bundle.model, LinearModel):
        days = _days(bundle)
        columns = coded.columns[able]
        return bundle.model.risks(columns, days), bundle.model.scores(columns)
    if not run_programs:
        raise ConfigError(
            f"the bundle runs the program {bundle.model.command[0]!r}, which is started for a "
            "trusted signer only: give --trust KEY"
        )
    names = [predictor.name for predictor in contract.predictors]
    cells = [table.column(name)[able] for name in names]
    rows = [list(row) for row in zip(*cells, strict=True)]
    risks, scores = run_program(bundle.model.placed(bundle.program_dir), names, rows)
    return risks, np.full(len(rows), np.nan) if scores is None else scores
