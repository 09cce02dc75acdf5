"""A reviewer's word on slides: accept or override, with initials and reason, blind to outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from metastra.catalogue import problem
from metastra.errors import ConfigError, DataError, Problem, SchemaError, Where
from metastra.pipeline.qc_table import Decision, SlideRow
from metastra.slides.identity import reviewed_name
from metastra.storage import csv_rows

__all__ = ["REVIEW", "apply_review", "not_met", "read_review", "review_of"]

REVIEW = "qc_review.csv"
"""The review of a run, beside its table of quality."""

_NEEDED = ("SLIDE", "DECISION", "INITIALS", "REASON")
_ALLOWED = (*_NEEDED, "DATE")
_BOM = b"\xef\xbb\xbf"
_DECISIONS = {"accept": False, "override": True}


def read_review(path: Path) -> tuple[Decision, ...]:
    """Read a review table.

    Parameters
    ----------
    path : Path
        CSV with SLIDE, DECISION, INITIALS, REASON and, if wanted, DATE; SLIDE as ``qc.csv`` and
        the contact sheet give it.  Rows without a decision are skipped.

    Returns
    -------
    tuple of Decision
        In the order of the table.

    Raises
    ------
    DataError
        QC040 and QC042 to QC044, all at once, with row numbers.
    ConfigError
        If there is no such file.
    """
    where = Where(file=path.name)
    try:
        header, rows = csv_rows(path.read_bytes().removeprefix(_BOM))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; correct --review") from error
    except (SchemaError, UnicodeDecodeError, ValueError) as error:
        raise DataError("", [problem("QC040", str(error), where=where)]) from error
    problems = _header_problems(header, where)
    if problems:
        raise DataError("the review is refused", problems)
    decisions: list[Decision] = []
    for number, cells in enumerate(rows, start=2):
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        if not row["DECISION"]:
            continue
        decision, wrong = _decision(row, number, where)
        problems += wrong
        if decision is not None:
            decisions.append(decision)
    problems += _twice(decisions, where)
    if problems:
        raise DataError("the review is refused", problems)
    return tuple(decisions)


def review_of(given: Path | None, folder: Path) -> tuple[Decision, ...]:
    """Read the review that goes with features.

    Parameters
    ----------
    given : Path or None
        The review table, where it is named.
    folder : Path
        Of the features; its ``qc_review.csv`` is read where nothing is named.

    Returns
    -------
    tuple of Decision
        Empty where there is no review.

    Raises
    ------
    DataError, ConfigError
        As `read_review`.
    """
    beside = folder / REVIEW
    path = given or (beside if beside.is_file() else None)
    return () if path is None else read_review(path)


def not_met(decisions: Iterable[Decision], slide_digests: Iterable[str]) -> str:
    """Name the reviewed slides that are none of those that were read.

    Parameters
    ----------
    decisions : iterable of Decision
        Of the review.
    slide_digests : iterable of str
        Of the slides that were read.

    Returns
    -------
    str
        For a person; empty where there is none.
    """
    known = {reviewed_name(digest) for digest in slide_digests}
    unknown = sorted(one.slide for one in decisions if one.slide not in known)
    if not unknown:
        return ""
    return f"the review names slides that were not read here: {', '.join(unknown)}"


def apply_review(
    rows: Sequence[SlideRow], decisions: Iterable[Decision], *, file: str
) -> tuple[SlideRow, ...]:
    """Give each slide its reviewer's decision.

    Parameters
    ----------
    rows : sequence of SlideRow
        Of the run.
    decisions : iterable of Decision
        From `read_review`.
    file : str
        Name of the review table, for messages.

    Returns
    -------
    tuple of SlideRow
        In the same order; a slide that is there twice gets the decision twice.

    Raises
    ------
    DataError
        QC041 for each decision on a slide that is not among the rows or could not be read.
    """
    by_slide = {decision.slide: decision for decision in decisions}
    known = {row.slide for row in rows if not row.error}
    missing = [decision for slide, decision in by_slide.items() if slide not in known]
    if missing:
        raise DataError(
            "the review is refused",
            [
                problem(
                    "QC041",
                    repr(decision.slide),
                    where=Where(file=file, rows=(decision.row,), column="SLIDE"),
                )
                for decision in missing
            ],
        )
    return tuple(replace(row, decision=by_slide.get(row.slide)) for row in rows)


def _header_problems(header: Sequence[str], where: Where) -> list[Problem]:
    missing = [name for name in _NEEDED if name not in header]
    further = [name for name in header if name not in _ALLOWED]
    expected = ", ".join(_ALLOWED)
    found = []
    if missing:
        found.append(f"missing: {', '.join(missing)}")
    if further:
        found.append(f"not asked for: {', '.join(map(repr, further))}")
    if len(set(header)) != len(header):
        found.append("a column stands there twice")
    return [problem("QC040", text, where=where, expected=expected) for text in found]


def _decision(
    row: dict[str, str], number: int, where: Where
) -> tuple[Decision | None, list[Problem]]:
    problems = []
    place = Where(file=where.file, rows=(number,), column="DECISION")
    word = row["DECISION"].lower()
    if word not in _DECISIONS:
        found = repr(row["DECISION"])
        problems.append(problem("QC042", found, where=place, expected="accept or override"))
    for column in ("INITIALS", "REASON"):
        if not row[column]:
            place = Where(file=where.file, rows=(number,), column=column)
            problems.append(problem("QC043", "it is empty", where=place))
    if problems:
        return None, problems
    return Decision(
        slide=row["SLIDE"],
        override=_DECISIONS[word],
        initials=row["INITIALS"],
        reason=row["REASON"],
        row=number,
    ), []


def _twice(decisions: Sequence[Decision], where: Where) -> list[Problem]:
    rows: dict[str, list[int]] = {}
    for decision in decisions:
        rows.setdefault(decision.slide, []).append(decision.row)
    return [
        problem("QC044", repr(slide), where=Where(file=where.file, rows=tuple(numbers)))
        for slide, numbers in rows.items()
        if len(numbers) > 1
    ]
