"""Tables given to the commands: every fault with its rows, all at once, and nothing written."""

from __future__ import annotations

import pytest

from ledger.ledger_study import (
    BUNDLE,
    ENROLLED,
    PREDICTED,
    PROTOCOL,
    SCREENED,
    at,
    begin,
    played,
    protocol_in,
    source,
)
from metastra.errors import ConfigError, DataError, LockedError
from metastra.ledger.anchors import anchor, lock_data
from metastra.ledger.changing import correct, withdraw
from metastra.ledger.opening import opened, writing
from metastra.ledger.predictions import record_predictions
from metastra.ledger.recording import enrol, record_outcomes, screen
from metastra.ledger.state import replay
from metastra.ledger.verifying import verify_ledger


@pytest.fixture
def study(tmp_path):
    """North has screened, enrolled and predicted three patients."""
    folder = tmp_path / "s"
    study = begin(folder, protocol_in(folder))
    with writing(study) as ledger:
        for verb, text, day in (
            (screen, SCREENED, "2026-02-04"),
            (enrol, ENROLLED, "2026-02-08"),
            (record_predictions, PREDICTED, "2026-02-09"),
        ):
            table = source(folder, "north", "t.csv", text.format(c="n", b=BUNDLE))
            verb(ledger, table, at(day))
    return study


def refused(study, verb, text, day="2026-03-01", centre="north"):
    """The problems with which a table is refused, as (code, rows, column)."""
    before = (study / "centres" / f"{centre}.jsonl").read_bytes()
    with writing(study) as ledger, pytest.raises(DataError) as caught:
        verb(ledger, source(study.parent, centre, "bad.csv", text), at(day))
    assert (study / "centres" / f"{centre}.jsonl").read_bytes() == before
    return {(p.code, p.where.rows, p.where.column) for p in caught.value.problems}


def test_every_fault_of_a_screening_table_is_told_at_once(study):
    """A criterion that is no number, no date, a future date, a second screening, one id twice."""
    text = (
        "PATIENT,DATE,age,stage\n"
        "n5,2026-02-20,sixty,II\n"
        "n6,,60,II\n"
        "n7,2026-09-01,60,II\n"
        "n1,2026-02-01,62,II\n"
        "n8,2026-02-20,60,II\n"
        "n8,2026-02-20,60,II\n"
        ",2026-02-20,60,II\n"
    )

    assert refused(study, screen, text) == {
        ("PR002", (2,), "age"),
        ("PR011", (3,), "DATE"),
        ("CO034", (4,), "DATE"),
        ("PR003", (5,), "PATIENT"),
        ("CO011", (6, 7), "PATIENT"),
        ("CO010", (8,), "PATIENT"),
    }


def test_every_fault_of_an_enrolment_table_is_told_at_once(study):
    """Not screened, not eligible, outside accrual, enrolled before on another day."""
    text = "PATIENT,DATE\nn9,2026-02-20\nn2,2026-02-20\nn1,2026-02-06\n"
    assert refused(study, enrol, text) == {
        ("PR005", (2,), "PATIENT"),
        ("PR005", (3,), "PATIENT"),
        ("PR004", (4,), "PATIENT"),
    }
    with writing(study) as ledger:
        more = "PATIENT,DATE,age,stage\nn5,2027-02-01,50,II\n"
        screen(ledger, source(study.parent, "north", "m.csv", more), at("2027-02-02"))
    late = "PATIENT,DATE\nn5,2027-02-01\n"
    assert refused(study, enrol, late, day="2027-02-03") == {("PR006", (2,), "DATE")}


def test_nobody_is_enrolled_beyond_the_planned_number(study):
    """Six are planned: three more may come, the fourth is named."""
    ids = [f"m{k}" for k in range(4)]
    screened = "PATIENT,DATE,age,stage\n" + "".join(f"{i},2026-03-01,50,II\n" for i in ids)
    enrolled = "PATIENT,DATE\n" + "".join(f"{i},2026-03-02\n" for i in ids)
    with writing(study) as ledger:
        screen(ledger, source(study.parent, "south", "s.csv", screened), at("2026-03-03"))

    found = refused(study, enrol, enrolled, day="2026-03-04", centre="south")

    assert found == {("PR007", (5,), "PATIENT")}


