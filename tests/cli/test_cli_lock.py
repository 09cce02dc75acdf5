"""`metastra lock`, `verify` and `predict`: a model from its run to risks of new patients."""

from __future__ import annotations

import csv
import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from bundle.test_bundle_external import describe
from metastra.bundle.loading import open_bundle
from metastra.synthetic.generate import synthetic_study

PLAN = """
[intended_use]
use = "prognostic research"
user = "researchers"

[plan]
planned_n = 160
planned_events = 16
analysis_time = "2029-01-30"
[plan.primary]
success = "lower limit above"
lower = 0.6
"""


@pytest.fixture(scope="module")
def _made(tmp_path_factory, metastra) -> Path:
    folder = tmp_path_factory.mktemp("model") / "study"
    for name, content in synthetic_study(n_patients=400, seed=3).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert metastra("run", folder).returncode == 0
    assert metastra("lock", "--new-key", folder.parent / "key.pem").returncode == 0
    (folder.parent / "plan.toml").write_text(PLAN)
    return folder


@pytest.fixture
def model(_made, tmp_path) -> Path:
    """A study with a draft, and beside it a key and a plan."""
    for name in ("key.pem", "key.pem.pub", "plan.toml"):
        shutil.copy2(_made.parent / name, tmp_path / name)
    return Path(shutil.copytree(_made, tmp_path / "study", symlinks=True))


def lock(metastra, model: Path, *more: object):
    plan = model.parent / "plan.toml"
    return metastra("lock", model, "--key", model.parent / "key.pem", "--plan", plan, *more)


@pytest.fixture(scope="module")
def _locked(_made, tmp_path_factory, metastra) -> Path:
    folder = tmp_path_factory.mktemp("locked") / "study"
    for name in ("key.pem", "key.pem.pub", "plan.toml"):
        shutil.copy2(_made.parent / name, folder.parent / name)
    shutil.copytree(_made, folder, symlinks=True)
    assert lock(metastra, folder).returncode == 0
    return folder


@pytest.fixture
def sealed(_locked, tmp_path) -> Path:
    """The study with its bundle locked."""
    return Path(shutil.copytree(_locked, tmp_path / "sealed", symlinks=True))


def test_a_key_is_made_and_never_overwritten(metastra, tmp_path):
    """Exit 0 and a private file; exit 2 the second time."""
    done = metastra("lock", "--new-key", tmp_path / "k.pem", "--json")
    told = json.loads(done.stdout)
    assert told["key_id"].startswith("ed25519:")
    assert stat.S_IMODE((tmp_path / "k.pem").stat().st_mode) == 0o600
    again = metastra("lock", "--new-key", tmp_path / "k.pem")
    assert again.returncode == 2
    assert "never overwritten" in again.stderr


@pytest.mark.slow
def test_from_the_run_to_a_verified_bundle_and_back(metastra, model):
    """The design is shown before the lock; it verifies; the run goes on; nothing changes it."""
    done = lock(metastra, model)
    assert done.returncode == 0, done.stderr
    design, locked = done.stdout.index("what this study cannot show"), done.stdout.index("locked ")
    assert design < locked
    assert "160 patients" in done.stdout
    assert "BU024" not in done.stdout
    bundle = open_bundle(model / "run" / "bundle", locked=True)
    assert bundle.plan.planned_n == 160
    assert bundle.plan.primary.lower == 0.6
    assert bundle.plan.design is not None
    assert bundle.contract.intended_use.user == "researchers"

    public = model.parent / "key.pem.pub"
    verified = metastra("verify", model / "run" / "bundle", "--trust", public, "--json")
    told = json.loads(verified.stdout)
    assert verified.returncode == 0
    assert told["sound"] is True
    assert told["self_test"] == "passed"
    assert told["bundle"] == bundle.digest
    assert told["research_use"].startswith("Research use only")

    again = metastra("run", model, "--json")
    stages = {item["stage"]: item["done"] for item in json.loads(again.stdout)["stages"]}
    assert stages["bundle"] == "up to date"
    assert stages["predictions"] == stages["evaluation"] == "made"
    document = json.loads((model / "run" / "evaluation.json").read_text())
    assert document["locked"] is True
    assert document["cohorts"]["south"]["bundle"] == bundle.digest
    assert document["cohorts"]["north"]["bundle"] is None
    assert document["cohorts"]["north"]["bundle_reason"]
    page = (model / "run" / "report" / "validation.html").read_text()
    assert f"{document['discrimination']['auc'][-1]['estimate']:.3f}" in page
    assert bundle.digest in page or document["bundle"] is None
    listed = (model / "run" / "report" / "reporting.html").read_text()
    assert 'href="validation.html#' in listed

    twice = lock(metastra, model)
    assert twice.returncode == 5
    assert "never changed" in twice.stderr


