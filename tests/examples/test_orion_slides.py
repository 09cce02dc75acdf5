"""The ORION patients through the whole chain: real feature files, and what so few cannot say."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from metastra.features.files import read_bag
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "orion-crc" / "make_features.py"


@pytest.fixture(scope="module")
def orion(shared, tmp_path_factory) -> Path:
    """The folder that the script makes."""
    folder = tmp_path_factory.mktemp("orion")
    environment = {"METASTRA_SHARED": str(shared), "PYTHONPATH": ":".join(sys.path)}
    subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], check=True, capture_output=True, env=environment
    )
    return folder


def test_every_block_is_a_feature_file_that_says_what_made_it(orion, shared):
    """29 blocks of 28 patients; tissue patches as published, background counted, not kept."""
    with (orion / "slides.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 29
    assert [row["BLOCK"] for row in rows if row["patient"] == "C33"] == ["01", "02"]
    card = json.loads((orion / "card.json").read_text())
    assert (card["name"], card["tile_px"], card["mpp"]) == ("nct-crc-tissue-densenet161", 224, 0.5)
    total = 0
    for row in rows:
        bag = read_bag(orion / "features" / row["FILENAME"])
        total += len(bag) + bag.origin.dropped["background"]
        assert bag.origin.encoder == card["name"]
        assert bag.frame.tile_side_um == 112.0
        assert bag.origin.feature_names == tuple(card["feature_names"])
    assert total == 692_797
    with np.load(shared / "data/orion_crc_cohort/he_patches/C01.npz") as source:
        kept = source["prob_u8"][:, 0] <= 127
        places = source["grid_xy"][kept][:3].astype(int) * 224
        values = source["prob_u8"][kept][:3] / 255.0
    bag = read_bag(orion / "features" / "C01.h5")
    assert len(bag) == kept.sum()
    assert bag.coords[:3].tolist() == places.tolist()
    assert bag.rows([0, 1, 2]) == pytest.approx(values, abs=5e-4)


@pytest.mark.slow
def test_ten_events_give_a_model_that_nothing_can_judge(orion, shared, monkeypatch):
    """M0: fitted on ten events; without a fold fewer are left, so no patient gets a risk."""
    monkeypatch.setenv("METASTRA_SHARED", str(shared))
    summary = run_study(open_study(orion / "m0"))
    found = {item.stage: item for item in summary.results}

    assert found["features"].done == "made"
    assert found["features"].failed == 0
    assert found["bundle"].done == found["predictions"].done == "made"
    assert found["evaluation"].done == "not estimable"
    reason = found["evaluation"].reasons[0]
    assert reason.startswith("nobody has a risk to be judged (10 patients: no model: ")
    assert "at least 10 are needed" in reason
    with (orion / "m0/run/predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["PATIENT"] for row in rows}) == 20
    assert all(row["risk"] == "" for row in rows)
    assert all("events among" in row["reason"] for row in rows)
    page = (orion / "m0/run/report/index.html").read_text()
    assert "Research use only" in page


@pytest.mark.slow
def test_eight_patients_with_metastases_stand_apart_and_support_no_model(
    orion, shared, monkeypatch
):
    """M1: counted and shown; the model is refused by name."""
    monkeypatch.setenv("METASTRA_SHARED", str(shared))
    opened = open_study(orion / "m1")
    flow = opened.check().flows[0]
    assert (flow.n_listed, flow.n_analysed) == (28, 8)
    for stage in ("cohort", "features", "splits"):
        run_study(opened, only=stage)
    made = {item.stage: item for item in run_study(opened, only="bundle").results}["bundle"]
    assert made.done == "not estimable"
    assert "5 events among 8 patients" in made.reasons[0]
