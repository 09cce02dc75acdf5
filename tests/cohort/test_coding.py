"""Declared predictors become numbers; a word without a meaning never does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from metastra.cohort.coding import Coding, Encoded, encode
from metastra.cohort.tables import read_table
from metastra.errors import ConfigError, Severity

Code = Callable[..., Encoded]


@pytest.fixture
def code(tmp_path: Path) -> Code:
    """Encode one column of the given cells."""

    def encoded(cells: Sequence[str], column: str = "x", **coding: object) -> Encoded:
        path = tmp_path / "t.tsv"
        lines = [f"id{index}\t{cell}" for index, cell in enumerate(cells)]
        path.write_text(f"id\t{column}\n" + "\n".join(lines) + "\n", encoding="utf-8")
        table, problems = read_table(path)
        assert problems == []
        assert table is not None
        return encode(table, column, Coding(**coding))  # type: ignore[arg-type]

    return encoded


def codes(encoded: Encoded) -> dict[str, tuple[int, ...]]:
    """Codes with their rows."""
    return {one.code: one.where.rows for one in encoded.problems}


def test_continuous_numbers(code: Code):
    """Numbers stay numbers; declared limits are held; missing cells are counted."""
    encoded = code(["61", "59.5", "NA", "300"], kind="continuous", minimum=0, maximum=200)
    values, names, problems = encoded
    np.testing.assert_array_equal(values, [[61], [59.5], [np.nan], [300]])
    assert names == ("x",)
    assert codes(encoded) == {"CO036": (5,), "CO039": (4,)}
    assert "1 of 4 values are missing (1 written 'NA')" in problems[1].found
    assert problems[1].severity is Severity.NOTE


def test_an_age_is_checked_by_its_name(code: Code):
    """A column called age is in years from 0 to 120; others are what they are."""
    assert codes(code(["61", "22000"], "Age", kind="continuous")) == {"CO036": (3,)}
    assert codes(code(["61", "22000"], "days", kind="continuous")) == {}


def test_declared_order(code: Code):
    """Ordinal words are coded by their place in the declared order, not by the alphabet."""
    levels = ("low", "intermediate", "high")
    values = code(["High", "low", " intermediate", "high"], kind="ordinal", levels=levels).values
    assert values.ravel().tolist() == [2, 0, 1, 2]
    values = code(["1.0", "3", "2"], kind="ordinal", levels=("1", "2", "3")).values
    assert values.ravel().tolist() == [0, 2, 1]
    assert code(["1", "3", "2"], kind="ordinal").values.ravel().tolist() == [1, 3, 2]


def test_categories_have_a_reference(code: Code):
    """One column per level but the first; a missing cell is missing in all of them."""
    encoded = code(["b", "a", "c", ""], kind="categorical", levels=("a", "b", "c"))
    assert encoded.names == ("x=b", "x=c")
    np.testing.assert_array_equal(encoded.values, [[1, 0], [0, 0], [0, 1], [np.nan, np.nan]])


@pytest.mark.parametrize(
    "coding",
    [
        {"kind": "categorical", "levels": ("left", "right")},
        {"kind": "ordinal", "levels": ("left", "right")},
        {"kind": "binary", "levels": ("left", "right")},
    ],
)
def test_an_unknown_word_is_refused_by_row(code: Code, coding):
    """A word outside the coding is no new category and no missing value: it is refused."""
    encoded = code(["left", "rihgt", "right"], **coding)
    assert codes(encoded) == {"CO037": (3,)}
    assert "'rihgt'" in encoded.problems[0].found
    assert np.isnan(encoded.values[1]).all()
    assert np.isfinite(encoded.values[[0, 2]]).all()


def test_the_nearest_word_is_given(code: Code):
    """A misspelt word is shown with the level that was probably meant."""
    encoded = code(["left", "rihgt"], kind="categorical", levels=("left", "right"))
    assert "the nearest is 'right'" in encoded.problems[0].found


def test_binary_words(code: Code):
    """Usual words are known; declared ones replace them, the first for 0."""
    assert code(["Yes", "no", "1.0", "0"], kind="binary").values.ravel().tolist() == [1, 0, 1, 0]
    values = code(["MSI", "MSS"], kind="binary", levels=("MSS", "MSI")).values
    assert values.ravel().tolist() == [1, 0]
    assert codes(code(["Yes", "MSI", "no"], kind="binary")) == {"CO037": (3,)}


@pytest.mark.parametrize(
    ("column", "cells", "expected"),
    [
        ("pT", ["Tis", "pT1", "2", "T4b", "pTX", "", "ypT0"], [0.5, 1, 2, 4, np.nan, np.nan, 0]),
        ("ajcc_pathologic_n", ["N0 (i-)", "N1mi", "2a", "NX"], [0, 1, 2, np.nan]),
        ("cM", ["cM0", "1", "M1a", "MX"], [0, 1, 1, np.nan]),
        ("local", ["N0", "pN2b"], [0, 2]),
        ("T_stage", ["T2", "pT3 N1 M0", "N1"], [2, 3, np.nan]),
    ],
)
def test_the_order_of_the_manual(code: Code, column, cells, expected):
    """T, N and M are known by the column's name or their cells; X and absent are missing."""
    encoded = code(cells, column, kind="ordinal", scheme="AJCC-8")
    np.testing.assert_array_equal(encoded.values.ravel(), expected)
    assert set(codes(encoded)) <= {"CO039"}