@pytest.mark.slow
def test_a_changed_study_does_not_reach_a_locked_bundle(metastra, sealed):
    """Exit 5, the reason, and every byte of the bundle as it was."""
    folder = sealed / "run" / "bundle"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    table = sealed / "north" / "clini.csv"
    table.write_text(table.read_text().replace(",left,", ",right,", 1))
    dry = metastra("run", sealed, "--dry-run", "--json")
    assert dry.returncode == 5
    told = {item["stage"]: item for item in json.loads(dry.stdout)["stages"]}
    assert told["cohort"]["done"] == "would run"
    assert told["bundle"]["done"] == "refused"
    assert "the bundle is locked and would be changed" in told["bundle"]["reasons"][0]
    assert told["report"]["reasons"] == ["the run would stop at bundle"]
    done = metastra("run", sealed)
    assert done.returncode == 5
    assert "the bundle is locked and would be changed" in done.stderr
    assert told["bundle"]["reasons"][0] in " ".join(done.stderr.split())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_dry_run_lets_a_locked_bundle_stay_that_would_come_out_the_same(metastra, sealed):
    """A cohort that must be made again with equal bytes is no reason to refuse."""
    (sealed / "run" / "cohort.csv").unlink()
    dry = metastra("run", sealed, "--dry-run", "--json")
    assert dry.returncode == 0
    told = {item["stage"]: item["done"] for item in json.loads(dry.stdout)["stages"]}
    assert (told["cohort"], told["splits"], told["bundle"]) == (
        "would run",
        "would run",
        "up to date",
    )
    assert not (sealed / "run" / "cohort.csv").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "contract.json", "plan.json", "bundle.json"])
def test_any_change_is_exit_five_with_the_file_named(metastra, sealed, name):
    """One byte of one file."""
    path = sealed / "run" / "bundle" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    done = metastra("verify", sealed)
    assert done.returncode == 5
    assert name in done.stdout or (name == "bundle.json" and "signature.json" in done.stdout)
    assert "does not hold" in done.stdout
    risks = sealed.parent / "risks.csv"
    refused = metastra("predict", sealed, sealed / "south" / "clini.tsv", "--out", risks)
    assert refused.returncode == 5
    assert not risks.exists()


def test_a_draft_does_not_verify(metastra, model):
    """Exit 5 unless that is allowed."""
    done = metastra("verify", model)
    assert done.returncode == 5
    assert "BU011" in done.stdout
    assert metastra("verify", model, "--allow-unsigned").returncode == 0


@pytest.mark.slow
def test_a_history_refuses_the_older_version(metastra, model):
    """Version 2 is accepted; version 1 put back is exit 5."""
    assert lock(metastra, model).returncode == 0
    first = model.parent / "first"
    shutil.copytree(model / "run" / "bundle", first)
    shutil.rmtree(model / "run" / "bundle")
    assert metastra("run", model).returncode == 0
    assert lock(metastra, model, "--replaces", first).returncode == 0
    history = model.parent / "history.json"
    seen = ["--history", history]
    assert metastra("verify", first, *seen).returncode == 0
    done = metastra("verify", model, *seen)
    assert "version 2" in done.stdout
    back = metastra("verify", first, *seen)
    assert back.returncode == 5
    assert "BU014" in back.stdout


