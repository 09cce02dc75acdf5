"""A run with a slide model: four models, one declared, everything out of fold or by the bundle."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from chain.conftest import run
from chain.slide_study import Kind, write_bag, write_study
from metastra.bundle.loading import open_bundle
from metastra.errors import DataError, IntegrityError, LockedError, MissingExtra
from metastra.pipeline import lock
from metastra.signing import generate_key, load_private
from metastra.storage import read_record
from metastra.survival.concordance import concordance
from metastra.survival.outcome import Outcome
from metastra.training import slide_network
from metastra.version import VERSION

pytestmark = pytest.mark.slow

MODELS = ("clinical", "pooled", "slides", "combined")
SIZES = {"north": 80, "south": 26}
TESTS = Path(__file__).resolve().parents[1]


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "run/predictions.csv").open() as stream:
        return list(csv.DictReader(stream))


def products(folder: Path) -> dict[str, bytes]:
    """All that is the same in every run: no records, notes, manifests and half files."""
    left_out = {".records", ".digests", ".lock", "runs"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "run").rglob("*"))
        if path.is_file() and not left_out & set(path.parts) and ".part-" not in path.name
    }


def test_every_patient_has_the_risks_of_four_models_or_a_reason(finished):
    """Development by models without the fold, external by the bundle; the primary one decides."""
    rows = table(finished)
    bundle = open_bundle(finished / "run/bundle")
    assert bundle.kind == "slides"
    assert len(rows) == 2 * (SIZES["north"] + SIZES["south"])
    for row in rows:
        inside = row["cohort"] == "north"
        assert bool(row["fold"]) == inside
        assert row["bundle"] == ("" if inside else bundle.digest)
        assert row["risk"] == row["risk_combined"]
        assert row["modalities"] == "clinical+slides"
        assert int(row["n_tiles"]) >= 12
        for model in MODELS:
            assert 0.0 < float(row[f"risk_{model}"]) < 1.0
    for model in MODELS:
        risks = np.array([float(row[f"risk_{model}"]) for row in rows]).reshape(-1, 2)
        assert (np.diff(risks, axis=1) >= 0.0).all()


def test_the_planted_signal_is_found_and_the_clinical_model_stands_first(finished):
    """Slides order patients whom they were not fitted on; the baseline is judged beside them."""
    rows = [row for row in table(finished) if row["horizon"] == "24.0"]
    outcome = Outcome(
        time=[float(row["time"]) for row in rows], event=[int(row["event"]) for row in rows]
    )
    found = {}
    for model in MODELS:
        risk = np.array([float(row[f"risk_{model}"]) for row in rows])
        found[model] = concordance(outcome, risk, method="harrell", tau=24.0).estimate
    assert found["slides"] > 0.6
    assert found["combined"] > found["clinical"]

    document = json.loads((finished / "run/evaluation.json").read_text())
    assert document["model_order"] == list(MODELS)
    assert document["primary_model"] == "combined"
    for cohort in ("north", "south"):
        for model in MODELS:
            part = document["models"][model]["cohorts"][cohort]
            auc = part["discrimination"]["auc"][-1]
            assert auc["lower"] < auc["estimate"] < auc["upper"]
            assert part["n"] == SIZES[cohort]
            gained = part["added_value"]["differences"]
            assert bool(gained) == (model != "clinical")
        whole = document["cohorts"][cohort]["added_value"]["differences"]
        clinical = document["models"]["clinical"]["cohorts"][cohort]["discrimination"]["auc"]
        (difference,) = [one for one in whole if one["measure"] == "auc" and one["horizon"] == 24.0]
        assert difference["baseline"] == pytest.approx(clinical[-1]["estimate"])
        assert difference["lower"] < difference["upper"]


def test_run_json_and_models_json_say_what_was_chosen(finished):
    """For every fold and for the bundle: settings tried, taken and why; encoder and engine."""
    decided = json.loads((finished / "run/run.json").read_text())["models"]
    stored = json.loads((finished / "run/models.json").read_text())
    assert decided == stored
    assert decided["primary"] == "combined"
    assert (decided["encoder"], decided["engine"], decided["precision"]) == (
        "planted",
        "numpy",
        "float32",
    )
    assert set(decided["folds"]) == {"fold-0", "fold-1", "fold-2"}
    for chosen in (*decided["folds"].values(), decided["bundle"]["slides"]["choices"]):
        assert chosen["slides"]["chosen"] in [one["setting"] for one in chosen["slides"]["tried"]]
        assert chosen["slides"]["why"]
    assert decided["without_slide_score"] == []
    record = read_record(finished / "run", "folds/fold-0")
    assert record.recipe.settings["software"] == {"metastra": VERSION, "torch": version("torch")}


def test_a_fold_is_predicted_by_models_that_never_saw_it(spoiled):
    """Other outcomes and other tiles of one patient leave the patient's own prediction alone."""
    before = {(row["PATIENT"], row["horizon"]): row for row in table(spoiled)}
    mine = before["north-000", "24.0"]["fold"]
    path = spoiled / "north/clini.csv"
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[3:] = ["23.000", "1" if cells[4] != "1" else "0"]
    lines[1] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    run(spoiled)
    after = {(row["PATIENT"], row["horizon"]): row for row in table(spoiled)}
    for key, row in before.items():
        if row["fold"] == mine and key[0] != "north-000":
            assert after[key]["risk_combined"] == row["risk_combined"]
    for model in MODELS:
        name = f"risk_{model}"
        assert after["north-000", "24.0"][name] == before["north-000", "24.0"][name]
        assert after["south-000", "24.0"][name] != before["south-000", "24.0"][name]


