"""The handlers on made-up cases: forms of the format that the three files do not use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from metastra.errors import DataError
from metastra.survival.cox import fit_cox
from metastra.survival.outcome import Outcome
from metastra.testing.reference.data import Case
from metastra.testing.reference.expressions import evaluate, select_rows
from metastra.testing.reference.nonparametric import HANDLERS as NONPARAMETRIC
from metastra.testing.reference.regression import HANDLERS as REGRESSION
from metastra.testing.reference.regression import predict_rows


def frame(seed: int = 1, n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    time = np.ceil(rng.exponential(4.0 * np.exp(-0.5 * x)) * 2) / 2
    table = pd.DataFrame({"t": time, "s": rng.integers(0, 3, n), "x": x, "z": rng.normal(size=n)})
    table["g"] = rng.integers(8, 12, n)
    table["site"] = rng.choice(["b", "A"], n)
    table.loc[::10, "z"] = np.nan
    return table


def run(estimator: str, columns: dict[str, Any], args: dict[str, Any], **more: Any) -> Any:
    one = Case(
        id="a",
        estimator=estimator,
        data="t",
        columns=columns,
        args=args,
        expected=more.get("expected", {}),
    )
    return {**NONPARAMETRIC, **REGRESSION}[estimator](one, more.get("table", frame()))


def test_expressions_stand_for_columns() -> None:
    """An event may be a comparison and a time may be arithmetic."""
    direct = run("kaplan_meier", {"time": "t", "event": "s == 1"}, {"times": 2})
    table = frame().assign(e=lambda d: (d["s"] == 1).astype(int), u=lambda d: d["t"])
    assert direct["surv"] == pytest.approx(
        run("kaplan_meier", {"time": "u", "event": "e"}, {"times": [2]}, table=table)["surv"]
    )
    shifted = run("kaplan_meier", {"time": "(t + x)/12 - x/12", "event": "s==1"}, {"times": 2 / 12})
    assert shifted["n_risk"] == direct["n_risk"]


def test_a_single_covariate_may_be_a_bare_name() -> None:
    """R unboxes one name; rows with missing covariates are left out as na.omit does."""
    result = run("cox", {"time": "t", "event": "s==1", "x": "z"}, {})
    assert result["names"] == ["z"]
    assert result["n"] == frame()["z"].notna().sum()


def test_strata_and_clusters_may_be_combined_and_plural() -> None:
    """Two strata columns make one label for each pair of values."""
    table = frame().assign(e=lambda d: (d["s"] == 1).astype(int))
    columns = {"time": "t", "event": "e", "x": ["x"], "strata": ["site", "g"], "cluster": "g"}
    result = run("cox_stratified_cluster", columns, {"ties": "breslow"}, table=table)
    label = table["site"] + "/" + table["g"].astype(str)
    model = fit_cox(
        Outcome(time=table["t"], event=table["e"]),
        table[["x"]],
        strata=label.to_numpy(),
        cluster=table["g"].to_numpy(),
        ties="breslow",
    )
    assert result["coef"] == pytest.approx(model.coef)
    assert result["robust_se"] == pytest.approx(model.robust_std_error)


def test_group_labels_come_in_the_order_of_r() -> None:
    """Text in the order the case gives (R's locale), numbers counted in numeric order."""
    columns = {"time": "t", "event": "s==1", "group": "site"}
    plain = run("logrank", columns, {"rho": 0})
    asked = run("logrank", columns, {"rho": 0}, expected={"groups": ["b", "A"]})
    assert plain["groups"] == ["A", "b"]
    assert asked["groups"] == ["b", "A"]
    assert asked["observed"].tolist() == plain["observed"].tolist()[::-1]
    numeric = run("logrank", {**columns, "group": "g"}, {"rho": 0})
    assert numeric["groups"] == ["10", "11", "8", "9"]
    counts = [int(((frame()["g"] == g) & (frame()["s"] == 1)).sum()) for g in (8, 9, 10, 11)]
    assert numeric["observed"].tolist() == counts


def test_gray_reports_every_cause_that_occurs() -> None:
    """One statistic for each cause, strata honoured."""
    columns = {"time": "t", "status": "s", "group": "site"}
    plain = run("gray_test", columns, {})
    assert plain["df"] == [1, 1]
    stratified = run("gray_test", {**columns, "strata": "g"}, {})
    assert stratified["stat"] != pytest.approx(plain["stat"])


@pytest.mark.parametrize(
    ("asked", "first", "count"),
    [
        ("rows 1-5", 0, 5),
        ("row 3", 2, 1),
        ("first 4 rows", 0, 4),
        ("first 5 complete-case rows", 1, 5),
        ([2, 4], 1, 2),
        (7, 6, 1),
        (None, 0, 120),
    ],
)
def test_rows_to_predict(asked: Any, first: int, count: int) -> None:
    """Spans, counts, complete cases and lists of numbers."""
    one = Case(
        id="a",
        estimator="cox_predict_survival",
        data="t",
        columns={"x": ["x", "z"]},
        args={} if asked is None else {"predict_rows": asked},
        expected={},
    )
    chosen = predict_rows(one, frame())
    assert len(chosen) == count
    assert chosen["x"].iloc[0] == frame()["x"].iloc[first]


def test_rows_to_predict_that_are_not_understood_are_refused() -> None:
    """No guess is made."""
    one = Case(
        id="a", estimator="x", data="t", columns={}, args={"predict_rows": "some"}, expected={}
    )
    with pytest.raises(DataError, match="not understood"):
        predict_rows(one, frame())


def test_a_switch_after_the_end_or_at_the_start_is_handled() -> None:
    """Time-dependent rows: no switch one row, a switch inside two, one at 0 only the later."""
    table = pd.DataFrame(
        {
            "id": range(6),
            "t": [4.0, 5.0, 6.0, 7.0, 3.0, 8.0],
            "d": [1, 0, 1, 1, 1, 0],
            "r": [1, 0, 1, 1, 0, 1],
            "rt": [2.0, 5.0, 6.0, 0.0, 3.0, 1.0],
            "x": [0.1, 0.4, 0.3, 0.9, 0.2, 0.5],
        }
    )
    columns = {"id": "id", "time": "t", "event": "d", "switch_time": "rt", "switch": "r", "x": "x"}
    split = "state = 0 before the switch, 1 after; switch time = min(rt, t-0.5)"
    result = run("cox_time_dependent", columns, {"split": split}, table=table)
    assert result["names"] == ["state", "x"]
    assert result["n"] == 2 + 1 + 2 + 1 + 1 + 2
    landmark = run("cox_landmark", columns, {"landmark": 2}, table=table)
    assert landmark["names"] == ["r", "x"]
    assert landmark["n"] == 6


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a > 1 and b == 'x'", [False, False, False, True]),
        ("a > 1 | b == 'x & y'", [False, True, True, True]),
        ("!(a == 1)", [True, False, True, True]),
        ("is.na(a)", [True, False, False, False]),
        ("a %in% c(1, 3)", [False, True, False, True]),
        ("1 < a <= 2", [False, False, True, False]),
        ("pmin(a, 2) == 2", [False, False, True, True]),
        ("ifelse(a > 1, 1, 0) == 1 && c.d >= 4", [False, False, False, True]),
        ("a not in [1, 2]", [True, False, False, True]),
        ("-a^2 < -3", [False, False, True, True]),
    ],
)
def test_expressions_of_r_and_python_are_understood(text: str, kept: list[bool]) -> None:
    """Comparisons, logic, membership, missing values and dotted names; missing is not true."""
    table = pd.DataFrame(
        {"a": [np.nan, 1.0, 2.0, 3.0], "b": ["x", "x & y", "z", "x"], "c.d": [1, 2, 3, 4]}
    )
    assert [bool(value) for value in evaluate(text, table)] == kept


@pytest.mark.parametrize("text", ["__import__('os')", "a.b()", "[x for x in a]", "open(a)", "a b"])
def test_expressions_run_no_code(text: str) -> None:
    """Anything but arithmetic over columns is refused."""
    with pytest.raises(DataError):
        evaluate(text, pd.DataFrame({"a": [1.0]}))


def test_a_constant_expression_fills_the_column() -> None:
    """A number is a column of that number."""
    assert evaluate("2 + 1", pd.DataFrame({"a": [1, 2]})).tolist() == [3, 3]


def test_several_columns_may_be_asked_to_be_present() -> None:
    """Words between names are passed over."""
    table = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": [1.0, 2.0, np.nan]})
    assert len(select_rows("a and b not missing", table, {})) == 1
    assert len(select_rows("complete cases of x, b", table, {"x": ["a"]})) == 1
