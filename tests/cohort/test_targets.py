"""Targets that are no follow-up: levels, missing values, numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metastra.cohort.tables import Table, read_table
from metastra.cohort.targets import Target, TargetKind, read_target
from metastra.errors import ConfigError, DataError


def column_of(folder: Path, *cells: str) -> Table:
    """A clinical table with the column X."""
    path = folder / "clini.csv"
    path.write_text("PATIENT,X\n" + "".join(f"p{i},{cell}\n" for i, cell in enumerate(cells)))
    table, problems = read_table(path, cohort="north")
    assert table is not None
    assert problems == []
    return table


def target(table: Table, kind: str, *levels: str) -> Target:
    """The target in column X."""
    names = [f"P-{index}" for index in range(len(table))]
    return read_target(table, "X", kind=kind, levels=levels, names=names)


def test_binary_codes_are_positions_of_declared_levels(tmp_path: Path) -> None:
    """The negative level first, whatever its name."""
    made = target(column_of(tmp_path, "MSS", "MSI-H", " MSS "), "binary", "MSS", "MSI-H")
    assert made.usable().tolist() == [0.0, 1.0, 0.0]
    assert made.counts() == {"MSS": 2, "MSI-H": 1}
    assert made.kind is TargetKind.BINARY


def test_ordinal_keeps_the_declared_order(tmp_path: Path) -> None:
    """Not the alphabet's."""
    made = target(column_of(tmp_path, "high", "low", "middle"), "ordinal", "low", "middle", "high")
    assert made.usable().tolist() == [2.0, 0.0, 1.0]


def test_multiclass_counts_levels_that_do_not_occur(tmp_path: Path) -> None:
    """So that an empty class is seen."""
    made = target(column_of(tmp_path, "a", "b"), "multiclass", "a", "b", "c")
    assert made.counts() == {"a": 1, "b": 1, "c": 0}


def test_missing_and_undeclared_values_are_refused_with_row_and_patient(tmp_path: Path) -> None:
    """A missing target is an error, never a negative; each unknown level is named."""
    made = target(column_of(tmp_path, "no", "", "Yes", "maybe"), "binary", "no", "yes")
    found = [(p.code, p.where.rows, p.where.column, p.patients) for p in made.problems]
    assert found == [
        ("EP002", (3,), "X", ("P-1",)),
        ("EP001", (4,), "X", ("P-2",)),
        ("EP001", (5,), "X", ("P-3",)),
    ]
    assert "'yes'" in made.problems[1].hint
    assert np.isnan(made.values[1:]).all()
    with pytest.raises(DataError) as caught:
        made.usable()
    assert len(caught.value.problems) == 3


def test_continuous_target_is_read_as_numbers(tmp_path: Path) -> None:
    """Text is refused with its patient, a gap too."""
    made = target(column_of(tmp_path, "1.5", "-2", "3e1"), "continuous")
    assert made.usable().tolist() == [1.5, -2.0, 30.0]
    assert made.counts() == {}
    bad = target(column_of(tmp_path, "1.5", "high", ""), "continuous")
    found = {(p.code, p.patients) for p in bad.problems}
    assert found == {("CO030", ("P-1",)), ("EP002", ("P-2",))}


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        ("binary", ("a",)),
        ("binary", ("a", "b", "c")),
        ("ordinal", ("a",)),
        ("multiclass", ()),
        ("binary", ("a", "a")),
        ("continuous", ("a", "b")),
    ],
)
def test_levels_must_fit_the_kind(tmp_path: Path, kind: str, levels: tuple[str, ...]) -> None:
    """Before any value is read."""
    with pytest.raises(ConfigError, match="'X'"):
        target(column_of(tmp_path, "a", "b"), kind, *levels)


def test_unknown_kind_is_refused(tmp_path: Path) -> None:
    """A survival target is an endpoint, not a column."""
    with pytest.raises(ValueError, match="survival"):
        target(column_of(tmp_path, "a"), "survival", "a", "b")