def test_new_folds_are_not_put_beside_an_old_bundle(spoiled):
    """They are judged as one model."""
    study = spoiled / "study.toml"
    text = study.read_text()
    assert '"attention"' in text
    study.write_text(text.replace('"attention"', '"linear"'))
    (spoiled / "run/predictions.csv").unlink()
    with pytest.raises(IntegrityError, match="made from bundle, which is out of date: setting"):
        run(spoiled, only="predictions")
    assert not (spoiled / "run/predictions.csv").exists()


def test_a_second_run_makes_nothing_and_a_changed_model_section_says_why(spoiled):
    """Stale are exactly the stages whose parents or declarations changed."""
    before = products(spoiled)
    # the copied files are looked at once more; by their content they are those of before
    assert {item.done for item in run(spoiled).results} == {"up to date"}
    assert products(spoiled) == before
    lines = run(spoiled).lines()
    (first,) = [n for n, line in enumerate(lines) if line.startswith("south (external: bundle)")]
    assert [line.split()[0] for line in lines[first + 1 : first + 6]] == [*MODELS, "combined"]
    assert "(baseline)" in lines[first + 1]
    assert "(primary)" in lines[first + 4]

    study = spoiled / "study.toml"
    study.write_text(study.read_text() + 'primary = "slides"\n')
    dry = {item.stage: item for item in run(spoiled, dry_run=True).results}
    assert "parent 'study' was" in dry["cohort"].reasons[0]
    assert dry["bundle"].reasons[0] == "cohort will be made"
    results = {item.stage: item for item in run(spoiled).results}
    assert results["features"].done == results["splits"].done == "up to date"
    assert "setting 'model' was" in results["bundle"].reasons[0]
    assert "parent 'bundle' was" in results["predictions"].reasons[0]
    rows = table(spoiled)
    assert all(row["risk"] == row["risk_slides"] != row["risk_combined"] for row in rows)
    assert open_bundle(spoiled / "run/bundle").contract.slides.primary == "slides"

    study.write_text(study.read_text().replace('primary = "slides"', 'primary = "clinical"'))
    run(spoiled)
    assert open_bundle(spoiled / "run/bundle").kind == "linear"
    assert "risk_slides" not in table(spoiled)[0]
    assert not (spoiled / "run/models.json").exists()
    assert not list((spoiled / "run").glob("folds/*"))