def test_stage_collapsed_and_not(code: Code):
    """Collapsed, letters vanish; else they add quarters; a bare group beside letters is refused."""
    cells = ["Stage I", "IIA", "Stage IIIC", "IVB", "[Not Available]", "Stage X"]
    encoded = code(cells, "stage", kind="ordinal", scheme="AJCC-8", collapse_stage=True)
    np.testing.assert_array_equal(encoded.values.ravel(), [1, 2, 3, 4, np.nan, np.nan])
    assert codes(encoded) == {"CO039": (6, 7)}
    encoded = code(cells, "stage", kind="ordinal", scheme="AJCC-8")
    np.testing.assert_array_equal(encoded.values.ravel(), [1, 2.25, 3.75, 4.5, np.nan, np.nan])
    encoded = code(["II", "IIA", "III"], "stage", kind="ordinal", scheme="AJCC-8")
    assert codes(encoded) == {"CO037": (2,)}
    assert "collapse_stage" in encoded.problems[0].hint


def test_a_foreign_word_in_a_staged_column(code: Code):
    """What is neither a category nor a stage is refused with its row."""
    assert codes(code(["T1", "T9", "T2"], "pT", kind="ordinal", scheme="AJCC-8")) == {"CO037": (3,)}
    got = codes(code(["I", "Dukes B", "II"], "stage", kind="ordinal", scheme="AJCC-8"))
    assert got == {"CO037": (3,)}


def test_no_information_is_a_warning(code: Code):
    """A constant or an empty predictor is named; one that varies is not."""
    constant = code(["1", "1"], kind="continuous")
    assert [one.code for one in constant.problems] == ["CO038"]
    assert constant.problems[0].severity is Severity.WARN
    assert "there is no value" in code(["", ""], kind="binary").problems[0].found
    assert code(["1", "2"], kind="continuous").problems == ()


@pytest.mark.parametrize(
    "coding",
    [
        {"kind": "categorical"},
        {"kind": "categorical", "levels": ("a",)},
        {"kind": "ordinal", "levels": ("a", "A ")},
        {"kind": "binary", "levels": ("a", "b", "c")},
    ],
)
def test_a_coding_that_cannot_be_is_refused(coding):
    """Too few, repeated or too many levels are an error of the study file."""
    with pytest.raises(ConfigError):
        Coding(**coding)
    with pytest.raises(ValueError, match="continous"):
        Coding(kind="continous")  # type: ignore[arg-type]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=12))
def test_dummies_sum_to_membership(code: Code, cells):
    """Each record is in exactly one level: its dummies sum to 1, or 0 for the reference."""
    encoded = code([*cells, "a"], kind="categorical", levels=("a", "b", "c"))
    sums = encoded.values[:-1].sum(axis=1)
    expected = [np.nan if cell == "" else float(cell != "a") for cell in cells]
    np.testing.assert_array_equal(sums, expected)


def test_the_orion_predictors(shared: Path):
    """Real columns of the ORION cohort have the counts of its description and of pandas."""
    import pandas as pd

    path = shared / "data/orion_crc_cohort/patients.csv"
    table, _ = read_table(path)
    assert table is not None
    stage = encode(table, "Stage", Coding(kind="ordinal", scheme="AJCC-8", collapse_stage=True))
    counts = np.unique(stage.values, return_counts=True)
    assert [array.tolist() for array in counts] == [[1, 2, 3, 4], [1, 7, 14, 6]]
    grade = encode(table, "Grade", Coding(kind="ordinal", levels=("Low", "High")))
    assert grade.problems == ()
    death = encode(table, "Death", Coding(kind="binary"))
    np.testing.assert_array_equal(death.values.ravel(), pd.read_csv(path)["Death"])
