"""Thousands of slides through the scheduler: what one costs does not grow with their number."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from metastra.digest import digest_value
from metastra.executor import Result
from metastra.extraction.batch import extract_all
from metastra.extraction.job import SlideJob
from metastra.extraction.quarantine import Quarantine
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.pipeline.run_record import past_runs
from metastra.storage import csv_rows, json_bytes

OUTCOME = {
    "made": True,
    "n_tiles": 12,
    "n_grid": 20,
    "dropped": {"QC001": 8},
    "excluded": "",
    "slide_digest": "1d" * 32,
    "mpp": [0.5, 0.5],
    "mpp_source": "file",
    "reading": "direct",
    "codes": [{"code": "QC001", "found": "x" * 400}],
    "also": [],
    "seconds": {"digest": 0.1, "quality": 0.2, "waiting": 0.3, "encoding": 0.4, "writing": 0.5},
}


class Canned:
    """Workers that have everything ready: what is left is the scheduler."""

    def run(self, _function, tasks):
        for number, task in enumerate(tasks):
            value = {**OUTCOME, "name": task.key, "digest": f"{number:064d}"}
            yield Result(key=task.key, value=value, wall_s=0.1, peak_bytes=1)


class CannedTwice(Canned):
    """As if a second encoder had seen the same tiles."""

    def run(self, _function, tasks):
        for result in super().run(_function, tasks):
            other = dict(result.value)
            yield replace(result, value={**result.value, "also": [other]})


def test_findings_are_kept_with_the_quality_alone():
    """They would be the largest part of what is kept of a slide, once for each encoder."""
    job = SlideJob(path="a.svs", name="a", folder="out", encoder="morphology")
    (fate,) = extract_all(CannedTwice(), [job])
    (other,) = fate.outcome.also
    assert OUTCOME["codes"]
    assert fate.outcome.codes == other.codes == ()
    assert other.dropped == {"QC001": 8}


class Counting:
    """Counts how often files are looked at or folders listed."""

    NAMES = ("stat", "open", "iterdir", "rglob", "glob")

    def __init__(self, monkeypatch):
        self.calls = dict.fromkeys(self.NAMES, 0)
        for name in self.NAMES:
            monkeypatch.setattr(Path, name, self._counted(name, getattr(Path, name)))

    def _counted(self, name, real):
        def call(path, *given, **named):
            self.calls[name] += 1
            return real(path, *given, **named)

        return call


def counted(folder, count, monkeypatch):
    slides = folder / f"in{count}"
    slides.mkdir()
    for number in range(count):
        (slides / f"s{number:05d}.tif").write_bytes(b"x")
    with monkeypatch.context() as patched:
        counting = Counting(patched)
        request = ExtractRequest(slides=(slides,), out=folder / f"out{count}")
        summary = extract(request, executor=Canned())
    assert summary.counts["done"] == count
    return counting.calls


@pytest.mark.slow
def test_files_looked_at_grow_with_the_slides_and_no_faster(tmp_path, monkeypatch):
    """From 200 slides to 2,000: ten times the looks at files, and not one more folder listed."""
    few, many = (counted(tmp_path, count, monkeypatch) for count in (200, 2_000))
    assert many["stat"] <= 10 * few["stat"] + 50
    assert many["open"] <= 10 * few["open"] + 50
    for listing in ("iterdir", "rglob", "glob"):
        assert many[listing] == few[listing] <= 5


def test_manifest_and_table_are_those_of_the_whole(tmp_path):
    """Written slide by slide, they are what the summary says at once."""
    slides = tmp_path / "in"
    slides.mkdir()
    for number in range(30):
        (slides / f"s{number:02d}.tif").write_bytes(b"x")
    out = tmp_path / "out"
    summary = extract(ExtractRequest(slides=(slides,), out=out), executor=Canned())
    assert (out / "extract.json").read_bytes() == json_bytes(summary.to_json())
    header, rows = csv_rows((out / "extract.csv").read_bytes())
    assert header[0] == "SLIDE"
    assert [row[:3] for row in rows] == [[f"s{n:02d}.tif", "done", "12"] for n in range(30)]
    (record,) = past_runs(out)
    assert record["decided_digest"] == digest_value(summary.to_json())
    assert record["work_seconds"] == pytest.approx(3.0)
    assert (record["tiles_made"], record["counts"]["made"]) == (360, 30)


PEAK = """
    import sys, tracemalloc
    from pathlib import Path
    from extraction.test_many_slides import Canned
    from metastra.pipeline.extract import ExtractRequest, extract

    def peak_of(count):
        slides = Path(sys.argv[1], f"in{count}")
        slides.mkdir()
        for number in range(count):
            (slides / f"s{number:05d}.tif").write_bytes(b"x")
        tracemalloc.start()
        request = ExtractRequest(slides=(slides,), out=slides.with_name(f"out{count}"))
        extract(request, executor=Canned())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_of(10)  # what is loaded once
    few, many = peak_of(1_000), peak_of(4_000)
    print((many - few) / 3_000)
"""


@pytest.mark.slow
def test_a_run_holds_a_few_kilobytes_a_slide_at_its_peak(tmp_path):
    """Manifest, table and summary included; all of it whole were six."""
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PEAK), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(run.stdout) < 3_000


@pytest.mark.slow
def test_what_is_kept_of_a_slide_is_a_few_kilobytes(tmp_path):
    """What was found on a slide and its pixels stay with the workers."""
    jobs = [
        SlideJob(path=f"in/s{n}.tif", name=f"s{n}", folder=str(tmp_path), encoder="morphology")
        for n in range(2_000)
    ]
    careful = Quarantine(executor=Canned(), folder=tmp_path, step="extract")
    kept, marks = [], {}
    tracemalloc.start()
    try:
        for fate in extract_all(careful, jobs):
            kept.append(fate)
            if len(kept) in (500, 1_000, 1_999):
                marks[len(kept)] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    first, last = marks[1_000] - marks[500], marks[1_999] - marks[1_000]
    assert last / 999 < 4_000
    assert last / 999 < 1.3 * first / 500
    assert all(fate.outcome.codes == () for fate in kept)
