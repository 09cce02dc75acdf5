"""TNM, stage and metastasis columns held against each other: planted faults, real patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from metastra.cohort.staging import StagingColumns, StagingValues, read_staging, tnm_stage_problems
from metastra.cohort.tables import read_table
from metastra.errors import Problem, Severity

COLUMNS = StagingColumns(
    patient="id", tnm="TNM", stage="stage", metastasis="met", site="colorectal"
)
REFUSE, WARN, NOTE = Severity.REFUSE, Severity.WARN, Severity.NOTE
Stages = Callable[..., tuple[StagingValues, list[Problem]]]


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    """Read rows of TNM, stage and metastasis; ids are a, b, c …"""

    def read(*rows: tuple[str, str, str], columns: StagingColumns = COLUMNS):
        path = tmp_path / "clini.tsv"
        lines = [f"{chr(97 + index)}\t" + "\t".join(row) for index, row in enumerate(rows)]
        path.write_text("id\tTNM\tstage\tmet\n" + "\n".join(lines) + "\n")
        table, problems = read_table(path)
        assert problems == []
        assert table is not None
        return read_staging(table, columns, str.upper)

    return read


def test_agreement_is_silent(stages: Stages):
    """Rows that agree raise nothing, stage with or without its letter."""
    values, problems = stages(
        ("pT3 N0 cM0", "IIA", "0"), ("T4 N1 M0", "Stage III", "no"), ("T1 N0 M1b", "IVB", "1.0")
    )
    assert problems == []
    assert values.metastasis.tolist() == [0, 0, 1]
    assert [str(stage) for stage in values.stage] == ["IIA", "III", "IVB"]


@pytest.mark.parametrize(
    ("row", "code", "severity", "text"),
    [
        (("pT3 N1 M1a", "III", "1"), "CO041", REFUSE, "stage III although TNM implies IVA"),
        (("pT3 N1 M0", "IIA", "0"), "CO041", REFUSE, "stage IIA although TNM implies IIIB"),
        (("pT3 N1 M0", "IIIC", "0"), "CO041", WARN, "stage IIIC although TNM implies IIIB"),
        (("pT3 N1", "II", "0"), "CO041", REFUSE, "stage II although TNM implies III or IV"),
        (("pT3 N0 cM0", "IIA", "1"), "CO042", REFUSE, "M0 although the column says"),
        (("pT3 N0 cM1a", "IVA", "0"), "CO042", REFUSE, "M1 although the column says no"),
        (("pT3 N0", "IVA", "0"), "CO042", REFUSE, "whose stage says otherwise"),
        (("ypT3 N0 cM0", "IIA", "0"), "CO043", WARN, "1 patient with the descriptor y"),
        (("pT3 N0", "IIA", ""), "CO044", WARN, "without M0 or M1"),
        (("", "", ""), "CO044", WARN, "without M0 or M1"),
        (("pT3 N0 cM0", "IIA", ""), "CO044", NOTE, "although TNM says"),
        (("pT5 N0 cM0", "IIA", "0"), "CO040", REFUSE, "T5 does not exist"),
        (("pT3 N3 cM0", "III", "0"), "CO040", REFUSE, "N3 does not exist for colorectal"),
        (("pT3 N0 cM0", "Dukes B", "0"), "CO037", REFUSE, "cannot be read"),
        (("pT3 N0 cM0", "IIA", "perhaps"), "CO037", REFUSE, "neither yes nor no"),
    ],
)  # fmt: skip
def test_each_fault_alone(stages: Stages, row, code, severity, text):
    """One planted fault gives one problem, on its row, with its patient, and no other."""
    _, problems = stages(("pT2 N0 cM0", "I", "0"), row, ("pT1 N1a cM0", "IIIA", "0"))
    assert [one.code for one in problems] == [code]
    assert problems[0].severity is severity
    assert text in problems[0].found
    assert problems[0].where.rows == (3,)
    assert problems[0].patients in {("B",), ()}


def test_equal_faults_share_a_problem(stages: Stages):
    """Patients with the same contradiction are listed together, in the order of the rows."""
    _, problems = stages(
        ("T3 N0 M1a", "II", "1"), ("T1 N0 M0", "II", "0"), ("T3 N0 M1a", "II", "1")
    )
    assert [(one.where.rows, one.patients) for one in problems] == [
        ((2, 4), ("A", "C")),
        ((3,), ("B",)),
    ]


def test_a_contradicted_metastasis_is_not_known(stages: Stages):
    """Where M and the column contradict each other neither is taken; else M, then the column."""
    values, _ = stages(
        ("T3 N0 M0", "", "1"), ("T3 N0 M1", "", ""), ("T3 N0", "", "1"), ("T3 N0 MX", "", "")
    )
    np.testing.assert_array_equal(values.metastasis, [np.nan, 1, 1, np.nan])


def test_another_tumour_has_no_stage_table(stages: Stages):
    """Without a table for the tumour, stage and TNM are not compared; the rest is."""
    columns = StagingColumns(patient="id", tnm="TNM", stage="stage", metastasis="met")
    _, problems = stages(("yT3 N3 M1", "I", "0"), columns=columns)
    assert [one.code for one in problems] == ["CO042", "CO043"]


def test_columns_that_the_table_lacks_are_left_to_others(stages: Stages):
    """A missing column raises nothing here; `require_columns` names it."""
    columns = StagingColumns(patient="id", tnm="TNM", stage="Stage", metastasis="Met")
    _, problems = stages(("T3 N0 M0", "IV", "1"), columns=columns)
    assert problems == []


def test_a_column_of_other_things_is_not_quoted(stages: Stages):
    """A wrong column given as TNM is refused as a whole, without showing its cells."""
    _, problems = stages(("Meyer", "", "0"), ("Huber", "", "0"), ("Weber", "", "0"))
    assert [one.code for one in problems] == ["CO040"]
    assert problems[0].where.rows == (2, 3, 4)
    assert "Meyer" not in str(problems)


def test_the_orion_patients_are_named(shared: Path):
    """The real cohort's contradictions, treated patients and the one empty cell are found."""
    table, _ = read_table(shared / "data/orion_crc_cohort/patients.csv")
    assert table is not None
    for stage in ("StageAtDiagnosis", "Stage"):
        columns = StagingColumns(
            patient="patient",
            tnm="TNMAtDiagnosis",
            stage=stage,
            metastasis="DistantMetsAtDiagnosis",
            site="colorectal",
        )
        problems = tnm_stage_problems(table, columns, lambda name: name)
        patients: dict[str, list[str]] = {}
        for one in problems:
            patients.setdefault(one.code, []).extend(one.patients)
        assert patients == {
            "CO041": ["C10", "C13"],
            "CO044": ["C15"],
            "CO043": ["C05", "C12", "C22", "C23", "C28"],
        }
        contradictions = [one for one in problems if one.code == "CO041"]
        assert sorted(row for one in contradictions for row in one.where.rows) == [7, 10]
        assert {one.severity for one in contradictions} == {REFUSE}
        assert [one.severity for one in problems if one.code == "CO044"] == [NOTE]
