"""A run and the command on a real slide: the scores are the run's own, names stay inside."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from explanation.morphology_study import write_study
from metastra.bundle.loading import open_bundle
from metastra.errors import BundleError, ConfigError, IntegrityError
from metastra.executor import Serial
from metastra.features.files import read_bag
from metastra.features.writing import write_own
from metastra.pipeline import evaluation_stage
from metastra.pipeline.explain import ExplainRequest, explain
from metastra.pipeline.explaining import slope_of
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.storage import write_atomically

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A finished run of feature files."""
    study = write_study(tmp_path_factory.mktemp("explain") / "study")
    with patch.object(evaluation_stage, "_BOOTSTRAP", 100):
        summary = run_study(open_study(study), executor=Serial())
    assert {item.done for item in summary.results} == {"made"}
    return study


def predictions(folder: Path) -> list[dict[str, str]]:
    with (folder / "run/predictions.csv").open() as stream:
        return [row for row in csv.DictReader(stream) if row["horizon"] == "24.0"]


def stored(folder: Path, name: str) -> dict:
    return json.loads((folder / "run/explanation" / name).read_text())


def test_the_extreme_patients_of_a_run_are_explained_by_the_bundle(folder):
    """The score that is explained is the bundle's to the last digits; its risk is the table's."""
    rows = predictions(folder)
    index = stored(folder, "explanation.json")
    assert [(one["cohort"], one["which"]) for one in index["patients"]] == [
        ("north", "highest"),
        ("north", "lowest"),
        ("south", "highest"),
        ("south", "lowest"),
    ]
    south = {which: [] for which in ("highest", "lowest")}
    for one in index["patients"]:
        risks = [float(row["risk"]) for row in rows if row["cohort"] == one["cohort"]]
        assert one["risk"] == (max if one["which"] == "highest" else min)(risks)
        assert ("out of fold" in one["note"]) == (one["cohort"] == "north")
        if one["cohort"] == "south":
            south[one["which"]] = one
    bundle = open_bundle(folder / "run/bundle")
    for which, one in south.items():
        said = stored(folder, f"{one['slides'][0]['folder']}/explanation.json")
        row = next(row for row in rows if float(row["risk"]) == one["risk"])
        assert said["slide_score"] == pytest.approx(float(row["slide_score"]), rel=1e-6), which
        assert said["log_relative_hazard_per_unit_of_slide_score"] == pytest.approx(
            slope_of(bundle), rel=1e-7
        )
        assert said["n_tiles_of_patient"] == int(row["n_tiles"])


def test_a_contribution_is_the_change_of_the_linear_predictor(folder):
    """By brute force: the bundle's own slide score and risk layer on the tiles that are left."""
    bundle = open_bundle(folder / "run/bundle")
    assert bundle.slides is not None
    index = stored(folder, "explanation.json")
    one = next(item for item in index["patients"] if len(item["slides"]) == 1)
    tiles = stored(folder, f"{one['slides'][0]['folder']}/tiles.json")
    bag = read_bag(folder / "run/features" / f"{one['slides'][0]['slide']}.h5")
    features = bag.rows(slice(None))
    columns = np.zeros((1, bundle.model.centre.size))

    def predictor(kept: np.ndarray) -> float:
        columns[0, -1] = bundle.slides.model.score([features[kept]])
        return float(bundle.model.scores(columns)[0])

    every = np.ones(len(features), dtype=bool)
    for row in (0, 3, len(features) - 1):
        left = every.copy()
        left[row] = False
        change = predictor(every) - predictor(left)
        assert tiles["contribution"][row] == pytest.approx(change, abs=1e-7)


def test_no_study_id_and_no_file_name_leaves_the_run(folder):
    ids = [row["PATIENT"] for row in predictions(folder)]
    for path in (folder / "run/explanation").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(one.encode() in content for one in ids), path.name
    page = (folder / "run/report/index.html").read_text()
    assert "Extreme patients" in page
    assert not any(one in page for one in ids)


def test_the_report_is_made_again_with_what_it_shows(folder, tmp_path):
    """A dry run says so beforehand; the report says of a damaged explanation that it is damaged."""
    study = tmp_path / "study"
    shutil.copytree(folder, study)
    # copied files are looked at anew, whatever is missing
    run_study(open_study(study), executor=Serial())
    whole = (study / "run/report/index.html").read_bytes()
    (study / "run/explanation/explanation.json").unlink()
    would = {one.stage: one for one in run_study(open_study(study), dry_run=True).results}
    assert would["explanation"].done == "would run"
    assert would["report"].reasons == ("explanation will be made",)
    assert would["evaluation"].done == "up to date"
    with pytest.raises(IntegrityError, match="made from explanation, which is not whole"):
        run_study(open_study(study), only="report", executor=Serial())
    done = {one.stage: one.done for one in run_study(open_study(study), executor=Serial()).results}
    assert done["explanation"] == "made"
    assert (study / "run/report/index.html").read_bytes() == whole