def test_a_locked_bundle_stays_and_fold_models_are_not_fitted_again(spoiled, tmp_path):
    """The lock renews what names the bundle; another slide would change it and is refused."""
    run(spoiled)
    before = table(spoiled)
    generate_key(tmp_path / "sponsor.pem")
    with patch.object(lock, "_REPLICATES", 100):
        locked = lock.lock_prepared(
            lock.prepare_lock(spoiled), load_private(tmp_path / "sponsor.pem")
        )
    assert locked.stale
    fitted = {path: path.stat().st_mtime_ns for path in (spoiled / "run/folds").iterdir()}
    results = {item.stage: item.done for item in run(spoiled).results}
    assert (results["bundle"], results["predictions"]) == ("up to date", "made")
    assert {path: path.stat().st_mtime_ns for path in (spoiled / "run/folds").iterdir()} == fitted
    after = table(spoiled)
    assert [row["risk"] for row in after] == [row["risk"] for row in before]
    assert {row["bundle"] for row in after} == {"", locked.bundle.digest}

    write_bag(spoiled / "north/files/001-0.h5", 2.0, np.random.default_rng(9))
    kept = products(spoiled)
    dry = {item.stage: item for item in run(spoiled, dry_run=True).results}
    assert dry["bundle"].done == "refused"
    assert "the features would be made again" in dry["bundle"].reasons[0]
    assert dry["predictions"].reasons == ("the run would stop at bundle",)
    assert products(spoiled) == kept
    with pytest.raises(LockedError, match="parent 'features' was"):
        run(spoiled)


KILLER = """
import os, pathlib, random, signal, sys, time
from chain.conftest import run
from chain.test_slide_run import products
finished, folder = map(pathlib.Path, sys.argv[1:])
wanted, moments, killed = products(finished), random.Random(7), 0
for _ in range(4):
    process = os.fork()
    if process == 0:
        try:
            run(folder)
        finally:
            os._exit(0)
    time.sleep(moments.uniform(0.5, 3.0))
    if os.waitpid(process, os.WNOHANG) == (0, 0):
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        killed += 1
    for name, content in products(folder).items():
        assert content == wanted[name], f"{name} is half-written"
run(folder)
assert products(folder) == wanted
print(killed)
"""


def test_a_run_killed_while_it_fits_or_predicts_resumes_to_the_same_bytes(finished, tmp_path):
    """Random kills of a process at work on bundle, predictions and evaluation."""
    folder = tmp_path / "killed"
    shutil.copytree(finished, folder)
    for made in ("bundle", "predictions", "evaluation", "report", "folds"):
        for path in (folder / "run/.records").glob(f"{made}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in (folder / "run").glob(f"{made}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "run/models.json").unlink()
    command = [sys.executable, "-c", KILLER, str(finished), str(folder)]
    paths = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 0


def test_patients_without_a_usable_slide_are_counted_with_their_reason(tmp_path):
    """No slide, a NaN among the features, no tile left: no combined risk, but a clinical one."""
    folder = write_study(tmp_path / "study", n_external=0)
    listed = folder / "north/slides.csv"
    rows = [line for line in listed.read_text().splitlines() if not line.startswith("north-003")]
    listed.write_text("\n".join(rows) + "\n")
    spoil(folder / "north/files/004-0.h5")
    rng = np.random.default_rng(5)
    write_bag(folder / "north/files/006-0.h5", 0.0, rng, tiles=0)
    spoil(folder / "north/files/010-0.h5")  # its second slide is whole
    summary = run(folder)
    made = {item.stage: item for item in summary.results}
    assert made["features"].failed == 2
    found = {row["PATIENT"]: row for row in table(folder) if row["horizon"] == "24.0"}
    for patient, why in (("003", "none is given"), ("004", "SL054"), ("006", "no tile")):
        row = found[f"north-{patient}"]
        assert (row["risk"], row["risk_slides"], row["in_scope"]) == ("", "", "false")
        assert why in row["reason"]
        assert row["risk_clinical"]
    assert found["north-010"]["risk"]
    assert "1 slides not used" in found["north-010"]["note"]
    decided = json.loads((folder / "run/run.json").read_text())["models"]
    assert len(decided["without_slide_score"]) == 3
    assert not re.search(r"north-\d", json.dumps(decided))
    facts = open_bundle(folder / "run/bundle").development.slides
    assert facts.patients == SIZES["north"] - 3
    assert sum(facts.without_slides.values()) == 3
    document = json.loads((folder / "run/evaluation.json").read_text())
    assert document["flow"]["not_assessable"] == 3


