"""The manifest of a run: what ran, with what, where, how long; also of a run that was stopped."""

from __future__ import annotations

import json

import pytest

from extraction.small_slides import write_slide
from metastra.executor import Serial
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.pipeline.run_record import past_runs, run_kept
from metastra.storage import write_bytes
from metastra.synthetic.generate import synthetic_study


def test_each_run_of_a_study_leaves_one(tmp_path):
    """Versions, machine, arguments, seconds and digests; the second run made nothing."""
    folder = tmp_path / "study"
    for name, content in synthetic_study(n_patients=120, seed=3).items():
        write_bytes(folder / name, content)
    for _ in range(2):
        summary = run_study(open_study(folder), only="cohort", workers=2)
    first, second = past_runs(folder / "run")

    assert first["command"] == "run"
    assert first["arguments"]["only"] == "cohort"
    assert first["ended"] == "finished"
    assert first["machine"]["cores"] >= 1
    assert {"numpy", "h5py"} <= set(first["packages"])
    assert first["began_at"] <= first["ended_at"]
    assert 0 < first["stage_seconds"]["cohort"] <= first["seconds"]
    assert [one["stages"][0]["done"] for one in (first, second)] == ["made", "up to date"]
    assert first["stages"][0]["digest"] == summary.results[0].digest
    assert str(tmp_path) not in json.dumps(first)
    texts = sorted((folder / "run/runs").glob("*.txt"))
    assert [text.read_text().splitlines()[0].split()[0] for text in texts] == ["cohort"] * 2


def test_extraction_says_what_it_took(tmp_path):
    """Tiles and seconds by step of what was made now; the next run made none."""
    (tmp_path / "in").mkdir()
    write_slide(tmp_path / "in" / "PATIENT-7.tif", side=460)
    request = ExtractRequest(slides=(tmp_path / "in",), out=tmp_path / "out")
    (fate,) = extract(request, executor=Serial()).fates
    extract(request, executor=Serial())
    first, second = past_runs(tmp_path / "out")

    assert first["tiles_made"] == fate.outcome.n_tiles > 0
    assert {"quality", "encoding", "writing"} <= set(first["step_seconds"])
    assert first["counts"] == {"done": 1, "excluded": 0, "failed": 0, "not begun": 0, "made": 1}
    assert (second["tiles_made"], second["counts"]["made"]) == (0, 0)
    assert first["decided_digest"] == second["decided_digest"]
    assert "PATIENT-7" not in json.dumps([first, second])


def test_a_run_that_was_stopped_says_by_what(tmp_path):
    """The error goes on."""
    with (
        pytest.raises(KeyboardInterrupt),
        run_kept(tmp_path, "extract", {"workers": 1}) as log,
        log.stage("features"),
    ):
        raise KeyboardInterrupt
    (told,) = past_runs(tmp_path)
    assert told["ended"] == "stopped by KeyboardInterrupt"
    assert "features" in told["stage_seconds"]


def test_what_is_no_manifest_is_passed_over(tmp_path):
    """A damaged one takes nothing away from the others."""
    with run_kept(tmp_path, "run", {}):
        pass
    (tmp_path / "runs/0.json").write_text("{", encoding="utf-8")
    assert len(past_runs(tmp_path)) == 1
