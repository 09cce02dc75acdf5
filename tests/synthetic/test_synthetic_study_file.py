"""The study files of the synthetic study, which newcomers read as worked examples."""

from __future__ import annotations

import pytest

from metastra.study.load import parse_study
from metastra.synthetic.case_mix import COHORTS
from metastra.synthetic.generate import generate
from metastra.synthetic.study_file import overall_survival_file, study_file
from metastra.synthetic.writing import Table


@pytest.fixture(scope="module")
def parts():
    """The files of a study of 200 patients before they are written."""
    return generate(n_patients=200, seed=6).parts()


def test_the_study_is_what_the_documentation_says():
    """Endpoint, horizons, window, groups and exclusions are those of the worked example."""
    study = parse_study(study_file(COHORTS, seed=5))

    assert study.endpoint.name == "metachronous-liver-metastasis"
    assert study.endpoint.horizons == (12, 24, 36)
    assert study.endpoint.primary_horizon == 24
    assert study.endpoint.synchronous_window_months == 3
    assert study.study.seed == 5
    assert study.validation.group == ("PATIENT", "site")
    assert study.validation.leave_one_cohort_out
    assert [criterion.column for criterion in study.exclude] == ["@M", "@neoadjuvant"]
    assert [section.role for section in study.cohort] == ["development", "development", "external"]
    assert not any(section.require_slides for section in study.cohort)


@pytest.mark.parametrize("write", [study_file, overall_survival_file])
def test_every_section_is_commented_and_lines_fit_a_screen(write):
    """Comments stand before the sections, and no line is longer than 100 characters."""
    text = write(COHORTS, seed=5)

    lines = text.splitlines()
    assert max(len(line) for line in lines if "_format" not in line) <= 100
    assert text.startswith("# ")
    if write is study_file:
        blocks = [block for block in text.split("\n\n") if block.lstrip("# \n").startswith("[")]
        assert sum("#" in block for block in blocks) >= len(blocks) - 1


def test_every_declared_table_and_column_is_there(parts):
    """Tables that the study names exist, with every column that its sections name."""
    study = parse_study(parts["study.toml"].decode())
    clini = {study.clock.origin, study.clock.last_contact, study.metadata.site}
    clini |= {study.staging.tnm, study.staging.stage, study.staging.metastasis_at_diagnosis}
    clini |= set(study.clinical) | {column.measured for column in study.clinical.values()}
    clini |= {name for status in study.status for name in (status.time, status.event)}
    for section, kind, path in study.tables():
        table = parts[path]
        assert isinstance(table, Table)
        if kind == "clini":
            assert clini - {None} <= set(table.columns)
        if kind == "slide":
            assert {study.metadata.scanner, study.metadata.scan_date} <= set(table.columns)
        header = table.render().decode(table.writing.encoding).splitlines()[0]
        for name in table.columns:
            written = section.columns.get(name, name)
            assert written in header.lstrip("\ufeff").split(table.writing.delimiter)


def test_every_word_of_the_tables_is_known_to_the_study(parts):
    """Event types, sites and statuses are read by the study's vocabulary and code maps."""
    study = parse_study(parts["study.toml"].decode())
    codes = parse_study(parts["study-overall-survival.toml"].decode()).endpoint.codes
    for _, kind, path in study.tables():
        table = parts[path]
        write = table.writing.text
        if kind == "event":
            for name, read in (
                ("TYPE", study.vocabulary.event_type),
                ("SITE", study.vocabulary.site),
            ):
                for word in {cell for cell in table.column(name) if cell is not None}:
                    assert read(write(name, word)).value == word
        if kind == "clini":
            for word in set(table.column("OS_STATUS")):
                meaning = "event" if word == "dead" else "censored"
                assert codes[write("OS_STATUS", word)] == meaning
                assert study.status[0].codes == codes


def test_the_formats_are_those_of_the_tables(parts):
    """Encoding, separator, decimal mark, dates and words for missing are declared as written."""
    study = parse_study(parts["study.toml"].decode())
    for section in study.cohort:
        for kind in ("clini", "slide", "specimen", "event"):
            layout = getattr(section, f"{kind}_format")
            writing = parts[getattr(section, f"{kind}_table")].writing
            assert layout.encoding == writing.encoding.removesuffix("-sig")
            assert layout.delimiter == (None if writing.delimiter in ",\t" else writing.delimiter)
            assert layout.decimal == writing.decimal
            assert (layout.date_format or "%Y-%m-%d") == writing.date_format
            assert writing.missing in layout.missing
