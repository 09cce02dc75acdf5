"""The trial NCT07392567 played through, from `init` to the signed report, as users do it."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ledger.console_page import play
from metastra.cli.app import app
from metastra.digest import digest_file
from metastra.ledger.opening import opened
from metastra.signing import load_public, verify
from metastra.storage import FileOps, use_file_ops
from metastra.synthetic.trial import (
    QUOTAS,
    Trial,
    play_trial,
)

pytestmark = pytest.mark.slow
BUNDLE = "sha256:" + "5e" * 32
RUNNER = CliRunner()
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "run-a-prospective-study.md"


def call(*words: object, code: int = 0) -> dict:
    """Run a command in this process; its one JSON object."""
    done = RUNNER.invoke(app, ["prospective", *map(str, words), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


class Play:
    """The trial as the page plays it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.study = folder, folder / "study"
        self.steps = play(PAGE.read_text(), folder)
        self.trial: Trial = play_trial(BUNDLE)
        self.analysis = json.loads((folder / "report" / "prospective.json").read_text())
        self.look = json.loads((folder / "monitoring" / "look-1.json").read_text())
        self.receipt = sorted((self.study / "anchors").glob("receipt-*.json"))[-1]

    def pseudonym(self, centre: str, patient: str) -> str:
        from metastra.pseudonyms import Pseudonyms, load_or_create_key

        return Pseudonyms(load_or_create_key(self.folder / f"study-{centre}.key")).patient(patient)

    def analyse(self, out: str, *more: object, code: int) -> dict:
        return call(
            "analyse", self.study, "--out", self.folder / out,
            "--custodian-key", self.folder / "custodian.pem",
            "--sign-key", self.folder / "sponsor.pem", "--at", "2029-04-01", *more, code=code,
        )  # fmt: skip


class Quick(FileOps):
    """Without waiting for the disk, which is not what this file is about."""

    def sync(self, stream) -> None:
        pass

    def sync_folder(self, folder) -> None:
        pass


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Play:
    """The whole trial, once."""
    with use_file_ops(Quick()):
        return Play(tmp_path_factory.mktemp("trial"))


def test_the_page_shows_what_the_commands_print(done):
    """docs/how-to/run-a-prospective-study.md, word for word."""
    assert len(done.steps) > 20
    for step in done.steps:
        if step.shown:
            assert step.came == step.shown, step.command


def test_the_design_says_before_the_first_patient_what_cannot_be_shown(done):
    """About 16 events, and an AUC that may come out nearly anywhere useful."""
    events = done.analysis["design"]["patients"]["events_by_horizon"]
    assert events["lower"] + 3 >= 12
    assert 8 <= events["lower"] < events["mean"] < events["upper"] <= 26
    assert any(
        "calibration slope" in sentence for sentence in done.analysis["design"]["cannot_show"]
    )
    assert done.analysis["cannot_show"] == done.analysis["design"]["cannot_show"]
    page = (done.folder / "report" / "report.html").read_text()
    assert done.analysis["cannot_show"][0] in page


def test_every_figure_has_its_table_and_the_checks_are_on_the_page(done):
    """ROC and incidence in numbers; a slope from 15 events is called unreliable (EV040)."""
    page = (done.folder / "report" / "report.html").read_text()
    points = done.analysis["roc"][0]["points"]
    assert page.count("<svg") == page.count("Numbers of this figure") == 3
    assert f"{points[10]['sensitivity']:.3f}" in page
    codes = [check["code"] for check in done.analysis["issues"]]
    assert {"EV026", "EV040"} <= set(codes)
    assert "Calibration slope cannot be relied on" in page
    beside = done.analysis["declared"]["slope"]["bootstrap"]
    assert beside["draws"] > 0


def test_everybody_is_accounted_for(done):
    """Screened is judged and everybody who left, with why."""
    boxes = done.analysis["flow"]["boxes"]
    assert [box["name"] for box in boxes] == [
        "screened", "enrolled", "predicted", "assessable", "with outcome", "judged",
    ]  # fmt: skip
    for box, following in pairwise(boxes):
        assert following["n"] == box["n"] - sum(item["n"] for item in box["left"])
    n = {box["name"]: box["n"] for box in boxes}
    assert n["enrolled"] == 160
    reasons = {item["reason"]: item["n"] for box in boxes for item in box["left"]}
    assert reasons["withdrew; payloads deleted"] == 3
    assert reasons["not assessable: no tumour on the slide"] >= 1
    assert "not eligible: age" in reasons
    assert "not eligible: stage" in reasons


def rows_of(trial: Trial, name: str) -> list[dict[str, str]]:
    """Rows of all tables of one kind, in the order in which they were sent."""
    found = []
    for number in ("1", "2", "3", "4"):
        for centre in QUOTAS:
            for path in (f"{centre}/{number}-{name}.csv", f"{centre}/{name}-{number}.csv"):
                data = trial.files.get(path, b"").decode().splitlines()
                found += [row | {"batch": number} for row in csv.DictReader(data)]
    return found


