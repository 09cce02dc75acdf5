"""The reference runner: what passes, what fails, what it prints and with which status it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metastra.errors import DataError
from metastra.testing.reference import nonparametric, regression
from metastra.testing.reference.__main__ import main
from metastra.testing.reference.data import Case, Tolerance, load_cases
from metastra.testing.reference.runner import (
    all_handlers,
    compare,
    read_tables,
    run_case,
    select,
)

OWN = {**nonparametric.HANDLERS, **regression.HANDLERS}


def case(**parts: Any) -> Case:
    base: dict[str, Any] = {
        "id": "a",
        "estimator": "kaplan_meier",
        "data": "t.csv",
        "columns": {},
        "args": {},
        "expected": {},
    }
    return Case(**{**base, **parts})


@pytest.mark.parametrize("name", ["colon", "gbsg2", "mgus2"])
def test_every_reference_case_of_these_estimators_passes(shared: Path, name: str) -> None:
    """All Kaplan–Meier, Aalen–Johansen, test and regression cases of R, errors included."""
    folder = shared / "data" / "reference_stats"
    cases = [c for c in load_cases(folder / f"expected_{name}.json") if c.estimator in OWN]
    frames = read_tables(cases, folder)
    verdicts = [run_case(one, frames, OWN) for one in cases]
    assert len(verdicts) >= 13
    assert [str(verdict) for verdict in verdicts if not verdict.passed] == []


def test_every_estimator_of_these_modules_has_a_reference_case(shared: Path) -> None:
    """No handler is there that no case of R exercises, but for plain variants of the Cox model."""
    folder = shared / "data" / "reference_stats"
    seen = {c.estimator for file in folder.glob("expected_*.json") for c in load_cases(file)}
    assert set(OWN) - seen == {"cox_stratified", "cox_cluster"}


@pytest.mark.parametrize("name", ["colon", "mgus2"])
def test_every_case_notices_a_changed_number(shared: Path, name: str) -> None:
    """Each expected number, moved by a hundred times its tolerance, makes its case fail."""
    folder = shared / "data" / "reference_stats"
    cases = [c for c in load_cases(folder / f"expected_{name}.json") if c.estimator in OWN]
    frames = read_tables(cases, folder)
    for one in cases:
        found = OWN[one.estimator](one, select(one, frames[str(one.data)]))
        assert compare(one, found) == ""
        for key, value in one.expected.items():
            moved = _moved(value)
            if moved is not None:
                changed = case(
                    id=one.id, expected={**one.expected, key: moved}, tolerance=one.tolerance
                )
                assert compare(changed, found).startswith(key), f"{one.id} {key}"


def _moved(value: Any) -> Any:
    """The value with its first number moved by 1% and 0.01; None when it holds none."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return None
    if isinstance(value, (int, float)):
        return value * 1.01 + 0.01
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, item in items:
        moved = _moved(item)
        if moved is not None:
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = moved
            return copy
    return None


def test_numbers_are_compared_by_absolute_plus_relative_tolerance() -> None:
    """The rule of the README, at both sides of its edge."""
    one = case(expected={"x": 100.0}, tolerance=Tolerance(rel=1e-3, abs=0.1))
    assert compare(one, {"x": 100.199}) == ""
    assert compare(one, {"x": 100.201}) == "x: expected 100.0, found 100.201"


def test_p_values_counts_and_missing_values_have_rules_of_their_own() -> None:
    """p within 0.1% or 1e-8, counts exact, null only matches missing."""
    one = case(expected={"p": 0.02, "n": 100, "upper": None}, tolerance=Tolerance(rel=0.5, abs=0.0))
    good = {"p": 0.020019, "n": 100, "upper": np.nan}
    assert compare(one, good) == ""
    assert compare(one, {**good, "p": 0.02003}).startswith("p:")
    assert compare(one, {**good, "n": 101}).startswith("n:")
    assert compare(one, {**good, "upper": 0.0}).startswith("upper:")
    assert compare(one, {**good, "upper": None}) == ""
    tiny = case(expected={"p": 1e-30})
    assert compare(tiny, {"p": 3e-12}) == ""
    weighted = case(expected={"concordant": 10.5, "df": 137.25})
    assert compare(weighted, {"concordant": 10.5 + 1e-9, "df": 137.25 + 1e-9}) == ""