def test_new_patients_get_the_risks_that_the_run_gave_them(metastra, model, tmp_path):
    """The external cohort's own table, predicted alone: equal to the run's predictions."""
    with (model / "run" / "predictions.csv").open() as stream:
        wanted = {
            (row["PATIENT"], row["horizon"]): row["risk"]
            for row in csv.DictReader(stream)
            if row["cohort"] == "south"
        }
    patients = {patient for patient, _ in wanted}
    lines = (model / "south" / "clini.tsv").read_text(encoding="utf-8-sig").splitlines()
    kept = [line for line in lines[1:] if line.split("\t")[0] in patients]
    table = tmp_path / "new.tsv"
    table.write_text("\n".join([lines[0], *kept]) + "\n")
    done = metastra("predict", model / "run" / "bundle", table, "--out", tmp_path / "risks.csv")
    assert done.returncode == 0, done.stderr
    assert "BU023" in done.stdout
    with (tmp_path / "risks.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(wanted)
    for row in rows:
        found = float(wanted[row["PATIENT"], row["horizon"]])
        assert float(row["risk"]) == pytest.approx(found, abs=1e-12)
    assert rows[0]["bundle"].startswith("sha256:")
    assert rows[0]["predicted_at"].endswith("Z")


def test_outside_the_contract_is_exit_three_and_nothing_is_written(metastra, model, tmp_path):
    """All cells at once, each with its row; a range that was not validated is only a warning."""
    table, out = tmp_path / "new.csv", tmp_path / "risks.csv"
    head = "PATIENT,age,sex,stage,grade,MMR,CEA,location\n"
    table.write_text(head + "a,61,F,II,G2,pMMR,4,left\nb,200,F,II,G9,pMMR,4,left\n")
    done = metastra("predict", model, table, "--out", out, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert {(p["code"], tuple(p["rows"])) for p in told["problems"]} == {
        ("CO036", (3,)),
        ("CO037", (3,)),
    }
    assert not out.exists()
    table.write_text(head + "a,61,F,II,G2,pMMR,4,left\na,61,F,II,G2,pMMR,4,left\n")
    assert metastra("predict", model, table, "--out", out).returncode == 3
    table.write_text(head + "a,101,F,II,G2,pMMR,,left\n")
    done = metastra("predict", model, table, "--out", out)
    assert done.returncode == 0
    assert done.stdout.index("BU022") < done.stdout.index("with a risk")
    with out.open() as stream:
        note = next(csv.DictReader(stream))["note"]
    assert note.startswith("outside the validated range: age 101")
    assert "CEA missing" in note


def test_wrong_use_is_explained(metastra, model, tmp_path):
    """No key, no bundle, a plan with an unknown key, a key that others can read."""
    assert "--new-key" in metastra("lock", model).stderr
    assert metastra("lock", model).returncode == 2
    done = metastra("lock", tmp_path, "--key", model.parent / "key.pem")
    assert done.returncode == 5
    assert "BU001" in done.stderr
    (tmp_path / "bad.toml").write_text("[plan]\nplaned_n = 3\n")
    done = lock(metastra, model, "--plan", tmp_path / "bad.toml")
    assert done.returncode == 2
    assert "did you mean 'planned_n'?" in done.stderr
    (tmp_path / "bad.toml").write_text("[plan]\ncutpoints = [0.5]\n")
    done = lock(metastra, model, "--plan", tmp_path / "bad.toml")
    assert done.returncode == 2
    assert "cut-points are fixed with the model" in done.stderr
    os.chmod(model.parent / "key.pem", 0o644)  # noqa: PTH101
    done = lock(metastra, model)
    assert done.returncode == 2
    assert "chmod 600" in done.stderr
    assert not open_bundle(model / "run" / "bundle").locked


@pytest.mark.slow
def test_the_run_judges_by_the_signed_plan(metastra, sealed):
    """After the lock the declared measure comes first, held against the bound that was signed."""
    assert metastra("run", sealed).returncode == 0
    document = json.loads((sealed / "run" / "evaluation.json").read_text())
    plan = open_bundle(sealed / "run" / "bundle").manifest.files["plan.json"].sha256
    text = json.dumps(document["plan"])
    assert plan in text
    assert '"auc"' in text
    assert "0.6" in text


def test_a_foreign_model_goes_to_another_machine(metastra, tmp_path):
    """Locked here, program moved: exit 5 with the file named, exit 0 with its new folder."""
    home = tmp_path / "home"
    path = describe(home)
    container = f'[program]\ncontainer = "sha256:{"0" * 64}"'
    path.write_text(path.read_text().replace("[program]", container))
    assert metastra("lock", "--new-key", tmp_path / "key.pem").returncode == 0
    words = ("--key", tmp_path / "key.pem", "--out", tmp_path / "foreign")
    done = metastra("lock", "--external", path, *words)
    assert done.returncode == 0, done.stderr
    trust = ("--trust", tmp_path / "key.pem.pub")
    verify = ("verify", tmp_path / "foreign", *trust)
    here = metastra(*verify)
    assert here.returncode == 0, here.stdout
    assert "container digest: declared, not checked" in here.stdout
    home.rename(tmp_path / "away")
    lost = metastra(*verify)
    assert lost.returncode == 5
    assert "BU019" in lost.stdout
    assert str(home / "foreign_model.py") in lost.stdout
    assert "does not hold" in lost.stdout
    place = ("--program-dir", tmp_path / "away")
    found = metastra(*verify, *place)
    assert found.returncode == 0
    assert "self-test  passed" in found.stdout
    table, out = tmp_path / "new.csv", tmp_path / "risks.csv"
    table.write_text("PATIENT,age,stage\na,61,III\n")
    predict = ("predict", tmp_path / "foreign", table, "--out", out, *trust)
    assert metastra(*predict).returncode == 5
    assert not out.exists()
    assert metastra(*predict, *place).returncode == 0
    assert metastra(*verify, "--program-dir", tmp_path / "none").returncode == 2
