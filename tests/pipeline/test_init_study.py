"""A drafted study file always loads, says what it guessed, and is not quietly wrong."""

from __future__ import annotations

import os
import shutil
import time
import tomllib
from pathlib import Path

import pytest

from metastra.cohort.check import check_study
from metastra.errors import ConfigError, Severity
from metastra.pipeline.endpoint_guess import guess_codes
from metastra.pipeline.init_study import DraftStudy, draft_study
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.study.load import load_study, parse_study
from metastra.synthetic.generate import synthetic_study

PSEUDONYMS = Pseudonyms(SecretKey(bytes(32)))
CLINI = "PATIENT,OS_DAYS,OS_STATUS,age\na,500,alive,60\nb,900,dead,61\n"


def drafted(folder: Path) -> tuple[DraftStudy, dict]:
    """The draft and its values; it loads, guesses are marked, and the check runs."""
    draft = draft_study(folder)
    parse_study(draft.text)
    guessed = ("time", "event", "time_unit", "horizons", "role", "clini_table", "columns")
    for line in draft.text.splitlines():
        if line.split(" =")[0] in guessed:
            assert "# guess" in line
    (folder / "study.toml").write_text(draft.text, encoding="utf-8")
    check_study(load_study(folder), PSEUDONYMS)
    return draft, tomllib.loads(draft.text)


def refusals(folder: Path) -> set[str]:
    """Codes that refuse the drafted study."""
    report = check_study(load_study(folder), PSEUDONYMS)
    return {item.code for item in report.problems if item.severity is Severity.REFUSE}


def test_orion_codes_are_turned_and_both_endpoints_are_named(shared, tmp_path):
    """1 means censored in OSCensor; the other endpoint stands in a comment."""
    shutil.copy(shared / "data/orion_crc_cohort/patients.csv", tmp_path)
    draft, values = drafted(tmp_path)
    assert values["endpoint"]["time"] == "OSDays"
    assert values["endpoint"]["event"] == "OSCensor"
    assert values["endpoint"]["codes"] == {"0.0": "event", "1.0": "censored"}
    assert values["endpoint"]["time_unit"] == "days"
    assert values["cohort"][0]["columns"] == {"PATIENT": "patient"}
    assert '#   time = "PFSDays", event = "PFSCensor"' in draft.text
    assert '"0.0" = "event"    # guess (11 rows)' in draft.text
    assert "one of 3" in draft.endpoint


def test_tcga_rows_are_slides_and_columns_are_paired_by_name(shared, tmp_path):
    """One table is clinical and slide table; each time goes with its own status."""
    shutil.copy(shared / "data/tcga/cdr_brca.csv", tmp_path)
    draft, values = drafted(tmp_path)
    cohort = values["cohort"][0]
    assert (values["endpoint"]["time"], values["endpoint"]["event"]) == (
        "dss_survival_days",
        "dss_censorship",
    )
    assert cohort["clini_rows"] == "per-slide"
    assert cohort["slide_table"] == cohort["clini_table"] == "cdr_brca.csv"
    assert cohort["columns"] == {"PATIENT": "case_id", "FILENAME": "slide_id", "MPP": "mpp"}
    assert cohort["require_slides"] is False
    for name in ("os", "pfi", "pfs", "dss_cr"):
        assert f'"{name}_survival_days", event = "{name}_censorship"' in draft.text


def test_two_folders_are_two_cohorts(shared, tmp_path):
    """The first is for development, the codes hold for both."""
    for name in ("development", "validation"):
        (tmp_path / name).mkdir()
        shutil.copy(shared / f"data/survival/breast_cr_{name}.csv", tmp_path / name)
    _, values = drafted(tmp_path)
    assert [(c["name"], c["role"]) for c in values["cohort"]] == [
        ("development", "development"),
        ("validation", "external"),
    ]
    assert values["endpoint"]["codes"] == {"0": "censored", "1": "event", "2": "competing"}
    assert values["endpoint"]["time_unit"] == "years"


def test_a_table_without_an_endpoint_gets_none(shared, tmp_path):
    """Nothing is made up: the draft is refused until an endpoint is declared."""
    shutil.copy(shared / "data/genomics/crc_msk_2017_samples.tsv", tmp_path)
    draft, values = drafted(tmp_path)
    assert draft.endpoint == ""
    assert "time" not in values["endpoint"]
    assert values["cohort"][0]["clini_format"] == {"comment": "#"}
    assert values["cohort"][0]["columns"]["PATIENT"] == "PATIENT_ID"
    assert "CO007" in refusals(tmp_path)


