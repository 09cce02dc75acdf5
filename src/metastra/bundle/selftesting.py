"""The numeric self-test: stored inputs must give the stored outputs on this machine too."""

from __future__ import annotations

import numpy as np

from metastra.bundle.columns import table_in_memory
from metastra.bundle.layout import SELFTEST
from metastra.bundle.opened import Bundle
from metastra.bundle.predicting import predict
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
        made = predict(bundle, table, run_programs=run_programs)
    except BundleError as error:
        return list(error.problems)
    except (DataError, NotEstimable) as error:
        return [_failed(f"the stored inputs cannot be predicted: {error}")]
    expected = np.array(test.risks, dtype=np.float64)
    difference = np.abs(made.risks - expected)
    if test.risk_scores:
        scores = np.abs(made.scores - np.array(test.risk_scores))
        difference = np.column_stack([difference, scores])
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


def _failed(found: str) -> Problem:
    return problem("BU015", found, where=Where(file=SELFTEST))
