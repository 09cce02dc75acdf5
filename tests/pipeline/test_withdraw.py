"""Who stands in withdrawn.csv leaves the cohort, is counted, and does not come back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from metastra.errors import DataError
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.synthetic.generate import synthetic_study

HEADER = "PATIENT,cohort,date,reason\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, content in synthetic_study(n_patients=120, seed=5).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def cohort_of(folder: Path) -> dict[str, str]:
    """Run the first stage; say what became of it."""
    run_study(open_study(folder), only="cohort")
    with (folder / "run" / "cohort.csv").open(newline="") as stream:
        return {row["pseudonym"]: row["cohort"] for row in csv.DictReader(stream)}


def excluded(folder: Path) -> dict[tuple[str, str], int]:
    flow = json.loads((folder / "run" / "flow.json").read_bytes())
    return {
        (cohort["cohort"], step["reason"]): step["patients"]
        for cohort in flow["cohorts"]
        for step in cohort["excluded"]
    }


def test_a_withdrawn_patient_leaves_and_is_counted_and_everybody_else_stays(folder):
    before, gone_before = cohort_of(folder), excluded(folder)
    patient, cohort = next(iter(before.items()))
    (folder / "withdrawn.csv").write_text(f"{HEADER}{patient},{cohort},2026-11-27,asked\n")
    after = cohort_of(folder)
    assert set(before) - set(after) == {patient}
    assert set(after) < set(before)
    assert excluded(folder) == gone_before | {(cohort, "withdrawn"): 1}
    assert patient not in (folder / "run" / "cohort.csv").read_text()
    results = run_study(open_study(folder), only="cohort").results
    assert {item.done for item in results if item.stage == "cohort"} == {"up to date"}


def test_a_list_under_another_key_warns_because_it_excludes_nobody(folder):
    cohort = open_study(folder).study.cohort[0].name
    (folder / "withdrawn.csv").write_text(f"{HEADER}P-0000000000,{cohort},2026-11-27,\n")
    found = [item for item in open_study(folder).check().problems if item.code == "CO047"]
    assert [item.patients for item in found] == [("P-0000000000",)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PATIENT\nP-0000000000\n", "expected PATIENT, cohort, date, reason"),
        (f"{HEADER}someone,nowhere,2026-11-27,\n", "rows 2"),
        (f"{HEADER}P-0000000000\n", "row 2 has 1 cells"),
        ("", "no header"),
    ],
)
def test_a_damaged_list_is_refused_and_excludes_nobody_silently(folder, text, words):
    (folder / "withdrawn.csv").write_text(text)
    with pytest.raises(DataError, match=words) as refused:
        open_study(folder).check()
    assert "someone" not in str(refused.value)
