"""`metastra check`: problems for people, for programs and for the person who mends the tables."""

from __future__ import annotations

import csv
import json
import re
import stat


def test_a_sound_study_is_accepted(study, metastra):
    """Exit 0, counts on stdout, the notice on stderr."""
    done = metastra("check", study)
    assert done.returncode == 0
    assert "0 refused" in done.stdout
    assert "Research use only" in done.stderr


def test_the_table_of_problems_has_study_ids_and_is_private(refused, metastra, tmp_path):
    """Only the file that was asked for names patients, and only its owner may read it."""
    table = tmp_path / "problems.csv"
    done = metastra("check", refused, "--table", table)
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    twice = [row for row in rows if row["code"] == "CO011"]

    assert done.returncode == 3
    assert {row["PATIENT"] for row in twice} == {"NO-0001"}
    assert "2" in {row["row"] for row in twice}
    assert all(row["pseudonym"].startswith("P-") for row in twice)
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    assert "NO-0001" not in done.stdout + done.stderr


def test_a_cell_that_begins_like_a_formula_is_defused(refused, metastra, tmp_path):
    """A spreadsheet that opens the table computes nothing."""
    table = refused / "north" / "clini.csv"
    text = table.read_text()
    table.write_text(text.replace("NO-0001", '"=HYPERLINK(""http://x"")"'))
    problems = tmp_path / "problems.csv"
    assert metastra("check", refused, "--table", problems).returncode == 3

    cells = [cell for row in csv.reader(problems.read_text("utf-8").splitlines()) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert [cell for cell in cells if re.match(r"[=+\-@\t\r]", cell)] == []


def test_the_page_is_written_and_names_nobody(refused, metastra, tmp_path):
    """Also for refused data, which is when it is wanted."""
    page = tmp_path / "new" / "page.html"
    done = metastra("check", refused, "--page", page, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["refused"] is True
    html = page.read_text(encoding="utf-8")
    assert "CO011" in html
    assert "NO-0001" not in html


def test_a_table_that_cannot_be_written_is_said(study, metastra, tmp_path):
    """A folder in its place is a matter of usage."""
    done = metastra("check", study, "--table", tmp_path, "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit"] == 2