def test_every_fault_of_a_risk_table_is_told_at_once(study):
    """Risk outside [0, 1], no risk and no reason, both, twice, predicted before, a stranger."""
    more = "".join(f"m{k},2026-02-20,50,II\n" for k in range(3))
    with writing(study) as ledger:
        table = source(study.parent, "north", "m.csv", f"PATIENT,DATE,age,stage\n{more}")
        screen(ledger, table, at("2026-02-21"))
        rows = "".join(f"m{k},2026-02-22\n" for k in range(3))
        table = source(study.parent, "north", "e.csv", f"PATIENT,DATE\n{rows}")
        enrol(ledger, table, at("2026-02-23"))
    text = (
        f"PATIENT,risk,reason,bundle\nm0,1.2,,{BUNDLE}\nm1,,,{BUNDLE}\n"
        f"m2,0.2,blurred,{BUNDLE}\nn1,0.2,,{BUNDLE}\nx1,0.2,,{BUNDLE}\nn2,0.2,,{BUNDLE}\n"
    )

    assert refused(study, record_predictions, text) == {
        ("PR010", (2,), "risk"),
        ("PR010", (3,), "risk"),
        ("PR010", (4,), "risk"),
        ("PR009", (5,), "PATIENT"),
        ("PR008", (6,), "PATIENT"),
        ("PR008", (7,), "PATIENT"),
    }


def test_a_prediction_needs_the_frozen_bundle(study):
    """Another digest, or none, ends the command with exit 5 and both digests."""
    for digest in ("sha256:" + "cd" * 32, ""):
        text = f"PATIENT,risk,bundle\nn1,0.2,{digest}\n"
        table = source(study.parent, "north", "p.csv", text)
        with writing(study) as ledger, pytest.raises(LockedError, match="a changed model needs"):
            record_predictions(ledger, table, at("2026-03-01"))


def test_long_tables_of_risks_are_read_at_the_protocols_horizon(study):
    """metastra's own predictions.csv has a row for each horizon."""
    with writing(study) as ledger:
        more = "PATIENT,DATE,age,stage\nm0,2026-02-20,50,II\nm1,2026-02-20,50,I\n"
        table = source(study.parent, "north", "m.csv", more)
        screen(ledger, table, at("2026-02-21"))
        table = source(
            study.parent, "north", "e.csv", "PATIENT,DATE\nm0,2026-02-22\nm1,2026-02-22\n"
        )
        enrol(ledger, table, at("2026-02-23"))
        text = (
            f"PATIENT,horizon,risk,bundle\nm0,12,0.1,{BUNDLE}\nm0,24,0.2,{BUNDLE}\n"
            f"m1,12,0.1,{BUNDLE}\nm1,24,0.3,{BUNDLE}\n"
        )
        done = record_predictions(
            ledger, source(study.parent, "north", "p.csv", text), at("2026-02-24")
        )
    assert len(done.entries) == 2

    assert ("PR010", (2,), "horizon") in refused(
        study, record_predictions, f"PATIENT,horizon,risk,bundle\nm0,12,0.1,{BUNDLE}\n"
    )


def test_outcomes_that_cannot_be_read_are_told_with_their_rows(study):
    """An unknown code, no date, a stranger; a readable one is never refused."""
    text = (
        "PATIENT,DATE,EVENT\nn1,2027-01-01,7\nn3,,1\nx,2027-01-01,1\nn4,2027-01-01,\n"
        "n1,2099-01-01,1\n"
    )

    assert refused(study, record_outcomes, text, day="2027-02-01") == {
        ("PR012", (2,), "EVENT"),
        ("PR011", (3,), "DATE"),
        ("PR008", (4,), "PATIENT"),
        ("PR012", (5,), "EVENT"),
    }


def test_no_outcome_is_refused_for_what_it_says_or_when(study):
    """Before the prediction, before the enrolment, in the future, contradictory, after the lock."""
    from metastra.ledger.outcomes import course_of

    text = (
        "PATIENT,DATE,EVENT\nn1,2026-02-06,1\nn3,2026-02-01,1\nn4,2030-01-01,1\nn1,2027-01-01,0\n"
    )
    with writing(study) as ledger:
        table = source(study.parent, "north", "o.csv", text)
        done = record_outcomes(ledger, table, at("2027-02-01"))
        assert len(done.entries) == 4
        lock_data(ledger, at("2029-02-01"))
        late = source(study.parent, "north", "l.csv", "PATIENT,DATE,EVENT\nn3,2028-01-01,2\n")
        assert len(record_outcomes(ledger, late, at("2029-03-01")).entries) == 1
    ledger = opened(study)
    state = replay(ledger)
    flags = {
        one.outcomes[0].number: course_of(ledger, state, one).flags
        for one in state.of_centre("north")
        if one.outcomes
    }

    assert sorted(flags.values()) == [
        ("PR021", "PR023", "PR026"),
        ("PR021", "PR024"),
        ("PR025",),
    ]