def test_missing_names_lengths_and_texts_are_noticed() -> None:
    """A number that was not computed, a list too short, another label: failures."""
    one = case(expected={"surv": [0.5, 0.4], "names": ["a", "b"]})
    assert compare(one, {"names": ["a", "b"]}) == "surv was not computed"
    assert "expected 2 values, found 1" in compare(one, {"surv": [0.5], "names": ["a", "b"]})
    assert compare(one, {"surv": [0.5, 0.4], "names": ["a", "c"]}).startswith("names[1]")
    assert compare(one, {"surv": np.array([0.5, 0.4]), "names": ["a", "b"]}) == ""


def test_one_number_and_a_list_of_one_are_the_same() -> None:
    """R's JSON unboxes vectors of length one; nested lists are compared in order."""
    one = case(expected={"surv": 0.5, "cif": [0.1, 0.2]})
    assert compare(one, {"surv": [0.5], "cif": [[0.1], [0.2]]}) == ""


def test_informative_values_are_not_compared() -> None:
    """hare_* needs R and is passed over."""
    assert compare(case(expected={"hare_ici": 0.1}), {}) == ""


def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "t": [5.0, 3.0, 8.0, 1.0, 4.0, 9.0],
            "e": [1, 0, 1, 1, np.nan, 0],
            "g": ["a", "a", "b", "b", "b", "a"],
            "k": [1, 2, 1, 2, 1, 2],
            "x": [0.1, np.nan, 0.3, 0.4, 0.5, 0.6],
        }
    )


@pytest.mark.parametrize(
    ("args", "kept"),
    [
        ({}, 6),
        ({"filter": {"column": "g", "equals": "a"}}, 3),
        ({"filter": {"column": "k", "equals": 1}}, 3),
        ({"filter": {"column": "k", "equals": "1"}}, 3),
        ({"filter": {"column": "g", "equals": ["a", "b"]}}, 6),
        ({"filter": [{"column": "g", "equals": "b"}, {"column": "k", "equals": 1}]}, 2),
        ({"filter": {"column": "k", "in": [2]}}, 3),
        ({"rows": "complete cases of x"}, 5),
        ({"rows": "complete cases"}, 4),
        ({"rows": "x not missing"}, 5),
        ({"rows": "t > 3 and k == 1"}, 3),
        ({"rows": "t > 3 & k == 1; new = t - 3"}, 3),
        ({"rows": "all; first 20 and the sum given"}, 6),
        ({"rows": "first 20 and the sum"}, 6),
        ({"rows": "rows 2-4"}, 3),
        ({"rows": [1, 3]}, 2),
        ({"filter": {"column": "g", "equals": "b"}, "rows": "complete cases of x; t < 8"}, 2),
    ],
)
def test_filters_and_rows_choose_what_they_say(args: dict[str, Any], kept: int) -> None:
    """Every form in which a case may choose rows."""
    one = case(columns={"time": "t", "event": "e", "x": ["x"]}, args=args)
    chosen = select(one, table())
    assert len(chosen) == kept
    assert chosen.index.tolist() == list(range(kept))


@pytest.mark.parametrize("rows", ["the healthy ones", "t >", "nothing == 1"])
def test_rows_that_are_not_understood_fail_the_case(rows: str) -> None:
    """Words without a meaning are not passed over."""
    verdict = run_case(
        case(columns={"time": "t", "event": "k"}, args={"rows": rows, "times": [1]}),
        {"t.csv": table()},
        OWN,
    )
    assert not verdict.passed
    assert "DataError" in verdict.detail


