"""The record's permuted study: outcomes stay, predictors and slides go to others together."""

from __future__ import annotations

import pytest
from benchmarks.permuted import permuted_files, permuted_parts

from metastra.cohort.check import check_study
from metastra.errors import Severity
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.storage import write_bytes
from metastra.study.load import load_study
from metastra.synthetic.generate import generate
from metastra.synthetic.painted_study import PAINTED_COHORTS, PAINTED_TRUTH
from metastra.synthetic.painting.study_slides import plan_slides

OUTCOME = ("SURGERY_DATE", "LAST_CONTACT", "OS_DAYS", "OS_STATUS", "site")
PREDICTORS = ("age", "sex", "TNM", "stage", "location")


@pytest.fixture(scope="module")
def study():
    return generate(n_patients=120, seed=9, model=PAINTED_TRUTH, plans=PAINTED_COHORTS)


def rows(part) -> dict[str, dict[str, object]]:
    return {
        str(row[part.columns.index("PATIENT")]): dict(zip(part.columns, row, strict=True))
        for row in part.rows
    }


@pytest.mark.parametrize("cohort", ["north", "rhine", "south"])
def test_pairs_are_broken_and_everything_else_is_kept(study, cohort):
    """Outcome and hospital stay; predictors move inside the hospital, the slide with them."""
    before, after = study.parts(slides=True), permuted_parts(study, 0)
    name = next(key for key in before if key.startswith(f"{cohort}/clini."))
    slides = next(key for key in before if key.startswith(f"{cohort}/slides."))
    old, new = rows(before[name]), rows(after[name])
    shown_old, shown_new = rows(before[slides]), rows(after[slides])
    owner = {row["FILENAME"]: patient for patient, row in shown_old.items()}

    assert before[name.replace("clini", "events")] == after[name.replace("clini", "events")]
    moved = 0
    for patient, row in new.items():
        source = str(owner[shown_new[patient]["FILENAME"]])
        assert [row[key] for key in OUTCOME] == [old[patient][key] for key in OUTCOME]
        assert [row[key] for key in PREDICTORS] == [old[source][key] for key in PREDICTORS]
        assert old[source]["site"] == old[patient]["site"]
        assert shown_new[patient]["SCANNER"] == shown_old[source]["SCANNER"]
        moved += source != patient
    assert moved > 0.5 * len(new)  # the excluded stay where they are
    other = permuted_parts(study, 1)
    assert other[name] != after[name]
    assert permuted_parts(study, 0)[name] == after[name]


def test_the_permuted_study_is_accepted_and_holds_no_truth(tmp_path):
    """Its slides are those of the study itself, under the same names."""
    files = permuted_files(seed=9, permutation=0, patients=120)
    assert not [name for name in files if name.startswith("truth/")]
    for name, content in files.items():
        write_bytes(tmp_path / name, content)
    study = generate(n_patients=120, seed=9, model=PAINTED_TRUTH, plans=PAINTED_COHORTS)
    for slide in plan_slides(study, study.parts(slides=True), slide_mm2=0.35):
        write_bytes(tmp_path / slide.file, slide.file.encode())
    report = check_study(load_study(tmp_path / "study.toml"), Pseudonyms(SecretKey(bytes(32))))
    assert [str(p) for p in report.problems if p.severity is Severity.REFUSE] == []