def test_an_outcome_recorded_before_the_prediction_is_flagged(tmp_path):
    """By the order of the entries, not by what they say of themselves."""
    from metastra.ledger.outcomes import course_of

    folder = tmp_path / "s"
    study = begin(folder, protocol_in(folder))
    with writing(study) as ledger:
        for verb, text, day in (
            (screen, SCREENED, "2026-02-04"),
            (enrol, ENROLLED, "2026-02-08"),
            (record_outcomes, "PATIENT,DATE,EVENT\nn1,2026-02-20,1\n", "2026-03-01"),
            (record_predictions, PREDICTED, "2026-03-02"),
        ):
            table = source(folder, "north", "t.csv", text.format(c="n", b=BUNDLE))
            verb(ledger, table, at(day))
        state = replay(ledger)
        one = next(s for s in state.of_centre("north") if s.outcomes)

        course = course_of(ledger, state, one)

    assert course.flags == ("PR021", "PR022")
    assert course.doubtful


def test_the_same_table_again_changes_nothing(study):
    """A command that was killed is run again; rows that are recorded are passed over."""
    before = (study / "centres/north.jsonl").read_bytes()
    with writing(study) as ledger:
        for verb, text in (
            (screen, SCREENED),
            (enrol, ENROLLED),
            (record_predictions, PREDICTED),
        ):
            table = source(study.parent, "north", "t.csv", text.format(c="n", b=BUNDLE))
            done = verb(ledger, table, at("2026-03-01"))
            assert (len(done.entries), done.unchanged > 0) == (0, True)

    assert (study / "centres/north.jsonl").read_bytes() == before


def test_numbers_are_consecutive_within_a_centre(tmp_path):
    """Screening and enrolment numbers without gaps, over several tables."""
    study = played(tmp_path, outcomes=False)
    for centre in ("north", "south"):
        entries = opened(study).entries(centre)
        for kind, n in (("screen", 4), ("enrol", 3)):
            numbers = [e.facts["number"] for e in entries if e.kind == kind]
            assert numbers == list(range(1, n + 1))


def test_pseudonyms_differ_between_centres_and_ids_stay_outside(tmp_path):
    """The same id at two centres is two pseudonyms; no id is in the folder."""
    study = played(tmp_path)
    ledger = opened(study)
    names = {e.patient for e in ledger.everything() if e.patient}
    content = b"".join(p.read_bytes() for p in study.rglob("*.json*"))

    assert len(names) == 8
    assert b'"n1"' not in content


def test_a_correction_supersedes_and_the_first_entry_stays(study):
    """The corrected value counts; the first one can be read; the reason is kept."""
    with writing(study) as ledger:
        text = "PATIENT,DATE,EVENT,LAST_NEGATIVE\nn1,2027-03-01,1,2026-09-01\n"
        table = source(study.parent, "north", "o.csv", text)
        name = record_outcomes(ledger, table, at("2027-04-01")).entries[0].name
        correct(ledger, name, {"DATE": "2027-03-04"}, "day of the scan", at("2027-05-01"))
        correct(ledger, name, {"EVENT": "2", "LAST_NEGATIVE": ""}, "died", at("2027-05-02"))
        state = replay(ledger)
        entry = ledger.find(name)

        assert state.current(ledger, entry) == {
            "date": "2027-03-04", "kind": "competing", "last_negative": None,
        }  # fmt: skip
        assert ledger.content(entry)["date"] == "2027-03-01"
    assert verify_ledger(study).holds


def test_corrections_that_cannot_be_are_refused_with_every_fault(study):
    """Unknown column, no date, unknown code, no reason, a prediction, nothing changed."""
    with writing(study) as ledger:
        text = "PATIENT,DATE,EVENT\nn1,2027-03-01,1\n"
        table = source(study.parent, "north", "o.csv", text)
        name = record_outcomes(ledger, table, at("2027-04-01")).entries[0].name
        changes = {"WHEN": "x", "DATE": "4.3.2027", "EVENT": "yes"}
        with pytest.raises(DataError) as caught:
            correct(ledger, name, changes, " ", at("2027-05-01"))
        assert [p.code for p in caught.value.problems] == ["PR015"] * 4
        with pytest.raises(DataError, match="changes nothing"):
            correct(ledger, name, {"EVENT": "1"}, "again", at("2027-05-01"))
        predicted = next(e for e in ledger.entries("north") if e.kind == "predict")
        with pytest.raises(DataError, match="is a predict"):
            correct(ledger, predicted.name, {"DATE": "2027-05-01"}, "no", at("2027-05-01"))
        with pytest.raises(ConfigError, match="no entry 'north:99'"):
            correct(ledger, "north:99", {}, "no", at("2027-05-01"))


