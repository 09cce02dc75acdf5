"""Forest plots of a validation: all patients, cohorts with the pooled row, subgroups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from metastra.report.forest_plot import ForestPlot, ForestRow

__all__ = ["FORESTS", "measure_forest"]

FORESTS = {"auc": "auc", "oe": "oe_ratio", "slope": "slope", "ipa": "ipa"}
"""Measures by the name of their figure's file."""

_LOWEST_RATIO = 1e-6
_TITLES = {
    "auc": "AUC",
    "oe_ratio": "Observed over expected",
    "slope": "Calibration slope",
    "ipa": "IPA",
}
_AXES: dict[str, tuple[str, Literal["log", "linear"], float, tuple[str, str]]] = {
    "auc": ("AUC", "linear", 0.5, ("worse than chance", "better")),
    "oe_ratio": ("O/E", "log", 1.0, ("risks too high", "risks too low")),
    "slope": ("Slope", "linear", 1.0, ("too extreme", "too alike")),
    "ipa": ("IPA", "linear", 0.0, ("worse than the mean", "better")),
}


def measure_forest(document: Mapping[str, Any], measure: str) -> tuple[str, ForestPlot] | None:
    """Lay one measure out by cohort and subgroup.

    Parameters
    ----------
    document : mapping
        The content of ``evaluation.json``.
    measure : str
        A value of `FORESTS`.

    Returns
    -------
    title : str
        Of the figure.
    plot : ForestPlot
        None for both where there is nothing to compare.
    """
    rows = list(_rows(document, measure))
    if not any(row.estimate is not None for row in rows):
        return None
    name, scale, reference, towards = _AXES[measure]
    last = f"{document['horizons'][-1]:g} {document['time_unit']}"
    plot = ForestPlot(
        rows=tuple(rows),
        quantity=f"{name} by {last}",
        scale=scale,
        reference=reference,
        towards=towards,
    )
    return f"{_TITLES[measure]} by cohort and subgroup", plot


def _rows(document: Mapping[str, Any], measure: str) -> Iterator[ForestRow]:
    log = _AXES[measure][1] == "log"
    yield _row("all patients", _measured(document, measure), log=log)
    if document["cohorts"]:
        yield ForestRow(label="cohort", heading=True)
        for name, part in document["cohorts"].items():
            yield _row(name, _measured(part, measure), indent=1, log=log)
        yield _pooled(document, measure)
    column = None
    for part in document["subgroups"]:
        if part["column"] != column:
            column = part["column"]
            yield ForestRow(label=column, heading=True)
        yield _row(part["label"] or "not recorded", part[measure], indent=1, log=log)


def _pooled(document: Mapping[str, Any], measure: str) -> ForestRow:
    last = document["horizons"][-1]
    found = next(
        row
        for row in document["pooled"]["measures"]
        if row["measure"] == measure and row["horizon"] == last
    )
    k = found["k"]
    limits = found["prediction"]
    prediction = None
    if limits is not None and limits["lower"] is not None:
        prediction = (limits["lower"], limits["upper"])
    i2 = "" if found["i2"] is None else f", I² {found['i2']:.0f}%"
    return _row(
        f"pooled, {k} cohorts{i2}", found, indent=1, log=False, pooled=True, prediction=prediction
    )


def _measured(part: Mapping[str, Any], measure: str) -> Mapping[str, Any]:
    found: Mapping[str, Any]
    if measure == "auc":
        found = part["discrimination"]["auc"][-1]
    elif measure == "ipa":
        found = part["overall"]["ipa"][-1]
    else:
        found = part["calibration"][-1][measure]
    return found


def _row(
    label: str,
    number: Mapping[str, Any],
    *,
    log: bool,
    indent: int = 0,
    pooled: bool = False,
    prediction: tuple[float, float] | None = None,
) -> ForestRow:
    limits = number["lower"], number["upper"]
    value = number["estimate"]
    at_zero = log and any(v is not None and v < _LOWEST_RATIO for v in (value, *limits))
    if at_zero or value is None or not np.isfinite(value):
        reason = number.get("reason") or "0 has no place on the axis"
        return ForestRow(
            label=label, n=number["n"], events=number["events"], reason=reason, indent=indent
        )
    return ForestRow(
        label=label,
        estimate=value,
        lower=limits[0],
        upper=limits[1],
        n=number["n"],
        events=number["events"],
        indent=indent,
        pooled=pooled,
        prediction=prediction,
    )
