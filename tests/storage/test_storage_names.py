"""Names that are refused, and names that would be one file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metastra.errors import ConfigError
from metastra.storage.names import clean_files, clean_name, record_path, records_folder


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../outside",
        "a/../../b",
        "a//b",
        "a/",
        "./a",
        ".hidden",
        "a/.records/b",
        "a\\b",
        "a\nb",
        "a\x00b",
        "\ud800",
        "x" * 241,
        "ü" * 121,
    ],
)
@pytest.mark.parametrize("what", ["product", "file"])
def test_names_that_leave_the_folder_or_hide_are_refused(name, what):
    """Neither a product nor a file may point out of the run or at metastra's own files."""
    with pytest.raises(ConfigError, match=f"{what} name"):
        clean_name(name, what=what)


@pytest.mark.parametrize("name", ["cohort", "features/a b", "a..b", "Zoë", "-x"])
def test_ordinary_names_pass(name):
    """Names of any script, with folders, spaces and dots inside, are taken."""
    assert clean_name(name) == name


@pytest.mark.parametrize("name", ["table.json", "a.json/b"])
def test_products_are_not_named_like_records(name):
    """A product named like a record could have its own record in its way; a file may."""
    with pytest.raises(ConfigError, match="ending of records"):
        clean_name(name)
    assert clean_name(name, what="file") == name


def test_unicode_forms_are_one_name():
    """The same word in composed and decomposed letters is one product."""
    composed, decomposed = "Müller", unicodedata.normalize("NFD", "Müller")
    assert composed != decomposed

    assert clean_name(composed) == clean_name(decomposed) == composed


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["a.csv", "A.csv"], "one file"),
        (["Müller.csv", unicodedata.normalize("NFD", "Müller.csv")], "one file"),
        (["ΣΟΦΟΣ", "σοφος"], "one file"),
        (["a", "a/b"], "folder of"),
        (["a/b/c", "A"], "folder of"),
        ([], "no files"),
    ],
)
def test_files_that_would_be_one_are_refused(names, why):
    """Case, Unicode form and folders: two files of a product must be two on every disk."""
    with pytest.raises(ConfigError, match=why):
        clean_files(names, product="table")


@settings(deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_whatever_the_name_the_record_stays_inside(name):
    """No text, however odd, leads a record out of the folder of records."""
    run = Path("/run")
    try:
        path = record_path(run, name)
    except ConfigError:
        return

    assert path.resolve().is_relative_to(records_folder(run))
    assert path.name.endswith(".json")
    assert not path.name.startswith(".")
