"""Old layouts stay readable, newer ones are refused."""

from __future__ import annotations

import pytest

from metastra.errors import SchemaError
from metastra.storage import (
    Migration,
    Recipe,
    completeness,
    json_bytes,
    migrate,
    read_product_json,
    register_schema,
    schema_version,
    write_product,
)
from metastra.storage.migrations import _SCHEMAS


def rename(document):
    document["risk"] = document.pop("score")
    return document


def nest(document):
    return {"values": document}


STEPS = [
    Migration(name="score became risk", to_version=2, step=rename),
    Migration(name="values are nested", to_version=3, step=nest),
]


@pytest.fixture
def kind(monkeypatch):
    """A kind that is known only inside the test."""
    monkeypatch.setattr("metastra.storage.migrations._SCHEMAS", dict(_SCHEMAS))
    return "a kind of the test"


def test_every_older_version_leads_to_the_present_one(kind):
    """Steps are applied in order, from the version on in which the document was written."""
    register_schema(kind, version=3, migrations=STEPS)

    assert migrate(kind, 1, {"score": 7}) == {"values": {"risk": 7}}
    assert migrate(kind, 2, {"risk": 7}) == {"values": {"risk": 7}}
    assert migrate(kind, 3, {"values": 7}) == {"values": 7}


def test_the_old_document_is_left_as_it_is(kind):
    """A step may change its argument; the caller's document stays."""
    register_schema(kind, version=2, migrations=STEPS[:1])
    old = {"score": 7}

    migrate(kind, 1, old)

    assert old == {"score": 7}


def test_an_old_product_is_read_in_the_present_layout_and_made_again_in_a_run(kind, tmp_path):
    """The stored file stays; a run that wants the product now makes it again, and says why."""
    write_product(tmp_path, "a", Recipe(kind=kind), {"a.json": json_bytes({"score": 7})})
    before = (tmp_path / "a.json").read_bytes()

    register_schema(kind, version=3, migrations=STEPS)

    assert read_product_json(tmp_path, "a") == {"values": {"risk": 7}}
    assert (tmp_path / "a.json").read_bytes() == before
    assert completeness(tmp_path, "a")
    assert completeness(tmp_path, "a", Recipe(kind=kind)).reasons == ("the schema was 1, is 3",)


def test_versions_outside_the_history_are_refused(kind):
    """Newer and impossible versions are refused with the numbers."""
    register_schema(kind, version=3, migrations=STEPS)

    with pytest.raises(SchemaError, match=r"has schema 4 of kind .* knows up to 3"):
        migrate(kind, 4, {})
    with pytest.raises(SchemaError, match="schema 0"):
        migrate(kind, 0, {})


@pytest.mark.parametrize(
    ("version", "steps"), [(3, STEPS[:1]), (3, STEPS[::-1]), (1, STEPS[:1]), (2, STEPS), (0, [])]
)
def test_a_history_with_a_gap_is_refused(kind, version, steps):
    """A kind cannot claim a version to which no step leads."""
    with pytest.raises(ValueError, match="needs migrations to the versions"):
        register_schema(kind, version=version, migrations=steps)
    assert schema_version(kind) == 1


def test_a_kind_has_one_history(kind):
    """Importing a package twice is harmless, another history is not."""
    register_schema(kind, version=2, migrations=STEPS[:1])
    register_schema(kind, version=2, migrations=STEPS[:1])

    with pytest.raises(ValueError, match="registered already"):
        register_schema(kind, version=3, migrations=STEPS)
    assert schema_version(kind) == 2
