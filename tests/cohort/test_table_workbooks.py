"""XLSX and Parquet: typed cells become the text a person would have written."""

from __future__ import annotations

import datetime as dt
import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from metastra.cohort import table_format
from metastra.cohort.dates import dates
from metastra.cohort.table_format import TableFormat
from metastra.cohort.tables import Table, read_table
from metastra.cohort.values import numbers
from metastra.errors import MissingExtra, Problem

openpyxl = pytest.importorskip("openpyxl")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

Read = Callable[..., tuple[Table | None, list[Problem]]]


@pytest.fixture
def read_rows(tmp_path: Path) -> Read:
    """Write rows into a workbook, let a function change it, and read it as a table."""

    def write_and_read(rows, change=lambda _sheet: None, **form):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        change(book.active)
        path = tmp_path / "clini.xlsx"
        book.save(path)
        return read_table(path, format=TableFormat(**form))

    return write_and_read


def one(table: Table | None, column: str) -> list[str | None]:
    """Cells of a column of a table that must be there."""
    assert table is not None
    return table.column(column).tolist()


def test_typed_cells_become_plain_text(read_rows: Read):
    """Whole numbers lose .0, dates are ISO, booleans TRUE and FALSE, empty cells missing."""
    midnight = dt.datetime.fromisoformat("2021-03-02")
    rows = [["PATIENT", "age", "flag", "surgery", "seen"]]
    rows += [
        ["007", 61.0, True, dt.date(2021, 3, 2), dt.datetime.fromisoformat("2021-03-02T10:30")]
    ]
    rows += [[8, 61.5, False, midnight, None]]
    table, problems = read_rows(rows)
    assert problems == []
    assert one(table, "PATIENT") == ["007", "8"]
    assert one(table, "age") == ["61", "61.5"]
    assert one(table, "flag") == ["TRUE", "FALSE"]
    assert one(table, "surgery") == ["2021-03-02", "2021-03-02"]
    assert one(table, "seen") == ["2021-03-02 10:30:00", None]


def test_typed_cells_follow_the_declared_format(read_rows: Read):
    """A decimal comma and a date format hold for typed cells and text cells of one column."""
    rows = [["P", "x", "d"], ["a", 12.5, dt.date(2021, 3, 2)], ["b", "12,5", "02.03.2021"]]
    table, _ = read_rows(rows, decimal=",", date_format="%d.%m.%Y")
    assert table is not None
    assert numbers(table, "x")[0].tolist() == [12.5, 12.5]
    assert dates(table, "d")[0].astype(str).tolist() == ["2021-03-02", "2021-03-02"]


def test_rows_are_those_of_the_sheet(read_rows: Read):
    """Empty rows are no records and keep their numbers; short rows are filled with missing."""
    table, problems = read_rows([["# export"], ["P", "a"], [], ["x", 1], [], ["y"]], comment="#")
    assert problems == []
    assert table is not None
    assert table.rows.tolist() == [4, 6]
    assert one(table, "a") == ["1", None]


def test_shown_zeros_are_kept_and_lost_digits_show(read_rows: Read):
    """An id shown as 00123 is read so; a number past 15 digits cannot pass for an id."""

    def pad(sheet):
        sheet["A2"].number_format = "00000"

    table, _ = read_rows([["P", "a"], [123, 1], [1.25e19, 2], [10**14, 3]], pad)
    assert one(table, "P") == ["00123", "1.25e+19", "100000000000000"]


def test_a_spreadsheet_error_is_named_with_its_row(read_rows: Read):
    """#REF! in any column is refused."""
    _, problems = read_rows([["P", "a"], ["x", 1], ["y", "#REF!"]])
    assert [(p.code, p.where.rows, p.where.column) for p in problems] == [("CO030", (3,), "a")]


def test_a_formula_never_computed_is_not_an_empty_cell(read_rows: Read):
    """A workbook written by a program holds formulas without values; they are refused by row."""
    _, problems = read_rows([["P", "a"], ["x", 1], ["y", "=B2+1"]])
    assert [(p.code, p.where.rows) for p in problems] == [("CO030", (3,))]
    assert "never computed" in problems[0].found


