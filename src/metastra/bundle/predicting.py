"""Risks for new patients: what the contract does not cover is refused, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.columns import CodedPatients, code_patients
from metastra.bundle.contract import Cutpoints
from metastra.bundle.layout import MANIFEST
from metastra.bundle.linear import LinearModel
from metastra.bundle.opened import Bundle
from metastra.bundle.running import run_program
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
    """

    horizons: tuple[float, ...]
    risks: _Array
    scores: _Array
    groups: tuple[str | None, ...]
    reasons: tuple[str | None, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def n_not_assessable(self) -> int:
        """Patients without a risk."""
        return sum(reason is not None for reason in self.reasons)


def predict(bundle: Bundle, table: Table, *, run_programs: bool = False) -> Predicted:
    """Predict patients.

    Parameters
    ----------
    bundle : Bundle
        As `metastra.bundle.loading.open_bundle` gives it.
    table : Table
        One row per patient with the contract's predictors; other columns are not looked at.
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
        For a foreign model, unless programs may be started.
    BundleError
        When a foreign program fails.
    """
    contract = bundle.contract
    coded = code_patients(contract.predictors, table)
    refusals = [one for one in coded.problems if one.severity is Severity.REFUSE]
    if refusals:
        raise DataError(
            "the table lies outside the bundle's contract; nothing was predicted", refusals
        )
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
        days = [float(to_days(h, contract.time_unit)) for h in contract.horizons]
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