def test_slides_that_are_not_read_are_neither_trained_on_nor_counted_as_tiles(tmp_path):
    """An immunostain of development fails by name; another scale of an external slide is left."""
    folder = write_study(tmp_path / "study")
    listed = folder / "north/slides.csv"
    lines = listed.read_text().splitlines()
    lines = [line.replace("H&E", "CD3") if line.startswith("north-001") else line for line in lines]
    listed.write_text("\n".join(lines) + "\n")
    write_bag(folder / "south/files/002-0.h5", 0.0, np.random.default_rng(5), Kind(mpp=2.0))
    made = {item.stage: item for item in run(folder).results}
    assert made["features"].failed == 1
    found = {row["PATIENT"]: row for row in table(folder)}
    assert "SL015 STAIN is 'CD3'" in found["north-001"]["reason"]
    assert "BU029" in found["south-002"]["reason"]
    for patient in ("north-001", "south-002"):
        assert (found[patient]["risk"], found[patient]["n_tiles"]) == ("", "0")
    assert int(found["south-003"]["n_tiles"]) > 0
    assert open_bundle(folder / "run/bundle").development.slides.patients == SIZES["north"] - 1


def test_slides_of_a_cohort_that_promises_none_are_named_as_not_read(tmp_path):
    """They are listed, so "none is given" would be untrue."""
    folder = write_study(tmp_path / "study")
    path = folder / "study.toml"
    text = path.read_text()
    place = text.index('name = "south"')
    path.write_text(f"{text[:place]}require_slides = false\n{text[place:]}")
    run(folder)
    reasons = {row["reason"] for row in table(folder) if row["cohort"] == "south"}
    assert reasons
    assert all("not read: its file is not there, or its cohort has" in one for one in reasons)


def test_without_torch_a_run_stops_before_slides_are_read(tmp_path, monkeypatch):
    """Networks cannot be trained: that is said first, with what installs it."""
    monkeypatch.setattr(slide_network, "find_spec", lambda _name: None)
    folder = write_study(tmp_path / "study", n=24, n_external=0, aggregator="mean")
    with pytest.raises(MissingExtra, match=r"install it with: .*metastra\[learn\]"):
        run(folder)
    assert not (folder / "run/features.json").exists()
    run(folder, only="cohort")
    run(folder, only="features")
    assert (folder / "run/features.json").exists()


def spoil(path: Path) -> None:
    """Put a NaN into a feature file."""
    import h5py

    with h5py.File(path, "r+") as file:
        file["features"][2, 1] = np.nan


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Kind(encoder="other", digest="ef" * 32), "other, card efefefefefef"),
        (Kind(features=7), "7 features a tile"),
        (Kind(precision="float16"), "computed by numpy float16"),
    ],
)
def test_features_of_two_kinds_are_refused_by_the_slides_name(tmp_path, kind, said):
    """Nothing is fitted on a column that means two things; the earlier stages stay."""
    folder = write_study(tmp_path / "study", n=24, n_external=0)
    write_bag(folder / "north/files/007-0.h5", 0.0, np.random.default_rng(1), kind)
    with pytest.raises(DataError) as caught:
        run(folder)
    (problem, *_) = caught.value.problems
    assert problem.code == "SL059"
    assert any(said in one.found for one in caught.value.problems)
    assert problem.where.file.startswith("S-")
    assert (folder / "run/features.json").exists()


def test_a_fold_without_events_and_too_few_events_are_said(tmp_path):
    """One cohort alone with few events: no model is guessed, and the run says why."""
    folder = write_study(tmp_path / "study", n=40, n_external=0)
    keep_events(folder / "north/clini.csv", 12)
    results = {item.stage: item for item in run(folder).results}
    assert results["bundle"].done == "made"
    assert results["evaluation"].done == "not estimable"
    (why,) = results["evaluation"].reasons
    assert "nobody has a risk to be judged" in why
    assert "events among" in why

    keep_events(folder / "north/clini.csv", 8)
    results = {item.stage: item for item in run(folder).results}
    assert results["bundle"].done == "not estimable"
    assert "8 events among 40 patients" in results["bundle"].reasons[0]
    assert results["predictions"].done == "left out"
    assert not (folder / "run/predictions.csv").exists()


def keep_events(path: Path, most: int) -> None:
    """Leave so many events in a table; the others become censored."""
    lines = path.read_text().splitlines()
    kept = 0
    for number, line in enumerate(lines[1:], 1):
        cells = line.split(",")
        kept += cells[4] == "1"
        if cells[4] == "1" and kept > most:
            cells[4] = "0"
        lines[number] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
