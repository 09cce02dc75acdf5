"""The cohort page, from a check and the folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.check import CheckReport
from metastra.cohort.cohort import Cohort
from metastra.cohort.metadata_model import MetadataModel
from metastra.cohort.split import Fold, Split
from metastra.errors import Problem
from metastra.report import page_parts
from metastra.report.cohort_html import render_cohort_page
from metastra.report.cohort_page_build import cohort_page_from
from metastra.report.fold_bars import FoldGroup
from metastra.storage import write_bytes

__all__ = ["page_bytes", "problem_records", "write_page"]

_KINDS = {
    "k-fold": "Folds by patient",
    "leave-one-cohort-out": "Each cohort left out in turn",
    "temporal": "Later patients are validated on",
    "published": "Published folds, read as they are",
}


def page_bytes(report: CheckReport, split: Split | None = None) -> bytes:
    """Write the cohort page of a check.

    Parameters
    ----------
    report : CheckReport
        What the check found.
    split : Split, optional
        The stored folds; by default the ones the check made.

    Returns
    -------
    bytes
        One HTML file; equal inputs give equal bytes.
    """
    folds = split or report.split
    cohort = report.cohort
    splits = () if folds is None or cohort is None else (_split_summary(folds, cohort),)
    page = cohort_page_from(
        cohort,
        study=report.study,
        flows=report.flows,
        problems=report.problems,
        splits=splits,
        resolutions=[
            page_parts.AppliedResolution(
                code=entry.code,
                action=entry.action,
                reason=entry.reason,
                patients=names,
                cohorts=entry.cohorts,
                column=entry.column or "",
                value=entry.value or "",
            )
            for entry, names in report.resolutions
        ],
        metadata_model=_metadata(report.metadata_model),
        table_digests=report.table_digests,
    )
    return render_cohort_page(page).encode()


def write_page(report: CheckReport, path: Path) -> None:
    """Write the cohort page to a file.

    Parameters
    ----------
    report : CheckReport
        What the check found.
    path : Path
        Of the HTML file.
    """
    write_bytes(path, page_bytes(report))


def problem_records(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Write problems as plain values.

    Parameters
    ----------
    problems : sequence of Problem
        As found.

    Returns
    -------
    list of dict
        code, severity, cohort, file, rows, column, found, expected, hint, patients (pseudonyms).
    """
    return [
        {
            "code": item.code,
            "severity": item.severity.value,
            "cohort": item.where.cohort or None,
            "file": item.where.file or None,
            "rows": list(item.where.rows),
            "column": item.where.column or None,
            "found": item.found,
            "expected": item.expected or None,
            "hint": item.hint or None,
            "patients": list(item.patients),
        }
        for item in problems
    ]


def _metadata(model: MetadataModel | None) -> page_parts.MetadataModel | None:
    if model is None:
        return None
    whole = page_parts.MetadataColumn(
        name="all columns together",
        concordance=model.concordance,
        lower=model.lower,
        upper=model.upper,
        n=model.n,
        events=model.events,
        reason=model.reason,
    )
    columns = tuple(
        page_parts.MetadataColumn(name=name, concordance=value, n=model.n, events=model.events)
        for name, value in model.alone.items()
    )
    return page_parts.MetadataModel(
        whole=whole,
        columns=columns,
        p=model.p,
        method="ridge Cox model in five folds; permutation test",
    )


def _split_summary(split: Split, cohort: Cohort) -> page_parts.SplitSummary:
    counter = _FoldCounter(cohort)
    by = ", ".join(name for name in split.groups if name != "PATIENT")
    return page_parts.SplitSummary(
        scheme=_KINDS[split.kind] + (f", by {by}" if by else ""),
        folds=tuple(counter.row(fold) for fold in split.folds),
        parts=tuple(part for fold in split.folds for part in counter.bars(fold)),
        digest=split.digest,
    )


class _FoldCounter:
    """Counts patients, events and sites of folds."""

    def __init__(self, cohort: Cohort) -> None:
        self._position = {patient.key: i for i, patient in enumerate(cohort.patients)}
        survival = cohort.target is None
        self._event = cohort.event if survival else _positive(cohort)
        site = cohort.study.metadata.site
        self._site = [None if site is None else p.values.get(site) for p in cohort.patients]
        self._group = [
            name or patient.cohort
            for name, patient in zip(self._site, cohort.patients, strict=True)
        ]

    def row(self, fold: Fold) -> page_parts.SplitFold:
        train, test = self._positions(fold.fitted_on), self._positions(fold.test)
        return page_parts.SplitFold(
            fold=fold.name,
            n_train=train.size,
            events_train=self._count(train, 1),
            n_test=test.size,
            events_test=self._count(test, 1),
            competing_test=self._count(test, 2),
            groups=len({self._site[i] for i in test} - {None}),
        )

    def bars(self, fold: Fold) -> list[FoldGroup]:
        members: dict[str, list[int]] = {}
        for position in self._positions(fold.test):
            members.setdefault(self._group[position], []).append(int(position))
        return [
            FoldGroup(
                fold=fold.name,
                group=name,
                n=len(some),
                events=self._count(np.array(some), 1),
                competing=self._count(np.array(some), 2),
            )
            for name, some in sorted(members.items())
        ]

    def _positions(self, ids: Sequence[str]) -> NDArray[np.int64]:
        known = [self._position[name] for name in ids if name in self._position]
        return np.array(known, dtype=np.int64)

    def _count(self, members: NDArray[np.int64], code: int) -> int:
        return int(np.count_nonzero(self._event[members] == code))


def _positive(cohort: Cohort) -> NDArray[np.int64]:
    """Code a target like events: 1 for the positive class of a binary one."""
    target = np.asarray(cohort.target)
    return np.asarray(target == 1, dtype=np.int64)
