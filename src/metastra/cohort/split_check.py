"""Everything that can be wrong with folds, whether drawn, published or stored (SP001–SP007)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_groups import PATIENT, group_values
from metastra.cohort.split_units import Pseudonymise, Units, pseudonyms_of
from metastra.errors import DataError, LeakageError, Problem, Severity, Where

__all__ = ["check_folds", "raise_refused"]

_SHOWN = 40
"""Values of a grouping that a message names; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class _Context:
    """What every check looks at."""

    units: Units
    groups: tuple[str, ...]
    values: Mapping[str, NDArray[np.str_]]
    row: Mapping[str, int]
    where: Where
    pseudonymise: Pseudonymise | None

    def rows(self, ids: tuple[str, ...]) -> NDArray[np.int64]:
        return np.array([self.row[i] for i in ids if i in self.row], dtype=np.int64)

    def names(self, ids: set[str]) -> tuple[str, ...]:
        return pseudonyms_of(tuple(sorted(ids)), self.pseudonymise)


def check_folds(
    folds: Sequence[Fold],
    units: Units,
    *,
    groups: tuple[str, ...],
    kind: str,
    missing: tuple[str, ...] = (),
    source: str = "",
    pseudonymise: Pseudonymise | None = None,
) -> list[Problem]:
    """Check folds against the patients they are made for.

    Parameters
    ----------
    folds : sequence of Fold
        Outer folds, with their inner folds.
    units : Units
        All patients of the study.
    groups : tuple of str
        Declared groupings.
    kind : str
        Of the split; a dominating site matters only where folds should be alike.
    missing : tuple of str
        Ids of published folds that no patient has.
    source : str
        Name of the fold file, for messages.
    pseudonymise : callable, optional
        Without it messages count patients and name none.

    Returns
    -------
    list of Problem
        Refusals, warnings and notes; empty when there is nothing to say.

    Raises
    ------
    ConfigError
        If a grouping is no column of the units.

    Examples
    --------
    >>> units = Units(ids=["a", "b", "c"], event=[1, 0, 1])
    >>> fold = Fold(name="fold-0", train=("a", "b"), test=("b", "c"))
    >>> for item in check_folds([fold], units, groups=("PATIENT",), kind="published"):
    ...     print(item.code, item.found)
    SP001 fold-0: 1 patient stands in training and test
    """
    context = _Context(
        units=units,
        groups=groups,
        values=group_values(units, groups),
        row={name: i for i, name in enumerate(units.ids.tolist())},
        where=Where(file=source),
        pseudonymise=pseudonymise,
    )
    problems: list[Problem] = []
    for outer in folds:
        for fold in outer.walk():
            problems += _both_sides(fold, context)
            problems += _groups_on_both_sides(fold, context)
            problems += _events(fold, context)
        problems += _inner_within(outer, context)
        problems += _only_development(outer, context)
    problems += _without_row(folds, missing, context)
    problems += _in_no_fold(folds, kind, context)
    problems += _group_not_recorded(context)
    if kind in ("k-fold", "published") and folds:
        problems += _dominating(max(2, sum(f.repeat == folds[0].repeat for f in folds)), context)
    return problems


def raise_refused(problems: Sequence[Problem], message: str) -> None:
    """Raise if any problem refuses the split.

    Parameters
    ----------
    problems : sequence of Problem
        As `check_folds` gives them.
    message : str
        What cannot be done, as one clause.

    Raises
    ------
    LeakageError
        With all refusals, if one of them is a patient or group on both sides.
    DataError
        With all refusals otherwise.

    Examples
    --------
    >>> raise_refused([], "no split can be made")
    """
    refused = [item for item in problems if item.severity is Severity.REFUSE]
    if any(item.code in ("SP001", "SP002") for item in refused):
        raise LeakageError(message, refused)
    if refused:
        raise DataError(message, refused)


def _both_sides(fold: Fold, context: _Context) -> Iterator[Problem]:
    parts = {"training": fold.train, "tuning": fold.tune, "test": fold.test}
    for a, b in (("training", "test"), ("tuning", "test"), ("training", "tuning")):
        shared = set(parts[a]) & set(parts[b])
        if shared:
            yield problem(
                "SP001",
                f"{fold.name}: {_patients(len(shared))} in {a} and {b}",
                where=context.where,
                patients=context.names(shared),
            )