@pytest.fixture
def synthetic(tmp_path) -> Path:
    """The synthetic study without its study files."""
    for name, content in synthetic_study(n_patients=120, seed=5).items():
        if not name.endswith(".toml") and not name.startswith("truth/"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    return tmp_path


def test_the_german_tables_are_read_and_renamed(synthetic):
    """Separator, decimal comma, code page, dates, missing word, columns, and four tables each."""
    _, values = drafted(synthetic)
    north, rhine, south = values["cohort"]
    layout = rhine["clini_format"]
    assert (layout["encoding"], layout["delimiter"], layout["decimal"]) == ("cp1252", ";", ",")
    assert layout["date_format"] == "%d.%m.%Y"
    assert "k. A." in rhine["event_format"]["missing"]
    assert (
        rhine["columns"].items()
        >= {
            "PATIENT": "Fallnummer",
            "OS_DAYS": "Tage",
            "OS_STATUS": "Status",
            "SURGERY_DATE": "OP_Datum",
            "FILENAME": "Datei",
            "TYPE": "Ereignis",
            "age": "Alter",
        }.items()
    )
    assert values["endpoint"]["codes"] == {
        "alive": "censored",
        "dead": "event",
        "lebt": "censored",
        "verstorben": "event",
    }
    assert south["clini_format"] == {"date_format": "%d/%m/%Y"}
    for kind in ("slide", "specimen", "event"):
        assert north[f"{kind}_table"] == f"north/{kind}s.csv"
    assert refusals(synthetic) <= {"EP012"}  # German words of events are for a person to translate


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet"])
def test_workbooks_and_parquet_are_found(suffix, tmp_path):
    """As any other table."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("openpyxl" if suffix == ".xlsx" else "pyarrow")
    frame = pandas.DataFrame(
        {"PATIENT": ["a", "b"], "OS_MONTHS": [5, 90], "OS_STATUS": ["0:LIVING", "1:DECEASED"]}
    )
    path = tmp_path / f"clini{suffix}"
    frame.to_excel(path, index=False) if suffix == ".xlsx" else frame.to_parquet(path)
    _, values = drafted(tmp_path)
    assert values["cohort"][0]["clini_table"] == path.name
    assert values["endpoint"]["codes"] == {"0:LIVING": "censored", "1:DECEASED": "event"}


@pytest.mark.parametrize(("suffix", "key"), [(".svs", "slide_dir"), (".h5", "feature_dir")])
def test_the_folder_of_the_named_slides_is_found(suffix, key, tmp_path):
    """Files lie below it as the table names them, with how many of them are there."""
    (tmp_path / "clini.csv").write_text(CLINI)
    (tmp_path / "slides.csv").write_text(f"PATIENT,FILENAME\na,x/1{suffix}\nb,x/2{suffix}\n")
    (tmp_path / "wsi" / "x").mkdir(parents=True)
    (tmp_path / "wsi" / "x" / f"1{suffix}").write_bytes(b"x")
    draft, values = drafted(tmp_path)
    assert values["cohort"][0][key] == "wsi"
    assert "1 of 2 files" in draft.text
    assert '# primary = "combined"' in draft.text


def test_a_status_with_an_unknown_word_is_left_open_and_refused(tmp_path):
    """No meaning is given to a word that is not known; the check then asks for it."""
    rows = "".join(f"p{i},{i + 400},{'alive' if i % 2 else 'dead'}\n" for i in range(20))
    (tmp_path / "clini.csv").write_text(f"PATIENT,OS_DAYS,OS_STATUS\n{rows}z,500,moved\n")
    draft, values = drafted(tmp_path)
    assert "moved" not in values["endpoint"]["codes"]
    assert '# "moved" = "…"' in draft.text
    assert refusals(tmp_path)


def test_codes_one_and_two_and_words_of_censoring_are_not_turned_by_accident():
    """R's habit is 1 = censored, 2 = dead; a value that says nothing has no meaning."""
    assert guess_codes("status", ["1", "2"]) == {"1": "censored", "2": "event"}
    assert guess_codes("censored", ["yes", "no"]) == {"yes": "censored", "no": "event"}
    assert guess_codes("SOMATIC_STATUS", ["Matched"]) == {}


@pytest.mark.parametrize(
    "name", ["a\nb", 'q"uote', "back\\slash", "Größe", "-", "a b", "x\x7fy", "[t]=1"]
)
def test_odd_names_of_folders_and_columns_still_load(name, tmp_path):
    """Names are quoted and cleaned; two that become equal stay apart."""
    for folder in (name, f"{name} "):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "clini.csv").write_text(CLINI)
    (tmp_path / name / f"unused{name}.csv").write_text("nothing\n1\n")
    _, values = drafted(tmp_path)
    assert len({cohort["name"] for cohort in values["cohort"]}) == 2


def test_bad_folders_are_refused_with_what_was_seen(tmp_path):
    """Missing, empty, and with files that cannot be used: each with its reason."""
    with pytest.raises(ConfigError, match="no folder"):
        draft_study(tmp_path / "missing")
    with pytest.raises(ConfigError, match="no clinical table"):
        draft_study(tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"x\.csv \(no column of patients"):
        draft_study(tmp_path)


def test_pipes_loops_and_damaged_files_do_not_stop_it(tmp_path):
    """A pipe is not opened, a loop is not followed; each is named with the reason."""
    (tmp_path / "clini.csv").write_text(CLINI)
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self.csv").symlink_to("self.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere.csv")
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04 no zip")
    (tmp_path / "binary.csv").write_bytes(b"PATIENT\0,x\n")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / os.fsdecode(b"bad\xff.csv")).write_text(CLINI)
    before = time.monotonic()
    draft, values = drafted(tmp_path)
    assert time.monotonic() - before < 5
    assert values["cohort"][0]["clini_table"] == "clini.csv"
    said = " ".join(draft.left_out)
    for name in ("pipe.csv (it is not a file)", "self.csv", "gone.csv", "book.xlsx", "binary.csv"):
        assert name in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path):
    """With the system's reason."""
    (tmp_path / "clini.csv").write_text(CLINI)
    (tmp_path / "secret.csv").write_text(CLINI)
    (tmp_path / "secret.csv").chmod(0)
    draft, _ = drafted(tmp_path)
    assert any("secret.csv (cannot be read" in note for note in draft.left_out)


def test_ten_thousand_files_are_no_obstacle(tmp_path):
    """Files that are no tables of patients are not read to the end."""
    (tmp_path / "clini.csv").write_text(CLINI)
    for number in range(5000):
        (tmp_path / f"t{number}.csv").write_text("gene,value\nA,1\n")
        (tmp_path / f"t{number}.svs").touch()
    before = time.monotonic()
    draft = draft_study(tmp_path)
    assert time.monotonic() - before < 20
    assert draft.n_slides == 5000
    assert len(draft.text) < 10_000
    parse_study(draft.text)
