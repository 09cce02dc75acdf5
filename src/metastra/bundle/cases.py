"""Made-up patients for a self-test: every way in which a predictor can be written, nobody real."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metastra.bundle.columns import code_patients, table_in_memory
from metastra.bundle.contract import Contract, Predictor
from metastra.bundle.linear import LinearModel
from metastra.bundle.parts import SelfTest
from metastra.bundle.slide_model import SlideModel
from metastra.bundle.slide_parts import ModelName, SlideParts, SlideSelfTest, model_inputs
from metastra.units import to_days

__all__ = ["linear_self_test", "made_up_bags", "made_up_rows", "slide_self_test"]

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


def made_up_bags(model: SlideModel) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Make up tiles: one alone, some alike, and some far outside what was ever seen.

    Parameters
    ----------
    model : SlideModel
        Whose centre and scale the tiles are spread around.

    Returns
    -------
    tuple
        Bags of 1, 3 and 5 tiles; numbers of six digits, which every machine reads the same.

    Notes
    -----
    Feature k of tile i is the centre plus the scale times ``2 sin(1 + 7 i + 3 k)``, in the last
    bag five times that.
    """
    features = np.arange(model.dimension)
    bags = []
    for first, n_tiles, far in ((0, 1, 1.0), (1, 3, 1.0), (4, 5, 5.0)):
        tiles = np.arange(first, first + n_tiles)[:, None]
        spread = 2.0 * far * np.sin(1.0 + 7.0 * tiles + 3.0 * features)
        values = model.centre + model.scale * spread
        bags.append(tuple(tuple(float(f"{cell:.6g}") for cell in tile) for tile in values))
    return tuple(bags)


def slide_self_test(contract: Contract, model: LinearModel, slides: SlideParts) -> SlideSelfTest:
    """Predict made-up patients with made-up tiles, to be compared wherever the bundle is opened.

    Parameters
    ----------
    contract : Contract
        With predictors and slides.
    model : LinearModel
        The primary risk layer.
    slides : SlideParts
        What reads the tiles, and the other models.

    Returns
    -------
    SlideSelfTest
        With a tolerance of 1e-6.
    """
    primary: ModelName = "slides" if contract.slides is None else contract.slides.primary
    names = tuple(predictor.name for predictor in contract.predictors)
    rows = made_up_rows(contract.predictors)
    bags = made_up_bags(slides.model)
    while len(rows) < len(bags):
        rows.append(dict(rows[0]))
    clinical = code_patients(contract.predictors, table_in_memory(rows, names)).columns
    tiles = [np.asarray(bag, dtype=np.float32) for bag in bags]
    slide = np.array([slides.model.score([one]) for one in tiles])
    pooled = np.array([slides.pooled.score([one]) for one in tiles])
    at = np.arange(len(rows)) % len(bags)
    days = [float(to_days(horizon, contract.time_unit)) for horizon in contract.horizons]

    def risks(name: ModelName, layer: LinearModel) -> tuple[tuple[float, ...], ...]:
        inputs = model_inputs(name, clinical, slide[at], pooled[at])
        return tuple(tuple(row) for row in layer.risks(inputs, days).tolist())

    inputs = model_inputs(primary, clinical, slide[at], pooled[at])
    return SlideSelfTest(
        columns=names,
        rows=tuple(tuple(row[name] for name in names) for row in rows),
        risks=risks(primary, model),
        risk_scores=tuple(model.scores(inputs).tolist()),
        bags=bags,
        slide_scores=tuple(slide.tolist()),
        pooled_scores=tuple(pooled.tolist()),
        models={name: risks(name, layer) for name, layer in slides.companions.items()},
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
