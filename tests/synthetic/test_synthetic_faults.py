"""Planted faults and leaks: named, in their place, and found by the check of their code."""

from __future__ import annotations

from pathlib import Path

import pytest

from metastra.catalogue import all_checks
from metastra.errors import ConfigError
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.study.load import load_study
from metastra.synthetic.faults import FAULTS, plant
from metastra.synthetic.generate import generate, synthetic_study
from metastra.synthetic.writing import render

ALWAYS = {"CO039", "CO043", "EP015", "EP018"}
"""Codes of the clean study: missing values, treated patients, few events, the window."""


@pytest.fixture(scope="module")
def clean():
    """The default study without faults."""
    return generate().parts()


def problems_of(folder, parts, study_file):
    """Everything that the check of a study finds."""
    check = pytest.importorskip("metastra.cohort.check")
    for name, data in render(parts).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    try:
        study = load_study(folder / study_file)
    except ConfigError as error:
        return error.problems
    return check.check_study(study, Pseudonyms(SecretKey(bytes(32)))).problems


def test_every_fault_names_a_check_of_the_catalogue():
    """Each code exists, each name and sentence is one of its own."""
    assert {fault.code for fault in FAULTS.values()} <= set(all_checks())
    assert len({fault.what for fault in FAULTS.values()}) == len(FAULTS)
    assert all(name == fault.name for name, fault in FAULTS.items())
    codes = [fault.code for fault in FAULTS.values()]
    assert len(set(codes)) == len(codes) > 50


def test_the_documentation_lists_every_fault():
    """Code, name and sentence of each fault stand in the documentation."""
    page = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "synthetic-cohort.md"
    text = page.read_text("utf-8")

    for fault in FAULTS.values():
        assert f"| {fault.code} | `{fault.name}` | {fault.what} |" in text


@pytest.mark.parametrize("study_file", ["study.toml", "study-overall-survival.toml"])
def test_the_clean_study_is_not_refused(tmp_path, clean, study_file):
    """Without planted faults nothing is refused, and only the known notes and warnings appear."""
    found = problems_of(tmp_path, clean, study_file)

    assert [str(item) for item in found if item.severity == "refuse"] == []
    assert {item.code for item in found} <= ALWAYS


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_where_it_was_put(tmp_path, clean, name):
    """The check of the fault's code names its file and its rows."""
    planted = plant(clean, name)

    found = problems_of(tmp_path, planted.parts, planted.study_file)

    mine = [item for item in found if item.code == planted.code]
    assert mine, f"{planted.code} not among {sorted({item.code for item in found})}"
    if planted.file:
        mine = [item for item in mine if item.where.file == planted.file]
        assert mine, f"{planted.code} not in {planted.file}"
    if planted.rows:
        assert set(planted.rows) & {row for item in mine for row in item.where.rows}


@pytest.mark.parametrize("name", FAULTS)
def test_planting_changes_a_copy(clean, name):
    """The fault is in the planted study, only there, and only in the files that it needs."""
    before = render(clean)

    planted = plant(clean, name)

    assert render(clean) == before
    after = render(planted.parts)
    changed = {file for file in before if before[file] != after.get(file)}
    assert changed
    if planted.rows:
        assert planted.file in changed
    assert len(changed) <= 4
    again = render(plant(generate().parts(), name).parts)
    assert again == after


def test_faults_can_be_asked_for_by_name():
    """Several faults go into one study, in the order in which they are named."""
    files = synthetic_study(n_patients=80, seed=1, faults=["missing-status", "impossible-age"])
    clean = synthetic_study(n_patients=80, seed=1)

    changed = {name for name in files if files[name] != clean[name]}
    assert changed == {"north/clini.csv"}
    assert b"168.0" in files["north/clini.csv"]


def test_an_unknown_fault_is_refused_with_the_nearest():
    """A misspelled name is answered with the nearest one."""
    with pytest.raises(ConfigError, match="did you mean 'missing-status'"):
        plant({}, "missing-statuss")


def test_faults_of_cells_come_before_faults_of_bytes(clean):
    """A table that an earlier fault wrote down cannot be changed by cell any more."""
    written = plant(clean, "null-bytes").parts

    with pytest.raises(ValueError, match="written already"):
        plant(written, "missing-status")


def test_a_study_too_small_for_a_fault_says_so():
    """Where no patient suits a fault, it is not silently left out."""
    few = generate(n_patients=20, seed=3).parts()

    with pytest.raises(ValueError, match="draw more patients"):
        plant(few, "metastasis-slides")
