"""The ways to draw folds: k-fold by groups, leave-one-cohort-out, by time.

What is drawn depends on the seed, the settings and the development patients: neither on the order
of rows nor on external cohorts, whose patients are never fitted on.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.split_balance import balanced_folds, deal_evenly
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_groups import component_keys, components
from metastra.cohort.split_units import Units
from metastra.errors import ConfigError, DataError
from metastra.study.sections import ValidationSection

__all__ = ["component_counts", "draw_k_folds", "leave_one_cohort_out", "temporal_fold"]


def draw_k_folds(
    units: Units,
    groups: tuple[str, ...],
    n_folds: int,
    seed: str,
    *,
    prefix: str,
    repeat: int = 0,
) -> tuple[Fold, ...]:
    """Draw k folds whose test parts share the patients out.

    Where every patient may go alone, folds are stratified by event and cohort and differ by at
    most one patient in each stratum of event code, in each stratum of event code and cohort, and
    altogether.  Where patients are tied into groups, whole groups are placed so that events,
    event-free patients and all patients are balanced (`metastra.cohort.split_balance`).

    Parameters
    ----------
    units : Units
        The patients to be shared out, all of them.
    groups : tuple of str
        Declared groupings; all hold at once.
    n_folds : int
        How many folds.
    seed : str
        Names the draw.
    prefix : str
        Of the folds' names, which end with their number.
    repeat : int
        Number of the repeat.

    Returns
    -------
    tuple of Fold
        Ids in sorted order.

    Raises
    ------
    DataError
        If there are fewer groups than folds (SP006).

    Examples
    --------
    >>> units = Units(ids=["a", "b", "c", "d"], event=[1, 1, 0, 0])
    >>> folds = draw_k_folds(units, ("PATIENT",), 2, "seed", prefix="fold-")
    >>> sorted(folds[0].test + folds[1].test)
    ['a', 'b', 'c', 'd']
    """
    label = components(units, groups)
    n_groups = int(label.max(initial=-1)) + 1
    if n_groups < n_folds:
        what = " and ".join(repr(name) for name in groups)
        item = problem(
            "SP006",
            f"{n_groups} groups by {what} among {units.n} patients, "
            f"for the {n_folds} folds {prefix}0 …",
            expected=f"at least {n_folds} groups",
        )
        raise DataError("the folds cannot be drawn", [item])
    if n_groups == units.n:
        fold = deal_evenly(_strata(units), units.ids, n_folds, seed)
    else:
        counts, keys = component_counts(units, label), component_keys(units, label)
        fold = balanced_folds(counts, keys, n_folds, seed)[label]
    ids = np.sort(units.ids)
    fold = fold[np.argsort(units.ids, kind="stable")]
    return tuple(
        Fold(
            name=f"{prefix}{k}",
            train=tuple(ids[fold != k].tolist()),
            test=tuple(ids[fold == k].tolist()),
            repeat=repeat,
        )
        for k in range(n_folds)
    )


def component_counts(units: Units, label: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count patients with and without the event of interest in each component.

    Parameters
    ----------
    units : Units
        The patients.
    label : ndarray of shape (n,)
        Component of each, 0 … G−1.

    Returns
    -------
    ndarray of shape (G, 2)
        With the event, without it (competing events included).

    Examples
    --------
    >>> units = Units(ids=["a", "b", "c"], event=[1, 2, 0])
    >>> component_counts(units, np.array([0, 0, 1])).tolist()
    [[1, 1], [0, 1]]
    """
    n_groups = int(label.max(initial=-1)) + 1
    with_event = np.bincount(label[units.event == 1], minlength=n_groups)
    return np.column_stack([with_event, np.bincount(label, minlength=n_groups) - with_event])


def leave_one_cohort_out(
    units: Units, *, over: Literal["auto", "development", "all"] = "auto"
) -> tuple[Fold, ...]:
    """Leave each cohort out once and train on the other development cohorts.

    Parameters
    ----------
    units : Units
        All patients of the study.
    over : {"auto", "development", "all"}
        Which cohorts are left out.  External cohorts never stand in a training part; with
        ``"all"`` they are tested on as well.  ``"auto"`` means the development cohorts, or all
        where there is only one development cohort: then it trains and the others test.

    Returns
    -------
    tuple of Fold
        In the order of the cohorts' names.

    Raises
    ------
    DataError
        If no cohort can be left out (SP006).

    Examples
    --------
    >>> units = Units(ids=["a", "b", "c"], event=[1, 1, 1], cohort=["N", "S", "W"])
    >>> [fold.name for fold in leave_one_cohort_out(units)]
    ['without-N', 'without-S', 'without-W']
    """
    development = sorted(set(units.cohort[units.development].tolist()))
    everybody = over == "all" or (over == "auto" and len(development) < 2)
    left_out = sorted(set(units.cohort.tolist())) if everybody else development
    folds = []
    for name in left_out:
        train = np.sort(units.ids[units.development & (units.cohort != name)])
        test = np.sort(units.ids[units.cohort == name])
        if train.size:
            folds.append(
                Fold(name=f"without-{name}", train=tuple(train.tolist()), test=tuple(test.tolist()))
            )
    if not folds:
        item = problem(
            "SP006",
            f"{len(development)} development cohort and nothing else to leave out",
            expected="two cohorts, one of them in development",
            hint="Remove leave_one_cohort_out, or add a cohort.",
        )
        raise DataError("no cohort can be left out", [item])
    return tuple(folds)


def temporal_fold(units: Units, settings: ValidationSection) -> Fold:
    """Train on the development patients before a day and test on those from that day on.

    Patients without a date stand in no fold; `Split.check` counts them (SP005).

    Parameters
    ----------
    units : Units
        All patients of the study, with dates.
    settings : ValidationSection
        With ``temporal_cut``.

    Returns
    -------
    Fold
        One fold.

    Raises
    ------
    ConfigError
        If there are no dates or no cut.

    Examples
    --------
    >>> from datetime import date
    >>> units = Units(ids=["a", "b"], event=[1, 1], date=["2019-12-31", "2020-01-01"])
    >>> fold = temporal_fold(units, ValidationSection(temporal_cut=date(2020, 1, 1)))
    >>> fold.train, fold.test
    (('a',), ('b',))
    """
    if units.date is None or settings.temporal_cut is None:
        raise ConfigError("a split by time needs temporal_column with dates and temporal_cut")
    cut = np.datetime64(settings.temporal_cut, "D")
    # NaT compares as False both ways
    before = np.sort(units.ids[units.development & (units.date < cut)])
    after = np.sort(units.ids[units.development & (units.date >= cut)])
    return Fold(
        name=f"from-{settings.temporal_cut.isoformat()}",
        train=tuple(before.tolist()),
        test=tuple(after.tolist()),
    )


def _strata(units: Units) -> list[NDArray[np.int64]]:
    """Positions by event code and cohort, in an order that rows do not decide."""
    keys = sorted(set(zip(units.event.tolist(), units.cohort.tolist(), strict=True)), reverse=True)
    return [
        np.flatnonzero((units.event == event) & (units.cohort == cohort)) for event, cohort in keys
    ]
