"""The clinical cells of the cohorts that were not fitted on, as tables for a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.columns import table_in_memory
from metastra.bundle.opened import Bundle
from metastra.cohort.tables import Table

if TYPE_CHECKING:
    from metastra.pipeline.workshop import Workshop

__all__ = ["external_tables"]


def external_tables(work: Workshop, bundle: Bundle) -> Iterator[tuple[NDArray[np.int64], Table]]:
    """Give each cohort that was not fitted on, in its own decimal mark.

    Parameters
    ----------
    work : Workshop
        The study at work.
    bundle : Bundle
        With the predictors that are wanted.

    Yields
    ------
    rows : ndarray of int64
        Positions of its patients.
    table : Table
        Their cells, a row for each.
    """
    cohort, data = work.cohort, work.clinical
    names = [predictor.name for predictor in bundle.contract.predictors]
    for section in cohort.study.cohort:
        at = np.flatnonzero((cohort.cohort_names == section.name) & ~data.development)
        if not at.size:
            continue
        yield (
            at,
            table_in_memory(
                [cohort.patients[index].values for index in at],
                names,
                name=section.clini_table,
                decimal=section.clini_format.decimal,
            ),
        )
