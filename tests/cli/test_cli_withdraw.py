"""`metastra withdraw`: by id, in words and as JSON; what is refused."""

from __future__ import annotations

import csv
import json


def first_patient(study):
    with (study / "run/cohort.csv").open(newline="") as stream:
        row = next(csv.DictReader(stream))
    return row["PATIENT"], row["pseudonym"]


def test_a_patient_is_withdrawn_and_the_same_command_again_changes_nothing(finished, metastra):
    """The id is asked for and never shown; run then makes the rest without him."""
    patient, pseudonym = first_patient(finished)
    done = metastra("withdraw", patient, finished, "--date", "2026-11-27", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["listed_now"] is True
    assert told["patients"] == [{"patient": pseudonym, "cohort": "north"}]
    assert patient not in done.stdout + done.stderr
    assert any(line.startswith("report, whole") for line in told["deleted"])

    again = metastra("withdraw", pseudonym, cwd=finished)
    assert again.returncode == 0, again.stderr
    assert "stood in withdrawn.csv already" in again.stdout
    assert "no product holds anything of this patient" in again.stdout
    assert "Research use only" in again.stderr

    assert metastra("run", finished).returncode == 0
    assert patient not in (finished / "run/cohort.csv").read_text()


def test_nobody_and_no_key(finished, metastra):
    """Exit 2, with what to do."""
    nobody = metastra("withdraw", "nobody", finished, "--json")
    assert nobody.returncode == 2
    assert "give it as the clinical table has it" in json.loads(nobody.stdout)["error"]
    (finished / "study.key").unlink()
    lost = metastra("withdraw", first_patient(finished)[0], finished)
    assert lost.returncode == 2
    assert "--key" in lost.stderr
    assert not (finished / "study.key").exists()