def test_a_corrected_screening_decides_who_is_eligible(study):
    """76 was a slip: after the correction the patient can be enrolled."""
    with writing(study) as ledger:
        name = ledger.entries("north")[1].name
        correct(ledger, name, {"age": "67"}, "year of birth mistyped", at("2026-02-10"))
        table = source(study.parent, "north", "e.csv", "PATIENT,DATE\nn2,2026-02-11\n")

        assert len(enrol(ledger, table, at("2026-02-12")).entries) == 1
    assert verify_ledger(study).holds


def test_a_withdrawal_deletes_payloads_and_is_counted(study):
    """Commitments stay; nothing more may be recorded; the rest verifies."""
    with writing(study) as ledger:
        patient = ledger.entries("north")[0].patient
        entry, deleted = withdraw(ledger, "north", patient, at("2026-06-01"))

        assert deleted == 3
        assert (entry.commitment, entry.patient) == (None, patient)
    table = "PATIENT,DATE,EVENT\nn1,2027-03-01,1\n"
    assert refused(study, record_outcomes, table, day="2027-04-01") == {("PR014", (2,), "PATIENT")}
    with writing(study) as ledger, pytest.raises(DataError, match="withdrawn before"):
        withdraw(ledger, "north", patient, at("2026-06-02"))
    assert verify_ledger(study).holds
    assert replay(opened(study)).enrolled("north") == 3


def test_a_withdrawal_that_was_killed_is_finished_by_the_next_command(study, monkeypatch):
    """The entry is written, the payloads are still there: verify says so, a command mends it."""
    monkeypatch.setattr("metastra.ledger.changing.forget", lambda *_: 0)
    with writing(study) as ledger:
        withdraw(ledger, "north", ledger.entries("north")[0].patient, at("2026-06-01"))
    assert {p.code for p in verify_ledger(study).problems} == {"PR114"}

    with writing(study):
        pass

    assert verify_ledger(study).holds


def test_the_data_lock_comes_when_the_plan_says_so(study):
    """Not before; once; and an anchor goes with it."""
    with writing(study) as ledger:
        with pytest.raises(LockedError, match="from 2029-01-30 on"):
            lock_data(ledger, at("2028-12-31"))
        entry = lock_data(ledger, at("2029-02-01"))
        assert entry.facts["north"] == len(ledger.entries("north"))
        with pytest.raises(LockedError, match="locked since"):
            lock_data(ledger, at("2029-02-02"))
        anchor(ledger, at("2029-02-01"), occasion="lock")
    assert verify_ledger(study).holds


def test_a_protocol_with_faults_is_refused_with_every_line(tmp_path):
    """Unknown keys with the nearest known one; contradictions with their place."""
    folder = tmp_path / "p"
    protocol_in(folder)
    wrong = PROTOCOL.replace("planned_n = 6", "planed_n = 6")
    with pytest.raises(ConfigError, match="did you mean 'planned_n'"):
        protocol_in(folder, wrong)
    for old, new, words in (
        ("last_day = 2027-01-30", "last_day = 2025-01-30", "is not after the first day"),
        ("not_before = 2029-01-30", "not_before = 2027-01-30", "before any patient has passed"),
        ('name = "south"', 'name = "North"', "stands twice"),
        ('name = "south"', 'name = "study"', "joining chain"),
        ("minimum = 18\nmaximum = 75", "minimum = 80\nmaximum = 75", "holds for no value"),
        ("minimum = 18\nmaximum = 75", "", "needs either minimum and maximum"),
        ("bound = 0.6", "bound = 0.9", "not above the bound"),
        ("visits = [6, 12, 18, 24]", "visits = [6, 3]", "ascend"),
        ('digest = "{bundle}"', 'digest = "abc"', "64 hexadecimal digits"),
        ('public_key = "custodian.pub"', 'public_key = "none.pub"', "cannot be read"),
    ):
        assert old in PROTOCOL
        with pytest.raises(ConfigError, match=words):
            protocol_in(folder, PROTOCOL.replace(old, new))
