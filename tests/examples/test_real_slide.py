"""A real slide of another organ through a bundle that was trained on painted slides."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from metastra.executor import Serial
from metastra.pipeline.given_slides import SlideSource
from metastra.pipeline.opening import open_study
from metastra.pipeline.predict import predict_table
from metastra.pipeline.run import run_study
from metastra.storage import write_bytes
from metastra.synthetic.generate import generate, study_files
from metastra.synthetic.painted_study import PAINTED_COHORTS, PAINTED_TRUTH
from metastra.synthetic.painting.study_slides import paint_slides, plan_slides

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A study of 45 patients, most of whom relapse, with painted slides: fitted, not judged."""
    folder = tmp_path_factory.mktemp("trained")
    eager = replace(PAINTED_TRUTH, liver=replace(PAINTED_TRUTH.liver, per_year=0.4))
    plans = [replace(plan, share=0.5) for plan in PAINTED_COHORTS[:2]]
    study = generate(n_patients=45, seed=21, model=eager, plans=plans)
    parts = study.parts(slides=True)
    text = parts["study.toml"]
    assert isinstance(text, bytes)
    folds = b'folds = 5\ngroup = ["PATIENT", "site"]\nleave_one_cohort_out = true'
    assert folds in text
    assert b'aggregator = "linear"' in text
    parts["study.toml"] = text.replace(folds, b"folds = 3")
    for name, content in study_files(study, parts).items():
        write_bytes(folder / name, content)
    done = paint_slides(plan_slides(study, parts, slide_mm2=0.25), folder, executor=Serial())
    assert not done.failures
    opened = open_study(folder)
    for stage in ("cohort", "features", "splits", "bundle"):
        (result,) = (
            one
            for one in run_study(opened, only=stage, executor=Serial()).results
            if one.stage == stage
        )
        assert result.done == "made", result
    return folder / "run" / "bundle"


def test_a_real_slide_of_skin_gets_a_risk_that_begins_with_a_warning(shared, trained, tmp_path):
    """Nothing is refused that the contract allows, and nothing passes as validated."""
    (tmp_path / "clini.csv").write_text(
        "PATIENT,age,sex,stage,grade,MMR,location,CEA\nCMU-1,61,F,III,G2,pMMR,left,3.5\n"
    )
    (tmp_path / "slides.csv").write_text(
        "PATIENT,FILENAME,STAIN\nCMU-1,CMU-1-Small-Region.svs,H&E\n"
    )
    summary = predict_table(
        trained,
        tmp_path / "clini.csv",
        tmp_path / "risks.csv",
        slides=SlideSource(
            table=tmp_path / "slides.csv",
            folder=shared / "data" / "wsi",
            store=tmp_path / "features",
            executor=Serial(),
        ),
    )
    with (tmp_path / "risks.csv").open() as stream:
        rows = list(csv.DictReader(stream))

    assert (summary.n, summary.n_not_assessable, summary.n_outside) == (1, 0, 1)
    assert summary.slides == {"done": 1}
    assert [float(row["horizon"]) for row in rows] == [12.0, 24.0, 36.0]
    risks = [float(row["risk"]) for row in rows]
    assert risks == sorted(risks)
    assert all(0.0 <= risk <= 1.0 for risk in risks)
    for row in rows:
        assert row["note"].startswith("outside the validated range")
        assert "features" in row["note"]
