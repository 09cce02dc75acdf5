"""The demo: what it writes, what a planted leak does, and what belongs to it."""

from __future__ import annotations

import json

import pytest

from metastra.errors import ConfigError, DataError
from metastra.pipeline.demo import LEAK_NAMES, run_demo
from metastra.pipeline.opening import open_study
from metastra.synthetic.generate import generate
from metastra.synthetic.hazard import HazardModel
from metastra.synthetic.painted_study import PAINTED_COHORTS, PAINTED_TRUTH
from metastra.synthetic.painting.study_slides import plan_slides


def test_an_unknown_leak_and_a_strange_folder_are_refused_before_anything_is_written(tmp_path):
    """The message lists what can be planted, and names the file that is no part of a demo."""
    with pytest.raises(ConfigError, match="the leaks are patient-in-two-cohorts"):
        run_demo(tmp_path / "a", patients=60, slide_mm2=None, leaks=["leek"])
    assert not (tmp_path / "a").exists()
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(ConfigError, match=r"thesis\.docx"):
        run_demo(tmp_path, patients=60, slide_mm2=None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


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
        factor = {"stroma": 2.4, "lymphocytes": 2.0, "necrosis": 2.0}.get(effect.term, 1.0)
        assert effect.values == pytest.approx([factor * value for value in before.values])
    assert PAINTED_TRUTH.death == HazardModel().death
    study = generate(n_patients=60, seed=1, model=PAINTED_TRUTH, plans=PAINTED_COHORTS)
    planned = plan_slides(study, study.parts(slides=True), slide_mm2=0.35)
    assert len(planned) == 60
    assert {slide.scanner.name: slide.scanner.mpp for slide in planned} == {
        "Aurora S60": 0.5,
        "Falter 3D": 0.4856,
        "Pelican 2": 0.5,
        "Orbit 450": 0.465,
    }
    for plan in PAINTED_COHORTS:
        for centre in plan.centres:
            assert sum(centre.stages) == pytest.approx(1.0)
