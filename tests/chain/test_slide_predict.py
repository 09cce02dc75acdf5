"""Predicting new slides: the run's own risks again, and everything outside the contract by name."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chain.slide_study import Kind, write_bag
from metastra.bundle.loading import open_bundle
from metastra.bundle.locking import lock_bundle
from metastra.bundle.verifying import verify_bundle
from metastra.bundle.writing import write_bundle
from metastra.errors import BundleError, ConfigError, DataError
from metastra.executor import Serial
from metastra.pipeline.given_slides import SlideSource
from metastra.pipeline.predict import PredictSummary, predict_table
from metastra.signing import TrustList, generate_key, load_private

pytestmark = pytest.mark.slow

COLUMNS = (
    "risk",
    "risk_score",
    "risk_clinical",
    "risk_pooled",
    "risk_slides",
    "risk_combined",
    "slide_score",
)
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from metastra.cli.main import main
main()
"""


@pytest.fixture
def south(finished: Path, tmp_path: Path) -> Path:
    """Tables and files of the external cohort, to be spoiled."""
    shutil.copytree(finished / "south", tmp_path / "south")
    return tmp_path / "south"


def predict(finished: Path, south: Path, **changes: object) -> PredictSummary:
    source = SlideSource(
        table=south / "slides.csv",
        folder=south / "files",
        store=finished.parent / "south-features",
        executor=Serial(),
    )
    return predict_table(
        finished / "run/bundle",
        south / "clini.csv",
        south / "out.csv",
        slides=replace(source, **changes),
    )


def rows_of(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open() as stream:
        return {(row["PATIENT"], row["horizon"]): row for row in csv.DictReader(stream)}


def test_new_slides_get_the_risks_that_the_run_gave_them_and_torch_is_not_needed(finished, south):
    """The same slides by both ways, to 1e-6; the command runs where torch cannot be imported."""
    out = south / "out.csv"
    command = [sys.executable, "-c", WITHOUT_TORCH, "predict", str(finished / "run/bundle")]
    command += [str(south / "clini.csv"), "--slide-table", str(south / "slides.csv")]
    command += ["--slide-dir", str(south / "files"), "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said["slides"] == {"done": 32}
    assert said["not_assessable"] == 0
    predicted = rows_of(out)
    stored = rows_of(finished / "run/predictions.csv")
    assert len(predicted) == 52
    for key, row in predicted.items():
        for column in COLUMNS:
            assert float(row[column]) == pytest.approx(float(stored[key][column]), abs=1e-6)
        assert row["risk_group"] == stored[key]["risk_group"]
        assert row["note"].startswith("outside the validated range: ")
        assert "scanner scanner south (scanner north)" in row["note"]
    assert (south / "out-features").is_dir()


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        (Kind(encoder="other", digest="ef" * 32), "BU025", "other, card efefefefefef"),
        (Kind(digest=""), "BU025", "does not say which encoder"),
        (Kind(features=7), "BU025", "7 features a tile"),
        (Kind(engine="openvino"), "BU026", "computed by openvino float32"),
        (Kind(precision="bfloat16"), "BU026", "computed by numpy bfloat16"),
        (Kind(target_mpp=1.0), "BU027", "1 µm per pixel of the tiles"),
    ],
)
def test_features_that_are_not_the_contracts_are_refused_with_the_slide(
    finished, south, kind, code, said
):
    """Another encoder, engine, precision or scale never passes silently; nothing is written."""
    write_bag(south / "files/003-0.h5", 0.0, np.random.default_rng(1), kind)
    with pytest.raises(BundleError) as caught:
        predict(finished, south)
    found = [one for one in caught.value.problems if one.code == code]
    assert said in found[0].found
    assert {one.where.file for one in caught.value.problems} == {"003-0.h5"}
    assert not (south / "out.csv").exists()


