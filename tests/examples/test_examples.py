"""The example studies on real tables, each with the facts that its table is known for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from metastra.cohort.check import CheckReport, check_study
from metastra.errors import Severity
from metastra.pipeline.opening import open_study
from metastra.pipeline.page import page_bytes
from metastra.pipeline.run import run_study
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.study.load import parse_study
from metastra.survival.aalen_johansen import aalen_johansen

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PSEUDONYMS = Pseudonyms(SecretKey(bytes(32)))


@pytest.fixture
def check(shared, monkeypatch):
    """Check an example, its text changed by pairs of old and new."""
    monkeypatch.setenv("METASTRA_SHARED", str(shared))

    def run(name: str, *changes: tuple[str, str], cut: str = "") -> CheckReport:
        text = (EXAMPLES / name / "study.toml").read_text()
        if cut:
            text = text[: text.index(cut)]
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return check_study(parse_study(text), PSEUDONYMS)

    return run


def rows_of(report: CheckReport, code: str, text: str = "") -> set[tuple[int, ...]]:
    return {p.where.rows for p in report.problems if p.code == code and text in p.found}


@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXAMPLES.glob("*/study.toml")))
def test_every_example_is_accepted_and_has_its_page(name, check):
    """No example is refused, its patients add up, and its page says what it must."""
    report = check(name)

    assert [str(p) for p in report.problems if p.severity is Severity.REFUSE] == []
    for flow in report.flows:
        assert flow.n_listed == flow.n_analysed + sum(step.n for step in flow.steps)
    page = page_bytes(report).decode()
    assert "Research use only" in page
    assert not re.search(r"<script|https?://(?!www\.w3\.org)", page)


@pytest.mark.parametrize(
    ("cancer", "events", "lost"),
    [("brca", [8, 9, 20, 7, 16], 3), ("coadread", [5, 13, 5, 9, 5], 2)],
)
def test_the_published_folds_are_read_as_they_are(cancer, events, lost, check):
    """No site stands on both sides, the events per fold are the published ones, losses counted."""
    report = check(f"tcga-{cancer}")
    cohort, split = report.cohort, report.split
    position = {patient.key: i for i, patient in enumerate(cohort.patients)}
    site = [patient.values["tissue_source_site"] for patient in cohort.patients]

    found = []
    for fold in split.folds:
        train = {site[position[key]] for key in fold.train}
        test = {site[position[key]] for key in fold.test}
        assert train.isdisjoint(test)
        found.append(sum(cohort.event[position[key]] == 1 for key in fold.test))

    assert found == events
    assert len(split.missing) == lost
    assert sum(len(fold.test) for fold in split.folds) == len(cohort)


def test_random_folds_of_the_same_patients_share_sites_and_are_refused(check):
    """The folds of another publication put sites on both sides; each fold is named."""
    report = check(
        "tcga-brca", ("survpath_brca_5fold/splits_{fold}", "porpoise_brca_5fold/splits_{fold}")
    )

    found = [p for p in report.problems if p.code == "SP002"]
    assert len(found) == 5
    assert all(p.severity is Severity.REFUSE for p in found)


def test_every_contradiction_of_orion_is_named_with_its_row(check):
    """Without the resolutions the study is refused, for exactly the table's contradictions."""
    report = check("orion-crc", cut="# ── What is done about the contradictions")

    assert report.refused
    assert rows_of(report, "CO041") == {(7, 10)}  # stage III with M1a: C10, C13
    assert rows_of(report, "CO043") == {(5, 9, 18, 19, 23)}  # C05, C12, C22, C23, C28
    deaths = rows_of(report, "EP010", "death without recurrence coded as censored")
    assert deaths == {(14, 19, 22, 23, 24)}  # C17, C23, C27, C28, C30
    assert rows_of(report, "EP010", "recurrence coded as censored") >= {(28,)}  # C39
    nothing = [p for p in report.problems if "nothing recorded" in p.found]
    assert {(p.where.column, p.where.rows) for p in nothing} == {
        ("PFSCensor", (12,)),  # C15: PFS event without recurrence or death
        ("OSCensor", (12,)),  # C15: OS event with Death = 0
    }


def test_orion_after_the_resolutions(check):
    """M1 patients stand apart: 28 listed, 8 excluded, deaths without recurrence compete."""
    report = check("orion-crc")
    flow = report.flows[0]

    assert (flow.n_listed, flow.n_analysed, flow.n_events, flow.n_competing) == (28, 20, 10, 4)
    assert [(step.reason, step.n) for step in flow.steps] == [("metastases at diagnosis (M1)", 8)]


def test_the_overlap_of_two_public_tables_is_found(check):
    """630 patients stand in both clinical tables; the rule of the study says who keeps them."""
    refused = check("msk-crc", ('overlap = "keep-in-development"', 'overlap = "refuse"'))
    kept = check("msk-crc")

    found = next(p for p in refused.problems if p.code == "LK001")
    assert "630 patients of cohort 'msk-2017' are also in cohort 'msk-met'" in found.found
    assert len(found.where.rows) == 630
    moved = {step.reason: step.n for step in kept.flows[1].steps}
    assert moved["is kept in cohort msk-met"] == 630


def test_distant_metastasis_of_rotterdam_agrees_with_r(check):
    """Ten-year incidence .4532 and of death before it .0760 (R's package survival)."""
    cohort = check("breast-distant-metastasis").cohort
    curves = aalen_johansen(cohort.outcome())

    at = {cause: float(curves[cause].incidence_at(np.array([3652.5]))[0]) for cause in (1, 2)}
    assert at[1] == pytest.approx(0.4532, abs=6e-4)
    assert at[2] == pytest.approx(0.0760, abs=6e-4)


def test_the_same_tables_give_the_same_cohort_everywhere(check):
    """The cohort's digest depends on tables and settings, not on where they lie."""
    assert check("orion-crc").cohort.digest == check("orion-crc").cohort.digest


@pytest.mark.slow
@pytest.mark.parametrize(("cancer", "known"), [("brca", 0.781), ("coadread", 0.716)])
def test_stage_alone_on_the_published_folds_has_its_known_concordance(
    cancer, known, shared, tmp_path, monkeypatch
):
    """`run` gives the unfitted score's mean over the folds, and the fitted model's beside it."""
    monkeypatch.setenv("METASTRA_SHARED", str(shared))
    (tmp_path / "study.toml").write_bytes((EXAMPLES / f"tcga-{cancer}/study.toml").read_bytes())
    opened = open_study(tmp_path)
    for stage in ("cohort", "splits", "bundle", "predictions", "reference"):
        run_study(opened, only=stage)
    found = json.loads((tmp_path / "run" / "reference.json").read_text())

    stage = found["references"][0]
    assert stage["mean"]["estimate"] == pytest.approx(known, abs=0.001)
    assert stage["mean"]["lower"] < known < stage["mean"]["upper"]
    assert len(stage["folds"]) == 5
    assert set(stage["put_in"].values()) == {2.0}
    fitted = found["model"]["mean"]
    assert fitted["lower"] < fitted["estimate"] < fitted["upper"]
    assert 0.6 < fitted["estimate"] < 0.85
    assert stage["model_less_reference"]["estimate"] == pytest.approx(
        fitted["estimate"] - stage["mean"]["estimate"], abs=1e-9
    )
