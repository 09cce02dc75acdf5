"""The declared predictors of a study's patients as coded values, missing ones left missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.columns import coded_values, model_columns, table_in_memory
from metastra.bundle.contract import MissingRule, Predictor
from metastra.cohort.coding import scheme_axis
from metastra.cohort.cohort import Cohort
from metastra.study.sections import ClinicalColumn
from metastra.survival.outcome import Outcome

__all__ = ["ClinicalData", "clinical_data", "fitted_predictors"]

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]

_INDICATOR_SHARE = 0.05
_INDICATOR_PATIENTS = 10
"""A column that says "missing" needs so many patients, else its coefficient is noise."""
_BEYOND = 0.01
"""Share of development patients beyond each end of the validated range."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ClinicalData:
    """Predictors and outcomes of n patients.

    Parameters
    ----------
    keys : ndarray of shape (n,)
        What joins patients with the folds.
    cohorts : ndarray of shape (n,)
        Name of each patient's cohort.
    development : ndarray of shape (n,), bool
        Who may be fitted on.
    outcome : Outcome
        In days.
    predictors : tuple of Predictor
        As declared, nothing learned yet.
    values : mapping of str to ndarray of shape (n, k)
        Coded cells by predictor, NaN where missing.
    """

    keys: NDArray[np.str_]
    cohorts: NDArray[np.str_]
    development: _Mask
    outcome: Outcome
    predictors: tuple[Predictor, ...]
    values: Mapping[str, _Array]

    def rows_of(self, keys: Iterable[str]) -> _Mask:
        """Mark patients.

        Parameters
        ----------
        keys : iterable of str
            As in the folds.

        Returns
        -------
        ndarray of shape (n,), bool
            True for those named.
        """
        return np.isin(self.keys, np.asarray(list(keys), dtype=np.str_))

    def columns(self, predictors: Iterable[Predictor]) -> _Array:
        """Bring the patients into the columns of a model.

        Parameters
        ----------
        predictors : iterable of Predictor
            As `fitted_predictors` gives them.

        Returns
        -------
        ndarray of shape (n, p)
            NaN where a required value is missing.
        """
        blocks = [model_columns(one, self.values[one.name]) for one in predictors]
        return np.column_stack(blocks) if blocks else np.empty((self.keys.size, 0))


def clinical_data(cohort: Cohort) -> ClinicalData:
    """Code the declared predictors of all patients.

    Parameters
    ----------
    cohort : Cohort
        With a survival endpoint.

    Returns
    -------
    ClinicalData
        Coded in each cohort's own decimal mark; what a scheme's column holds (T, N, M or stage)
        is decided by its name, or by the cells of the development cohorts.
    """
    study = cohort.study
    roles = {section.name: section.role for section in study.cohort}
    development = np.array(
        [roles[patient.cohort] == "development" for patient in cohort.patients], dtype=np.bool_
    )
    predictors = []
    for name, column in study.clinical.items():
        cells = [
            cell
            for patient, mine in zip(cohort.patients, development, strict=True)
            if mine and (cell := patient.values.get(name)) is not None
        ]
        predictors.append(_declared(name, column, cells))
    values = {one.name: _coded(cohort, one) for one in predictors}
    return ClinicalData(
        keys=np.array([patient.key for patient in cohort.patients], dtype=np.str_),
        cohorts=cohort.cohort_names,
        development=development,
        outcome=cohort.outcome(),
        predictors=tuple(predictors),
        values=values,
    )


def _declared(name: str, column: ClinicalColumn, cells: list[str]) -> Predictor:
    by_scheme = column.kind == "ordinal" and column.coding != "none" and not column.levels
    return Predictor(
        name=name,
        kind=column.kind,
        scheme=column.coding,
        axis=scheme_axis(name, cells) if by_scheme else "",
        levels=column.levels,
        collapse_stage=column.collapse_stage,
        unit=column.unit,
        transform=column.transform,
        minimum=column.minimum,
        maximum=column.maximum,
        missing=MissingRule(rule=column.missing),
    )