def by_hand(trial: Trial) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days, codes and risks of the primary analysis, joined without the ledger."""
    gone = {patient for _, patient in trial.withdrawals}
    enrolled = {r["PATIENT"]: np.datetime64(r["DATE"]) for r in rows_of(trial, "enrolled")}
    risk = {r["PATIENT"]: float(r["risk"]) for r in rows_of(trial, "risks") if r["risk"]}
    last: dict[str, tuple] = {}
    for row in rows_of(trial, "outcomes"):
        day = np.datetime64(row["DATE"])
        if row["PATIENT"] == trial.mistake[1] and row["EVENT"] == "1":
            day = np.datetime64(trial.mistake[3])
        if last.get(row["PATIENT"], (None, 0, ""))[1] == 0:
            last[row["PATIENT"]] = (day, int(row["EVENT"]), row["LAST_NEGATIVE"])
    found = []
    for patient in sorted((enrolled.keys() & risk.keys() & last.keys()) - gone):
        day, code, before = last[patient]
        days = float((day - enrolled[patient]).astype(int))
        if code == 1 and before and 730.5 < days <= 730.5 + 3 * 365.25 / 12:
            negative = float((np.datetime64(before) - enrolled[patient]).astype(int))
            days = 730.5 if negative < 730.5 else days
        found.append((days, code, risk[patient]))
    days, codes, risks = map(np.array, zip(*found, strict=True))
    return days, codes, risks


def test_the_primary_result_agrees_with_the_tables_that_were_played(done):
    """The AUC of the ledger is that of the tables, joined by hand, without the ledger."""
    from metastra.survival.dynamic_auc import dynamic_auc
    from metastra.survival.outcome import Outcome

    primary = done.analysis["primary"]
    days, codes, risks = by_hand(done.trial)

    expected = dynamic_auc(Outcome(time=days, event=codes), risks, 730.5)

    assert primary["n"] == days.size
    assert primary["events"] == expected.events
    assert primary["estimate"] == pytest.approx(expected.estimate, abs=1e-12)
    assert primary["std_error"] == pytest.approx(expected.std_error, rel=1e-9)


def test_the_test_agrees_with_the_interval_beside_it(done):
    """Two-sided 95 % interval and one-sided 2.5 % test come from one statistic."""
    from scipy.special import expit, logit
    from scipy.stats import t

    primary = done.analysis["primary"]
    scale = primary["std_error"] / (primary["estimate"] * (1 - primary["estimate"]))
    low = expit(logit(primary["estimate"]) - t.isf(0.025, primary["events"] - 1) * scale)

    assert primary["interval"]["lower"] == pytest.approx(low, abs=1e-9)
    assert (primary["p_value"] < 0.025) == (low > primary["bound"])


def test_the_interim_look_spends_error_and_says_nothing_in_public(done):
    """The ledger holds events and error, not the estimate; the final bound is dearer."""
    study = opened(done.study)
    look = next(e for e in study.entries("study") if e.kind == "report")
    primary = done.analysis["primary"]

    begun = [e for e in study.entries("study") if e.kind == "analyse"]

    assert set(look.facts) == {"look", "name", "events", "spent", "reached"}
    assert set(begun[0].facts) == {"look", "name", "events", "spent", "attempt"}
    for e, result in zip(begun, (done.look["primary"], primary), strict=True):
        assert e.facts["events"] == result["events"]
        assert float(e.facts["spent"]) == result["spent"]
    listed = [(one["look"], one["attempt"], one["reported"]) for one in done.analysis["analyses"]]
    assert listed == [("1", 1, True), ("final", 1, True)]
    assert look.commitment is None
    assert 0 < float(look.facts["spent"]) < 0.025
    assert primary["z_bound"] > 1.95996
    assert primary["spent"] == 0.025
    estimate = repr(done.look["primary"]["estimate"])
    assert estimate not in (done.study / "ledger.jsonl").read_text()


def test_predictions_are_sealed_until_the_lock(done):
    """No risk can be read in the study's folder, not in a payload, a chain or a receipt."""
    risks = {
        row["risk"]
        for name, data in done.trial.files.items()
        if "risks" in name
        for row in csv.DictReader(data.decode().splitlines())
        if len(row["risk"]) >= 6
    }
    content = b"".join(p.read_bytes() for p in done.study.rglob("*") if p.is_file())
    assert len(risks) > 100
    assert not [risk for risk in risks if risk.encode() in content]