def test_a_real_slide_is_explained_and_told_to_lie_outside(folder, shared, tmp_path):
    """Extracted by the bundle's encoder, mapped, tested; the second call makes nothing again."""
    slide = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    request = ExplainRequest(bundle=folder, slides=(slide,), out=tmp_path)
    summary = explain(request, executor=Serial())
    (one,) = summary.slides
    assert one.state == "explained"
    assert "tile features" in one.outside
    assert one.line().startswith("CMU-1-Small-Region: OUTSIDE THE VALIDATED RANGE: ")
    place = tmp_path / "CMU-1-Small-Region"
    said = json.loads((place / "explanation.json").read_text())
    assert said["n_tiles"] == 57  # of 68; eleven fall to quality control
    assert said["faithfulness"]["tested"] is True
    assert said["outside_the_validated_range"]
    tiles = json.loads((place / "tiles.json").read_text())
    assert tiles["raising"]
    assert tiles["raising"][0]["differs_in"][0]["words"]
    for path in place.rglob("*.jpg"):
        assert Image.open(io.BytesIO(path.read_bytes())).size == (224, 224)
    shown = Image.open(io.BytesIO((place / "risk_map.png").read_bytes()))
    assert shown.size[0] > 900
    assert len(json.loads((place / "map.geojson").read_text())["features"]) == 57

    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    explain(request, executor=Serial())
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_slides_together_are_one_patient(folder, tmp_path):
    """Two feature files make one score; each alone makes its own."""
    files = tuple((folder / "south/files").glob("000-*.h5"))
    assert len(files) == 2
    alone = explain(
        ExplainRequest(bundle=folder, slides=files, out=tmp_path / "a"), executor=Serial()
    )
    both = explain(
        ExplainRequest(bundle=folder, slides=files, out=tmp_path / "b", together=True),
        executor=Serial(),
    )
    scores = {one.name: one.document["slide_score"] for one in alone.slides}
    assert len(set(scores.values())) == 2
    (score,) = {one.document["slide_score"] for one in both.slides}
    assert score not in scores.values()
    row = next(row for row in predictions(folder) if row["PATIENT"] == "south-000")
    assert score == pytest.approx(float(row["slide_score"]), rel=1e-6)
    assert both.slides[0].document["n_slides_of_patient"] == 2
    assert both.to_json()["slides"][0]["faithfulness"]["tested"] is True


def test_a_slide_outside_the_contract_takes_no_part_in_what_explains_the_score(folder, tmp_path):
    """Beside a good slide of the patient it is named and left out, as in the score."""
    good = folder / "south/files/001-0.h5"
    coarse = tmp_path / "coarse.h5"
    bag = read_bag(folder / "south/files/002-0.h5")
    writer = write_own(replace(bag, frame=replace(bag.frame, mpp=(9.0, 9.0))))
    write_atomically(coarse, writer.write, verify=writer.verify)

    def explained(*slides: Path, out: str):
        request = ExplainRequest(bundle=folder, slides=slides, out=tmp_path / out, together=True)
        return explain(request, executor=Serial()).slides

    both = explained(good, coarse, out="both")
    assert [one.state for one in both] == ["explained", "excluded"]
    assert both[1].why.startswith("BU029")
    (alone,) = explained(good, out="alone")
    assert both[0].document["slide_score"] == alone.document["slide_score"]
    assert both[0].document["n_slides_of_patient"] == 1


def test_what_cannot_be_explained_is_refused_or_named(folder, tmp_path):
    """No slide, a broken slide beside a good one, an encoder that the bundle does not read."""
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="no slide was named"):
        explain(ExplainRequest(bundle=folder, slides=(empty,), out=tmp_path / "o"))
    broken = tmp_path / "broken.svs"
    broken.write_bytes(b"II*\0 and nothing more")
    good = folder / "south/files/001-0.h5"
    request = ExplainRequest(bundle=folder, slides=(broken, good), out=tmp_path / "two")
    summary = explain(request, executor=Serial())
    assert [one.state for one in summary.slides] == ["failed", "explained"]
    assert summary.slides[0].line().startswith("broken: failed: SL")
    assert summary.failed == 1
    foreign = tmp_path / "foreign.h5"
    bag = read_bag(good)
    other = replace(bag, origin=replace(bag.origin, precision="bfloat16"))
    writer = write_own(other)
    write_atomically(foreign, writer.write, verify=writer.verify)
    request = ExplainRequest(bundle=folder, slides=(foreign,), out=tmp_path / "three")
    with pytest.raises(BundleError) as refused:
        explain(request, executor=Serial())
    assert {one.code for one in refused.value.problems} == {"BU026"}


def test_the_command_says_what_it_did(folder, tmp_path):
    """Exit codes and JSON as everywhere; a bundle that reads no slides is a matter of usage."""
    good = folder / "south/files/001-0.h5"
    done = command("explain", folder, good, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["slides"][0]["state"] == "explained"
    assert "Research use only" in said["research_use"]
    absent = command("explain", folder, tmp_path / "no.svs", "--out", tmp_path / "out")
    assert absent.returncode == 4
    assert "no: failed: SL001" in absent.stdout
    nothing = command("explain", tmp_path, good, "--out", tmp_path / "out")
    assert nothing.returncode in (2, 5)


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "metastra", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
