"""Made-up patients for a self-test: every way in which a predictor can be written, nobody real."""

from __future__ import annotations

from collections.abc import Sequence

from metastra.bundle.columns import code_patients, table_in_memory
from metastra.bundle.contract import Contract, Predictor
from metastra.bundle.linear import LinearModel
from metastra.bundle.parts import SelfTest
from metastra.units import to_days

__all__ = ["linear_self_test", "made_up_rows"]

_OF_AXIS = {
    "T": ("T1", "T2", "T3", "T4"),
    "N": ("N0", "N1", "N2"),
    "M": ("M0", "M1"),
    "stage": ("I", "IIA", "IIIB"),
}
_COLLAPSED = ("I", "II", "III")
_NUMBERED = ("0", "1", "2")


def made_up_rows(predictors: Sequence[Predictor]) -> list[dict[str, str | None]]:
    """Make up patients that try every level, both ends of every range and every missing cell.

    Parameters
    ----------
    predictors : sequence of Predictor
        Of a contract.

    Returns
    -------
    list of dict of str to (str or None)
        One patient in the middle, one at each end of everything, then one change at a time.
    """
    values = {predictor.name: _values(predictor) for predictor in predictors}
    middle = {name: cells[len(cells) // 2] for name, cells in values.items()}
    rows: list[dict[str, str | None]] = [
        dict(middle),
        {name: cells[0] for name, cells in values.items()},
        {name: cells[-1] for name, cells in values.items()},
    ]
    for predictor in predictors:
        cells = values[predictor.name]
        choices: list[str | None] = [cell for cell in cells if cell != middle[predictor.name]]
        if predictor.missing.rule == "impute":
            choices.append(None)
        rows += [{**middle, predictor.name: cell} for cell in choices]
    return rows


def linear_self_test(contract: Contract, model: LinearModel) -> SelfTest:
    """Predict the made-up patients, to be compared wherever the bundle is opened.

    Parameters
    ----------
    contract : Contract
        With the predictors.
    model : LinearModel
        That fits it.

    Returns
    -------
    SelfTest
        With a tolerance of 1e-6.
    """
    columns = tuple(predictor.name for predictor in contract.predictors)
    rows = made_up_rows(contract.predictors)
    coded = code_patients(contract.predictors, table_in_memory(rows, columns))
    days = [float(to_days(horizon, contract.time_unit)) for horizon in contract.horizons]
    risks, scores = model.risks(coded.columns, days), model.scores(coded.columns)
    return SelfTest(
        columns=columns,
        rows=tuple(tuple(row[name] for name in columns) for row in rows),
        risks=tuple(tuple(float(risk) for risk in row) for row in risks),
        risk_scores=tuple(float(score) for score in scores),
    )


def _values(predictor: Predictor) -> tuple[str, ...]:
    """List cells from the lowest to the highest value."""
    if predictor.levels:
        return predictor.levels
    if predictor.kind == "binary":
        return ("0", "1")
    if predictor.kind == "ordinal":
        if predictor.scheme == "none":
            return _NUMBERED
        if predictor.axis in {"", "stage"} and predictor.collapse_stage:
            return _COLLAPSED
        return _OF_AXIS[predictor.axis or "stage"]
    low = predictor.validated_low if predictor.validated_low is not None else predictor.minimum
    high = predictor.validated_high if predictor.validated_high is not None else predictor.maximum
    low = 0.0 if low is None else low
    high = low + 1.0 if high is None else high
    return tuple(repr(float(low + share * (high - low))) for share in (0.0, 0.3, 0.6, 1.0))
