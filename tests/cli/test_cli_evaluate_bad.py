"""Everything that a table can have wrong, through the command line: code, rows, remedy, exit 3."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from metastra.cli.app import app

N = 40


def table():
    """A clean wide table with ids that must never be seen again."""
    return pd.DataFrame(
        {
            "PATIENT": [f"SECRET{i:02d}" for i in range(N)],
            "time": np.round(np.linspace(1.5, 9.5, N), 2).astype(object),
            "event": np.array(([0, 1, 2] * N)[:N]).astype(object),
            "risk": np.round(np.linspace(0.05, 0.8, N), 3).astype(object),
            "score": np.round(np.linspace(-3.0, 4.0, N), 2).astype(object),
            "entry": np.full(N, 0.5).astype(object),
            "age": np.linspace(40.0, 80.0, N).astype(object),
            "arm": np.array((["yes", "no"] * N)[:N]).astype(object),
        }
    )


def put(column, value, *rows):
    """A change of some cells, all of them without rows."""

    def change(frame):
        frame.loc[list(rows) if rows else frame.index, column] = value
        return frame

    return change


def commas(frame):
    """Numbers as a German spreadsheet writes them."""
    for column in ("time", "risk"):
        frame[column] = frame[column].map(lambda value: str(value).replace(".", ","))
    return frame


def twice(frame):
    """The fifth patient again."""
    return pd.concat([frame, frame.iloc[[4]]])


ONE = (1, *(0 for _ in range(N - 1)))
RISK = ("--risk", "risk")
SCORE = ("--risk-score", "score")
BAD = {
    "negative time": (put("time", -2, 3), RISK, "EP005", [5]),
    "zero time": (put("time", 0, 1, 5), RISK, "EP006", [3, 7]),
    "NaN time": (put("time", "NaN", 3), RISK, "EP004", [5]),
    "event without time": (put("time", "", 4), RISK, "EP004", [6]),
    "NaN event": (put("event", "nan", 3), RISK, "EP002", [5]),
    "NaN risk": (put("risk", "nan", 4), RISK, "EV006", [6]),
    "word as cause": (put("event", "relapse", 3), RISK, "EP001", [5]),
    "unknown cause": (put("event", 9, 3, 8), RISK, "EV015", [5, 10]),
    "cause that never occurs": (None, (*RISK, "--cause", "5"), "EV011", []),
    "constant risks": (put("risk", 0.3), RISK, "EV005", []),
    "constant scores": (put("score", 2), SCORE, "EV005", []),
    "all censored": (put("event", 0), RISK, "EV011", []),
    "one event": (lambda frame: frame.assign(event=ONE), RISK, "EV011", []),
    "risk above 1": (put("risk", 1.2, 3), RISK, "EV001", [5]),
    "risk below 0": (put("risk", -0.1, 3), RISK, "EV001", [5]),
    "percentages": (
        lambda frame: frame.assign(risk=[100.0 * r for r in frame.risk]),
        RISK,
        "EV001",
        list(range(2, N + 2)),
    ),
    "score where a risk is meant": (None, ("--risk", "score"), "EV002", None),
    "risk where a score is meant": (None, ("--risk-score", "risk"), "EV003", []),
    "horizon past follow-up": (None, (*RISK, "--horizon", "50"), "EP016", []),
    "patient twice": (twice, RISK, "CO011", [6, 42]),
    "undeclared decimal comma": (commas, RISK, "CO031", list(range(2, N + 2))),
    "dates instead of days": (put("time", "2021-05-01"), RISK, "EV012", list(range(2, N + 2))),
    "some dates": (put("time", "01.05.2021", 3, 9), RISK, "EV012", [5, 11]),
    "days called years": (
        lambda frame: frame.assign(time=np.arange(N) * 60 + 400),
        RISK,
        "EP008",
        [41],
    ),
    "entry after the end": (put("entry", 9.9, 3), (*RISK, "--entry", "entry"), "EP007", [5]),
    "free text as covariate": (
        lambda frame: frame.assign(age=[f"about {i}" for i in range(N)]),
        (*RISK, "--adjust", "age"),
        "EV014",
        [],
    ),
    "treatment in words": (put("arm", "maybe", 2), (*RISK, "--treatment", "arm"), "CO037", [4]),
    "column that is not there": (None, (*RISK, "--adjust", "stage"), "CO007", []),
}


def run(path, out, *more):
    """Call the command line in this process."""
    horizon = () if "--horizon" in more else ("--horizon", "5")
    given = [
        "evaluate", path, "--time", "time", "--event", "event", *horizon, "--time-unit", "years",
        "--bootstrap", "0", "--out", out, *more,
    ]  # fmt: skip
    return CliRunner().invoke(app, [str(one) for one in given])


@pytest.mark.parametrize("fault", BAD)
def test_each_fault_has_its_code_its_rows_and_the_remedy(tmp_path, fault):
    """Exit 3, one problem with file, rows and what to do; no id is shown, nothing is written."""
    change, options, code, rows = BAD[fault]
    frame = table() if change is None else change(table())
    path = tmp_path / "p.csv"
    separator = ";" if fault == "undeclared decimal comma" else ","
    frame.to_csv(path, index=False, sep=separator)
    more = ("--delimiter", ";") if separator == ";" else ()
    done = run(path, tmp_path / "out", *options, *more, "--json")
    assert done.exit_code == 3, done.output
    told = {one["code"]: one for one in json.loads(done.stdout)["problems"]}
    assert code in told, told
    found = told[code]
    assert found["file"] == "p.csv"
    assert found["hint"]
    if rows is not None:
        assert found["rows"] == rows
    assert "SECRET" not in done.output
    assert not (tmp_path / "out").exists()


def test_tables_of_other_patients_are_refused_with_their_column(tmp_path):
    """No id in common: the column and what to look at are named; accepting it makes no sense."""
    frame = table()
    frame[["PATIENT", "risk"]].to_csv(tmp_path / "p.csv", index=False)
    others = frame[["PATIENT", "time", "event"]].assign(PATIENT=[f"OTHER{i}" for i in range(N)])
    others.to_csv(tmp_path / "o.csv", index=False)
    done = run(
        tmp_path / "p.csv", tmp_path / "out", *RISK, "--outcomes", tmp_path / "o.csv", "--json"
    )
    assert done.exit_code == 3
    found = json.loads(done.stdout)["problems"][0]
    assert (found["code"], found["file"], found["column"]) == ("EV009", "p.csv", "PATIENT")
    assert "--id" in found["hint"]
    some = others.assign(PATIENT=frame["PATIENT"]).iloc[:30]
    some.to_csv(tmp_path / "o.csv", index=False)
    done = run(
        tmp_path / "p.csv", tmp_path / "out", *RISK, "--outcomes", tmp_path / "o.csv", "--json"
    )
    told = json.loads(done.stdout)["problems"][0]
    assert told["rows"] == list(range(32, 42))


def test_the_remedies_that_are_named_work(tmp_path):
    """--decimal reads the commas, --accept EV015 takes the code 9 for a competing event."""
    commas(table()).to_csv(tmp_path / "c.csv", index=False, sep=";")
    refused = run(tmp_path / "c.csv", tmp_path / "out", *RISK, "--delimiter", ";", "--json")
    hint = json.loads(refused.stdout)["problems"][0]["hint"]
    assert "--decimal ," in hint
    frame = pd.read_csv(tmp_path / "c.csv", sep=";")
    for column in ("score", "entry", "age"):
        frame[column] = frame[column].astype(str).str.replace(".", ",")
    frame.to_csv(tmp_path / "c.csv", index=False, sep=";")
    done = run(
        tmp_path / "c.csv", tmp_path / "out", *RISK, "--delimiter", ";", "--decimal", ",", "--json"
    )
    assert done.exit_code == 0, done.output
    put("event", 9, 3)(table()).to_csv(tmp_path / "n.csv", index=False)
    done = run(tmp_path / "n.csv", tmp_path / "out2", *RISK, "--accept", "EV015", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["evaluation"]["competing"] == 14


def test_every_option_at_once_and_delayed_entry(tmp_path):
    """All analyses in one call; under delayed entry what is not defined is null with its reason."""
    rng = np.random.default_rng(3)
    n = 400
    score = rng.normal(size=n)
    first, censored = rng.exponential(1.0 / (0.2 * np.exp(score))), rng.uniform(1.0, 6.0, n)
    frame = pd.DataFrame(
        {
            "PATIENT": [f"P{i}" for i in range(n)],
            "time": np.minimum(first, censored) + 0.3,
            "event": (first <= censored).astype(int),
            "entry": rng.uniform(0.0, 0.25, n),
            "r1": -np.expm1(-0.2 * np.exp(score)),
            "r3": -np.expm1(-0.6 * np.exp(score)),
            "grade": rng.integers(1, 4, n),
            "site": np.array(["a", "b", "c"])[np.arange(n) % 3],
            "arm": np.arange(n) % 2,
        }
    )
    frame["before"] = np.where(frame.event == 1, frame.time - 0.1, np.nan)
    frame.to_csv(tmp_path / "p.csv", index=False)
    (tmp_path / "plan.toml").write_text('[primary]\nmeasure = "auc"\nhorizon = 3\nbound = 0.6\n')
    call = (
        "--risk", "r1", "--risk", "r3", "--horizon", "1", "--horizon", "3", "--cohort", "site",
        "--subgroup", "grade", "--adjust", "grade:category", "--describe", "site", "--treatment",
        "arm", "--randomised", "--recalibrate", "--landmark", "1", "--low-risk-limit", "0.3",
        "--cutpoint", "0.4", "--plan", tmp_path / "plan.toml", "--json",
    )  # fmt: skip
    done = run(tmp_path / "p.csv", tmp_path / "a", *call, "--last-negative", "before", "--grace",
               "0.2")  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["evaluation"]
    assert found["plan"]["primary"]["verdict"] == "met"
    assert found["recalibration"]["horizons"][1]["chosen"]
    assert found["landmark"][0]["calibration"][0]["slope"]["estimate"] is not None
    assert found["treatment"]["causal"]
    assert found["low_risk"]["verdict"] in {"met", "not met"}
    assert len(found["sensitivity"]["dating"]["rows"]) == 4
    assert found["pooled"]["measures"][0]["k"] == 3
    late = run(tmp_path / "p.csv", tmp_path / "b", *call, "--entry", "entry")
    assert late.exit_code == 0, late.output
    under = json.loads(late.stdout)["evaluation"]
    assert "delayed entry" in under["discrimination"]["auc"][1]["reason"]
    assert under["calibration"][1]["oe_ratio"]["estimate"] is not None
    assert under["adjusted"]["multivariable"][0]["estimate"] is not None
    assert under["risk_groups"]["groups"][0]["risk_at_horizon"]["estimate"] is not None
    assert (tmp_path / "b" / "report.html").is_file()


def test_a_cutpoint_where_no_risk_can_be_is_a_usage_error(tmp_path):
    """Exit 2 with what was expected, and nothing is written."""
    table().to_csv(tmp_path / "p.csv", index=False)
    done = run(tmp_path / "p.csv", tmp_path / "out", *RISK, "--cutpoint", "1.5")
    assert done.exit_code == 2, done.output
    assert "outside (0, 1)" in done.output
    assert not (tmp_path / "out").exists()
