"""Text tables: read as written, damage named by code and row, real tables unharmed."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from metastra.cohort import table_format, table_source
from metastra.cohort.table_format import TableFormat
from metastra.cohort.tables import Table, read_table, require_columns
from metastra.errors import ConfigError, Problem, Severity

CLINI = "PATIENT,age,city\nP-01,61,Köln\nP-02,59,Aachen\nP-03,,Bonn\n"

Write = Callable[..., tuple[Table | None, list[Problem]]]


@pytest.fixture
def read(tmp_path: Path) -> Write:
    """Write bytes or text under a name and read them as a table."""

    def write_and_read(content: str | bytes, name: str = "clini.csv", **form: object):
        data = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(data)
        return read_table(path, format=TableFormat(**form), cohort="north")  # type: ignore[arg-type]

    return write_and_read


def packed(text: str) -> bytes:
    """Pack text without the time of packing: ids of tests must not change from second to second."""
    return gzip.compress(text.encode(), mtime=0)


def found(problems: list[Problem]) -> dict[str, tuple[int, ...]]:
    """Codes with their rows."""
    return {one.code: one.where.rows for one in problems}


def test_cells_come_as_written_with_their_line_numbers(read: Write):
    """Nothing is trimmed, typed or filled; missing cells are None; rows are an editor's lines."""
    table, problems = read("PATIENT,note\n007, two  words \n1e5,NA\n,\n008,+\n")
    assert problems == []
    assert table is not None
    assert table.column("PATIENT").tolist() == ["007", "1e5", "008"]
    assert table.column("note").tolist() == [" two  words ", None, "+"]
    assert table.rows.tolist() == [2, 3, 5]
    assert table.words_for_missing == {"note": {"NA": 1}}


def test_the_digest_is_that_of_the_file(read: Write):
    """The digest is the SHA-256 of the bytes on disk, packed or not."""
    table, _ = read(packed(CLINI), "clini.csv.gz")
    assert table is not None
    assert table.digest == hashlib.sha256(table.path.read_bytes()).hexdigest()


def test_a_place_names_the_file_as_the_study_does(tmp_path: Path):
    """Problems show the study's name of the file, never a path of the machine."""
    path = tmp_path / "x.csv"
    path.write_text(CLINI)
    table, _ = read_table(path, name="north/clini.csv", cohort="north")
    assert table is not None
    where = table.where("age", np.array([True, False, True]))
    assert (where.file, where.cohort, where.rows) == ("north/clini.csv", "north", (2, 4))
    assert table.where("age", [1]).rows == (3,)
    assert table.where(rows=[]).rows == ()
    assert str(tmp_path) not in repr(table)
    assert "P-01" not in repr(table)


def test_cells_and_rows_cannot_be_changed(read: Write):
    """A table is a value: its arrays are read-only."""
    table, _ = read(CLINI)
    assert table is not None
    with pytest.raises(ValueError, match="read-only"):
        table.column("age")[0] = "62"
    with pytest.raises(ValueError, match="read-only"):
        table.rows[0] = 9
    with pytest.raises(KeyError):
        table.column("Age")


