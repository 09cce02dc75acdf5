"""The whole check on small studies written by hand: what reaches the cohort and what does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metastra.cohort.check import check_study, load_cohort
from metastra.errors import ConfigError, DataError, Severity
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.study.load import load_study, parse_study

PSEUDONYMS = Pseudonyms(SecretKey(bytes(32)))
HEAD = """
[study]
name = "x"
primary_tumour = "colorectal"
[endpoint]
name = "metachronous-liver-metastasis"
time_unit = "days"
horizons = [365]
synchronous_window_months = 3
[clock]
origin = "SURGERY"
last_contact = "SEEN"
[validation]
folds = 2
[[cohort]]
name = "north"
role = "development"
clini_table = "clini.csv"
event_table = "events.csv"
"""
CLINI = ["PATIENT,SURGERY,SEEN,age,TNM"] + [
    f"A{i:02d},2019-01-{1 + i:02d},2022-06-{1 + i:02d},{50 + i}.{i},pT3 N0 cM0" for i in range(24)
]
EVENTS = ["PATIENT,DATE,TYPE,SITE,LAST_NEGATIVE"] + [
    f"A{i:02d},2020-0{1 + i % 9}-11,metastasis,liver,2019-10-01" for i in range(8)
]


def study_in(folder: Path, *, head: str = HEAD, clini=CLINI, events=EVENTS):
    (folder / "clini.csv").write_text("\n".join(clini) + "\n")
    (folder / "events.csv").write_text("\n".join(events) + "\n")
    (folder / "study.toml").write_text(head)
    return load_study(folder)


def test_a_clean_study_becomes_a_cohort(tmp_path):
    """Time zero is surgery + 3 months; events, censoring and ids are as written."""
    cohort = load_cohort(study_in(tmp_path), PSEUDONYMS)

    assert len(cohort) == 24
    assert int((cohort.event == 1).sum()) == 8
    first = (np.datetime64("2020-01-11") - np.datetime64("2019-01-01")).astype(int)
    assert cohort.time_days[0] == pytest.approx(first - 91.3125)
    assert cohort.frame()["PATIENT"].tolist()[:2] == ["A00", "A01"]


def test_a_relapse_elsewhere_does_not_end_follow_up(tmp_path):
    """Lung metastasis before liver metastasis leaves the liver metastasis an event."""
    events = [*EVENTS, "A20,2019-09-01,metastasis,lung,", "A20,2020-03-01,metastasis,liver,"]

    cohort = load_cohort(study_in(tmp_path, events=events), PSEUDONYMS)

    assert cohort.event[20] == 1
    assert cohort.time_days[20] == pytest.approx(405 - 91.3125)


def test_a_metastasis_inside_the_window_is_counted_not_analysed(tmp_path):
    """The patient was never at risk; the flow says why."""
    events = [*EVENTS, "A20,2019-02-20,metastasis,liver,"]

    report = check_study(study_in(tmp_path, events=events), PSEUDONYMS)

    assert not report.refused
    assert report.flows[0].n_analysed == 23
    assert [step.stage for step in report.flows[0].steps] == ["endpoint"]


def test_several_sites_in_one_cell_are_several_events(tmp_path):
    """'lung, liver' holds a liver metastasis."""
    events = [*EVENTS, 'A20,2020-09-01,metastasis,"lung, liver",']

    cohort = load_cohort(study_in(tmp_path, events=events), PSEUDONYMS)

    assert cohort.event[20] == 1


def test_all_problems_come_at_once(tmp_path):
    """Faults of different tables and kinds are listed together."""
    clini = list(CLINI)
    clini[3] = clini[3].replace("2019-01-03", "2019-13-03")
    clini[4] = clini[4].replace("pT3", "pT9")
    clini[5] = "a03" + clini[5][3:]
    events = [*EVENTS, "A21,2020-09-01,metastasis,livr,", "ZZ,2020-09-01,metastasis,liver,"]
    head = HEAD + '[staging]\ntnm = "TNM"\n'

    report = check_study(study_in(tmp_path, head=head, clini=clini, events=events), PSEUDONYMS)

    assert {"CO012", "CO019", "CO032", "CO040", "EP012"} <= {p.code for p in report.problems}
    assert report.cohort is None
    with pytest.raises(DataError, match="refused"):
        load_cohort(report.study, PSEUDONYMS)


def test_an_excluded_patients_endpoint_is_not_asked_for(tmp_path):
    """A criterion removes the patient before the missing date matters."""
    clini = list(CLINI)
    clini[21] = "A20,2019-01-21,,70.5,pT3 N0 cM1"
    refused = check_study(study_in(tmp_path, clini=clini), PSEUDONYMS)
    head = (
        HEAD + '[staging]\ntnm = "TNM"\n[[exclude]]\nreason = "M1"\ncolumn = "@M"\nequals = ["1"]\n'
    )
    accepted = check_study(study_in(tmp_path, head=head, clini=clini), PSEUDONYMS)

    assert refused.refused
    assert [str(p) for p in accepted.problems if p.severity is Severity.REFUSE] == []
    assert [(step.reason, step.n) for step in accepted.flows[0].steps] == [("M1", 1)]


def test_a_measurement_after_surgery_is_no_predictor(tmp_path):
    """CEA of a visit after surgery is dated after the time of prediction."""
    clini = [
        line + (",CEA,CEA_DAY" if i == 0 else f",{2 + i % 7}.{i},2018-12-2{i % 9}")
        for i, line in enumerate(CLINI)
    ]
    clini[7] = clini[7].replace("2018-12", "2019-12")
    head = HEAD + '[clinical]\nCEA = { kind = "continuous", measured = "CEA_DAY" }\n'

    report = check_study(study_in(tmp_path, head=head, clini=clini), PSEUDONYMS)

    late = [p for p in report.problems if p.code == "LK004"]
    assert [(p.where.rows, p.severity) for p in late] == [((8,), Severity.REFUSE)]


def test_a_predictor_that_is_the_outcome_is_refused(tmp_path):
    """A column that only the patients with the event have is the outcome under another name."""
    clini = [
        line + (",treated" if i == 0 else (",yes" if i <= 8 else ",no"))
        for i, line in enumerate(CLINI)
    ]
    head = HEAD + '[clinical]\ntreated = { kind = "binary", levels = ["no", "yes"] }\n'

    report = check_study(study_in(tmp_path, head=head, clini=clini), PSEUDONYMS)

    assert [p.where.column for p in report.problems if p.code == "LK007"] == ["treated"]


def test_without_a_study_file_there_is_no_key(tmp_path):
    """Pseudonyms need a key, and a key needs a place."""
    with pytest.raises(ConfigError, match="pseudonyms"):
        check_study(parse_study(HEAD))


def test_the_key_is_made_beside_the_study_and_is_private(tmp_path):
    """Mode 600, the same pseudonyms the next time."""
    study = study_in(tmp_path)
    first = load_cohort(study).patients[0].pseudonym

    assert (tmp_path / "study.key").stat().st_mode & 0o777 == 0o600
    assert load_cohort(study).patients[0].pseudonym == first
