"""A folder of slides that are bad in every way, given to the real commands under limits."""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from extraction.bad_slides import write_bad_slides

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
LARGEST_BYTES = 3 << 30
CPU_S = 120


def limited():
    """No process may take more; what hangs or eats is ended by the system, and the test fails."""
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_BYTES, LARGEST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))


def metastra(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "metastra", *map(str, arguments), "--workers", "1", "--json"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
        timeout=500,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The slides, a real one damaged among them where it is there; what may become of each."""
    folder = tmp_path_factory.mktemp("slides")
    shared = Path(os.environ.get("METASTRA_SHARED", REPOSITORY.parent / "shared"))
    real = shared / "data/wsi/CMU-1-Small-Region.svs"
    return folder, write_bad_slides(folder, real.read_bytes() if real.is_file() else None)


def test_extract_names_each_and_goes_on(folder, tmp_path):
    """Every file has its row and its code, the good ones their features; exit 4."""
    slides, expected = folder
    done = metastra("extract", slides, "--out", tmp_path / "out")
    told = json.loads(done.stdout)
    fates = {
        row["slide"]: row["problems"][0]["code"] if row["state"] == "failed" else row["state"]
        for row in told["slides"]
    }

    assert done.returncode == 4, done.stderr
    assert set(fates) == set(expected)
    assert {name: fate for name, fate in fates.items() if fate not in expected[name]} == {}
    assert "1 folder inside was not entered" in done.stderr
    assert "folder.svs" in done.stderr
    good = {name for name, fate in fates.items() if fate == "done"}
    assert good >= {"good.tif", "no-levels.tif", "16-bit.tif", "alpha.tif"}
    assert {path.name for path in (tmp_path / "out").glob("*.h5")} == {
        f"{name.rsplit('.', 1)[0]}.h5" for name in good
    }
    for row in told["slides"]:
        for one in row.get("problems", []):
            assert one["found"], one
            assert one["hint"], one
            assert one["file"] == row["slide"], one


def test_qc_names_each_and_goes_on(folder, tmp_path):
    """As extract; a slide that is whole but has no scale is assessed, and a cut one never is."""
    slides, expected = folder
    done = metastra("qc", slides, "--out", tmp_path / "out")
    with (tmp_path / "out/qc.csv").open() as stream:
        rows = {row["FILENAME"]: row for row in csv.DictReader(stream)}

    assert done.returncode == 4, done.stderr
    assert set(rows) == set(expected)
    assert str(slides) not in (tmp_path / "out/qc.csv").read_text()
    for name, row in rows.items():
        codes = set(expected[name])
        if row["status"] == "failed":
            assert row["error"][:5] in codes, (name, row["error"])
        else:
            assert codes & {"done", "SL007", "SL008", "SL005"}, (name, row)
    assert rows["good.tif"]["status"] == "assessed"
    assert rows["mpp-1000.svs"]["not_assessable"] == "fold blur fading"