def test_a_computed_formula_is_read_by_its_value(read_rows: Read, tmp_path: Path):
    """The cached value of a formula is the cell."""
    read_rows([["P", "a"], ["x", 41], ["y", "=B2+1"]])
    table, problems = _edited(
        tmp_path / "clini.xlsx",
        lambda xml: xml.replace("<f>B2+1</f><v />", "<f>B2+1</f><v>42</v>"),
    )
    assert problems == []
    assert one(table, "a") == ["41", "42"]


def test_merged_cells_are_refused(read_rows: Read):
    """A merged block holds one value for several rows; the others would read as missing."""
    _, problems = read_rows(
        [["P", "site"], ["x", "north"], ["y", None]], lambda sheet: sheet.merge_cells("B2:B3")
    )
    assert [(p.code, p.where.rows) for p in problems] == [("CO005", (2,))]
    assert "B2:B3" in problems[0].found


def test_a_wrong_extent_cuts_nothing_off(read_rows: Read, tmp_path: Path):
    """Rows beyond the extent that a program declared are read."""
    read_rows([["P", "a"], ["x", 1], ["y", 2]])
    table, problems = _edited(
        tmp_path / "clini.xlsx", lambda xml: xml.replace('ref="A1:B3"', 'ref="A1:A2"')
    )
    assert problems == []
    assert one(table, "a") == ["1", "2"]


def test_a_row_number_past_the_format_is_refused(read_rows: Read, tmp_path: Path):
    """A crafted row number does not make the reader count for minutes."""
    read_rows([["P", "a"], ["x", 1]])
    _, problems = _edited(
        tmp_path / "clini.xlsx", lambda xml: xml.replace('<row r="2">', '<row r="999999999">')
    )
    assert [p.code for p in problems] == ["CO001"]


def test_several_sheets_need_a_choice(tmp_path: Path):
    """Of several sheets one is declared; a wrong name lists those there are."""
    book = openpyxl.Workbook()
    book.active.title = "clini"
    book.active.append(["P", "a"])
    book.active.append(["x", 1])
    book.create_sheet("old").append(["Q"])
    path = tmp_path / "t.xlsx"
    book.save(path)
    _, problems = read_table(path)
    assert problems[0].code == "CO001"
    assert "'clini', 'old'" in problems[0].found
    assert read_table(path, format=TableFormat(sheet="new"))[1][0].code == "CO001"
    table, problems = read_table(path, format=TableFormat(sheet="clini"))
    assert problems == []
    assert one(table, "P") == ["x"]


def test_an_empty_sheet_and_a_value_beyond_the_header(read_rows: Read):
    """No cells is an empty table; a value without a column name is a ragged row."""
    assert [p.code for p in read_rows([])[1]] == ["CO002"]
    _, problems = read_rows([["P", "a"], ["x", 1, "?"]])
    assert [(p.code, p.where.rows) for p in problems] == [("CO005", (2,))]


def test_a_workbook_bomb_is_refused(read_rows: Read, monkeypatch):
    """The unpacked size is checked before anything is parsed."""
    monkeypatch.setattr(table_format, "MAX_TABLE_BYTES", 9000)
    _, problems = read_rows([["P", "a"], *[["x", 1]] * 500])
    assert [p.code for p in problems] == ["CO001"]
    assert "limit" in problems[0].found


