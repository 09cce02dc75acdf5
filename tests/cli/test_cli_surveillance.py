"""``metastra surveillance`` on a published validation set: numbers, page, exit codes."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

from metastra.cli.app import app

POLICIES = """
[[policy]]
name = "same"
scans = [1, 2, 3, 4, 5]
[[policy]]
name = "by risk"
[policy.groups]
low = [2, 5]
high = [0.5, 1, 1.5, 2, 3, 4, 5]
"""


def run(*arguments):
    return CliRunner().invoke(app, ["surveillance", *map(str, arguments)])


@pytest.fixture
def options(shared, tmp_path):
    data = shared / "data" / "survival"
    outcomes = pd.read_csv(data / "breast_cr_validation.csv")
    risks = pd.read_csv(data / "breast_cr_validation_reference_predictions.csv")
    table = outcomes.merge(risks, on="id")
    table["id"] = "SECRET" + table["id"].astype(str)
    table.to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "policies.toml").write_text(POLICIES)
    words = "--id id --time time --event status_num --horizon 5 --time-unit years"
    risk = "--risk predicted_risk_5y_cause1 --cutpoint 0.12 --bootstrap 100 --combine ncat"
    return [
        tmp_path / "table.csv",
        *("--policies", tmp_path / "policies.toml", *words.split(), *risk.split()),
        *("--out", tmp_path / "out"),
    ]


def test_page_and_json_hold_the_same_numbers_and_no_ids(options, tmp_path):
    """The page prints the JSON's numbers, says what it is for, and names nobody."""
    done = run(*options, "--json")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "surveillance.json").read_text()
    page = (tmp_path / "out" / "report.html").read_text()
    document = json.loads(text)
    assert json.loads(done.stdout)["surveillance"] == document
    shown = {float(value) for value in re.findall(r'data-estimate="([^"]+)"', page)}
    stored = {float(value) for value in re.findall(r'"estimate": ([-0-9.e+]+)', text)}
    assert len(shown) > 10
    assert shown <= stored
    assert "Research use only" in page
    assert "SECRET" not in page + text + done.output
    # observed recurrence by 5 years, Aalen-Johansen: with perfect scans to 5 all are found
    assert document["policies"][0]["found"]["estimate"] == pytest.approx(103, abs=1)
    assert any("dated at their detection" in line for line in document["warnings"])


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--sensitivity", "1.5"], 2, "sensitivity"),
        (["--combine", "stage"], 3, "stage"),
        (["--horizon", "9"], 3, "EP016"),
        (["--combine", "id"], 3, "EV013"),
    ],
)
def test_wrong_use_has_its_exit_code(options, tmp_path, more, code, words):
    """Wrong options exit 2, refused data 3; nothing is written."""
    done = run(*options, *more)
    assert done.exit_code == code, done.output
    assert words in done.output
    assert not (tmp_path / "out").exists()


def test_faulty_policies_exit_2_with_every_fault(options, tmp_path):
    """Both faults of the file are told."""
    (tmp_path / "policies.toml").write_text('[[policy]]\nnames = "x"\nscans = [2, 1]\n')
    done = run(*options)
    assert done.exit_code == 2
    assert "'name'?" in done.output
    assert "has no name" in done.output
