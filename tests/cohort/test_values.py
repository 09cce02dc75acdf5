"""Numbers and yes-or-no words: exact, or refused with their rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from metastra.cohort.table_format import TableFormat
from metastra.cohort.tables import Table, read_table
from metastra.cohort.values import booleans, numbers, word_key
from metastra.errors import ConfigError

Make = Callable[..., Table]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a table with ids and one column ``x`` of the given cells."""

    def table_of(cells: Sequence[str], **form: object) -> Table:
        path = tmp_path / "t.tsv"
        lines = [f"id{index}\t{cell}" for index, cell in enumerate(cells)]
        path.write_text("id\tx\n" + "\n".join(lines) + "\n", encoding="utf-8")
        table, problems = read_table(path, format=TableFormat(**form))  # type: ignore[arg-type]
        assert problems == []
        assert table is not None
        return table

    return table_of


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (
            ["12.5", " 7 ", "-3", "+4", ".5", "1.", "1e-3", "2E3"],
            [12.5, 7, -3, 4, 0.5, 1, 1e-3, 2e3],
        ),
        (["", "NA", "nan", "."], [np.nan] * 4),
        (["007", "1.10"], [7, 1.1]),
    ],
)
def test_numbers_as_people_write_them(make: Make, cells, values):
    """Signs, exponents, bare points and space around are numbers; words for missing are NaN."""
    got, problems = numbers(make(cells), "x")
    assert problems == []
    np.testing.assert_array_equal(got, values)


@pytest.mark.parametrize(
    ("cells", "decimal", "expected"),
    [
        (["1", "12,5"], ".", {"CO031": (3,)}),
        (["12,5", "1,234"], ".", {"CO031": (2, 3)}),
        (["0,123"], ".", {"CO031": (2,)}),
        (["1", "1,234"], ".", {"CO030": (3,)}),
        (["1,234.5", "1'234", "1 234", "1\u202f234"], ".", {"CO030": (2, 3, 4, 5)}),
        (["1.234.567"], ".", {"CO030": (2,)}),
        (["12.5", "1"], ",", {"CO030": (2,)}),
        (["1.234,5"], ",", {"CO030": (2,)}),
        (["<5", "5 mm", "1", "5%", "~3", "1_000", "１２", "−5", "0x1F", "1-2"], ".",
         {"CO030": (2, 3, 5, 6, 7, 8, 9, 10, 11)}),
        (["1", "inf", "-Infinity", "1e999"], ".", {"CO036": (3, 4, 5)}),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_its_rows(make: Make, cells, decimal, expected):
    """Text, foreign decimal marks, thousands, units and infinities have their code and rows."""
    values, problems = numbers(make(cells, decimal=decimal), "x")
    assert {one.code: one.where.rows for one in problems} == expected
    refused = [row - 2 for rows in expected.values() for row in rows]
    assert np.isnan(values[refused]).all()
    assert np.isfinite(np.delete(values, refused)).all()


def test_the_declared_comma_is_read(make: Make):
    """With a declared decimal comma 12,5 is twelve and a half."""
    values, problems = numbers(make(["12,5", "3", ",5", "1,5e2"], decimal=","), "x")
    assert problems == []
    assert values.tolist() == [12.5, 3, 0.5, 150]


def test_ages_are_bounded(make: Make):
    """Ages below 0 and above 120 are named with their range; other numbers are not bounded."""
    cells = ["-1", "0", "120", "121", "22000"]
    _, problems = numbers(make(cells), "x", kind="age")
    assert [(one.code, one.where.rows) for one in problems] == [("CO036", (2, 5, 6))]
    assert numbers(make(cells), "x")[1] == []
    with pytest.raises(ValueError, match="weight"):
        numbers(make(cells), "x", kind="weight")


def test_all_kinds_of_fault_in_one_column(make: Make):
    """One reading of a column names every kind of fault in it."""
    _, problems = numbers(make(["1", "12,5", "1,234.5", "x", "inf", "130"]), "x", kind="age")
    assert [one.code for one in problems] == ["CO031", "CO030", "CO030", "CO036", "CO036"]


def test_messages_never_list_what_may_be_ids(make: Make):
    """Where every cell is refused and all differ the column is a wrong one: no cell is quoted."""
    _, problems = numbers(make(["MUELLER-1", "SCHMIDT-2", "WEBER-3"]), "x")
    assert "MUELLER" not in str(problems[0])
    _, problems = numbers(make(["1", "2", "unknown", "lost"]), "x")
    assert "'unknown', 'lost'" in problems[0].found
    _, problems = numbers(make(["1", "2", "a" * 80]), "x")
    assert "a" * 30 not in problems[0].found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8),
    decimal=st.sampled_from([".", ","]),
)
def test_every_double_survives(make: Make, values, decimal):
    """The shortest text of a double is read as the same double, in either decimal mark."""
    cells = [repr(value).replace(".", decimal) for value in values]
    got, problems = numbers(make(cells, decimal=decimal), "x")
    assert problems == []
    assert got.tolist() == values


def test_yes_and_no(make: Make):
    """Words are compared without case and as numbers; others are refused with their rows."""
    table = make(["1.0", "0", "YES", "no", "", "maybe"])
    values, problems = booleans(table, "x", yes={"1", "yes"}, no={"0", "no"})
    np.testing.assert_array_equal(values, [1, 0, 1, 0, np.nan, np.nan])
    assert [(one.code, one.where.rows) for one in problems] == [("CO037", (7,))]
    assert "'maybe'" in problems[0].found


@pytest.mark.parametrize(("yes", "no"), [({"1"}, {"1.0"}), ({"Y"}, {"y", "n"}), (set(), {"0"})])
def test_a_word_cannot_mean_both(make: Make, yes, no):
    """A word on both sides, also in another spelling, is an error of the study file."""
    with pytest.raises(ConfigError, match="'x'"):
        booleans(make(["1"]), "x", yes=yes, no=no)


@pytest.mark.parametrize(
    ("text", "key"),
    [("1.0", "1"), ("1.05", "1.05"), ("10.", "10"), ("Stage 1.0", "stage 1.0"), ("Ｌ  2", "l 2")],
)  # fmt: skip
def test_words_are_compared_by_their_key(text, key):
    """Only a whole number loses its point and zeros."""
    assert word_key(text) == key


def test_the_real_ages_are_read(shared: Path):
    """The ORION table's ages equal those that pandas reads."""
    import pandas as pd

    path = shared / "data/orion_crc_cohort/patients.csv"
    table, _ = read_table(path)
    assert table is not None
    values, problems = numbers(table, "Age", kind="age")
    assert problems == []
    np.testing.assert_array_equal(values, pd.read_csv(path)["Age"])
