"""Patient ids: every way in which two are nearly one is named, and no message shows an id."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from metastra.cohort.identifiers import Folding, id_problems, near_matches, normalise_id
from metastra.cohort.tables import Table, read_table
from metastra.errors import Problem, Severity
from metastra.pseudonyms import Pseudonyms, SecretKey

NAMES = Pseudonyms(SecretKey(bytes(32)))
Check = Callable[..., list[Problem]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check a table whose id column has the given cells."""

    def problems_of(cells: Sequence[str], *, unique: bool = True) -> list[Problem]:
        table = _table(tmp_path, cells)
        ids = table.column("PATIENT")
        return id_problems(table, "PATIENT", ids, NAMES.patient, unique=unique)

    return problems_of


def _table(folder: Path, cells: Sequence[str]) -> Table:
    path = folder / "t.tsv"
    path.write_text("PATIENT\tx\n" + "".join(f"{cell}\t1\n" for cell in cells), encoding="utf-8")
    table, problems = read_table(path)
    assert problems == []
    assert table is not None
    return table


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param(["P1", "P2"], {}, id="sound"),
        pytest.param(["P1", "", "  ", "NA"], {"CO010": (3, 4, 5)}, id="missing"),
        pytest.param(["P1", "P2", "P1"], {"CO011": (2, 4)}, id="twice"),
        pytest.param(["Ab1", "aB1"], {"CO012": (2, 3)}, id="case"),
        pytest.param(["Straße", "STRASSE"], {"CO012": (2, 3)}, id="case beyond letters"),
        pytest.param(["P 1", "P1"], {"CO013": (2, 3)}, id="space"),
        pytest.param(["P\u200b1", "P1"], {"CO013": (2, 3)}, id="zero-width space"),
        pytest.param(["P\u00a01", "P 1"], {"CO013": (2, 3)}, id="no-break space"),
        pytest.param(["\ufeffP1", "P1"], {"CO013": (2, 3)}, id="byte-order mark inside"),
        pytest.param(["P1 ", "P1"], {"CO011": (2, 3), "CO013": (2, 3)}, id="space at the end"),
        pytest.param(
            ["Mu\u0308ller", "Müller"], {"CO011": (2, 3), "CO014": (2, 3)}, id="NFD and NFC"
        ),
        pytest.param(["Ｐ１", "P1"], {"CO014": (2, 3)}, id="full width"),
        pytest.param(["P–1", "P-1"], {"CO014": (2, 3)}, id="dash of a word processor"),
        pytest.param(["Р-1", "P-1"], {"CO014": (2, 3)}, id="Cyrillic letter"),
        pytest.param(["007", "7"], {"CO015": (2, 3)}, id="leading zeros"),
        pytest.param(["P-01-007", "P-1-7"], {"CO015": (2, 3)}, id="zeros inside"),
        pytest.param(["1.05", "1.5"], {}, id="decimal part is no leading zero"),
        pytest.param(["P10", "P1"], {}, id="zeros at the end"),
        pytest.param(["1.23E+11", "x"], {"CO016": (2,)}, id="E notation"),
        pytest.param(["1,23E+11", "x"], {"CO016": (2,)}, id="E notation with comma"),
        pytest.param(["123.0", "124.0"], {"CO016": (2, 3)}, id="point zero"),
        pytest.param(["1E10", "2E3"], {}, id="an E that is a letter"),
        pytest.param(["2-Mar", "MAR7"], {"CO017": (2,)}, id="date, English"),
        pytest.param(["Mrz 02", "2. Mrz", "x1"], {"CO017": (2, 3)}, id="date, German"),
        pytest.param(["2021-03-02", "x1"], {"CO017": (2,)}, id="date, ISO"),
        pytest.param(["02/03/2021", "x1"], {"CO017": (2,)}, id="date, slashes"),
        pytest.param(["2021-03-02", "2021-03-03"], {}, id="all ids are dates"),
        pytest.param(["3-Marburg", "x1"], {}, id="a place that begins like a month"),
    ],
)  # fmt: skip
def test_each_kind_has_its_code_and_rows(check: Check, cells, expected):
    """Missing, doubled, near-equal and rewritten ids are told apart."""
    problems = check(cells)
    assert {one.code: one.where.rows for one in problems} == expected
    assert all(one.severity is Severity.REFUSE for one in problems)


def test_several_differences_are_all_said(check: Check):
    """Two spellings that differ in more than one way are found, and the ways are named."""
    problems = check(["ab 01", "AB1"])
    assert [one.code for one in problems] == ["CO013"]
    assert "white space and case and leading zeros" in problems[0].found


