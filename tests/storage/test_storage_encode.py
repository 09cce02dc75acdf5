"""Equal values are equal bytes, and what cannot be read back is not written."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.storage import (
    csv_bytes,
    csv_lines,
    csv_rows,
    json_bytes,
    json_listing,
    parse_json,
    write_parts,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    SCALARS | TEXT, lambda inside: st.lists(inside) | st.dictionaries(TEXT, inside), max_leaves=20
)


@settings(deadline=None)
@given(JSON)
def test_json_comes_back_as_it_was(value):
    """Every JSON value survives writing and reading, and is written in one way only."""
    data = json_bytes(value)

    assert parse_json(data) == value
    assert json_bytes(parse_json(data)) == data
    assert data.endswith(b"\n")
    assert not data.endswith(b"\n\n")


@settings(deadline=None)
@given(st.dictionaries(TEXT, JSON), TEXT, st.lists(JSON))
def test_a_listing_is_the_whole_to_the_byte(head, key, items):
    """However deep its items are, and wherever its key stands among the others."""
    head.pop(key, None)
    parts = list(json_listing(head, key, iter(items)))
    assert b"".join(parts) == json_bytes({**head, key: items})
    assert len(parts) >= len(items)


def test_a_listing_refuses_what_the_whole_would():
    """With the place of the item."""
    with pytest.raises(ValueError, match=r"\$\.slides\[1\]\.x is nan"):
        list(json_listing({}, "slides", [{"x": 1.0}, {"x": math.nan}]))
    with pytest.raises(TypeError, match=r"\$\.a is a set"):
        list(json_listing({"a": set()}, "slides", []))


def test_parts_are_one_file(tmp_path):
    """And where a part cannot be made, the old file stays."""
    path = tmp_path / "a.csv"
    table = [[number, "x" * number] for number in range(100)]
    write_parts(path, csv_lines(["n", "text"], iter(table)))
    assert path.read_bytes() == csv_bytes(["n", "text"], table)
    with pytest.raises(ValueError, match="row 3 has 1 cells"):
        write_parts(path, csv_lines(["n", "text"], [[1, "a"], [2]]))
    assert path.read_bytes() == csv_bytes(["n", "text"], table)
    assert [item.name for item in tmp_path.iterdir()] == ["a.csv"]


@settings(deadline=None)
@given(st.dictionaries(TEXT, SCALARS, min_size=2))
def test_the_order_of_keys_does_not_matter(value):
    """Two dicts that are equal give equal bytes."""
    assert json_bytes(dict(reversed(value.items()))) == json_bytes(value)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_numbers_that_json_cannot_hold_are_refused_with_their_place(number):
    """NaN and infinity are refused; the message says where they stand."""
    with pytest.raises(ValueError, match=r"\$\.auc\[1\] is -?(nan|inf)"):
        json_bytes({"auc": [0.5, number]})


@pytest.mark.parametrize("value", [{1: "a"}, {"a": {None: 1}}, [{(1, 2): 3}]])
def test_keys_that_are_no_text_are_refused(value):
    """json.dumps would turn the key 1 into "1", which comes back as another dict."""
    with pytest.raises(TypeError, match="JSON keys are text"):
        json_bytes(value)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, np.int64(3), np.zeros(2), object()])
def test_other_types_are_refused(value):
    """What would not come back as itself is not written."""
    with pytest.raises(TypeError, match=r"\$\.x is a \w+, which JSON cannot hold"):
        json_bytes({"x": value})


def test_a_value_that_contains_itself_is_refused():
    """A circle is refused; the same list twice is none."""
    circle: list[object] = []
    circle.append(circle)
    twice = [1]

    with pytest.raises(ValueError, match="contains itself"):
        json_bytes(circle)
    assert parse_json(json_bytes([twice, twice])) == [[1], [1]]


@pytest.mark.parametrize(
    "data",
    [b"NaN", b"[Infinity]", b"-Infinity", b"1e999", b'{"a":1,"a":2}', b"\xff", b"{", b"", b"'a'"],
)
def test_loose_json_is_refused(data):
    """What Python's reader would let pass, but strict JSON forbids, is refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - any of several standard messages
        parse_json(data)


CELLS = TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none()


@settings(deadline=None)
@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n))))
def test_a_table_comes_back_as_it_was(rows):
    """Text comes back exactly, also with quotes, line ends and formulas; numbers exactly."""
    columns = [f"column {number}" for number in range(len(rows[0]) if rows else 1)]

    header, table = csv_rows(csv_bytes(columns, rows))

    assert header == columns
    assert len(table) == len(rows)
    for row, read in zip(rows, table, strict=True):
        for cell, text in zip(row, read, strict=True):
            if isinstance(cell, float):
                assert float(text) == cell
            elif isinstance(cell, int):
                assert int(text) == cell
            else:
                assert text == (cell or "")


@settings(deadline=None)
@given(TEXT)
def test_no_text_cell_begins_like_a_formula(text):
    """A spreadsheet never sees a text cell that begins with a formula sign, numbers aside."""
    cell = json_cell(csv_bytes(["a", "b"], [[text, 1]]))

    if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        float(cell)


def json_cell(data: bytes) -> str:
    import csv
    import io

    return list(csv.reader(io.StringIO(data.decode(), newline="")))[1][0]


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-12", "-12"),
        ("-12 mm", "'-12 mm"),
        ("+3.5e-4", "+3.5e-4"),
        ("'=x", "''=x"),
        ("'quoted'", "'quoted'"),
        ("\tx", "'\tx"),
    ],
)
def test_formulas_are_made_text_and_numbers_stay(text, stored):
    """The apostrophe goes before formulas only, and comes off again."""
    assert json_cell(csv_bytes(["a", "b"], [[text, ""]])) == stored
    assert csv_rows(csv_bytes(["a", "b"], [[text, ""]]))[1] == [[text, ""]]


def test_tables_that_do_not_fit_are_refused():
    """Ragged rows, numbers that are none and foreign types are refused with their row."""
    with pytest.raises(ValueError, match="row 3 has 1 cells, expected 2"):
        csv_bytes(["a", "b"], [[1, 2], [3]])
    with pytest.raises(ValueError, match="row 2: nan"):
        csv_bytes(["a"], [[math.nan]])
    with pytest.raises(TypeError, match="row 2: a bytes"):
        csv_bytes(["a"], [[b"x"]])
    with pytest.raises(ValueError, match="row 2 has 1 cells, expected 2"):
        csv_rows(b"a,b\n1\n")
    with pytest.raises(ValueError, match="no header"):
        csv_rows(b"")


def test_truth_and_numpy_numbers_in_tables():
    """Truth values are words; a numpy float is written as the same Python float."""
    assert csv_bytes(["a", "b"], [[True, np.float64(0.1)]]) == b"a,b\ntrue,0.1\n"
    assert json.loads(json_bytes(np.float64(0.1))) == 0.1
