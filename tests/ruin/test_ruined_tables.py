"""`check` on deliberately ruined copies of real tables names every kind of damage with its rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metastra.cohort.check import check_study
from metastra.errors import MetastraError, Problem, Severity
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.study.load import load_study
from ruin.damage import DAMAGES, REAL_TABLES, Copy, applies

REPOSITORY = Path(__file__).resolve().parents[2]
PSEUDONYMS = Pseudonyms(SecretKey(bytes(32)))


def problems_of(folder: Path) -> tuple[Problem, ...]:
    try:
        return check_study(load_study(folder), PSEUDONYMS).problems
    except MetastraError as error:
        return getattr(error, "problems", ())


BEFORE: dict[str, frozenset[tuple[str, str]]] = {}
"""Code and text of what each example says of its undamaged tables."""


def new_problems(example: str, found: tuple[Problem, ...]) -> list[Problem]:
    """Leave out what the undamaged tables are told as well: it is not the damage."""
    return [p for p in found if (p.code, f"{p.where} {p.found}") not in BEFORE[example]]


def lay_out(folder: Path, shared: Path, example: str) -> Path:
    """Put an example study and links to its real tables into a folder of their own."""
    study = folder / "study"
    study.mkdir()
    shutil.copy(REPOSITORY / "examples" / example / "study.toml", study / "study.toml")
    for source in (shared / "data").iterdir():
        if source.is_dir():
            target = folder / "data" / source.name
            target.mkdir(parents=True)
            for path in source.iterdir():
                (target / path.name).symlink_to(path)
    return study


CASES = [
    pytest.param(
        name,
        damage,
        id=f"{name}-{damage.__name__}",
        # 17,000 patients: each check of them takes a second
        marks=[pytest.mark.slow] if name.startswith("msk") else [],
    )
    for name, real in REAL_TABLES.items()
    for damage in DAMAGES
    if applies(damage, real)
]


def test_there_are_at_least_forty_kinds_of_damage():
    """The list of what hospitals' tables come with is long."""
    assert len(DAMAGES) >= 40


@pytest.mark.parametrize("name", REAL_TABLES)
def test_a_real_table_as_it_is_is_not_refused(name, shared, tmp_path, monkeypatch):
    """Without damage no example is refused, so what is found below is the damage."""
    monkeypatch.setenv("METASTRA_SHARED", str(tmp_path))
    study = lay_out(tmp_path, shared, REAL_TABLES[name].example)

    refused = [str(p) for p in problems_of(study) if p.severity is Severity.REFUSE]

    assert refused == []


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_every_damage_is_named_with_its_rows(name, damage, shared, tmp_path, monkeypatch):
    """The check says something new under the damage's code, with exactly its rows if it has any."""
    real = REAL_TABLES[name]
    copy = Copy(real, shared / real.path)
    expected = damage(copy)
    monkeypatch.setenv("METASTRA_SHARED", str(tmp_path))
    study = lay_out(tmp_path, shared, real.example)
    if real.example not in BEFORE:
        told = problems_of(study)
        BEFORE[real.example] = frozenset((p.code, f"{p.where} {p.found}") for p in told)
    target = tmp_path / real.path
    target.unlink()
    if copy.rows:
        plain = target.with_suffix("") if target.suffix == ".gz" else target
        plain.write_bytes(copy.content())
        copy.study.append((real.path, real.path.removesuffix(".gz")))
    text = (study / "study.toml").read_text()
    for old, new in copy.study:
        assert old in text
        text = text.replace(old, new)
    (study / "study.toml").write_text(text)

    fresh = new_problems(real.example, problems_of(study))
    found = [problem for problem in fresh if problem.code == expected.code]

    assert found, f"{expected.code} was not found"
    if expected.rows is not None:
        named = {problem.where.rows for problem in found}
        assert expected.rows in named, (expected, named)
