"""The numeric self-test: stored inputs must give the stored outputs on this machine too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.columns import table_in_memory
from metastra.bundle.layout import SELFTEST
from metastra.bundle.opened import Bundle
from metastra.bundle.predicting import Predicted, predict
from metastra.bundle.slide_parts import SlideSelfTest
from metastra.bundle.slide_reading import SlideReadings
from metastra.catalogue import problem
from metastra.errors import BundleError, DataError, NotEstimable, Problem, Where

__all__ = ["run_self_test"]


def run_self_test(bundle: Bundle, *, run_programs: bool = False) -> list[Problem]:
    """Predict the stored inputs and compare.

    Parameters
    ----------
    bundle : Bundle
        Read, but not yet tested.
    run_programs : bool
        As in `metastra.bundle.predicting.predict`.

    Returns
    -------
    list of Problem
        BU015 with the largest difference, or the program's own problems; empty when it passes.
    """
    test = bundle.self_test
    rows = [dict(zip(test.columns, row, strict=True)) for row in test.rows]
    table = table_in_memory(rows, test.columns, name=SELFTEST)
    try:
        slides = _made_up(bundle, test) if isinstance(test, SlideSelfTest) else None
        made = predict(bundle, table, slides=slides, run_programs=run_programs)
    except BundleError as error:
        return list(error.problems)
    except (DataError, NotEstimable) as error:
        return [_failed(f"the stored inputs cannot be predicted: {error}")]
    expected = np.array(test.risks, dtype=np.float64)
    difference = np.abs(made.risks - expected)
    if test.risk_scores:
        scores = np.abs(made.scores - np.array(test.risk_scores))
        difference = np.column_stack([difference, scores])
    if isinstance(test, SlideSelfTest) and slides is not None:
        difference = np.column_stack([difference, _beside(test, made, slides)])
    # a missing risk is a difference, too
    largest = float(np.where(np.isnan(difference), np.inf, difference).max(initial=0.0))
    if largest <= test.tolerance:
        return []
    row = int(np.where(np.isnan(difference), np.inf, difference).max(axis=1).argmax())
    return [
        _failed(
            f"the stored inputs give other outputs: the largest difference is {largest:.3g} "
            f"(case {row + 1}), the tolerance {test.tolerance:g}"
        )
    ]


def _made_up(bundle: Bundle, test: SlideSelfTest) -> SlideReadings | None:
    """Score the stored bags; row k has the bag k modulo their number."""
    if bundle.slides is None:
        return None
    models = bundle.slides.model, bundle.slides.pooled
    scores = np.array(
        [[model.score([test.tiles(bag)]) for model in models] for bag in range(len(test.bags))]
    )
    n = len(test.rows)
    at = np.arange(n) % len(test.bags)
    return SlideReadings(
        slide_scores=scores[at, 0],
        pooled_scores=scores[at, 1],
        n_tiles=np.array([len(test.bags[bag]) for bag in at], dtype=np.int64),
        refused=(None,) * n,
        outside=("",) * n,
        notes=("",) * n,
    )


def _beside(test: SlideSelfTest, made: Predicted, slides: SlideReadings) -> NDArray[np.float64]:
    """Compare the scores of the bags and the risks of the other models."""
    at = np.arange(len(test.rows)) % len(test.bags)
    columns = [
        np.abs(slides.slide_scores - np.array(test.slide_scores)[at]),
        np.abs(slides.pooled_scores - np.array(test.pooled_scores)[at]),
    ]
    stored = {name: np.array(risks, dtype=np.float64) for name, risks in test.models.items()}
    columns += [np.abs(made.models[name] - risks).max(axis=1) for name, risks in stored.items()]
    return np.column_stack(columns)


def _failed(found: str) -> Problem:
    return problem("BU015", found, where=Where(file=SELFTEST))
