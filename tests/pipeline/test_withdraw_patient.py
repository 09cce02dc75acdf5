"""`metastra withdraw`: nothing of a patient is left in a run, nothing of others is made again."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from unittest.mock import patch

import pytest

from chain.conftest import run as run_chain
from chain.slide_study import write_study
from extraction.test_run_slides import index_of, lay_out, run
from metastra.digest import digest_file
from metastra.errors import BusyError, ConfigError, IntegrityError, LockedError
from metastra.executor import Serial
from metastra.pipeline import lock
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.pipeline.withdraw import Withdrawal, open_to_withdraw, withdraw
from metastra.signing import generate_key, load_private
from metastra.storage import Recipe, hold, read_record, write_product
from metastra.synthetic.generate import synthetic_study
from metastra.testing.faults import snapshot
from pipeline.test_train_encoder import run as train_on

DAY = date(2026, 11, 27)


def leave(folder, patient, **settings):
    return withdraw(open_to_withdraw(folder), Withdrawal(patient=patient, day=DAY, **settings))


def holding(folder: Path, *words: str) -> list[str]:
    """Files below the run folder in whose name or bytes a word stands."""
    found = []
    for path in sorted((folder / "run").rglob("*")):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes() if path.is_file() else b""
        if any(word in name or word.encode() in content for word in words):
            found.append(name)
    return found


def feature_files(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "run/features").glob("*.h5")}


@pytest.fixture(scope="module")
def slides_run(tmp_path_factory):
    folder = lay_out(tmp_path_factory.mktemp("withdraw") / "study", with_empty=False)
    run(folder)
    return folder


@pytest.fixture
def slides_study(slides_run, tmp_path):
    """With times kept, so that the notes on the slides stand."""
    return Path(shutil.copytree(slides_run, tmp_path / "study", copy_function=shutil.copy2))


def names_of(folder, pseudonym):
    """All names of a patient: id, pseudonym, slides; and the digest of what is in the slides."""
    with (folder / "run/cohort.csv").open(newline="") as stream:
        (row,) = [one for one in csv.DictReader(stream) if one["pseudonym"] == pseudonym]
    slides = [one for one in index_of(folder)["slides"] if one["patient"] == pseudonym]
    digests = [one["slide_digest"] for one in slides if "slide_digest" in one]
    return row["PATIENT"], [one["slide"] for one in slides], digests


@pytest.mark.slow
@pytest.mark.parametrize("by", ["id", "pseudonym"])
def test_no_file_of_the_run_names_the_patient_and_the_run_makes_no_other_slide(slides_study, by):
    """Names, pixels' quality, notes and records are gone; the next run extracts nothing."""
    folder = slides_study
    # the patient with the one real slide, which has stored quality besides features
    assessed = next((folder / "run/quality").glob("*.npz")).name[:24]
    rows = index_of(folder)["slides"]
    pseudonym = next(one["patient"] for one in rows if one["slide_digest"].startswith(assessed))
    patient, slides, digests = names_of(folder, pseudonym)
    words = [patient, pseudonym, *slides, *digests, *(one[:24] for one in digests)]
    before = feature_files(folder)
    assert len(holding(folder, *words)) > 8

    done = leave(folder, patient if by == "id" else pseudonym, reason="asked")
    assert done.listed
    assert done.patients == (("south", pseudonym),)
    assert holding(folder, *words) == []
    told = json.dumps(done.to_json()) + "\n".join(done.lines())
    assert patient not in told
    assert str(folder) not in told

    states, _ = run(folder)
    assert states["features"] == states["cohort"] == states["report"] == "made"
    assert holding(folder, *words) == []
    gone = {f"{slide}.h5" for slide in slides}
    assert feature_files(folder) == {n: t for n, t in before.items() if n not in gone}
    flow = json.loads((folder / "run/flow.json").read_bytes())
    south = next(one for one in flow["cohorts"] if one["cohort"] == "south")
    assert {"withdrawn": 1}.items() <= {
        s["reason"]: s["patients"] for s in south["excluded"]
    }.items()
    # the same again, although the tables still list the patient
    again = leave(folder, pseudonym)
    assert not again.listed
    assert again.refit == ()


@pytest.fixture(scope="module")
def chain_run(tmp_path_factory):
    """A finished run of feature files, with folds, a bundle and predictions."""
    folder = write_study(tmp_path_factory.mktemp("withdraw") / "study", n=60, n_external=20)
    run_chain(folder)
    return folder


