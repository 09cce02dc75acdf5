"""Planted faults in whole files: how a table is written, and what the study file says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from metastra.synthetic.case_mix import Style
from metastra.synthetic.planting import MAIN, Fault, Planted, cohort_file, table_of
from metastra.synthetic.writing import WRITINGS, Parts, Table

__all__ = ["FILE_FAULTS"]

_Put = Callable[[Parts], Planted]


def _written(change: Callable[[bytes], bytes], *rows: int) -> _Put:
    """Make a fault that changes the bytes of the first clinical table; `rows` are line numbers."""

    def put(parts: Parts) -> Planted:
        file = cohort_file(parts, "clini")
        data = table_of(parts, file).render()
        return Planted(parts={**parts, file: change(data)}, file=file, rows=rows)

    return put


def _in_line(number: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        lines = data.split(b"\n")
        lines[number - 1] = change(lines[number - 1])
        return b"\n".join(lines)

    return changed


def _said(*changes: tuple[bytes, bytes], found_in: str = MAIN) -> _Put:
    """Make a fault that changes the text of the study file; a table may be where it shows."""

    def put(parts: Parts) -> Planted:
        text = parts[MAIN]
        if isinstance(text, Table):
            raise ValueError(f"{MAIN} is no table")
        for before, after in changes:
            if before not in text:
                raise ValueError(f"{MAIN} does not hold {before.decode()!r}")
            text = text.replace(before, after)
        return Planted(parts={**parts, MAIN: text}, file=found_in)

    return put


def _without_events(parts: Parts) -> Planted:
    file = cohort_file(parts, "events")
    return Planted(parts={name: part for name, part in parts.items() if name != file}, file=file)


def _wrong_encoding(parts: Parts) -> Planted:
    """Save the German table as UTF-8, which the study file does not say."""
    file = cohort_file(parts, "clini", "rhine")
    table = table_of(parts, file)
    other = replace(table, writing=replace(WRITINGS[Style.GERMAN], encoding="utf-8"))
    return Planted(parts={**parts, file: other}, file=file)


def _wrong_delimiter(parts: Parts) -> Planted:
    file = cohort_file(parts, "clini")
    table = table_of(parts, file)
    other = replace(table, writing=replace(table.writing, delimiter=";"))
    return Planted(parts={**parts, file: other}, file=file)


def _fault(code: str, name: str, what: str, put: _Put) -> Fault:
    return Fault(name=name, code=code, what=what, put=put)


FILE_FAULTS: tuple[Fault, ...] = (
    _fault(
        "ST001",
        "misspelled-key",
        "A key of the study file is misspelled.",
        _said((b"primary_horizon", b"primary_horizn")),
    ),
    _fault(
        "ST002",
        "wrong-kind",
        "The number of folds is a word.",
        _said((b"folds = 5", b'folds = "five"')),
    ),
    _fault(
        "ST005",
        "unknown-endpoint",
        "The endpoint is not in the dictionary.",
        _said((b'"metachronous-liver-metastasis"', b'"metachronous-liver-metastases"')),
    ),
    _fault(
        "ST006",
        "contradiction",
        "The primary horizon is none of the horizons.",
        _said((b"primary_horizon = 24", b"primary_horizon = 18")),
    ),
    _fault("CO001", "table-missing", "The event table is not there.", _without_events),
    _fault("CO002", "empty-table", "The clinical table is empty.", _written(lambda _: b"")),
    _fault("CO003", "wrong-encoding", "A table is not in the declared encoding.", _wrong_encoding),
    _fault("CO004", "wrong-delimiter", "A table has another separator.", _wrong_delimiter),
    _fault(
        "CO005",
        "ragged-row",
        "A row has one field too many.",
        _written(_in_line(5, lambda line: line + b",x"), 5),
    ),
    _fault(
        "CO006",
        "column-twice",
        "Two columns have one name.",
        _written(_in_line(1, lambda line: line.replace(b"sex", b"age"))),
    ),
    _fault(
        "CO007",
        "column-missing",
        "A declared column is not there.",
        _written(_in_line(1, lambda line: line.replace(b"grade", b"grading"))),
    ),
    _fault(
        "CO008",
        "null-bytes",
        "A cell holds null bytes.",
        _written(_in_line(7, lambda line: line + b"\x00"), 7),
    ),
    _fault(
        "CO033",
        "ambiguous-dates",
        "Dates with slashes have no declared format.",
        _said((b'{ date_format = "%d/%m/%Y" }', b"{ }"), found_in="south/clini.tsv"),
    ),
    _fault(
        "EP003",
        "swapped-codes",
        "The code map calls the dead alive.",
        _said(
            (
                b'alive = "censored", dead = "event", lebt = "censored", verstorben = "event"',
                b'alive = "event", dead = "censored", lebt = "event", verstorben = "censored"',
            ),
            found_in="north/clini.csv",
        ),
    ),
    _fault(
        "EP016",
        "horizon-past-follow-up",
        "A horizon lies past all follow-up.",
        _said(
            (b"horizons = [12, 24, 36]", b"horizons = [12, 24, 120]"), found_in="north/clini.csv"
        ),
    ),
)
"""Every fault of files that can be planted, in the order of the codes."""