def test_the_usual_spelling_is_what_others_are_held_against(check: Check):
    """Of several spellings the commonest counts as right; each other is named by its difference."""
    problems = check(["p1", "P1", "P1", "P 1"], unique=False)
    assert [(one.code, one.where.rows) for one in problems] == [
        ("CO012", (2, 3, 4)),
        ("CO013", (3, 4, 5)),
    ]


def test_slide_tables_may_repeat_a_patient(check: Check):
    """Repeats are no fault where a patient has several rows; rows standing apart are a warning."""
    assert check(["a", "a", "b"], unique=False) == []
    problems = check(["a", "b", "a", "a", "b"], unique=False)
    assert [(one.code, one.where.rows) for one in problems] == [("CO018", (4, 5, 6))]
    assert problems[0].severity is Severity.WARN


def test_no_message_shows_an_id(check: Check):
    """Pseudonyms stand in the order of the rows; the ids stand nowhere."""
    cells = ["Müller-77", "müller-77", "Weber-1.0", "Weber-1.0", "2-Mar", "9.0"]
    problems = check(cells)
    text = " ".join(map(repr, problems))
    assert not any(cell in text for cell in cells)
    case = next(one for one in problems if one.code == "CO012")
    assert case.patients == (NAMES.patient("Müller-77"), NAMES.patient("müller-77"))
    assert case.where.rows == (2, 3)


def test_many_faults_are_gathered(check: Check):
    """Past a score of pairs the rest share one problem, and every row is still named."""
    cells = [f"P{index}" for index in range(30)] * 2
    problems = check(cells)
    assert len(problems) == 21
    assert sorted(row for one in problems for row in one.where.rows) == list(range(2, 62))
    assert "10 further" in problems[-1].found


def test_near_matches_across_tables():
    """A looked-up id finds its other spelling; equal and unrelated ids find none."""
    near = near_matches(
        ["P-1", "p-007", "P-7", " P-008", "P-8\u200b", "Q-9"], ["P-007", "P-008", "P-1"]
    )
    assert {text: match.other for text, match in near.items()} == {
        "p-007": "P-007",
        "P-7": "P-007",
        "P-8\u200b": "P-008",
    }
    assert near["p-007"].foldings == (Folding.CASE,)
    assert near["P-8\u200b"].foldings == (Folding.SPACE, Folding.ZEROS)


@given(
    text=st.text(st.characters(max_codepoint=0x52F, categories=("L", "N", "P")), min_size=1),
    damage=st.sampled_from(["upper", "space", "nfd", "zeros"]),
)
def test_a_damaged_id_is_found_again(text, damage):
    """Whatever the id, its copy with another case, form, space or zeros is its near match."""
    copy = {
        "upper": text.upper(),
        "space": f"{text[:1]}\u2009{text[1:]}",
        "nfd": unicodedata.normalize("NFKD", text),
        "zeros": f"00{text}" if text[0] in "123456789" else text,
    }[damage]
    found = near_matches([copy], [text])
    if normalise_id(copy) == normalise_id(text):
        assert found == {}
    else:
        assert found[copy].other == text


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    """`normalise_id` is idempotent and equal for both Unicode forms."""
    once = normalise_id(text)
    assert normalise_id(once) == once
    assert normalise_id(unicodedata.normalize("NFD", text)) == once


def test_the_real_tables_have_sound_ids(shared: Path):
    """ORION, TCGA and MSK ids raise no refusal; slides of one TCGA patient may stand apart."""
    for path, column, unique in [
        ("orion_crc_cohort/patients.csv", "patient", True),
        ("tcga/cdr_brca.csv", "case_id", False),
        ("tcga/cdr_coadread.csv", "case_id", False),
        ("genomics/msk_met_clinical.csv.gz", "sample", True),
        ("survival/rotterdam.csv", "pid", True),
        ("federated/fed_tcga_brca/brca.csv", "pid", True),
    ]:
        table, _ = read_table(shared / "data" / path)
        assert table is not None
        ids = table.column(column)
        problems = id_problems(table, column, ids, NAMES.patient, unique=unique)
        assert [one for one in problems if one.severity is Severity.REFUSE] == [], path


def test_a_hundred_thousand_ids_take_seconds(tmp_path: Path):
    """The comparison grows with the number of ids, not with its square."""
    table = _table(tmp_path, [f"P-{index:07d}" for index in range(100_000)])
    begin = time.perf_counter()
    ids = table.column("PATIENT")
    assert id_problems(table, "PATIENT", ids, NAMES.patient, unique=True) == []
    assert time.perf_counter() - begin < 10
