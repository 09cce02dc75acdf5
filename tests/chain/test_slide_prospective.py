"""A prospective study with a bundle that reads slides: sealed are the risks of `predict`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bundle.hand_made import lock_files
from bundle.hand_made_slides import make_bag, make_slide_files
from ledger.ledger_study import PROTOCOL
from metastra.bundle.writing import write_bundle
from metastra.cli.app import app
from metastra.features.writing import write_own
from metastra.ledger.opening import opened
from metastra.ledger.predictions import open_prediction
from metastra.ledger.sealing import load_custodian_private
from metastra.ledger.state import replay
from metastra.signing import load_private
from metastra.storage import write_atomically

RUNNER = CliRunner()
PATIENTS = """PATIENT,DATE,age,stage,MMR,CEA,location
n1,2026-02-01,61,II,pMMR,3,left
n2,2026-02-01,70,III,pMMR,9,right
n3,2026-02-01,66,I,dMMR,2,left
"""
SLIDES = "PATIENT,FILENAME,SCANNER\nn1,a.h5,A\nn2,b.h5,C\n"


def call(*words: object, code: int = 0) -> dict:
    done = RUNNER.invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A locked bundle made by hand, a study begun with it, and two patients' feature files."""
    folder = tmp_path_factory.mktemp("place")
    call("prospective", "keys", folder / "custodian.pem")
    call("prospective", "keys", folder / "sponsor.pem", "--signing")
    files = lock_files(make_slide_files(), folder / "draft", load_private(folder / "sponsor.pem"))
    write_bundle(folder / "model", files)
    text = PROTOCOL.replace('[bundle]\ndigest = "{bundle}"\n', "")
    text = text.replace("planned_n = 6", "planned_n = 12")
    (folder / "protocol.toml").write_text(text.replace("custodian.pub", "custodian.pem.pub"))
    call("prospective", "init", folder / "study", folder / "protocol.toml", "--bundle",
         folder / "model", "--at", "2026-01-20")  # fmt: skip
    (folder / "new.csv").write_text(PATIENTS)
    (folder / "slides.csv").write_text(SLIDES)
    for name, level in (("a", 8.0), ("b", 13.0)):
        writer = write_own(make_bag([[level, 0.2, 1.1], [level + 1.0, -0.2, 0.9]]))
        write_atomically(folder / f"{name}.h5", writer.write, verify=writer.verify)
    for verb in ("screen", "enrol"):
        call("prospective", verb, folder / "study", folder / "new.csv", "--centre", "north",
             "--at", "2026-02-06")  # fmt: skip
    return folder


def test_the_sealed_risks_are_those_of_predict_and_no_file_name_is_in_the_ledger(place):
    """A patient without a slide is not assessable; the reason says so and names no file."""
    words = ("prospective", "predict", place / "study", place / "new.csv", "--centre", "north",
             "--at", "2026-02-07")  # fmt: skip
    said = call(*words, "--bundle", place / "model", code=2)
    assert "--slide-table" in said["error"]
    done = call(*words, "--bundle", place / "model", "--slide-table", place / "slides.csv")
    assert (done["recorded"], done["assessable"]) == (3, 2)

    call("predict", place / "model", place / "new.csv", "--slide-table", place / "slides.csv",
         "--out", place / "out.csv", code=4)  # fmt: skip
    with (place / "out.csv").open() as stream:
        risks = [row["risk"] for row in csv.DictReader(stream) if row["horizon"] == "24.0"]
    ledger = opened(place / "study")
    key = load_custodian_private(place / "custodian.pem")
    sealed = [open_prediction(ledger, one, key) for one in replay(ledger).of_centre("north")]
    assert [one.risk for one in sealed[:2]] == [pytest.approx(float(risk)) for risk in risks[:2]]
    assert (sealed[2].risk, sealed[2].reason) == (None, "no usable slide")
    assert "a.h5" not in (place / "study/ledger.jsonl").read_text()


def test_slides_without_a_bundle_are_refused(place):
    """A table of foreign risks has nothing to read them with."""
    words = ("prospective", "predict", place / "study", place / "new.csv", "--centre", "north")
    said = call(*words, "--slide-table", place / "slides.csv", "--at", "2026-02-08", code=2)
    assert "--bundle" in said["error"]


def test_a_folder_of_slides_without_their_table_is_refused(place):
    """Which slide is whose stands in the table alone."""
    words = ("predict", place / "model", place / "new.csv", "--slide-dir", place)
    said = call(*words, "--out", place / "none.csv", code=2)
    assert "--slide-table" in said["error"]
    assert not (place / "none.csv").exists()