def _groups_on_both_sides(fold: Fold, context: _Context) -> Iterator[Problem]:
    fitted, test = context.rows(fold.fitted_on), context.rows(fold.test)
    for name, values in context.values.items():
        shared = sorted((set(values[fitted].tolist()) & set(values[test].tolist())) - {""})
        if name == PATIENT:
            # As the id itself this is the check above; as a column, several units are one patient.
            if not shared or PATIENT not in context.units.groups:
                continue
            code, found = "SP001", f"{_patients(len(shared))} in training and test"
        elif shared:
            word = "value" if len(shared) == 1 else "values"
            code = "SP002"
            found = f"{len(shared)} {word} of {name!r} in training and test: {_listed(shared)}"
        else:
            continue
        concerned = set(context.units.ids[test[np.isin(values[test], shared)]].tolist())
        yield problem(
            code,
            f"{fold.name}: {found}",
            where=context.where,
            patients=context.names(concerned),
        )


def _events(fold: Fold, context: _Context) -> Iterator[Problem]:
    for part, ids in (("training", fold.train), ("tuning", fold.tune), ("test", fold.test)):
        rows = context.rows(ids)
        if part == "tuning" and not ids:
            continue
        if not np.any(context.units.event[rows] == 1):
            found = f"{fold.name}: no event among {len(rows)} {part} patients"
            yield problem("SP003", found, where=context.where)


def _inner_within(outer: Fold, context: _Context) -> Iterator[Problem]:
    inside = set(outer.train)
    for fold in outer.inner:
        outside = set(fold.train + fold.tune + fold.test) - inside
        if outside:
            yield problem(
                "SP001",
                f"{fold.name}: {_patients(len(outside))} outside the training part of {outer.name}",
                where=context.where,
                patients=context.names(outside),
            )


def _only_development(fold: Fold, context: _Context) -> Iterator[Problem]:
    rows = context.rows(fold.fitted_on)
    foreign = rows[~context.units.development[rows]]
    if foreign.size:
        ids = set(context.units.ids[foreign].tolist())
        cohorts = sorted(set(context.units.cohort[foreign].tolist()))
        yield problem(
            "SP001",
            f"{fold.name}: {_patients(len(ids))} in training and in "
            f"{_listed(cohorts)}, which is only ever predicted",
            where=context.where,
            hint="Take them out of the fold file, or give the cohort the role development.",
            patients=context.names(ids),
        )


def _without_row(
    folds: Sequence[Fold], missing: tuple[str, ...], context: _Context
) -> Iterator[Problem]:
    unknown = {i for f in folds for i in f.fitted_on + f.test if i not in context.row}
    unknown |= set(missing)
    if unknown:
        yield problem(
            "SP004",
            f"{len(unknown)} patient{'s' if len(unknown) > 1 else ''} of the folds "
            f"{'have' if len(unknown) > 1 else 'has'} no clinical row",
            where=context.where,
            patients=context.names(unknown),
        )


def _in_no_fold(folds: Sequence[Fold], kind: str, context: _Context) -> Iterator[Problem]:
    expected = set(context.units.ids[context.units.development].tolist())
    fitted = {i for fold in folds for i in fold.fitted_on}
    tested = {i for fold in folds for i in fold.test}
    absent = expected - fitted - tested
    if absent:
        yield problem(
            "SP005",
            f"{_patients(len(absent))} in no fold",
            where=context.where,
            patients=context.names(absent),
        )
    untested = (expected & fitted) - tested
    if untested and kind == "published" and len(folds) > 1:
        yield problem(
            "SP005",
            f"{_patients(len(untested))} in training only and never predicted",
            where=context.where,
            patients=context.names(untested),
        )


def _group_not_recorded(context: _Context) -> Iterator[Problem]:
    for name in context.groups:
        blank = (context.values[name] == "") & context.units.development
        n = int(np.count_nonzero(blank))
        if n:
            yield problem(
                "SP002",
                f"{n} of {np.count_nonzero(context.units.development)} patients have no {name!r}; "
                "whether they share one with the other side is not known",
                where=Where(column=name),
                hint="Fill it in; until then they are kept together wherever folds are drawn.",
                severity=Severity.WARN,
                patients=context.names(set(context.units.ids[blank].tolist())),
            )


def _dominating(n_folds: int, context: _Context) -> Iterator[Problem]:
    events = context.units.development & (context.units.event == 1)
    total = int(np.count_nonzero(events))
    for name in context.groups:
        if name == PATIENT or not total:
            continue
        found, counts = np.unique(context.values[name][events], return_counts=True)
        largest = int(np.argmax(counts))
        if counts[largest] * n_folds > 1.5 * total:
            yield problem(
                "SP007",
                f"{name} {str(found[largest])!r} holds {counts[largest]} of {total} events; "
                f"one of {n_folds} folds would hold {total / n_folds:.1f}",
                where=Where(column=name),
            )


def _patients(n: int) -> str:
    return "1 patient stands" if n == 1 else f"{n} patients stand"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