def test_an_entity_bomb_is_refused(read_rows: Read, tmp_path: Path):
    """XML entities are refused, not expanded."""
    read_rows([["P", "a"], ["x", 1]])
    bomb = '<!DOCTYPE b [<!ENTITY a "xxxx"><!ENTITY b "&a;&a;">]>'
    _, problems = _edited(tmp_path / "clini.xlsx", lambda xml: bomb + xml)
    assert [p.code for p in problems] == ["CO001"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(at=st.floats(0, 1), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_workbook_never_raises(at, byte, cut, tmp_path: Path):
    """Any changed or missing bytes give a table or problems, never an exception."""
    book = openpyxl.Workbook()
    for row in [["P", "a"], ["x", 1], ["y", dt.date(2021, 3, 2)]]:
        book.active.append(row)
    path = tmp_path / "t.xlsx"
    book.save(path)
    data = bytearray(path.read_bytes())
    place = min(int(at * len(data)), len(data) - 1)
    if cut:
        data = data[:place]
    else:
        data[place] = byte
    path.write_bytes(bytes(data))
    table, problems = read_table(path)
    assert table is not None or problems


def test_without_the_extra_the_install_command_is_given(read_rows: Read, monkeypatch):
    """A missing optional dependency is no fault of the data: it is said with its command."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtra, match=r"metastra\[xlsx\]"):
        read_table(_saved_before(read_rows))


def _saved_before(read_rows: Read) -> Path:
    sys.modules["openpyxl"] = openpyxl
    table, _ = read_rows([["P", "a"], ["x", 1]])
    assert table is not None
    sys.modules["openpyxl"] = None  # type: ignore[assignment]
    return table.path


def _edited(path: Path, change: Callable[[str], str]) -> tuple[Table | None, list[Problem]]:
    """Change the XML of the first sheet and read again."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    part = "xl/worksheets/sheet1.xml"
    before = members[part].decode()
    members[part] = change(before).encode()
    assert members[part].decode() != before
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return read_table(path)


def _parquet(tmp_path: Path, columns: dict[str, object]) -> Path:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_values_become_plain_text(tmp_path: Path):
    """Every plain type has one text; singles keep their short form; the first record is row 2."""
    midnight, at_one = (
        dt.datetime.fromisoformat("2021-03-02"),
        dt.datetime.fromisoformat("2021-03-02T01:00"),
    )
    path = _parquet(
        tmp_path,
        {
            "id": pa.array(["007", None]),
            "n": pa.array([3, None], pa.int64()),
            "x": pa.array([0.1, float("nan")]),
            "single": pa.array(np.array([0.1, 2], np.float32)),
            "flag": pa.array([True, None]),
            "day": pa.array([dt.date(2021, 3, 2), None]),
            "when": pa.array([midnight, at_one]),
            "word": pa.array(["a", "b"]).dictionary_encode(),
        },
    )
    table, problems = read_table(path)
    assert problems == []
    assert table is not None
    assert table.rows.tolist() == [2, 3]
    assert [table.column(name).tolist() for name in table.columns] == [
        ["007", None],
        ["3", None],
        ["0.1", None],
        ["0.1", "2.0"],
        ["TRUE", None],
        ["2021-03-02", None],
        ["2021-03-02", "2021-03-02 01:00:00"],
        ["a", "b"],
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_numbers_survive_the_way_through_text(values, tmp_path: Path):
    """A double written to Parquet is read back bit for bit, through its text."""
    table, _ = read_table(_parquet(tmp_path, {"id": ["a"] * len(values), "x": values}))
    assert table is not None
    assert numbers(table, "x")[0].tolist() == values


def test_parquet_damage_is_refused(tmp_path: Path, monkeypatch):
    """Nested columns, damage and size are refused by name."""
    _, problems = read_table(_parquet(tmp_path, {"id": ["a"], "list": [[1, 2]]}))
    assert problems[0].code == "CO001"
    assert "'list'" in problems[0].found
    path = _parquet(tmp_path, {"id": ["a", "b"], "x": [1, 2]})
    data = path.read_bytes()
    stream = io.BytesIO(data[: len(data) // 2])
    path.write_bytes(stream.getvalue())
    assert [p.code for p in read_table(path)[1]] == ["CO001"]
    path.write_bytes(data)
    monkeypatch.setattr(table_format, "MAX_CELLS", 3)
    assert [p.code for p in read_table(path)[1]] == ["CO001"]
    assert [p.code for p in read_table(_parquet(tmp_path, {"id": []}))[1]] == ["CO002"]
