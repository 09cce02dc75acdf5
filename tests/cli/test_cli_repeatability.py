"""``metastra repeatability`` end to end: numbers, page, JSON and exit codes."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from metastra.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, ["repeatability", *map(str, arguments)])


@pytest.fixture
def repeats(tmp_path):
    rng = np.random.default_rng(0)
    first = rng.uniform(0.02, 0.5, 40)
    lines = ["PATIENT,scan,risk"]
    for name, noise in (("one", 0.0), ("two", 0.02)):
        for i, risk in enumerate(np.clip(first + rng.normal(0.0, noise, 40), 0.01, 0.99)):
            lines.append(f"SECRET{i},{name},{risk:.4f}")
    path = tmp_path / "repeats.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_page_and_json_hold_the_same_numbers_and_no_ids(repeats, tmp_path):
    """Every number the page marks stands in the JSON; research use is said; no study id leaks."""
    out = tmp_path / "out"
    options = ["--condition", "scan", "--reference", "one", "--risk", "risk", "--cutpoint", "0.1"]
    done = run(repeats, *options, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    page = (out / "report.html").read_text()
    text = (out / "repeatability.json").read_text()
    assert json.loads(done.stdout)["repeatability"] == json.loads(text)
    shown = {float(value) for value in re.findall(r'data-estimate="([^"]+)"', page)}
    stored = {float(value) for value in re.findall(r'"estimate": ([-0-9.e]+)', text)}
    assert shown
    assert shown <= stored
    assert "Research use only" in page
    assert "SECRET" not in page + text + done.output
    assert {path.name for path in (out / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("icc", "switch-rate") for kind in ("svg", "png")
    }


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        (["--reference", "zero"], 3, "EV041"),
        (["--risk", "hazard"], 3, "hazard"),
        (["--decimal", ";"], 2, "neither a point nor a comma"),
        (["--risk-score", "risk"], 2, "either --risk COL or --risk-score COL"),
        (["--cutpoint", "0.2", "--cutpoint", "0.1"], 2, "must ascend"),
    ],
)
def test_wrong_use_has_its_exit_code_and_remedy(repeats, tmp_path, changed, code, words):
    """Refused data exit 3, wrong options 2, and nothing is written."""
    options = ["--condition", "scan", "--reference", "one", "--risk", "risk", *changed]
    done = run(repeats, *options, "--out", tmp_path / "out")
    assert done.exit_code == code
    assert words in done.output
    assert not (tmp_path / "out").exists()