# Cells without lone surrogates, control characters or text that means something by itself.
CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffd")
    | st.sampled_from(list('",;\t\n\r')),
    max_size=8,
).filter(lambda text: not text.strip().startswith("#"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    records=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.booleans(),
)
def test_csv_round_trip_with_line_numbers(records, end, mark, tmp_path: Path):
    """What Python's writer quotes comes back, and each row is the line the record begins on."""
    stream = io.StringIO(newline="")
    # the writer's default leaves a line end of another kind unquoted
    writer = csv.writer(stream, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b", "c"])
    expected, lines = [], []
    for record in records:
        begins = stream.getvalue()
        # the referee counts line ends as an editor does, in three replacements
        line = begins.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
        writer.writerow(record)
        if any(cell.strip() for cell in record):
            expected.append(record)
            lines.append(line)
    path = tmp_path / "t.csv"
    path.write_bytes(stream.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    table, problems = read_table(path, format=TableFormat(missing=()))
    if not expected:
        assert found(problems) == {"CO002": ()}
        return
    assert problems == []
    assert table is not None
    assert list(zip(*(table.column(name) for name in "abc"), strict=True)) == expected
    assert table.rows.tolist() == lines


def test_comment_lines_count_as_rows(read: Write):
    """Declared comments before the header are skipped but keep their line numbers."""
    table, problems = read(
        "#Patient Identifier\tAge\n#STRING\tNUMBER\n\nPATIENT_ID\tAGE\nA\t#1\n#B\t2\n",
        "s.tsv",
        comment="#",
    )
    assert problems == []
    assert table is not None
    assert table.columns == ("PATIENT_ID", "AGE")
    assert table.rows.tolist() == [5, 6]
    assert table.column("PATIENT_ID").tolist() == ["A", "#B"]


def test_an_undeclared_comment_is_hinted_at(read: Write):
    """Reading a cBioPortal table without `comment` ends in a hint to declare it."""
    table, _ = read("#Patient\tAge\n#STRING\tNUMBER\nPATIENT_ID\tAGE\nA\t1\n", "s.tsv")
    assert table is not None
    assert 'comment = "#"' in require_columns(table, ["PATIENT_ID"])[0].hint


@pytest.mark.parametrize(
    ("content", "name", "form", "code", "rows"),
    [
        pytest.param(b"", "clini.csv", {}, "CO002", (), id="no bytes"),
        pytest.param(b"\n \n", "clini.csv", {}, "CO002", (), id="blank lines only"),
        pytest.param("PATIENT,age\n", "clini.csv", {}, "CO002", (), id="header only"),
        pytest.param("PATIENT,age\n,\n , \n", "clini.csv", {}, "CO002", (), id="empty rows only"),
        pytest.param(",\nx,y\n", "clini.csv", {}, "CO002", (), id="no names in header"),
        pytest.param(CLINI.encode("cp1252"), "clini.csv", {}, "CO003", (2,), id="cp1252 as utf-8"),
        pytest.param(CLINI.encode("utf-16"), "clini.csv", {}, "CO003", (), id="utf-16 as utf-8"),
        pytest.param(
            CLINI.encode(), "clini.csv", {"encoding": "cp1252"}, "CO003", (), id="utf-8 as cp1252"
        ),
        pytest.param(
            CLINI.encode("utf-8-sig"),
            "clini.csv",
            {"encoding": "latin-1"},
            "CO003",
            (),
            id="utf-8 with mark as latin-1",
        ),
        pytest.param("P,a\nx\ufffdy,1\n", "clini.csv", {}, "CO003", (2,), id="letters lost before"),
        pytest.param(CLINI.replace(",", ";"), "clini.csv", {}, "CO004", (1,), id="semicolons"),
        pytest.param(CLINI.replace(",", "\t"), "clini.csv", {}, "CO004", (1,), id="tabs in .csv"),
        pytest.param(CLINI, "clini.txt", {}, "CO004", (1,), id="commas in .txt"),
        pytest.param(
            "P;age (y, at surgery);t\na;61,5;1\nb;59;2\n",
            "clini.csv",
            {},
            "CO004",
            (1,),
            id="semicolons with commas inside",
        ),
        pytest.param("sep=;\nP;a\nx;1\n", "clini.csv", {}, "CO004", (1,), id="Excel's sep line"),
        pytest.param("P,a,b\n1,2,3\n4,5\n6,7,8\n", "t.csv", {}, "CO005", (3,), id="short row"),
        pytest.param("P,a,b\n1,2,3\n4,5,6,7\n8,9\n", "t.csv", {}, "CO005", (4,), id="ragged"),
        pytest.param('P,a\n1,"x"y\n2,z\n', "t.csv", {}, "CO005", (2,), id="text after a quote"),
        pytest.param('P,a\n1,z\n2,"x\n3,y\n', "t.csv", {}, "CO005", (3,), id="open quote"),
        pytest.param(
            'P,a\n1,"' + "x" * 140_000 + "\n2,y\n", "t.csv", {}, "CO005", (2,), id="endless field"
        ),
        pytest.param("P,a,P\n1,2,3\n", "t.csv", {}, "CO006", (), id="name twice"),
        pytest.param("Age,P,AGE \n1,2,3\n", "t.csv", {}, "CO006", (), id="name twice by case"),
        pytest.param("Größe,P,Gro\u0308ße\n1,2,3\n", "t.csv", {}, "CO006", (), id="NFC and NFD"),
        pytest.param("P,a,,\n1,2,,\n", "t.csv", {}, "CO006", (), id="separators at the end"),
        pytest.param(b"P,a\n1,2\n\x003,4\n", "t.csv", {}, "CO008", (3,), id="null byte"),
        pytest.param(b"P,a\n1,2\x07\n", "t.csv", {}, "CO008", (2,), id="control character"),
        pytest.param(
            b"P,a\n1,x\n" + b"2,\x96\n",
            "t.csv",
            {"encoding": "latin-1"},
            "CO008",
            (3,),
            id="cp1252 as latin-1",
        ),
        pytest.param("P,a\n1,#REF!\n2,3\n", "t.csv", {}, "CO030", (2,), id="spreadsheet error"),
        pytest.param("P,a\n1,2\n", "t.dat", {}, "CO001", (), id="unknown extension"),
        pytest.param(b"PK\x03\x04xxxx", "t.csv", {}, "CO001", (), id="workbook called .csv"),
        pytest.param(b"\xd0\xcf\x11\xe0xx", "t.xlsx", {}, "CO001", (), id="old workbook"),
        pytest.param(b"a,b\n1,2\n", "t.xlsx", {}, "CO001", (), id="text called .xlsx"),
        pytest.param(b"a,b\n1,2\n", "t.parquet", {}, "CO001", (), id="text called .parquet"),
        pytest.param(b"a,b\n1,2\n", "t.csv.gz", {}, "CO001", (), id="text called .gz"),
        pytest.param(b"a,b\n1,2\n", "t.csv.zip", {}, "CO001", (), id="text called .zip"),
        pytest.param(packed(CLINI)[:-12], "t.csv.gz", {}, "CO001", (), id="cut .gz"),
    ],
)
def test_damage_is_refused_by_code_and_row(read: Write, content, name, form, code, rows):
    """Each kind of damage has its code, its rows and a remedy, and nothing is raised."""
    _, problems = read(content, name, **form)
    assert code in found(problems), problems
    assert rows in [one.where.rows for one in problems if one.code == code]
    for one in problems:
        assert one.where.file == name
        assert one.severity is Severity.REFUSE
        assert one.hint


@pytest.mark.parametrize(
    ("content", "name", "form"),
    [
        (CLINI.encode("utf-8-sig"), "t.csv", {}),
        (CLINI.replace("\n", "\r\n"), "t.csv", {}),
        (CLINI.replace("\n", "\r"), "t.csv", {}),
        (CLINI.rstrip("\n"), "t.csv", {}),
        (CLINI + "\n\n", "t.csv", {}),
        (CLINI + ",,\n , ,\n", "t.csv", {}),
        (CLINI.encode("cp1252"), "t.csv", {"encoding": "cp1252"}),
        (CLINI.encode("utf-16"), "t.csv", {"encoding": "utf-16"}),
        (CLINI.replace(",", ";"), "t.csv", {"delimiter": ";"}),
        (CLINI.replace(",", "\t"), "t.tsv", {}),
        (CLINI.replace(",", "|"), "t.dat", {"delimiter": "|"}),
        ("sep=,\n" + CLINI, "t.csv", {"comment": "sep"}),
        (packed(CLINI), "t.csv.gz", {}),
        (
            packed(CLINI[:20]) + packed(CLINI[20:]),
            "t.csv.gz",
            {},
        ),
    ],
)
def test_the_same_table_in_every_dress(read: Write, content, name, form):
    """Encodings, line ends, separators and packing change no cell."""
    table, problems = read(content, name, **form)
    assert problems == []
    assert table is not None
    assert table.column("city").tolist() == ["Köln", "Aachen", "Bonn"]
    assert table.column("age").tolist() == ["61", "59", None]


def test_all_problems_at_once(read: Write):
    """One reading names every kind of damage; rows that can be read are kept for later checks."""
    table, problems = read("P,a,b\n1,2\n3,4,5,6\n7,#N/A,\x01\n8,9,10\n")
    assert [(one.code, one.where.rows) for one in problems] == [
        ("CO008", (4,)),
        ("CO005", (2,)),
        ("CO005", (3,)),
        ("CO030", (4,)),
    ]
    assert table is not None
    assert table.rows.tolist() == [4, 5]


def test_row_names_without_a_header_are_explained(read: Write):
    """R's default of a header one field short is refused with its remedy."""
    _, problems = read('"age","sex"\n"1",61,"f"\n"2",59,"m"\n')
    assert found(problems) == {"CO005": (2, 3)}
    assert "col.names = NA" in problems[0].hint


def test_one_column_is_a_table(read: Write):
    """A list of ids is read although no separator occurs."""
    table, problems = read("PATIENT\nP-1\n\nP;2\n", "ids.csv")
    assert problems == []
    assert table is not None
    assert table.column("PATIENT").tolist() == ["P-1", "P;2"]
    assert table.rows.tolist() == [2, 4]


def test_words_for_missing_are_whole_cells_and_declared(read: Write):
    """Only whole cells are missing, the default words are overridden by the declared ones."""
    text = "P,a\n1, NA \n2,NA12\n3,-9\n4,None\n"
    table, _ = read(text)
    assert table is not None
    assert table.column("a").tolist() == [None, "NA12", "-9", None]
    table, _ = read(text, missing=("", "-9"))
    assert table is not None
    assert table.column("a").tolist() == [" NA ", "NA12", None, "None"]


def test_a_declared_spreadsheet_error_is_missing(read: Write):
    """A program that writes #N/A for missing is accepted once that is declared."""
    table, problems = read("P,a\n1,#N/A\n", missing=("", "#N/A"))
    assert problems == []
    assert table is not None
    assert table.column("a").tolist() == [None]


def test_missing_columns_are_named_with_the_nearest(read: Write):
    """A misspelt column is refused with the name that was probably meant, each once."""
    table, _ = read("PATIENT ,TNMAtDiagnosis\nx,y\n")
    assert table is not None
    problems = require_columns(table, ["PATIENT", "TNM_at_diagnosis", "TNMAtDiagnosis", "zz", "zz"])
    assert [one.code for one in problems] == ["CO007"] * 3
    assert "'PATIENT '" in problems[0].hint
    assert "'TNMAtDiagnosis'" in problems[1].hint
    assert "nearest" not in problems[2].hint


def test_a_zip_holds_one_table(read: Write):
    """One member beside macOS's shadow is read; several, none or an encrypted one are refused."""

    def packed(*names: str, content: str = CLINI) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, content)
        return stream.getvalue()

    table, problems = read(packed("a.csv", "__MACOSX/._a.csv"), "t.csv.zip")
    assert problems == []
    assert table is not None
    assert len(table) == 3
    assert found(read(packed("a.csv", "b.csv"), "t.csv.zip")[1]) == {"CO001": ()}
    assert found(read(packed(), "t.csv.zip")[1]) == {"CO001": ()}
    assert found(read(packed("a.csv", content=""), "t.csv.zip")[1]) == {"CO002": ()}
    encrypted = bytearray(packed("a.csv"))
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    assert found(read(bytes(encrypted), "t.csv.zip")[1]) == {"CO001": ()}


def test_bombs_are_refused_before_they_fill_memory(read: Write, monkeypatch):
    """A file that unpacks past the limit, or suspiciously well, is refused quickly."""
    monkeypatch.setattr(table_format, "MAX_TABLE_BYTES", 1 << 20)
    begin = time.perf_counter()
    _, problems = read(gzip.compress(bytes(3 << 20), mtime=0), "t.csv.gz")
    assert "larger than" in problems[0].found
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bytes(3 << 20))
    _, problems = read(stream.getvalue(), "t.csv.zip")
    assert "larger than" in problems[0].found
    _, problems = read(b"a,b\n" + b"1,2\n" * (1 << 19), "t.csv")
    assert "larger than" in problems[0].found
    monkeypatch.setattr(table_format, "MAX_TABLE_BYTES", 1 << 30)
    monkeypatch.setattr(table_source, "_RATIO_FREE_BYTES", 1 << 20)
    _, problems = read(gzip.compress(bytes(8 << 20), mtime=0), "t.csv.gz")
    assert "far more" in problems[0].found
    assert time.perf_counter() - begin < 5


def test_too_many_cells_are_refused(read: Write, monkeypatch):
    """The number of cells is limited, too, and the limit is named."""
    monkeypatch.setattr(table_format, "MAX_CELLS", 10)
    _, problems = read("a,b\n" + "1,2\n" * 20)
    assert found(problems) == {"CO001": ()}
    assert "10 cells" in problems[0].found


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path):
    """Folders, pipes, devices, broken and circular links are named, and nothing hangs."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "lost.csv").symlink_to("nowhere.csv")
    (tmp_path / "clini.csv").write_text(CLINI)
    expected = {
        "pipe.csv": "a pipe",
        "folder.csv": "a folder",
        "loop.csv": "symbolic links",
        "lost.csv": "leads nowhere",
        "klini.csv": "no such file",
        "x\0.csv": "null byte",
    }
    for name, text in expected.items():
        table, problems = read_table(tmp_path / name)
        assert table is None
        assert [one.code for one in problems] == ["CO001"]
        assert text in problems[0].found
        assert str(tmp_path) not in str(problems[0])
    assert read_table("/dev/zero")[1][0].found == "it is a device or socket, not a file"
    assert "'clini.csv'" in read_table(tmp_path / "klini.csv")[1][0].hint


def test_a_table_of_somebody_else_names_its_owner(tmp_path: Path, monkeypatch):
    """Where permission is missing the owner and mode are said, not only that it failed."""
    path = tmp_path / "clini.csv"
    path.write_text(CLINI)
    path.chmod(0o600)

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(table_source.os, "open", denied)
    _, problems = read_table(path)
    assert problems[0].code == "CO001"
    assert path.owner() in problems[0].found
    assert "-rw-------" in problems[0].found


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoding": "utf-9"},
        {"encoding": "zlib_codec"},
        {"delimiter": ",,"},
        {"delimiter": '"'},
        {"decimal": "'"},
        {"comment": ""},
        {"date_format": "%d.%m.%y"},
        {"date_format": "%m/%Y"},
        {"date_format": "%x"},
        {"date_format": "day"},
    ],
)
def test_a_format_that_cannot_be_is_refused(wrong):
    """A declared format is checked when it is declared; dates need year, month and day."""
    with pytest.raises(ConfigError):
        TableFormat(**wrong)


def test_all_faults_of_a_format_are_named():
    """Several wrong settings make one error that lists them."""
    with pytest.raises(ConfigError) as caught:
        TableFormat(encoding="utf-9", delimiter=",,", date_format="%d.%m.%y")
    assert len(caught.value.problems) == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=200), suffix=st.sampled_from(["csv", "tsv", "csv.gz", "csv.zip"]))
def test_no_bytes_raise(data, suffix, tmp_path: Path):
    """Any bytes are either a table or problems, never an exception."""
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(data)
    table, problems = read_table(path)
    assert table is not None or problems


REAL = [
    *("orion_crc_cohort/*.csv", "survival/*.csv", "federated/*/*.csv", "genomics/*"),
    *("tcga/*.csv", "tcga/*.csv.zip", "tcga/*.csv.gz", "tcga/*/*.csv", "tcga/*/*.csv.gz"),
]


@pytest.mark.parametrize("pattern", REAL)
def test_real_tables_are_read_unharmed(shared: Path, pattern: str):
    """Every shared table is read without a refusal and equals what the csv module gives."""
    paths = sorted((shared / "data").glob(pattern))
    assert paths
    for path in paths:
        if path.name == "msk_met_mutations.csv.gz":
            continue
        table, problems = read_table(path, format=TableFormat(comment="#", missing=()))
        assert problems == [], path.name
        assert table is not None
        text = _text_of(path)
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        separator = "," if ".csv" in path.name else "\t"
        referee = list(csv.reader(lines, delimiter=separator))
        assert list(table.columns) == referee[0]
        for index in {0, len(table) // 2, len(table) - 1}:
            record = [table.column(name)[index] for name in table.columns]
            assert record == referee[1 + index], path.name
        assert len(table) == len(referee) - 1
        assert table.rows[-1] == text.rstrip("\n").count("\n") + 1


def test_a_large_real_table_is_read_in_seconds(shared: Path):
    """153,056 mutation calls are read whole; a generous bound guards against a quadratic step."""
    begin = time.perf_counter()
    table, problems = read_table(shared / "data/genomics/msk_met_mutations.csv.gz")
    assert problems == []
    assert table is not None
    assert len(table) == 153_056
    assert table.rows[-1] == 153_057
    assert time.perf_counter() - begin < 20


def _text_of(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            data = archive.read(archive.namelist()[0])
    return data.decode()
