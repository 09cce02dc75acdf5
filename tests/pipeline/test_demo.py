"""The demo: what it writes, what a planted leak does, and what belongs to it."""

from __future__ import annotations

import json

import pytest

from metastra.errors import ConfigError, DataError
from metastra.pipeline.demo import LEAK_NAMES, prepare_demo, run_demo
from metastra.pipeline.opening import open_study
from metastra.storage import write_bytes
from metastra.synthetic.faults import plant
from metastra.synthetic.generate import generate, study_files
from metastra.synthetic.hazard import HazardModel
from metastra.synthetic.painted_study import PAINTED_COHORTS, PAINTED_TRUTH
from metastra.synthetic.painting.study_slides import plan_slides
from metastra.synthetic.patients import draw_patients
from metastra.synthetic.risk import true_risk


def test_an_unknown_leak_and_a_strange_folder_are_refused_before_anything_is_written(tmp_path):
    """The message lists what can be planted, and names the file that is no part of a demo."""
    with pytest.raises(ConfigError, match="the leaks are patient-in-two-cohorts"):
        run_demo(tmp_path / "a", patients=60, slide_mm2=None, leaks=["leek"])
    assert not (tmp_path / "a").exists()
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(ConfigError, match=r"thesis\.docx"):
        run_demo(tmp_path, patients=60, slide_mm2=None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_what_a_killed_painting_left_does_not_stop_the_next_call(tmp_path):
    """A half-written slide belongs to the demo."""
    half = tmp_path / "south" / "slides" / f".part-{32 * '0'}"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"II")
    made = prepare_demo(tmp_path, patients=60, slide_mm2=None)
    assert made.opened.study.study.name == "synthetic-crc-liver"


@pytest.mark.parametrize(
    ("leak", "code"), [("patient-in-two-cohorts", "LK001"), ("metastasis-slides", "LK005")]
)
def test_a_planted_leak_stops_the_demo_with_its_name(tmp_path, leak, code):
    """Nothing is run on a study that its check refuses."""
    assert leak in LEAK_NAMES
    with pytest.raises(DataError) as caught:
        run_demo(tmp_path, patients=300, seed=3, slide_mm2=None, leaks=[leak])
    assert code in {problem.code for problem in caught.value.problems}
    assert not (tmp_path / "run" / "predictions.csv").exists()


def test_a_leak_that_only_warns_is_in_the_checks_report(tmp_path):
    """Scanners that follow the outcome are named, and the study may still be run."""
    done = run_demo(
        tmp_path, patients=300, seed=3, slide_mm2=None, leaks=["scanner-follows-outcome"]
    )
    found = json.loads((tmp_path / "run" / "check.json").read_text())
    assert "LK006" in {problem["code"] for problem in found["problems"]}
    assert "warning" in done.checked
    assert open_study(tmp_path).study.synthetic is not None


def test_the_study_with_slides_has_its_own_truth_and_case_mix():
    """Only the effects of tissue and the level differ; who comes and the resolution are stated."""
    plain = {effect.term: effect for effect in HazardModel().effects}
    for effect in PAINTED_TRUTH.effects:
        before = plain[effect.term]
        factor = {"stroma": 2.8, "lymphocytes": 2.6}.get(effect.term, 1.0)
        assert effect.values == pytest.approx([factor * value for value in before.values], abs=6e-4)
    assert PAINTED_TRUTH.death == HazardModel().death
    study = generate(n_patients=60, seed=1, model=PAINTED_TRUTH, plans=PAINTED_COHORTS)
    planned = plan_slides(study, study.parts(slides=True), slide_mm2=0.35)
    assert len(planned) == 60
    south = {slide.scanner.name for slide in planned if slide.file.startswith("south/")}
    assert south <= {s.scanner.name for s in planned if not s.file.startswith("south/")}
    assert {slide.scanner.name: slide.scanner.mpp for slide in planned} == {
        "Aurora S60": 0.5,
        "Falter 3D": 0.4856,
        "Pelican 2": 0.465,
    }
    for plan in PAINTED_COHORTS:
        for centre in plan.centres:
            assert sum(centre.stages) == pytest.approx(1.0)


@pytest.mark.parametrize(("stage", "by_five"), [("I", 0.037), ("II", 0.133), ("III", 0.304)])
def test_rates_by_stage_are_near_the_published_ones(stage, by_five):
    """Stronger effects of tissue and a lower level: 5-year risks as in Manfredi 2006."""
    patients = draw_patients(PAINTED_COHORTS[0], 20_000, seed=12)
    mine = patients.covariates.take(patients.coarse_stage == stage)

    assert true_risk(PAINTED_TRUTH, mine, 1826.25).mean() == pytest.approx(by_five, rel=0.16)


@pytest.mark.parametrize(
    ("leak", "code"),
    [
        ("patient-in-two-cohorts", "LK001"),
        ("metastasis-slides", "LK005"),
        ("scanner-follows-outcome", "LK006"),
    ],
)
def test_each_leak_is_found_in_the_study_with_slides(tmp_path, leak, code):
    """The check reads tables and looks for the files; these are stand-ins for painted ones."""
    study = generate(n_patients=440, seed=7, model=PAINTED_TRUTH, plans=PAINTED_COHORTS)
    found = []
    for folder, parts in (
        (tmp_path / "clean", study.parts(slides=True)),
        (tmp_path / "leaky", plant(study.parts(slides=True), leak).parts),
    ):
        for name, content in study_files(study, parts).items():
            write_bytes(folder / name, content)
        for slide in plan_slides(study, parts, slide_mm2=0.35):
            write_bytes(folder / slide.file, slide.file.encode())
        found.append({problem.code for problem in open_study(folder).check().problems})
    assert code not in found[0]
    assert code in found[1]
