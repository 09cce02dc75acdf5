"""The stages of a run for a study that lists slides and feature files."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from extraction.small_slides import write_slide
from features.bags import make_bag, store
from features.peer_readers import write_as_trident
from metastra.errors import ConfigError
from metastra.executor import Serial
from metastra.features.hdf5_layouts import read_h5
from metastra.features.writing import write_own
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.slides.identity import reviewed_name
from metastra.synthetic.generate import synthetic_study


def make_file(folder, patient, number, *, with_empty):
    """A slide that is good, one that is empty, or features of TRIDENT or of ours; none twice."""
    bag = make_bag(20 + number, 6, dtype=np.float32, seed=number)
    if number == 0:
        path = write_slide(folder / f"{patient}-{number}.tif", side=460)
    elif number == 1 and with_empty:
        path = folder / f"{patient}-{number}.svs"
        path.write_bytes(b"")
    elif number % 2:
        path = folder / f"{patient}-{number}.h5"
        write_as_trident(path, bag.features, bag.coords, name=f"{patient} Meier")
    else:
        path = store(folder / f"{patient}-{number}.h5", write_own(bag))
    return path.name


def lay_out(folder, *, with_empty):
    """A synthetic study of tables whose cohort south has files for its slides."""
    for name, content in synthetic_study(n_patients=40, seed=5).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    study = folder / "study.toml"
    head, south = study.read_text().split('name = "south"')
    south = south.replace(
        "require_slides = false", 'slide_dir = "south/files"\nrequire_slides = true'
    )
    study.write_text(head + 'name = "south"' + south)
    table = folder / "south/slides.tsv"
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8-sig")), delimiter="\t"))
    (folder / "south/files").mkdir()
    for number, row in enumerate(rows):
        files = folder / "south/files"
        row["FILENAME"] = make_file(files, row["PATIENT"], number, with_empty=with_empty)
        row["MPP"] = ""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    table.write_text(text.getvalue())
    return folder


@pytest.fixture
def folder(tmp_path):
    return lay_out(tmp_path / "study", with_empty=False)


def run(folder, **options):
    summary = run_study(open_study(folder), executor=Serial(), **options)
    return {item.stage: item.done for item in summary.results}, summary


def index_of(folder):
    return json.loads((folder / "run/features.json").read_text())


def bytes_of(folder):
    own = {".records", ".digests", ".lock", "run.json", "runs"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "run").rglob("*"))
        if path.is_file() and not own & set(path.parts)
    }


def test_every_slide_of_every_analysed_patient_is_accounted_for(folder):
    """Slides and feature files become files of one layout, under pseudonyms."""
    done, _ = run(folder)
    index = index_of(folder)
    names = [row["slide"] for row in index["slides"]]

    assert done["features"] == "made"
    assert list(done)[:4] == ["cohort", "qc", "features", "splits"]
    assert done["qc"] == "made"
    table = (folder / "run/qc.csv").read_text(encoding="utf-8")
    (row,) = csv.DictReader(io.StringIO(table))
    assert row["FILENAME"] in names
    assert row["status"] == "assessed"
    assert sum(index["counts"].values()) == len(names) == len(set(names)) > 4
    assert index["counts"]["failed"] == 0
    for row in index["slides"]:
        bag = read_h5(folder / "run" / row["features"])
        assert len(bag) == row["n_tiles"]
        assert bag.origin.name == row["slide"]
        assert (bag.layout, row["cohort"]) == ("metastra", "south")
    assert {read_h5(folder / "run" / row["features"]).dimension for row in index["slides"]} > {6}


def test_no_study_id_and_no_path_reaches_the_features(folder):
    """Neither in the index nor in any feature file, which foreign files may carry."""
    run(folder)
    for name, content in bytes_of(folder).items():
        if name.startswith(("run/features", "run/qc", "run/contact")):
            assert not re.search(rb"S0\d{3}", content), name
            assert str(folder).encode() not in content, name
            assert b"Meier" not in content, name


@pytest.mark.slow
def test_the_second_run_makes_nothing_and_a_touched_slide_is_made_again(folder):
    """One changed file is one new feature file; what it says reaches the index."""
    run(folder)
    assert "made" not in run(folder)[0].values()
    features = folder / "run/features"
    before = {path.name: path.stat().st_mtime_ns for path in features.glob("*.h5")}
    changed = next((folder / "south/files").glob("*.h5"))
    changed.unlink()
    store(changed, write_own(make_bag(11, 6, seed=9)))

    dry, summary = run(folder, dry_run=True)
    assert dry["features"] == "would run"
    reasons = next(item for item in summary.results if item.stage == "features").reasons
    assert any("'slides'" in reason for reason in reasons)
    assert run(folder)[0]["features"] == "made"
    after = {path.name: path.stat().st_mtime_ns for path in features.glob("*.h5")}
    assert sum(before[name] != after[name] for name in before) == 1
    assert 11 in [row["n_tiles"] for row in index_of(folder)["slides"]]


def test_only_this_stage_and_a_lost_feature_file(folder):
    """--only features makes again what is missing, to the byte."""
    run(folder)
    whole = bytes_of(folder)
    lost = next((folder / "run/features").glob("*.h5"))
    lost.unlink()
    (folder / "run/features.json").unlink()
    done, _ = run(folder, only="features")

    assert done["features"] == "made"
    assert {done[name] for name in done if name != "features"} == {"left out"}
    assert bytes_of(folder) == whole


@pytest.mark.slow
def test_a_lost_feature_file_alone_is_noticed(folder):
    """The index may be whole while a file it names is gone."""
    run(folder)
    next((folder / "run/features").glob("*.h5")).unlink()

    done, summary = run(folder)
    assert done["features"] == "made"
    reasons = next(item for item in summary.results if item.stage == "features").reasons
    assert any("missing" in reason for reason in reasons)


def test_a_study_of_tables_only_has_no_such_stage(tmp_path):
    """It is not listed, and asking for it is a mistake."""
    for name, content in synthetic_study(n_patients=40, seed=5).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    assert "features" not in run(tmp_path)[0]
    with pytest.raises(ConfigError, match="no stage 'features' in this study"):
        run(tmp_path, only="features")


@pytest.mark.slow
def test_a_failed_slide_is_named_is_exit_4_and_is_tried_again(tmp_path):
    """The other stages are made; nobody is named but by pseudonym."""
    folder = lay_out(tmp_path / "study", with_empty=True)

    def command():
        return subprocess.run(
            [sys.executable, "-m", "metastra", "run", str(folder), "--workers", "2", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )

    first, second = command(), command()
    stages = {item["stage"]: item for item in json.loads(first.stdout)["stages"]}
    failed = [row for row in index_of(folder)["slides"] if row["state"] == "failed"]

    assert first.returncode == second.returncode == 4, first.stderr
    assert stages["features"]["failed"] == len(failed) == 1
    assert failed[0]["problems"][0]["code"] == "SL003"
    assert failed[0]["problems"][0]["file"] == failed[0]["slide"]
    assert stages["report"]["done"] == "made"
    again = {item["stage"]: item for item in json.loads(second.stdout)["stages"]}
    assert again["features"]["reasons"] == ["1 failed last time"]


@pytest.mark.slow
def test_a_reviewer_can_leave_a_slide_out(folder):
    """An override turns the verdict round: its features follow, and no other slide is redone."""
    run(folder)
    rows = {row["slide"]: row for row in index_of(folder)["slides"] if row["state"] == "done"}
    quality = list(csv.DictReader(io.StringIO((folder / "run" / "qc.csv").read_text())))
    name = next(row["SLIDE"] for row in quality if row["use"] == "true")
    taken = next(
        row
        for row in rows.values()
        if row["slide_digest"] and reviewed_name(row["slide_digest"]) == name
    )
    review = folder / "run" / "qc_review.csv"
    review.write_text(f"SLIDE,DECISION,INITIALS,REASON\n{name},override,AB,wrong block\n")

    stages, _ = run(folder)

    after = {row["slide"]: row for row in index_of(folder)["slides"]}
    left_out = after[taken["slide"]]
    assert stages["features"] == "made"
    assert (left_out["state"], left_out["n_tiles"]) == ("excluded", 0)
    assert left_out["excluded"] == "left out by the reviewer"
    others = [slide for slide in rows if slide != taken["slide"]]
    assert all(after[slide]["digest"] == rows[slide]["digest"] for slide in others)

    review.unlink()
    run(folder)
    assert {row["slide"]: row for row in index_of(folder)["slides"]}[taken["slide"]] == taken