def test_a_slide_that_the_contract_leaves_out_costs_its_patient_the_risk_alone(finished, south):
    """Stain, scale, a NaN and a missing slide: each by name and reason, the others predicted."""
    rng = np.random.default_rng(1)
    write_bag(south / "files/001-0.h5", 0.0, rng, Kind(mpp=2.0))
    write_bag(south / "files/002-0.h5", 0.0, rng, Kind(shift=9.0))
    write_bag(south / "files/005-0.h5", 0.0, rng, Kind(mpp=0.4))
    write_bag(south / "files/006-0.h5", 0.0, rng, tiles=0)
    table = south / "slides.csv"
    lines = [line for line in table.read_text().splitlines() if not line.startswith("south-004")]
    lines = [line.replace("H&E", "CD3") if line.startswith("south-003") else line for line in lines]
    table.write_text("\n".join(lines) + "\n")
    summary = predict(finished, south)
    rows = {key[0]: row for key, row in rows_of(south / "out.csv").items()}
    for patient, why in (
        ("001", "001-0.h5: BU029 2 µm per pixel"),
        ("003", "003-0.h5: BU028 STAIN is 'CD3'"),
        ("004", "none is given"),
        ("006", "006-0.h5: "),
    ):
        row = rows[f"south-{patient}"]
        assert why in row["reason"]
        assert (row["risk"], row["in_scope"]) == ("", "false")
        assert row["risk_clinical"]
    assert summary.n_not_assessable == 4
    assert "6 of 6 tile features" in rows["south-002"]["note"]
    assert "0.4 µm per pixel (0.25 to 0.25)" in rows["south-005"]["note"]
    codes = {one.code for one in summary.problems}
    assert {"BU028", "BU029", "BU030", "BU031"} <= codes
    assert summary.slides is not None
    assert summary.slides["left out"] == 1
    assert sum(bool(row["risk"]) for row in rows.values()) == 22


def test_clinical_cells_outside_the_contract_are_refused_beside_slides(finished, south):
    """The table is held against the contract as ever."""
    table = south / "clini.csv"
    lines = table.read_text().splitlines()
    lines[1] = lines[1].replace(lines[1].split(",")[1], "212.0")
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"CO030|CO036"):
        predict(finished, south)


def test_slides_for_a_model_of_tables_and_none_for_one_of_slides_are_refused(finished, south):
    """What is given must be what the bundle reads."""
    bundle = finished / "run/bundle"
    with pytest.raises(ConfigError, match="--slide-table"):
        predict_table(bundle, south / "clini.csv", south / "out.csv")
    (south / "files/007-0.h5").unlink()
    with pytest.raises(DataError, match="CO021"):
        predict(finished, south)


def test_the_bundle_is_locked_verified_and_every_part_is_held(finished, tmp_path):
    """Signature, digests and self-test cover the slide models and the baseline, too."""
    generate_key(tmp_path / "sponsor.pem")
    private = load_private(tmp_path / "sponsor.pem")
    source = finished / "run/bundle"
    draft = {path.name: path.read_bytes() for path in source.iterdir()}
    files = lock_bundle(open_bundle(source)).files(draft, private)
    write_bundle(tmp_path / "locked", files)
    trusted = TrustList((private.public,))
    verdict = verify_bundle(tmp_path / "locked", trusted=trusted)
    assert verdict.sound
    assert verdict.self_test == "passed"
    assert {"slide_model.safetensors", "encoder.json", "companions.safetensors"} <= set(
        verdict.files
    )
    for name in ("slide_model.safetensors", "companions.safetensors", "encoder.json"):
        damaged = tmp_path / f"damaged-{name}"
        write_bundle(damaged, {**files, name: files[name][:-9] + b"1" + files[name][-8:]})
        with pytest.raises(BundleError, match="BU004"):
            open_bundle(damaged)


def test_another_slide_model_in_the_same_shape_fails_the_self_test(finished, tmp_path):
    """A draft put together anew with other weights is found by its stored tiles."""
    from metastra.bundle.writing import bundle_files

    bundle = open_bundle(finished / "run/bundle")
    parts = bundle.slides
    assert parts is not None
    moved = replace(parts.model, centre=parts.model.centre + 0.5)
    files = bundle_files(
        name=bundle.name,
        contract=bundle.contract,
        plan=bundle.plan,
        change_plan=bundle.change_plan,
        development=bundle.development,
        self_test=bundle.self_test,
        model=bundle.model,
        parents={},
        slides=replace(parts, model=moved),
    )
    write_bundle(tmp_path / "other", files)
    with pytest.raises(BundleError, match="BU015"):
        open_bundle(tmp_path / "other")