def test_flagged_and_late_outcomes_are_shown_both_ways(done):
    """Nobody's outcome was refused; the table says what each choice changes."""
    analysis = done.analysis
    rows = {row["name"]: row for row in analysis["sensitivity"]}
    flags = {row["code"]: row["n"] for row in analysis["flags"]}

    assert flags["PR023"] >= 1
    late = rows["outcomes recorded after the data lock included"]
    assert late["auc"]["events"] == rows["primary"]["auc"]["events"] + 1
    excluded = rows["doubtful outcomes excluded"]
    assert flags["PR021"] >= 1
    assert excluded["n"] == rows["primary"]["n"] - flags["PR021"]
    ratios = [row["oe_ratio"]["estimate"] for row in (rows["primary"], excluded)]
    assert "O/E is {:.3f} with it and {:.3f} without".format(*ratios) in PAGE.read_text()
    assert {"events dated by the rule 'right'", "events dated by the rule 'midpoint'"} <= set(rows)
    assert analysis["course"]["corrections"] == 1
    assert analysis["course"]["late_outcomes"] >= 1


def test_the_report_is_signed_and_its_digests_stand_in_the_ledger(done):
    """Every file can be held against signature and ledger."""
    folder = done.folder / "report"
    signed = json.loads((folder / "signature.json").read_text())
    from metastra.ledger.reported import signed_message

    public = load_public(done.folder / "sponsor.pem.pub")
    message = signed_message(signed["study"], signed["files"])
    assert verify(public, message, signed["signature"])
    for name, digest in signed["files"].items():
        assert digest_file(folder / name) == digest
    entry = next(
        e for e in opened(done.study).entries("study") if e.facts.get("look") == "final"
        and e.kind == "report"
    )  # fmt: skip
    assert entry.digests == signed["files"] | {
        "signature.json": digest_file(folder / "signature.json")
    }
    judged = (folder / "evaluation" / "report.html").read_text()
    assert "xploratory" in judged
    assert "SIMULATED STUDY" in judged
    page = (folder / "report.html").read_text()
    assert "SIMULATED STUDY" in page
    assert page.index("Primary result") < page.index("Exploratory")


def test_the_whole_ledger_verifies_with_the_sponsors_receipt(done, tmp_path):
    """Anchored up to the entry that the receipt names; the report is the recorded one."""
    kept = tmp_path / "kept.json"
    shutil.copy(done.receipt, kept)
    found = call("verify", done.study, "--receipt", kept, "--report", done.folder / "report")

    assert found["holds"], found["problems"]
    assert found["simulated"]
    assert all(chain["anchored"] > 0 for chain in found["chains"].values())
    assert found["limits"]


def test_a_report_that_was_edited_is_found(done, tmp_path):
    """One number in the page, or in the JSON."""
    folder = Path(shutil.copytree(done.folder / "report", tmp_path / "report"))
    page = folder / "report.html"
    page.write_text(page.read_text().replace("Not shown", "Shown").replace("0.", "0.9", 1))

    found = call("verify", done.study, "--report", folder, code=5)

    assert [(p["code"], p["file"]) for p in found["problems"]] == [("PR118", "report.html")]


def test_a_study_is_analysed_once(done):
    """A second analysis is refused, whatever the first one said."""
    again = done.analyse("once-more", code=5)

    assert "analysed already" in again["error"]
    assert not (done.folder / "once-more").exists()


def test_looks_that_are_not_planned_are_refused(done):
    """There is no second look, and the first was taken."""
    assert "no look 2" in done.analyse("x", "--look", "2", code=5)["error"]
    assert "taken already" in done.analyse("x", "--look", "1", code=5)["error"]


def test_nothing_is_enrolled_after_the_lock(done):
    """Screening, enrolment and prediction end with the lock."""
    table = done.folder / "north" / "1-screened.csv"
    found = call("screen", done.study, table, "--centre", "north", "--at", "2029-05-01", code=5)

    assert "locked" in found["error"]


def test_withdrawn_patients_leave_no_payload(done):
    """Commitments stay, payloads are gone, and the report does not know the values."""
    centre, patient = done.trial.withdrawals[0]
    name = done.pseudonym(centre, patient)
    ledger = opened(done.study)
    mine = [e for e in ledger.entries(centre) if e.patient == name]

    assert [e.kind for e in mine][-1] == "withdraw"
    assert len(mine) >= 4
    assert all(ledger.payloads.read(e.commitment) is None for e in mine if e.commitment)
    assert name not in (done.folder / "report" / "predictions.csv").read_text()


def test_no_study_id_stands_in_the_ledger_or_the_report(done):
    """Pseudonyms only, in every file."""
    content = b"".join(
        path.read_bytes()
        for folder in (done.study, done.folder / "report")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".json", ".jsonl", ".html", ".csv")
    )

    assert b"N-013" not in content
    assert b"H-00" not in content


def test_the_played_risk_is_the_stated_one():
    """The enrolled have a true two-year risk of 8 to 12 %."""
    trial = play_trial(BUNDLE)
    truth, given = trial.true_auc_risk

    assert 0.08 <= truth <= 0.12
    assert 0.08 <= given <= 0.12


def test_status_counts_and_opens_nothing(done):
    """Where the study stands, centre by centre."""
    found = call("status", done.study, "--at", "2029-04-01")

    assert found["enrolled"] == 160
    assert {c["name"]: c["enrolled"] for c in found["centres"]} == QUOTAS
    assert found["due"] == []
    assert found["simulated"]
