"""`make bench`: groups, their processes, and sections that are rewritten with their history."""

from __future__ import annotations

import pytest
from benchmarks.__main__ import joined, main, measure, write
from benchmarks.cases import REPOSITORY
from benchmarks.groups import GROUPS, Group, Part
from benchmarks.history import earlier_page, moved, replace_section, section_of

PAGE = REPOSITORY / "docs" / "benchmarks.md"
OLD = """### Measured on 2026-01-01

| call | n | metastra | ratio | load |
| --- | --: | --: | --: | --: |
| sum | 1 000 | 900 µs | 2.0× | 1.0 |
| sum | 10 000 | 9.0 ms | 2.0× | 1.0 |
| gone | 1 | 1 s | 1.0× | 1.0 |"""
NEW = """### Measured on 2026-02-01

| call | n | metastra | ratio | load |
| --- | --: | --: | --: | --: |
| sum | 1 000 | 1.8 ms | 1.0× | 9.0 |
| sum | 10 000 | 9.5 ms | **1.9×** | 9.0 |
| new | 1 | 1 s | 1.0× | 9.0 |"""


def test_every_group_has_its_section_in_the_page():
    """In the order of the groups is not asked; that there is one each is."""
    page = PAGE.read_text(encoding="utf-8")
    for group in GROUPS:
        assert section_of(page, group.name), group.name
        assert page.count(f"<!-- {group.name}: begin -->") == 1


def test_a_section_is_replaced_and_the_rest_left_alone():
    """Writing the same again changes nothing."""
    page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n<!-- y: begin -->\n<!-- y: end -->\nc\n"
    once = replace_section(page, "x", "new\n")
    assert once == page.replace("old", "new")
    assert replace_section(once, "x", "new") == once
    assert section_of(once, "y") == ""
    with pytest.raises(ValueError, match="substring"):
        replace_section(page, "z", "new")


def test_numbers_that_moved_by_a_tenth_are_named():
    """By row and column, units brought together; load and rows of one side alone are left out."""
    found = moved(OLD, NEW)
    told = [(one.row, one.column, one.before, one.now, round(one.factor, 3)) for one in found]
    assert told == [
        ("sum, 1 000", "metastra", "900 µs", "1.8 ms", 2.0),
        ("sum, 1 000", "ratio", "2.0×", "1.0×", 0.5),
    ]
    assert moved(NEW, NEW) == []


def test_the_record_keeps_every_section_that_was_replaced():
    """Newest first, with the reason; nothing is kept where nothing was replaced."""
    how = {"date": "2026-02-01", "why": "a slower machine"}
    assert earlier_page("", "Sums", "", NEW, **how) == ""
    assert earlier_page("", "Sums", NEW, NEW, **how) == ""
    first = earlier_page("", "Sums", OLD, NEW, **how)
    second = earlier_page(first, "Sums", NEW, OLD, date="2026-03-01", why="")
    assert first.startswith("# Earlier measurements: Sums\n")
    assert "Why: a slower machine." in first
    assert "| sum, 1 000 | metastra | 900 µs | 1.8 ms | 2.00× |" in first
    assert second.index("Replaced on 2026-03-01") < second.index("Replaced on 2026-02-01")
    assert OLD in second
    assert NEW in second
    assert "Why: not said." in second


def printing(*texts, code=0):
    """A group whose processes print a text each."""
    words = [f"import sys; print({text!r}); sys.exit({code})" for text in texts]
    parts = tuple(Part(arguments=("-c", one)) for one in words)
    return Group(name="sums", title="Sums", parts=parts)


def test_each_part_is_a_process_and_their_tables_are_joined():
    """Machine, versions and command stand above."""
    head = "| what | s |\n| --- | --: |"
    text = measure(printing(f"{head}\n| a | 1 |", f"{head}\n| b | 2 |", "then"), quick=False)
    assert f"{head}\n| a | 1 |\n| b | 2 |\n\nthen" in text
    assert "- Versions: Python" in text
    assert "- Command: `python -m benchmarks sums --write`." in text
    assert joined([head, "", "x"]) == f"{head}\n\nx"


def test_a_part_that_fails_is_named_and_the_others_stand():
    """In the section itself."""
    text = measure(printing("half", code=3), quick=False)
    assert "**Not measured:** `-c import sys; print('half'); sys.exit(3)` ended with 3." in text


def test_a_group_rewrites_its_section_and_its_record(tmp_path):
    """The page elsewhere is left alone; the same again adds nothing."""
    page = "head\n<!-- sums: begin -->\n<!-- sums: end -->\ntail\n"
    (tmp_path / "benchmarks.md").write_text(page, encoding="utf-8")
    group = printing()
    write(group, OLD, tmp_path)
    assert not (tmp_path / "records").exists()
    for _ in range(2):
        write(group, NEW, tmp_path, why="another machine")
        written = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
        assert written == page.replace("begin -->", f"begin -->\n{NEW}")
        record = (tmp_path / "records/benchmarks-sums.md").read_text(encoding="utf-8")
        assert record.count("## Replaced on") == 1
        assert OLD in record


def test_a_group_that_there_is_not_is_refused(capsys):
    """With the names that there are."""
    with pytest.raises(SystemExit):
        main(["sumz"])
    assert "no group is named sumz; there are calls, tiles, pixels" in capsys.readouterr().err


def test_small_numbers_do_not_come_into_the_page(capsys):
    """A quick run is written beside a copy alone."""
    with pytest.raises(SystemExit):
        main(["tiles", "--quick", "--write"])
    assert "small numbers do not belong into the page" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiles", "painting"])
def test_a_group_measures_quickly(shared, tmp_path, name):
    """Small and once: every part gives rows, and the section is written."""
    page = PAGE.read_text(encoding="utf-8")
    (tmp_path / "benchmarks.md").write_text(page, encoding="utf-8")
    assert main([name, "--quick", "--write", "--docs", str(tmp_path), "--why", "a test"]) == 0
    written = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    text = section_of(written, name)
    assert text.startswith("### Measured on")
    assert f"python -m benchmarks {name} --quick" in text
    assert sum(line.startswith("|") for line in text.splitlines()) >= 3
    record = (tmp_path / f"records/benchmarks-{name}.md").read_text(encoding="utf-8")
    assert section_of(page, name) in record
    assert replace_section(written, name, section_of(page, name)) == page
