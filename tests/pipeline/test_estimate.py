"""A dry run says how many slides and tiles, how long and how much disk; it changes nothing."""

from __future__ import annotations

import json

import pytest

from extraction.small_slides import write_slide
from extraction.test_run_slides import lay_out
from metastra.executor import Serial
from metastra.extraction.job import SlideJob
from metastra.extraction.shard import Shard
from metastra.pipeline import features_stage
from metastra.pipeline.estimate import Estimate, StageEstimate
from metastra.pipeline.estimate_run import estimate_extraction
from metastra.pipeline.extract import ExtractRequest, extract
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.pipeline.run_shard import run_shard


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for number, side in enumerate((460, 460, 700, 900)):
        write_slide(folder / f"s{number}.tif", seed=number, side=side)
    (folder / "broken.svs").write_bytes(b"no slide")
    return folder


def size_of(folder):
    """Bytes of what an extraction leaves, its own tables and manifests aside."""
    own = {"extract.json", "extract.csv", "runs", ".lock"}
    files = [path for path in folder.rglob("*") if path.is_file() and not own & set(path.parts)]
    return sum(path.stat().st_size for path in files)


def test_an_extraction_is_estimated_before_and_nothing_is_left(slides, tmp_path):
    """Tiles and disk within 30 % of what then comes; a slide that is none is said, not counted."""
    request = ExtractRequest(slides=(slides,), out=tmp_path / "out")
    estimate = estimate_extraction(request, executor=Serial())
    assert not (tmp_path / "out").exists()

    (stage,) = estimate.stages
    summary = extract(request, executor=Serial())
    tiles = sum(fate.outcome.n_tiles for fate in summary.fates if fate.outcome)
    assert (stage.slides, estimate.unreadable) == (4, 1)
    assert stage.tiles == pytest.approx(tiles, rel=0.3)
    assert estimate.disk_bytes == pytest.approx(size_of(tmp_path / "out"), rel=0.3)
    assert estimate.seconds > 0
    assert "4 measured here" in stage.rests_on
    assert "1 slides could not be opened" in estimate.lines()[-1]
    assert json.loads(json.dumps(estimate.to_json()))["stages"][0]["tiles"] == stage.tiles

    after = estimate_extraction(request, executor=Serial())
    assert (after.stages[0].slides, after.disk_bytes, after.seconds) == (0, 0, 0.0)
    assert after.stages[0].rests_on == "everything is there"


@pytest.mark.slow
def test_a_dry_run_of_a_study_is_estimated_stage_by_stage(tmp_path):
    """Before the first run from slides and the demo, later from the study's own run."""
    folder = lay_out(tmp_path / "study", with_empty=False)
    before = run_study(open_study(folder), dry_run=True, executor=Serial())
    assert not (folder / "run").exists()
    stages = {stage.stage: stage for stage in before.estimate.stages}
    assert stages["qc"].slides == 1
    assert stages["features"].slides > 4
    assert "demo" in stages["evaluation"].rests_on
    assert "estimate with 1 slides at a time:" in before.lines()
    assert before.to_json()["estimate"]["disk_bytes"] == before.estimate.disk_bytes

    run_study(open_study(folder), executor=Serial())
    (folder / "run/report/index.html").unlink()
    again = run_study(open_study(folder), dry_run=True, executor=Serial())
    stages = {stage.stage: stage for stage in again.estimate.stages}
    assert {"qc", "features"}.isdisjoint(stages)
    assert stages["report"].rests_on.startswith("the run of ")
    assert stages["report"].disk_bytes > 1000


def test_what_is_not_known_is_said_and_left_out_of_the_sum():
    """A sum over half of the stages must not look like the whole."""
    estimate = Estimate(
        stages=(
            StageEstimate(stage="features", slides=2, tiles=1200, seconds=3700.0, disk_bytes=5000),
            StageEstimate(stage="bundle", rests_on="networks are trained"),
        ),
        workers=2,
    )
    assert estimate.lines() == [
        "estimate with 2 slides at a time:",
        "  features  2 slides, 1,200 tiles, 1:01:40, 5 kB  ()",
        "  bundle    time not known, disk not known  (networks are trained)",
        "  in all    1:01:40, 5 kB, without bundle",
    ]


def test_the_encoder_is_looked_up_once_for_all_slides_of_a_study(tmp_path, monkeypatch):
    """Not once a slide: each look reads the index of all features."""
    folder = lay_out(tmp_path / "study", with_empty=False)
    looked = []
    choose = features_stage.study_choice
    monkeypatch.setattr(
        features_stage, "study_choice", lambda *given: looked.append(1) or choose(*given)
    )
    summary = run_shard(open_study(folder), Shard(number=1, of=1), executor=Serial())
    assert len(summary.states) > 4
    assert len(looked) <= 3


def test_jobs_of_two_encoders_are_two_stages(slides, tmp_path, monkeypatch):
    """Each with its own tiles a second; quality is counted in the first alone."""
    from metastra.pipeline import estimate_run

    jobs = [
        SlideJob(path=str(path), name=path.stem, folder=str(tmp_path), encoder="morphology")
        for path in sorted(slides.glob("*.tif"))
    ]
    other = [SlideJob(**{**job.to_plain(), "engine": "numba-float32"}) for job in jobs]
    both = [SlideJob(**{**a.to_plain(), "also": (b,)}) for a, b in zip(jobs, other, strict=True)]
    monkeypatch.setattr(estimate_run, "planned", lambda *_given: ([], [], both))
    monkeypatch.setattr(
        estimate_run, "slide_work", lambda _pool, each, workers: Work(len(each), each[0].engine)
    )
    request = ExtractRequest(slides=(slides,), out=tmp_path)
    estimate = estimate_extraction(request, executor=Serial())
    assert [stage.seconds for stage in estimate.stages] == [4.0 + 8.0 + 1.0, 4.0 + 1.0]


class Work:
    """Four slides: 1 s of features and 2 s of quality each."""

    def __init__(self, slides, _engine):
        self.make = self.tiles = self.features_bytes = slides
        self.features_s, self.quality_s, self.start_s = 1.0 * slides, 2.0 * slides, 1.0
        self.rests_on, self.unreadable = "", 0
