"""`metastra design`: what a study of a given size can show."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from metastra.storage.encode import parse_json

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "plan-a-study.md"
WORDS = ["design", "--n", 160, "--risk", 0.12, "--horizon", 24, "--auc", 0.8]
ACCRUAL = ["--accrual-start", "2026-01-30", "--accrual-end", "2027-01-30"]
QUICK = [*WORDS, "--replicates", 100]


@pytest.fixture(scope="module")
def told(metastra) -> dict:
    """The document of a study with everything stated."""
    done = metastra(
        *QUICK,
        *("--competing", 0.03, "--lost", 0.05, "--baseline-auc", 0.75, "--parameters", 8),
        *(*ACCRUAL, "--json"),
    )
    assert done.returncode == 0, done.stderr
    return parse_json(done.stdout.encode())


def leaves(value, path=()):
    """Every mapping of a document with its place."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))


def test_every_result_has_its_method_and_its_source(told):
    """Measures, chances, power, hazard ratio and criteria."""
    for measure in told["measures"].values():
        assert measure["method"]
        assert measure["source"]
    for part in ("chance_auc_above", "added_value", "hazard_ratio"):
        assert told[part]["method"]
        assert told[part]["source"]
    for item in told["sample_size"]["validation"]:
        assert item["criterion"]
        assert item["source"]
    assert told["sample_size"]["development"]["source"]
    assert told["simulation"]["seed"] == told["assumed"]["seed"]
    assert told["research_use"].startswith("Research use only")


def test_null_stands_beside_a_reason(metastra):
    """Without a clinical model, and where nothing can be estimated."""
    done = metastra("design", "--n", 20, "--risk", 0.02, *WORDS[5:], *QUICK[-2:], "--json")
    told = parse_json(done.stdout.encode())

    assert told["added_value"]["power"] is None
    assert told["added_value"]["reason"]
    assert told["hazard_ratio"]["value"] is None
    assert told["hazard_ratio"]["reason"]
    for measure in told["measures"].values():
        assert (measure["range_95"] is None) == (measure["reason"] is not None)


def test_the_numbers_needed_are_those_of_riley(told):
    """714 and 713 as in R's pmvalsampsize."""
    needed = {item["measure"]: item["n"] for item in told["sample_size"]["validation"]}

    assert (needed["oe_ratio"], needed["auc"]) == (714, 713)


def test_the_calendar_ends_when_all_have_passed_the_horizon(told):
    """One row for each possible day; the last is planned."""
    rows = told["calendar"]["dates"]

    assert [row["date"] for row in rows][-1] == "2029-01-30"
    assert [row["planned"] for row in rows].count(True) == 1
    assert rows[-1]["planned"]
    assert told["assumed"]["calendar"]["analysis"] == "2029-01-30"


def test_the_file_holds_what_is_printed(metastra, tmp_path):
    """Strict JSON, the same twice to the byte."""
    first = metastra(*QUICK, "--out", tmp_path / "a", "--json")
    second = metastra(*QUICK, "--out", tmp_path / "b")
    written = [(tmp_path / name / "design.json").read_bytes() for name in "ab"]

    assert parse_json(written[0]) == json.loads(first.stdout)
    assert written[0] == written[1]
    assert "Research use only" in second.stdout
    assert "design.json" in second.stderr


def test_every_number_of_the_text_stands_in_the_document(metastra, tmp_path):
    """Ranges and chances, rounded."""
    text = metastra(*QUICK, "--out", tmp_path).stdout
    told = parse_json((tmp_path / "design.json").read_bytes())

    lower, upper = told["measures"]["auc"]["range_95"]
    assert f"{lower:.2f} to {upper:.2f}" in text
    for item in told["chance_auc_above"]["limits"]:
        assert re.search(rf"exceeds {item['limit']:g} +{item['chance']:.0%}", text)
    for sentence in told["cannot_show"]:
        assert " ".join(sentence.split()) in " ".join(text.split())


@pytest.mark.parametrize("as_json", [False, True])
def test_a_study_that_cannot_be_is_refused_with_all_that_is_wrong(metastra, as_json):
    """Exit 2; four problems in one message, in both voices."""
    words = ["design", "--n", 160, "--risk", 0, "--horizon", 24, "--auc", 0.5, "--lost", -0.1]
    words += ["--accrual-start", "2026-01-30", "--accrual-end", "2025-01-30"]
    done = metastra(*words, *(["--json"] if as_json else []))
    message = json.loads(done.stdout)["error"] if as_json else done.stderr

    assert done.returncode == 2
    for word in ("4 problems", "risk is 0", "auc is 0.5", "lost is -0.1", "accrual-end 2025-01-30"):
        assert word in message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--competing", 0.9], "add to 1.02"),
        (["--accrual-start", "2026-01-30"], "both --accrual-start and --accrual-end"),
        (
            [*ACCRUAL, "--analysis-date", "2025-01-30"],
            "not after accrual-start",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(metastra, more, message):
    """Exit 2 and the reason."""
    done = metastra(*QUICK, *more)

    assert done.returncode == 2
    assert message in done.stderr


def test_the_page_shows_what_the_command_prints(metastra):
    """The how-to's command, run now; and it takes less than 20 s."""
    text = PAGE.read_text(encoding="utf-8")
    command = re.search(r"```sh\nmetastra (.*?)```", text, re.DOTALL).group(1).replace("\\\n", " ")
    shown = re.search(r"```text\n(.*?)```", text, re.DOTALL).group(1)
    before = os.times()
    done = metastra(*shlex.split(command))

    assert done.stdout.strip() == shown.strip()
    after = os.times()
    assert after.children_user - before.children_user < 20