@pytest.fixture
def chain_study(chain_run, tmp_path):
    return Path(shutil.copytree(chain_run, tmp_path / "study", copy_function=shutil.copy2))


def developer(folder):
    """Somebody of the development cohort, as cohort.csv has them."""
    with (folder / "run/cohort.csv").open(newline="") as stream:
        return next(row for row in csv.DictReader(stream) if row["cohort"] == "north")


@pytest.mark.slow
def test_a_patient_who_was_trained_on_says_what_is_to_be_refitted(chain_study):
    """Folds keep everybody else; the run then fits again and holds nobody who left."""
    folder = chain_study
    split = json.loads((folder / "run/splits.json").read_text())
    bundle = read_record(folder / "run", "bundle").digest
    with (folder / "run/cohort.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    mine = next(row for row in rows if row["cohort"] == "north")
    others = next(row for row in rows if row["cohort"] == "south")

    external = leave(folder, others["PATIENT"])
    assert external.refit == ()
    assert "nothing: no model" in "\n".join(external.lines())

    # folds were removed with the first, so the predictions say that models were fitted
    done = leave(folder, mine["PATIENT"])
    assert [item.what for item in done.refit] == ["models of the folds, predictions", "bundle"]
    for row in (mine, others):
        assert holding(folder, row["PATIENT"], row["pseudonym"]) == []
    with (folder / "run/predictions.csv").open(newline="") as stream:
        left = {row["PATIENT"] for row in csv.DictReader(stream)}
    assert left == {row["PATIENT"] for row in rows} - {mine["PATIENT"], others["PATIENT"]}

    run_chain(folder)
    now = json.loads((folder / "run/splits.json").read_text())
    for old, new in zip(split["folds"], now["folds"], strict=True):
        assert new["test"] == [one for one in old["test"] if one != mine["PATIENT"]]
    assert [change["removed"] for change in now["history"]] == [[]] * len(now["history"])
    assert read_record(folder / "run", "bundle").digest != bundle
    for row in (mine, others):
        assert holding(folder, row["PATIENT"], row["pseudonym"]) == []


KILLER = """
import json, os, pathlib, shutil, signal, sys
from metastra.storage import use_file_ops
from metastra.testing.faults import CountingOps, KillingOps
from pipeline.test_withdraw_patient import holding, leave
finished, folder, patient, pseudonym = map(pathlib.Path, sys.argv[1:])
words = [patient.name, pseudonym.name]

def copy(name):
    return pathlib.Path(shutil.copytree(finished, folder / name, copy_function=os.link))

with use_file_ops(CountingOps()) as ops:
    leave(copy("whole"), words[0])
# what is read, staged and synced between two of these leaves nothing that another step would not
changing = [(n, step) for n, step in enumerate(ops.steps, start=1) if step in ("replace", "unlink")]
every = int(os.environ.get("METASTRA_EXPLORE") or 0) or 2
for number, step in changing[::every]:
    trial = copy(str(number))
    child = os.fork()
    if not child:
        try:
            with use_file_ops(KillingOps(number)):
                leave(trial, words[0])
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (number, step)
    again = leave(trial, words[0])
    assert holding(trial, *words) == [], (number, step, holding(trial, *words))
    assert "bundle" in [item.what for item in again.refit], (number, step)
    listed = (trial / "withdrawn.csv").read_text()
    assert listed == (folder / "whole/withdrawn.csv").read_text(), (number, step)
    shutil.rmtree(trial)
print(len(changing))
"""


@pytest.mark.slow
def test_killed_at_any_file_operation_the_same_command_goes_on(chain_run, tmp_path):
    """Nobody comes back, nothing is left, and what has to be fitted again is not forgotten.

    Every second renaming and removal; all of them with METASTRA_EXPLORE=1.
    """
    row = developer(chain_run)
    words = [str(chain_run), str(tmp_path), row["PATIENT"], row["pseudonym"]]
    result = subprocess.run(
        [sys.executable, "-c", KILLER, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= 20


def strike(folder, patient):
    """Take a patient's rows out of every table of the study, as a new delivery does."""
    tables = [*folder.glob("*/*.csv"), *folder.glob("*/*.tsv")]
    for path in [one for one in tables if one.parent.name != "run"]:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if patient not in line), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("listed", [False, True])
def test_who_is_in_no_table_any_more_is_found_in_the_run(chain_study, listed):
    """By id or pseudonym; standing in the list already changes nothing of that."""
    row = developer(chain_study)
    words = (row["PATIENT"], row["pseudonym"])
    strike(chain_study, row["PATIENT"])
    if listed:
        (chain_study / "withdrawn.csv").write_text(
            f"PATIENT,cohort,date,reason\n{row['pseudonym']},north,2026-11-01,\n"
        )
    done = leave(chain_study, row["pseudonym"] if listed else row["PATIENT"])
    assert done.listed is not listed
    assert [item.what for item in done.refit] == ["models of the folds, predictions", "bundle"]
    assert holding(chain_study, *words) == []


@pytest.mark.slow
def test_what_an_earlier_slide_left_goes_too(slides_study):
    """Renamed in the table, or with other content: nobody has the old products any more."""
    folder = slides_study
    run_dir = folder / "run"
    rows = index_of(folder)["slides"]
    mine, other = rows[0]["patient"], rows[1]
    old, content, noted = f"S-{'o' * 10}", "0f1e2d3c" * 3, "4b5a6978" * 8
    for name, file in ((f"features/{old}", ".h5"), (f"quality/{content}-12345678", ".npz")):
        write_product(run_dir, name, Recipe(kind="test"), {name + file: b"his tissue"})
    (run_dir / f".digests/{old}.json").write_text(json.dumps({"digest": noted}))
    done = leave(folder, mine)
    assert holding(folder, old, content, noted, "his tissue") == []
    assert "2 products of slides that nobody has now" in done.removed.deleted
    assert (run_dir / f"features/{other['slide']}.h5").exists()
    assert (run_dir / f".digests/{other['slide']}.json").exists()


@pytest.mark.slow
def test_damaged_folds_keep_nothing_else_from_being_removed(chain_study):
    """All but the folds is gone, and what has to be done about them is said."""
    row = developer(chain_study)
    (chain_study / "run/splits.json").write_bytes(b"{}")
    with (chain_study / "run/predictions.csv").open("a") as stream:
        stream.write("\n")
    with pytest.raises(IntegrityError):
        leave(chain_study, row["PATIENT"])
    assert holding(chain_study, row["PATIENT"], row["pseudonym"]) == []


@pytest.mark.slow
def test_a_locked_bundle_is_left_and_the_run_stops_at_it(chain_study, tmp_path):
    """Not a byte of it is changed; what to do with it is left to people."""
    generate_key(tmp_path / "sponsor.pem")
    with patch.object(lock, "_REPLICATES", 100):
        lock.lock_prepared(lock.prepare_lock(chain_study), load_private(tmp_path / "sponsor.pem"))
    before = snapshot(chain_study / "run/bundle")
    row = developer(chain_study)
    done = leave(chain_study, row["PATIENT"])
    assert snapshot(chain_study / "run/bundle") == before
    (bundle,) = [item for item in done.refit if item.what == "bundle"]
    assert "it is locked and was not touched" in bundle.how
    assert holding(chain_study, row["PATIENT"], row["pseudonym"]) == []
    with pytest.raises(LockedError):
        run_chain(chain_study)
    assert snapshot(chain_study / "run/bundle") == before
    # while nothing is fitted anew, it is said again
    assert [item.what for item in leave(chain_study, row["pseudonym"]).refit] == ["bundle"]


@pytest.mark.slow
def test_an_encoder_that_saw_a_slide_of_the_patient_is_named(slides_study):
    """By the digest in the record of its training; weights that are gone are said, not fatal."""
    folder = slides_study
    real = next((folder / "south/files").glob("*.tif"))
    digest = digest_file(real)
    rows = index_of(folder)["slides"]
    mine = next(row["patient"] for row in rows if row["slide_digest"] == digest)
    other = next(row["patient"] for row in rows if row["patient"] != mine)
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(
        text.replace('encoder = "morphology"', 'encoder = "mine"\nweights = "own"')
    )
    lost = leave(folder, other)
    assert [item.what for item in lost.refit] == ["encoder mine"]
    assert "is not known" in lost.refit[0].why

    train_on([real], folder / "own", pictures=False, mpp=None, target_mpp=0.4)
    assert leave(folder, other).refit == ()
    (seen,) = leave(folder, mine).refit
    assert seen.why == "it was trained on 1 slide of this patient"
    # his slides are known by the tables alone now, and by nothing of the run
    assert not holding(folder, digest, digest[:24])


@pytest.mark.slow
def test_new_follow_up_makes_no_feature_again(slides_study):
    """A later data cut: a patient who was well has a metastasis now; the slides are the same."""
    folder = slides_study
    before = feature_files(folder)
    stamps = {p: p.stat().st_mtime_ns for p in (folder / "run/quality").glob("*")}
    flow = (folder / "run/flow.json").read_bytes()
    with (folder / "south/events.tsv").open("a", encoding="utf-8") as stream:
        stream.write("S0001\t10/11/2017\tmetastasis\tliver\thistology\tNA\n")

    class Nothing:
        def run(self, function, tasks):
            """Only look whether the files are up to date; never make one."""
            for result in Serial().run(function, tasks):
                assert result.failure is None
                assert not result.value.get("made"), result.key
                assert "row" not in result.value, result.key
                yield result

    summary = run_study(open_study(folder), executor=Nothing())
    states = {item.stage: item.done for item in summary.results}
    assert states["cohort"] == "made"
    assert (folder / "run/flow.json").read_bytes() != flow
    assert feature_files(folder) == before
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps


@pytest.fixture
def tables_study(tmp_path):
    for name, content in synthetic_study(n_patients=40, seed=5).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_before_any_run_the_list_alone_is_written(tables_study):
    """And no run folder is made."""
    open_study(tables_study)
    with (tables_study / "north/clini.csv").open(encoding="utf-8-sig", newline="") as stream:
        patient = next(csv.DictReader(stream))["PATIENT"]
    done = leave(tables_study, f" {patient} ", reason="asked\nby letter")
    assert done.listed
    assert not (tables_study / "run").exists()
    rows = list(csv.reader((tables_study / "withdrawn.csv").read_text().splitlines()))
    assert rows[0] == ["PATIENT", "cohort", "date", "reason"]
    assert rows[1:] == [[done.patients[0][1], "north", "2026-11-27", "asked by letter"]]
    assert not leave(tables_study, patient).listed
    assert list(csv.reader((tables_study / "withdrawn.csv").read_text().splitlines())) == rows


def test_who_is_not_known_is_refused_without_naming_anybody(tables_study):
    """Neither the list nor the run is touched."""
    open_study(tables_study)
    with pytest.raises(ConfigError, match="no patient of this study has this id"):
        leave(tables_study, "N-9999")
    with pytest.raises(ConfigError, match="there is no cohort 'east'"):
        leave(tables_study, "N-9999", cohort="east")
    assert not (tables_study / "withdrawn.csv").exists()


def test_without_the_key_of_the_run_nothing_is_done(tables_study, tmp_path):
    """A new key would find nobody's products and say that all is well."""
    with pytest.raises(ConfigError, match=r"'study\.key' is not there"):
        open_to_withdraw(tables_study)
    assert not (tables_study / "study.key").exists()
    run_study(open_study(tables_study), only="cohort")
    other = tmp_path / "other.key"
    other.write_text("ab" * 32 + "\n")
    other.chmod(0o600)
    with pytest.raises(ConfigError, match="made under another pseudonym key"):
        open_to_withdraw(tables_study, other)


def test_a_run_at_work_is_not_disturbed(tables_study):
    """Exit 6."""
    open_study(tables_study)
    with (tables_study / "north/clini.csv").open(encoding="utf-8-sig", newline="") as stream:
        patient = next(csv.DictReader(stream))["PATIENT"]
    with hold(tables_study / "run"), pytest.raises(BusyError):
        leave(tables_study, patient)


def test_cohorts_with_numbers_of_their_own_are_told_apart(tables_study):
    """The same number in two hospitals is two people."""
    study = tables_study / "study.toml"
    study.write_text(study.read_text().replace("[study]", '[study]\npatient_ids = "per-cohort"', 1))
    for table, old in (("north/clini.csv", "NO-0001"), ("south/clini.tsv", "S0001")):
        path = tables_study / table
        path.write_text(path.read_text(encoding="utf-8-sig").replace(old, "007", 1))
    open_study(tables_study)
    with pytest.raises(ConfigError, match="say which with --cohort"):
        leave(tables_study, "007")
    done = leave(tables_study, "007", cohort="south")
    assert [cohort for cohort, _ in done.patients] == ["south"]
