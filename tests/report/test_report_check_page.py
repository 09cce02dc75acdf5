"""From a check and a stored split to the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metastra.cohort.check import CheckReport
from metastra.cohort.cohort_units import units_of
from metastra.cohort.metadata_model import MetadataModel
from metastra.cohort.split_draw import draw_split
from metastra.report.check_page import check_page, split_summary
from metastra.report.cohort_html import render_cohort_page
from metastra.storage.encode import json_bytes
from metastra.study.sections import Resolution


@pytest.fixture(scope="module")
def split(cohort):
    """Five folds by patient and site of north."""
    study = cohort.study.model_copy(
        update={"validation": cohort.study.validation.model_copy(update={"folds": 3})}
    )
    return draw_split(units_of(cohort), study.validation, seed=study.study.seed)


@pytest.fixture
def report(cohort, split) -> CheckReport:
    """What a check of the made-up study would leave."""
    fitted = MetadataModel(
        n=180,
        events=54,
        concordance=0.55,
        lower=0.46,
        upper=0.64,
        p=0.2,
        columns=("scanner", "site"),
        alone={"scanner": 0.51, "site": None},
    )
    entry = Resolution(
        code="EP010",
        action="use-events",
        reason="the registry lags behind",
        patients=("STUDYID-n001",),
    )
    return CheckReport(
        study=cohort.study,
        cohort=cohort,
        flows=cohort.flows,
        problems=cohort.problems,
        metadata_model=fitted,
        split=split,
        resolutions=((entry, ("P-n001",)),),
        ids={("north", "P-n001"): "STUDYID-n001"},
        table_digests=cohort.table_digests,
    )


def test_the_split_is_counted_patient_by_patient(cohort, split):
    """Fitted on, tested on, events and groups of each fold, by looking every id up."""
    event = {p.key: int(e) for p, e in zip(cohort.patients, cohort.event, strict=True)}
    site = {p.key: p.values["site"] for p in cohort.patients}

    summary = split_summary(split, cohort)

    assert summary.scheme == "3 folds by patient and site"
    for fold, counted in zip(split.folds, summary.folds, strict=True):
        assert counted.n_train == len(fold.fitted_on)
        assert counted.n_test == len(fold.test)
        assert counted.events_train == sum(event[i] == 1 for i in fold.fitted_on)
        assert counted.events_test == sum(event[i] == 1 for i in fold.test)
        assert counted.competing_test == sum(event[i] == 2 for i in fold.test)
        assert counted.groups == len({site[i] for i in fold.test})
    for part in summary.parts:
        fold = next(f for f in split.folds if f.name == part.fold)
        inside = [i for i in fold.test if site[i] == part.group]
        assert (part.n, part.events) == (len(inside), sum(event[i] == 1 for i in inside))


def test_small_sites_share_a_bar(build_cohort):
    """A site of two patients has no bar of its own."""
    cohort = build_cohort()
    patients = list(cohort.patients)
    for i in (0, 1):
        patients[i] = replace(patients[i], values={**patients[i].values, "site": "tiny"})
    cohort = replace(cohort, patients=tuple(patients))
    section = cohort.study.validation.model_copy(update={"group": ("PATIENT", "site"), "folds": 2})
    split = draw_split(units_of(cohort), section, seed=1)

    groups = {part.group for part in split_summary(split, cohort).parts}

    assert "1 small groups" not in groups or "tiny" not in groups
    assert "tiny" not in groups


def test_the_page_of_a_check_holds_no_study_id(report):
    """Resolutions name study ids; the page shows the pseudonyms they were applied to."""
    page = check_page(report)

    html = render_cohort_page(page)

    assert "STUDYID" not in html
    assert b"STUDYID" not in json_bytes(page.to_json())
    assert "the registry lags behind" in html
    assert "1 patient: P-n001" in html
    assert "permutation p = 0.20" in html


def test_a_refused_check_has_its_flow_and_its_problems(report):
    """Who was listed is known also when the data are refused."""
    from metastra.catalogue import problem

    refused = replace(
        report, cohort=None, split=None, problems=(problem("EP001", "unknown code '9'"),)
    )

    page = check_page(refused)
    html = render_cohort_page(page)

    assert page.refused
    assert page.splits == ()
    assert page.metadata_model is None
    assert "nothing is analysed while the data are refused" in html
    assert html.count("<figure") == 1


def test_stored_folds_come_before_those_of_the_check(report, split):
    """A run shows the split that it keeps."""
    stored = replace(split, folds=split.folds[:2])

    page = check_page(report, split=stored)

    assert [summary.digest for summary in page.splits] == [stored.digest]
    assert len(page.splits[0].folds) == 2


def test_many_folds_are_listed_without_bars(cohort):
    """Ten repeats of five folds stand in the table."""
    section = cohort.study.validation.model_copy(
        update={"group": ("PATIENT",), "folds": 5, "repeats": 10}
    )
    split = draw_split(units_of(cohort), section, seed=1)

    summary = split_summary(split, cohort)

    assert len(summary.folds) == 50
    assert summary.parts == ()
