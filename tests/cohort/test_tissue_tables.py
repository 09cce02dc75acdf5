"""Slide and specimen tables: which tissue of which patient each slide shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from metastra.cohort.hierarchy import Role, Slide
from metastra.cohort.tables import Table, read_table
from metastra.cohort.tissue_tables import (
    TissueReading,
    read_slides,
    read_specimens,
    select_slides,
)
from metastra.study.sections import SlideSection


def reading(tmp_path: Path, text: str) -> TissueReading:
    path = tmp_path / "t.csv"
    path.write_text(text)
    table, problems = read_table(path)
    assert isinstance(table, Table)
    assert problems == []
    return TissueReading(
        table=table,
        actual=lambda name: name,
        days=lambda _patient, _index: None,
        pseudonymise=lambda name: f"P-{name}",
    )


def slides_of(tmp_path: Path, text: str, **options):
    options = {"folder": None, "specimens": {}, "require_files": False, **options}
    return read_slides(reading(tmp_path, text), **options)


def test_slides_of_one_patient_need_not_stand_together(tmp_path):
    """Rows A, B, A give patient A both slides."""
    slides, problems = slides_of(tmp_path, "PATIENT,FILENAME\nA,a1.svs\nB,b1.svs\nA,a2.svs\n")

    assert [s.filename for s in slides["A"]] == ["a1.svs", "a2.svs"]
    assert problems == []


def test_one_file_under_two_patients_names_both_rows(tmp_path):
    """Paths that mean the same file are the same file."""
    _, problems = slides_of(tmp_path, "PATIENT,FILENAME\nA,x/a.svs\nB,x//a.svs\n")

    assert [(p.code, p.where.rows, p.patients) for p in problems] == [
        ("LK002", (2, 3), ("P-A", "P-B"))
    ]


def test_one_file_twice_under_one_patient(tmp_path):
    """A repeated row would count the slide twice."""
    _, problems = slides_of(tmp_path, "PATIENT,FILENAME\nA,a.svs\nA,./a.svs\n")

    assert [(p.code, p.where.rows) for p in problems] == [("CO020", (3,))]


def test_missing_files_are_named_with_their_rows(tmp_path):
    """What is not in the folder is said before hours of work."""
    (tmp_path / "there.svs").write_bytes(b"x")
    _, problems = slides_of(
        tmp_path,
        "PATIENT,FILENAME\nA,there.svs\nB,gone.svs\nC,\n",
        folder=tmp_path,
        require_files=True,
    )

    assert sorted((p.code, p.where.rows) for p in problems) == [("CO021", (3,)), ("CO021", (4,))]


def test_the_role_comes_from_the_specimen(tmp_path):
    """A slide of a metastasis is known by its specimen; an unknown specimen is named."""
    specimens, found = read_specimens(
        reading(
            tmp_path, "PATIENT,SPECIMEN,ROLE,NEOADJUVANT\nA,S1,primary,no\nA,S2,Metastasis,yes\n"
        )
    )
    assert found == []
    assert [s.neoadjuvant for s in specimens["A"]] == [False, True]

    slides, problems = slides_of(
        tmp_path,
        "PATIENT,FILENAME,SPECIMEN\nA,a.svs,S1\nA,b.svs,S2\nA,c.svs,S9\n",
        specimens=specimens,
    )
    assert [s.role for s in slides["A"]] == [Role.PRIMARY, Role.METASTASIS, None]
    assert [(p.code, p.where.rows) for p in problems] == [("CO022", (4,))]


@pytest.mark.parametrize(
    ("row", "code"),
    [("A,S1,tumour bed,no", "CO037"), ("A,S1,primary,perhaps", "CO037"), ("B,S1,node,no", None)],
)
def test_unknown_words_of_specimens_are_refused(row, code, tmp_path):
    """Role and treatment are read from words that are known, or not at all."""
    _, problems = read_specimens(
        reading(tmp_path, f"PATIENT,SPECIMEN,ROLE,NEOADJUVANT\nB,S0,node,no\n{row}\n")
    )

    assert [p.code for p in problems] == ([code] if code else [])


def test_a_specimen_listed_twice_is_named(tmp_path):
    """Ids of specimens are unique within the patient."""
    _, problems = read_specimens(reading(tmp_path, "PATIENT,SPECIMEN\nA,S1\nB,S1\nA,S1\n"))

    assert [(p.code, p.where.rows) for p in problems] == [("CO020", (4,))]


SLIDES = (
    Slide(filename="a", role=Role.PRIMARY, index_block=True, tumour_area_mm2=4.0),
    Slide(filename="b", role=Role.PRIMARY, tumour_area_mm2=9.0),
    Slide(filename="c", role=Role.METASTASIS, tumour_area_mm2=30.0),
    Slide(filename="d"),
)


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ({}, "abcd"),
        ({"roles": ["primary"]}, "ab"),
        ({"per_patient": "index-block"}, "a"),
        ({"per_patient": "largest-tumour-area"}, "c"),
        ({"per_patient": "largest-tumour-area", "roles": ["primary"]}, "b"),
        ({"per_patient": "index-block", "roles": ["metastasis"]}, ""),
    ],
)
def test_the_declared_rule_chooses_the_slides(rule, chosen):
    """All, the index block, or the largest tumour area, within the declared roles."""
    assert "".join(s.filename for s in select_slides(SLIDES, SlideSection(**rule))) == chosen
