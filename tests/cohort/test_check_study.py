"""The whole check on small studies written by hand: what reaches the cohort and what does not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from metastra.cohort.check import check_study, load_cohort
from metastra.errors import ConfigError, DataError, Severity
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.study.load import load_study, parse_study
from metastra.survival.aalen_johansen import aalen_johansen

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


def test_labels_at_a_horizon_carry_weights_and_drop_nobody(tmp_path):
    """The weighted share of labels is the Aalen–Johansen risk; a short follow-up has weight 0."""
    clini = list(CLINI)
    clini[22] = clini[22].replace("2022-06-22", "2019-09-22")
    cohort = load_cohort(study_in(tmp_path, clini=clini), PSEUDONYMS)
    frame = cohort.frame()

    short = frame.loc[frame["PATIENT"] == "A21"].iloc[0]
    assert (short["ipcw_365"], np.isnan(short["label_365"])) == (0.0, True)
    assert len(frame) == len(cohort)
    share = (frame["label_365"].fillna(0) * frame["ipcw_365"]).sum() / frame["ipcw_365"].sum()
    risk = aalen_johansen(cohort.outcome())[1].incidence_at(np.array([365.0]))[0]
    assert share == pytest.approx(risk)


@pytest.mark.parametrize(
    ("extra", "events"),
    [
        ("", [*EVENTS, "A20,2020-09-01,metastasis,see A07,"]),
        ('columns = { SITE = "PATIENT" }\n', EVENTS),
    ],
)
def test_an_id_inside_a_cell_is_masked(extra, events, tmp_path):
    """A remark that names a patient, or a column map that points at the ids, shows pseudonyms."""
    report = check_study(study_in(tmp_path, head=HEAD + extra, events=events), PSEUDONYMS)

    text = " ".join(str(p) for p in report.problems)
    assert report.refused
    assert [i for i in range(24) if f"A{i:02d}" in text] == []


def test_survival_after_metastasis_starts_at_the_metastasis(tmp_path):
    """A dated specimen of the primary does not move the clock to surgery of the primary."""
    head = HEAD.replace("metachronous-liver-metastasis", "survival-after-metastasis").replace(
        "synchronous_window_months = 3\n", ""
    )
    head += 'specimen_table = "specimens.csv"\nslide_table = "slides.csv"\nrequire_slides = false\n'
    events = [*EVENTS, *(f"A{i:02d},2021-12-24,death,," for i in range(8))]
    specimens = ["PATIENT,SPECIMEN,ROLE,DATE"]
    slides = ["PATIENT,FILENAME,SPECIMEN"]
    for i in range(8):
        specimens += [
            f"A{i:02d},P,primary,2019-01-{1 + i:02d}",
            f"A{i:02d},M,metastasis,2020-12-24",
        ]
        slides += [f"A{i:02d},{i}p.svs,P", f"A{i:02d},{i}m.svs,M"]
    (tmp_path / "specimens.csv").write_text("\n".join(specimens) + "\n")
    (tmp_path / "slides.csv").write_text("\n".join(slides) + "\n")

    clini = [line.replace("2022-06-0", "2021-12-2") if line[1:3] < "08" else line for line in CLINI]
    clini = [re.sub(r"2021-12-2\d", "2021-12-24", line) for line in clini]

    report = check_study(study_in(tmp_path, head=head, clini=clini, events=events), PSEUDONYMS)

    assert [str(p) for p in report.problems if p.severity is Severity.REFUSE] == []
    assert len(report.cohort) == 8
    assert set(report.cohort.time_days) == {365.0}


def test_a_relapse_before_surgery_is_named(tmp_path):
    """It is not counted as an event, and not passed over in silence."""
    head = HEAD.replace("metachronous-liver-metastasis", "recurrence-free-survival").replace(
        "synchronous_window_months = 3\n", ""
    )
    events = [*EVENTS, "A20,2009-09-01,recurrence,local,"]

    report = check_study(study_in(tmp_path, head=head, events=events), PSEUDONYMS)

    assert [(p.where.file, p.where.rows) for p in report.problems if p.code == "EP021"] == [
        ("events.csv", (10,))
    ]


@pytest.mark.parametrize(
    ("criterion", "n"),
    [
        ('column = "flag"\nequals = ["1"]', 12),
        ('column = "flag"\nequals = ["1.0"]', 12),
        ('column = "word"\nequals = ["YES"]', 12),
        ('column = "comma"\nminimum = 2.0', 12),
    ],
)
def test_criteria_compare_words_not_bytes(criterion, n, tmp_path):
    """1.0 is 1, Yes is yes, and 1,5 is a number in a table with decimal commas."""
    clini = [
        line.replace(",", ";")
        + (";flag;word;comma" if i == 0 else (";1.0;Yes;1,5" if i % 2 else ";0.0;no;2,5"))
        for i, line in enumerate(CLINI)
    ]
    head = HEAD + 'clini_format = { delimiter = ";", decimal = "," }\n'
    head += f'[[exclude]]\nreason = "r"\n{criterion}\n'

    report = check_study(study_in(tmp_path, head=head, clini=clini), PSEUDONYMS)

    assert [step.n for step in report.flows[0].steps if step.stage == "criterion"] == [n]


@pytest.mark.parametrize("column", ["@metastasis", "@M"])
def test_derived_columns_must_be_founded(column, tmp_path):
    """A criterion on a derived column that nothing supports is refused, not ignored."""
    head = HEAD + f'[[exclude]]\nreason = "r"\ncolumn = "{column}"\nequals = ["1"]\n'

    with pytest.raises(ConfigError, match="@"):
        study_in(tmp_path, head=head)


def test_a_rule_without_its_column_is_refused_and_patients_without_slides_are_counted(tmp_path):
    """`index-block` needs INDEX; who has no slide is named."""
    head = HEAD + 'slide_table = "slides.csv"\nrequire_slides = false\n'
    (tmp_path / "slides.csv").write_text("PATIENT,FILENAME\nA00,a.svs\n")
    counted = check_study(study_in(tmp_path, head=head), PSEUDONYMS)
    ruled = check_study(
        study_in(tmp_path, head=head + '[slides]\nper_patient = "index-block"\n'), PSEUDONYMS
    )

    assert [len(p.patients) for p in counted.problems if p.code == "CO046"] == [23]
    assert any(p.code == "CO007" and "INDEX" in p.found for p in ruled.problems)


def test_a_temporal_split_reads_dates_in_the_tables_format(tmp_path):
    """Day-first dates cut where the study says, and a bad date is named with its row."""
    clini = [
        line + (",SEEN_FIRST" if i == 0 else f",1{i % 9}.0{1 + i % 2}.2019")
        for i, line in enumerate(CLINI)
    ]
    head = HEAD.replace("folds = 2", 'temporal_column = "SEEN_FIRST"\ntemporal_cut = 2019-02-01')
    head += 'clini_format = { date_format = "%d.%m.%Y" }\n'
    iso = {name: i for i, name in enumerate(CLINI[0].split(","))}
    rows = [line.split(",") for line in clini]
    for row in rows[1:]:
        for name in ("SURGERY", "SEEN"):
            year, month, day = row[iso[name]].split("-")
            row[iso[name]] = f"{day}.{month}.{year}"
    clini = [",".join(row) for row in rows]

    report = check_study(study_in(tmp_path, head=head, clini=clini), PSEUDONYMS)
    assert [str(p) for p in report.problems if p.severity is Severity.REFUSE] == []
    assert len(report.split.folds[0].test) == 12

    clini[4] = clini[4].rsplit(",", 1)[0] + ",soon"
    bad = check_study(study_in(tmp_path, head=head, clini=clini), PSEUDONYMS)
    assert [p.where.rows for p in bad.problems if p.code == "CO032"] == [(5,)]


def test_resolutions_reach_the_right_cohort_where_ids_repeat(tmp_path):
    """Two cohorts that number their own patients: `cohorts` says whose A20 is meant."""
    head = HEAD.replace('name = "x"\n', 'name = "x"\npatient_ids = "per-cohort"\n')
    second = (
        HEAD[HEAD.index("[[cohort]]") :]
        .replace("north", "south")
        .replace("development", "external")
    )
    clini = list(CLINI)
    clini[21] = "A20,2019-01-21,,70.5,pT3 N0 cM0"
    entry = '[[resolve]]\ncode = "EP004"\npatients = ["A20"]\naction = "exclude"\nreason = "lost"\n'

    report = check_study(study_in(tmp_path, head=head + second + entry, clini=clini), PSEUDONYMS)

    assert [str(p) for p in report.problems if p.severity is Severity.REFUSE] == []
    assert [flow.n_analysed for flow in report.flows] == [23, 23]


def test_an_event_table_may_be_empty_where_nothing_happened_yet(tmp_path):
    """A header alone is a warning, not a failed export."""
    report = check_study(study_in(tmp_path, events=EVENTS[:1]), PSEUDONYMS)

    empty = [p for p in report.problems if p.code == "CO002"]
    assert [p.severity for p in empty] == [Severity.WARN]


def test_days_read_as_months_are_noticed_in_recorded_durations(tmp_path):
    """Follow-up of 80 years is a unit, not a patient."""
    clini = ["PATIENT,SEEN,age"] + [f"A{i:02d},{700 + 31 * i},{50 + i}" for i in range(24)]
    head = HEAD.replace('origin = "SURGERY"\n', 'unit = "months"\n').replace(
        'event_table = "events.csv"\n', ""
    )
    head += '[[recorded]]\ntype = "death"\nwhen = "SEEN"\noccurred = { age = ["50"] }\n'

    report = check_study(study_in(tmp_path, head=head, clini=clini), PSEUDONYMS)

    assert any(p.code == "EP008" for p in report.problems)
