"""The command line of a prospective study: locked models of both kinds, exit codes, words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bundle.test_bundle_external import describe, expected
from ledger.ledger_study import PROTOCOL
from metastra.cli.app import app
from metastra.ledger.opening import opened
from metastra.ledger.predictions import open_prediction
from metastra.ledger.sealing import load_custodian_private
from metastra.ledger.state import replay
from metastra.storage import hold

RUNNER = CliRunner()
SCREENED = "PATIENT,DATE,age,stage\nn1,2026-02-01,61,II\nn2,2026-02-01,70,III\n"
ENROLLED = "PATIENT,DATE\nn1,2026-02-05\nn2,2026-02-05\n"


def call(*words: object, code: int = 0) -> dict:
    """One command with --json."""
    done = RUNNER.invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Keys, a foreign model that is locked with its program, and a study begun with it."""
    folder = tmp_path_factory.mktemp("place")
    call("prospective", "keys", folder / "custodian.pem")
    call("prospective", "keys", folder / "sponsor.pem", "--signing")
    for name, mode in (("model", "good"), ("other", "environment")):
        description = describe(folder / f"{name}-source", mode)
        call("lock", "--external", description, "--key", folder / "sponsor.pem",
             "--out", folder / name)  # fmt: skip
    text = PROTOCOL.replace('[bundle]\ndigest = "{bundle}"\n', "")
    text = text.replace("planned_n = 6", "planned_n = 12")
    (folder / "protocol.toml").write_text(text.replace("custodian.pub", "custodian.pem.pub"))
    begun = call("prospective", "init", folder / "study", folder / "protocol.toml", "--bundle",
                 folder / "model", "--at", "2026-01-20")  # fmt: skip
    assert begun["bundle"] == call("verify", folder / "model")["bundle"]
    (folder / "s.csv").write_text(SCREENED)
    (folder / "e.csv").write_text(ENROLLED)
    for verb, table in (("screen", "s.csv"), ("enrol", "e.csv")):
        call("prospective", verb, folder / "study", folder / table, "--centre", "north",
             "--at", "2026-02-06")  # fmt: skip
    return folder


def test_a_foreign_model_predicts_and_its_risks_are_sealed(place):
    """The locked program runs for a trusted signer; the custodian finds its risks."""
    words = ("prospective", "predict", place / "study", place / "s.csv", "--centre", "north",
             "--at", "2026-02-07", "--bundle")  # fmt: skip
    assert call(*words, place / "other", code=5)["kind"] == "LockedError"
    assert "--trust" in call(*words, place / "model", code=2)["error"]
    done = call(*words, place / "model", "--trust", place / "sponsor.pem.pub")

    assert (done["recorded"], done["assessable"]) == (2, 2)
    ledger = opened(place / "study")
    key = load_custodian_private(place / "custodian.pem")
    risks = [open_prediction(ledger, one, key).risk for one in replay(ledger).of_centre("north")]
    assert risks == pytest.approx([expected(61, "II")[0], expected(70, "III")[0]])
    assert "risk" not in json.dumps(done["entries"])


def test_a_protocol_with_another_digest_than_the_bundle_is_refused(place, tmp_path):
    """What the protocol names and what is given must be one model."""
    text = (place / "protocol.toml").read_text().replace("custodian.pem.pub", "c.pub")
    (tmp_path / "c.pub").write_text((place / "custodian.pem.pub").read_text())
    digest = "sha256:" + "cd" * 32
    named = text.replace("[seal]", f'[bundle]\ndigest = "{digest}"\n[seal]')
    (tmp_path / "protocol.toml").write_text(named)
    words = ("prospective", "init", tmp_path / "study", tmp_path / "protocol.toml")

    assert (
        digest in call(*words, "--bundle", place / "model", "--at", "2026-01-20", code=5)["error"]
    )
    (tmp_path / "protocol.toml").write_text(text)
    assert "names no model" in call(*words, "--at", "2026-01-20", code=2)["error"]
    assert not (tmp_path / "study").exists()


def test_a_study_is_frozen_before_its_first_patient(place, tmp_path):
    """After the first day of accrual it is too late."""
    words = ("prospective", "init", tmp_path / "study", place / "protocol.toml")
    found = call(*words, "--bundle", place / "model", "--at", "2026-03-01", code=2)

    assert "frozen before its first patient" in found["error"]


