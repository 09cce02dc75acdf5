"""Table 1 and how the predictions go with what is known of the patients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from metastra.evaluation.covariates import Covariate
from metastra.evaluation.patients import Patients
from metastra.evaluation.risk_groups import Grouping
from metastra.survival.kaplan_meier import reverse_kaplan_meier

__all__ = ["characteristics"]

_NOT_RECORDED = "not recorded"


def characteristics(patients: Patients, grouping: Grouping) -> dict[str, Any]:
    """Describe the patients, all together and by cohort.

    Parameters
    ----------
    patients : Patients
        With `described`, `covariates` and `subgroups`; a column that is named twice counts once.
    grouping : Grouping
        Their risk groups.

    Returns
    -------
    dict
        ``parts`` (all patients, then each cohort, with patients, events and follow-up), ``rows``
        (one for each number, and one for each level; values that were not recorded have a row of
        their own) and ``relation`` (how the predictions go with each column).

    Notes
    -----
    Follow-up is the median of the reverse Kaplan–Meier estimate (Schemper and Smith 1996).
    """
    masks = {"all patients": np.ones(patients.n, dtype=np.bool_)}
    if patients.cohort is not None:
        for name in sorted(set(patients.cohort.tolist())):
            masks[str(name)] = np.asarray(patients.cohort == name)
    columns = _columns(patients)
    parts = [_part(name, patients.take(mask)) for name, mask in masks.items()]
    rows = [row for one in columns for row in _rows(one, list(masks.values()))]
    return {
        "parts": parts,
        "rows": rows,
        "relation": [_relation(one, patients, grouping) for one in columns],
    }


def _columns(patients: Patients) -> list[Covariate]:
    found = {one.name: one for one in (*patients.described, *patients.covariates)}
    for name, labels in patients.subgroups.items():
        if name not in found:
            levels = tuple(sorted({str(label) for label in labels if label is not None}))
            place = {word: float(k) for k, word in enumerate(levels)}
            values = np.array([place.get(str(label), np.nan) for label in labels])
            found[name] = Covariate(name=name, kind="category", values=values, levels=levels)
    return list(found.values())


def _part(name: str, part: Patients) -> dict[str, Any]:
    y = part.outcome
    follow = reverse_kaplan_meier(y)
    reached = np.flatnonzero(follow.survival <= 0.5)
    return {
        "name": name,
        "n": part.n,
        "events": y.n_events(1),
        "competing": y.n_events(2),
        "median_follow_up": float(follow.times[reached[0]]) if reached.size else None,
        "longest_follow_up": float(y.time.max()),
    }


def _rows(one: Covariate, masks: list[NDArray[np.bool_]]) -> list[dict[str, Any]]:
    rows = []
    if one.kind == "number":
        cells = [_quartiles(one.values[mask]) for mask in masks]
        rows.append({"column": one.name, "level": "", "kind": "median", "cells": cells})
    else:
        for level, word in enumerate(one.levels):
            cells = [_counted(one.values[mask] == level) for mask in masks]
            rows.append({"column": one.name, "level": word, "kind": "count", "cells": cells})
    if one.n_missing:
        cells = [_counted(np.isnan(one.values[mask])) for mask in masks]
        rows.append({"column": one.name, "level": _NOT_RECORDED, "kind": "count", "cells": cells})
    return rows


def _quartiles(values: NDArray[np.float64]) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    if not known.size:
        return {"median": None, "q1": None, "q3": None}
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75])
    return {"median": float(median), "q1": float(q1), "q3": float(q3)}


def _counted(chosen: NDArray[np.bool_]) -> dict[str, Any]:
    n = int(np.count_nonzero(chosen))
    return {"n": n, "share": n / chosen.size if chosen.size else None}


def _relation(one: Covariate, patients: Patients, grouping: Grouping) -> dict[str, Any]:
    """Rank correlation with a number; share of the highest group in each level."""
    order = patients.order()
    known = ~np.isnan(one.values)
    if one.kind == "number":
        varies = known.sum() > 2 and np.ptp(one.values[known]) > 0.0 and np.ptp(order[known]) > 0.0
        rho = float(spearmanr(one.values[known], order[known]).statistic) if varies else None
        return {"column": one.name, "n": int(known.sum()), "spearman": rho, "levels": []}
    highest = grouping.group == len(grouping.names) - 1
    levels = []
    for level, word in enumerate(one.levels):
        mine = one.values == level
        n = int(np.count_nonzero(mine))
        high = int(np.count_nonzero(mine & highest))
        levels.append({"level": word, "n": n, "high": high, "share": high / n if n else None})
    return {"column": one.name, "n": int(known.sum()), "spearman": None, "levels": levels}
