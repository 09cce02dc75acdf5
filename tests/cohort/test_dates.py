"""Dates: ISO or the declared format; everything else is refused with its rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from metastra.cohort.dates import dates
from metastra.cohort.table_format import TableFormat
from metastra.cohort.tables import Table, read_table

CUT = dt.date(2024, 6, 30)
Make = Callable[..., Table]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a table with ids and one column ``d`` of the given cells."""

    def table_of(cells: Sequence[str], date_format: str | None = None) -> Table:
        path = tmp_path / "t.tsv"
        lines = [f"id{index}\t{cell}" for index, cell in enumerate(cells)]
        path.write_text("id\td\n" + "\n".join(lines) + "\n")
        table, problems = read_table(path, format=TableFormat(date_format=date_format))
        assert problems == []
        assert table is not None
        return table

    return table_of


def test_iso_dates_with_and_without_a_time(make: Make):
    """The day that is written counts, whatever time or zone follows."""
    cells = ["2021-03-02", " 2021-03-02 ", "2021-03-02T23:59:59Z", "2021-03-02 10:30"]
    cells += ["2021-03-02T23:30:00.5+02:00", "NA"]
    values, problems = dates(make(cells), "d", data_cut=CUT)
    assert problems == []
    assert values.astype(str).tolist() == ["2021-03-02"] * 5 + ["NaT"]


@pytest.mark.parametrize(
    ("cells", "date_format", "expected"),
    [
        (["2021-03-02", "2023-02-30", "2023-13-01"], None, {"CO032": (3, 4)}),
        (["2021-03", "2021", "unknown", "20210302", "2021-03-02 25:00"], None,
         {"CO032": (2, 3, 4, 5, 6)}),
        (["03/04/2021", "13/04/2021", "2021-03-02"], None, {"CO033": (2, 3)}),
        (["3.4.21"], None, {"CO033": (2,)}),
        (["1899-12-31", "2024-07-01", "9999-12-31", "1900-01-01", "2024-06-30"], None,
         {"CO034": (2, 3, 4)}),
        (["44197", "44197.5", "19999", "60001"], None, {"CO035": (2, 3), "CO032": (4, 5)}),
        (["02.03.2021", "2021-03-02", "30.02.2021", "44197"], "%d.%m.%Y",
         {"CO032": (3, 4), "CO035": (5,)}),
        (["01122021", "1122021"], "%d%m%Y", {"CO032": (3,)}),
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused_with_its_rows(make: Make, cells, date_format, expected):
    """Impossible, partial, ambiguous, far and numeric dates have their code and rows."""
    values, problems = dates(make(cells, date_format), "d", data_cut=CUT)
    assert {one.code: one.where.rows for one in problems} == expected
    bad = {row - 2 for rows in expected.values() for row in rows}
    assert {index for index, value in enumerate(values) if str(value) == "NaT"} == bad


@pytest.mark.parametrize(
    ("date_format", "cell"),
    [
        ("%d.%m.%Y", "2.3.2021"),
        ("%d/%m/%Y", "02/03/2021"),
        ("%m/%d/%Y", "3/2/2021"),
        ("%Y%m%d", "20210302"),
        ("%d-%b-%Y", "02-Mar-2021"),
        ("%d.%m.%Y %H:%M", "02.03.2021 10:30"),
        ("%Y-%j", "2021-061"),
    ],
)
def test_the_declared_format_is_followed(make: Make, date_format, cell):
    """One declared format reads its dates, with or without leading zeros between separators."""
    values, problems = dates(make([cell], date_format), "d", data_cut=CUT)
    assert problems == []
    assert str(values[0]) == "2021-03-02"


def test_the_hint_says_which_order_fits(make: Make):
    """The order that fits every cell is told, and still not taken."""
    _, problems = dates(make(["03/04/2021", "13/04/2021"]), "d")
    assert 'only "%d/%m/%Y" fits' in problems[0].hint
    _, problems = dates(make(["03.04.2021", "01.02.2021"]), "d")
    assert '"%d.%m.%Y" or "%m.%d.%Y"' in problems[0].hint


def test_without_a_data_cut_only_the_impossible_is_refused(make: Make):
    """A date after today passes where no cut is declared; a placeholder year does not."""
    _, problems = dates(make(["2024-07-01", "2031-01-01", "9999-12-31"]), "d")
    assert [(one.code, one.where.rows) for one in problems] == [("CO034", (4,))]


def test_dates_of_birth_stay_out_of_messages(make: Make):
    """A refused date is shown by its form, not by its digits."""
    _, problems = dates(make(["1951-03-02", "31.12.1950", "30.02.1948"]), "d")
    text = " ".join(map(str, problems))
    assert "99.99.9999" in text
    assert not {"1950", "1948", "31.12"} & set(text.replace("'", " ").replace(";", " ").split())
    assert "1950" not in text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    days=st.lists(st.dates(dt.date(1900, 1, 1), CUT), min_size=1, max_size=6),
    date_format=st.sampled_from([None, "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d %B %Y"]),
)
def test_every_day_survives(make: Make, days, date_format):
    """A date written in a format is read back in that format."""
    cells = [day.strftime(date_format) if date_format else day.isoformat() for day in days]
    values, problems = dates(make(cells, date_format), "d", data_cut=CUT)
    assert problems == []
    assert [value.item() for value in values] == days