def test_a_real_study_takes_no_stated_time(place, tmp_path):
    """--at is for played studies only; a real entry has the time of the clock."""
    text = (place / "protocol.toml").read_text().replace("simulated = true", "simulated = false")
    for old, new in (("2026-01-30", "2126-01-30"), ("2027-01-30", "2127-01-30"),
                     ("2029-01-30", "2129-01-30")):  # fmt: skip
        text = text.replace(old, new)
    (tmp_path / "custodian.pem.pub").write_text((place / "custodian.pem.pub").read_text())
    (tmp_path / "protocol.toml").write_text(text)
    words = ("prospective", "init", tmp_path / "study", tmp_path / "protocol.toml", "--bundle",
             place / "model")  # fmt: skip

    assert "only a study marked as simulated" in call(*words, "--at", "2026-01-20", code=2)["error"]
    begun = call(*words)
    assert begun["simulated"] is False
    assert "simulated" in call("prospective", "status", tmp_path / "study", "--at", "2026-02-01",
                               code=2)["error"]  # fmt: skip


def test_exit_codes_of_the_contract(place, tmp_path, monkeypatch):
    """2 usage, 3 refused, 5 integrity, 6 busy; each says what to do."""
    monkeypatch.setattr("metastra.ledger.opening._WAIT_S", 0.05)
    study, table = place / "study", place / "s.csv"
    words = ("prospective", "screen", study, table, "--centre")
    assert "no centre 'west'" in call(*words, "west", code=2)["error"]
    assert "begins one from a protocol" in call("prospective", "status", tmp_path, code=2)["error"]
    bad = tmp_path / "bad.csv"
    bad.write_text("PATIENT,DATE,age\nx,2026-02-01,60\n")
    refused = call("prospective", "screen", study, bad, "--centre", "north", code=3)
    assert [p["code"] for p in refused["problems"]] == ["CO007"]
    with hold(study):
        busy = call(*words, "north", "--at", "2026-02-08", code=6)
    assert "in use by" in busy["error"]
    analysis = ("prospective", "analyse", study, "--out", tmp_path / "r", "--custodian-key",
                place / "custodian.pem")  # fmt: skip
    assert "--sign-key" in call(*analysis, "--at", "2029-02-01", code=2)["error"]
    early = call(*analysis, "--sign-key", place / "sponsor.pem", "--at", "2029-02-01", code=5)
    assert "lock-data" in early["error"]


def test_the_words_of_init_and_verify(place):
    """A person reads what the study cannot show, and what a verification cannot."""
    verified = RUNNER.invoke(app, ["prospective", "verify", str(place / "study")])

    assert verified.exit_code == 0, verified.output
    assert "SIMULATED study small holds" in verified.output
    assert "no anchor from outside" in verified.output
    assert "cut" in verified.output
    found = call("prospective", "status", place / "study", "--at", "2026-09-01")
    assert any("an anchor" in line for line in found["due"])


def test_an_analysis_without_events_says_so_and_is_still_the_one(place, tmp_path):
    """No event: no AUC, no invented number; the report stands and cannot be made again."""
    import shutil

    study = tmp_path / "study"
    shutil.copytree(place / "study", study)
    for key in place.glob("study-*.key"):
        shutil.copy(key, tmp_path / key.name)
    table = tmp_path / "risks.csv"
    digest = opened(study).protocol.bundle.digest
    table.write_text(f"PATIENT,risk,bundle\nn1,0.1,{digest}\nn2,0.2,{digest}\n")
    if not any(s.predict for s in replay(opened(study)).of_centre("north")):
        call("prospective", "predict", study, table, "--centre", "north", "--at", "2026-02-07")
    table.write_text("PATIENT,DATE,EVENT\nn1,2028-03-01,0\nn2,2028-03-02,2\n")
    call("prospective", "outcome", study, table, "--centre", "north", "--at", "2028-04-01")
    call("prospective", "lock-data", study, "--at", "2029-02-01")

    words = ("prospective", "analyse", study, "--out", tmp_path / "report", "--custodian-key",
             place / "custodian.pem", "--sign-key", place / "sponsor.pem", "--at")  # fmt: skip
    done = call(*words, "2029-02-02")

    primary = done["analysis"]["primary"]
    assert (primary["estimate"], primary["reached"], primary["events"]) == (None, False, 0)
    assert primary["reason"]
    assert "Not estimable" in (tmp_path / "report" / "report.html").read_text()
    assert "analysed already" in call(*words, "2029-02-03", code=5)["error"]