def test_unknown_filters_estimators_and_tables_fail_the_case() -> None:
    """Nothing is skipped in silence."""
    frames = {"t.csv": table()}
    unknown = run_case(case(estimator="crystal_ball"), frames, OWN)
    assert str(unknown) == "FAIL a (crystal_ball): unknown estimator 'crystal_ball'"
    assert "not there" in run_case(case(data="other.csv"), frames, OWN).detail
    odd = run_case(case(args={"filter": {"column": "g", "like": "a*"}}), frames, OWN)
    assert "not understood" in odd.detail


def test_numbers_cases_need_no_table() -> None:
    """A case without data gets an empty table."""
    handlers: dict[str, Callable[[Case, pd.DataFrame], dict[str, object]]] = {
        "sum": lambda one, frame: {"x": sum(one.values("parts")) + len(frame)}
    }
    one = case(estimator="sum", data=None, args={"parts": [1, 2]}, expected={"x": 3})
    assert run_case(one, {}, handlers).passed


def write(folder: Path, cases: list[dict[str, Any]]) -> Path:
    pd.DataFrame({"t": [1, 2, 3, 4], "e": [1, 1, 0, 1]}).to_csv(folder / "t.csv", index=False)
    file = folder / "cases.json"
    file.write_text(json.dumps({"meta": {}, "cases": cases}), encoding="utf-8")
    return file


def entry(name: str, surv: float) -> dict[str, Any]:
    return {
        "id": name,
        "estimator": "kaplan_meier",
        "data": "t.csv",
        "columns": {"time": "t", "event": "e"},
        "args": {"times": 2},
        "expected": {"surv": surv, "n_risk": 3},
        "tolerance": {"rel": 1e-6, "abs": 1e-8},
    }


def test_the_last_line_counts_and_the_status_follows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each case, the totals alone on the last, 0 only when none failed."""
    good = write(tmp_path, [entry("right", 0.5)])
    assert main([str(good), "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "PASS right (kaplan_meier)\n1 passed, 0 failed\n"
    both = write(tmp_path, [entry("right", 0.5), entry("wrong", 0.6)])
    assert main([str(both), "--data", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "FAIL wrong (kaplan_meier): surv: expected 0.6, found 0.5"
    assert lines[-1] == "1 passed, 1 failed"
    assert main([str(both), "--only", "right"]) == 0


def test_files_that_are_no_cases_end_with_status_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Broken JSON, no list, a case without estimator, no file: told on stderr."""
    for text in ("{", "{}", '[{"id": 1}]'):
        file = tmp_path / "bad.json"
        file.write_text(text, encoding="utf-8")
        assert main([str(file)]) == 3
        assert "bad.json" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.json")]) == 3
    assert "absent.json" in capsys.readouterr().err


def test_empty_cells_and_na_are_missing_but_other_words_are_not(tmp_path: Path) -> None:
    """A group called None or null stays a group."""
    (tmp_path / "t.csv").write_text("g,x\nNone,1\nnull,\nNA,3\n", encoding="utf-8")
    frame = read_tables([case(data="t.csv")], tmp_path)["t.csv"]
    assert frame["g"].tolist()[:2] == ["None", "null"]
    assert frame["g"].isna().tolist() == [False, False, True]
    assert frame["x"].isna().tolist() == [False, True, False]


def test_r_writes_empty_lists_and_they_are_read(tmp_path: Path) -> None:
    """Columns and args given as [] are empty mappings."""
    file = tmp_path / "c.json"
    file.write_text(
        json.dumps([{"id": "a", "estimator": "x", "columns": [], "args": [], "expected": {}}]),
        encoding="utf-8",
    )
    one = load_cases(file)[0]
    assert (dict(one.columns), dict(one.args), one.data) == ({}, {}, None)
    with pytest.raises(DataError, match="names no column"):
        one.series(table(), "time")


def test_handlers_of_all_modules_are_found() -> None:
    """The runner knows at least the estimators of these two modules."""
    assert set(OWN) <= set(all_handlers())