def _coded(cohort: Cohort, predictor: Predictor) -> _Array:
    """Code one predictor, cohort by cohort."""
    blocks: list[tuple[NDArray[np.int64], _Array]] = []
    for section in cohort.study.cohort:
        at = np.flatnonzero(cohort.cohort_names == section.name)
        if not at.size:
            continue
        table = table_in_memory(
            [cohort.patients[index].values for index in at],
            [predictor.name],
            name=section.clini_table,
            decimal=section.clini_format.decimal,
        )
        values, _ = coded_values(predictor, table)  # the check of the study refused bad cells
        blocks.append((at, values))
    whole = np.full((len(cohort), blocks[0][1].shape[1]), np.nan)
    for at, values in blocks:
        whole[at] = values
    return whole


def fitted_predictors(data: ClinicalData, rows: _Mask) -> tuple[Predictor, ...]:
    """Learn what stands for missing values and where the validated range ends.

    Parameters
    ----------
    data : ClinicalData
        All patients.
    rows : ndarray of shape (n,), bool
        The patients to learn from, and no others.

    Returns
    -------
    tuple of Predictor
        Medians (continuous, ordinal) or most frequent levels (binary, categorical); an indicator
        of missing values where at least 5 % and ten of these patients lack one.
    """
    return tuple(_fitted(one, data.values[one.name][rows]) for one in data.predictors)


def _fitted(predictor: Predictor, values: _Array) -> Predictor:
    missing = np.isnan(values).any(axis=1)
    known = values[~missing]
    update: dict[str, object] = {}
    if predictor.kind == "continuous" and known.size:
        low, high = np.quantile(known, [_BEYOND, 1.0 - _BEYOND])
        # the declared limits hold more closely than four digits do
        low, high = (float(f"{value:.4g}") for value in (low, high))
        update = {
            "validated_low": low if predictor.minimum is None else max(low, predictor.minimum),
            "validated_high": high if predictor.maximum is None else min(high, predictor.maximum),
        }
    if predictor.missing.rule == "impute":
        lacking = int(missing.sum())
        enough = lacking >= max(_INDICATOR_PATIENTS, _INDICATOR_SHARE * missing.size)
        fill, meaning = _typical(predictor, known, values.shape[1])
        update["missing"] = MissingRule(
            rule="impute", fill=fill, meaning=meaning, indicator=bool(enough)
        )
    return predictor.model_copy(update=update)


def _typical(predictor: Predictor, known: _Array, width: int) -> tuple[tuple[float, ...], str]:
    """Take the median or the most frequent level, with words for it."""
    if not known.size:
        return (0.0,) * width, "no value is known; 0"
    if predictor.kind == "continuous":
        value = float(np.median(known))
        unit = f" {predictor.unit}" if predictor.unit else ""
        return (value,), f"the development median, {value:g}{unit}"
    if predictor.kind == "ordinal":
        value = float(np.quantile(known, 0.5, method="lower"))
        return (value,), f"the development median, {_ordinal_word(predictor, value)}"
    rows, counts = np.unique(known, axis=0, return_counts=True)
    row = rows[int(counts.argmax())]
    position = (
        int(row[0]) if predictor.kind == "binary" else int(row.argmax() + 1) * bool(row.any())
    )
    word = predictor.levels[position] if predictor.levels else ("no", "yes")[position]
    return tuple(float(value) for value in row), f"the most frequent level, {word}"


def _ordinal_word(predictor: Predictor, value: float) -> str:
    if predictor.levels:
        return predictor.levels[int(value)]
    if predictor.axis == "stage":
        letters = ("", "A", "B", "C")[round(4 * (value % 1.0))]
        return f"stage {('0', 'I', 'II', 'III', 'IV')[int(value)]}{letters}"
    return (
        f"{predictor.axis}{'is' if value == 0.5 else f'{value:g}'}"
        if predictor.axis
        else f"{value:g}"
    )
