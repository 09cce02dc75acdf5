"""Records that come back as they were, and recipes that decide what is made again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metastra.errors import DigestMismatch, SchemaError
from metastra.storage import Manifest, Origin, Parent, Recipe, StoredFile, differences, product_key
from metastra.storage.opening import Opening

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64)
NAME = st.text("abcxyz_é漢 %#-", min_size=1, max_size=8)
SETTINGS = st.dictionaries(
    TEXT,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXT,
        lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXT, inside, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)
RECIPE = st.builds(
    Recipe,
    kind=TEXT,
    parents=st.dictionaries(
        TEXT, st.builds(Parent, origin=st.sampled_from(Origin), ref=TEXT, digest=DIGEST), max_size=3
    ),
    settings=SETTINGS,
    schema_version=st.integers(1, 9),
)
MANIFEST = st.builds(
    Manifest,
    name=NAME,
    recipe=RECIPE,
    files=st.dictionaries(
        NAME,
        st.builds(StoredFile, sha256=DIGEST, size=st.integers(0, 2**50)),
        min_size=1,
        max_size=1,
    ),
    tools=st.dictionaries(TEXT, TEXT, max_size=3),
    created_at=TEXT,
)
EXAMPLE = Manifest(
    name="cohort",
    recipe=Recipe(
        kind="table",
        parents={
            "study": Parent(origin=Origin.FILE, ref="../study.toml", digest="a" * 64),
            "split": Parent(origin=Origin.PRODUCT, ref="split", digest="b" * 64),
        },
        settings={"folds": 5, "µ": [1.5, None]},
    ),
    files={"cohort.csv": StoredFile(sha256="c" * 64, size=12)},
    tools={"metastra": "0.1.0"},
    created_at="2026-11-21T08:00:00Z",
)


@settings(deadline=None)
@given(MANIFEST)
def test_a_record_comes_back_as_it_was(manifest):
    """Every manifest survives writing and reading, with its digest and key."""
    back = Manifest.from_bytes(manifest.to_bytes())

    assert back == manifest
    assert back.digest == manifest.digest
    assert back.recipe.key == manifest.recipe.key


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_a_single_flipped_bit_in_a_record_is_found(data):
    """Whichever bit is flipped, the record is refused and never read as something else."""
    stored = bytearray(EXAMPLE.to_bytes())
    position = data.draw(st.integers(0, len(stored) - 1))
    stored[position] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises((DigestMismatch, SchemaError)):
        Manifest.from_bytes(bytes(stored))


@settings(deadline=None)
@given(st.integers(0, len(EXAMPLE.to_bytes()) - 1))
def test_a_truncated_record_is_found(length):
    """A record that ends early is refused, wherever it ends."""
    with pytest.raises(DigestMismatch):
        Manifest.from_bytes(EXAMPLE.to_bytes()[:length])


@settings(deadline=None)
@given(st.binary(max_size=60))
@example(b"null")
@example(b"[]")
@example(b'{"layout": 1}')
@example(b'{"layout": 1, "record": {}, "sha256": ""}')
@example(b'{"layout": 1, "record": {"parents": []}, "sha256": ""}')
@example(b"[" * 100_000)
def test_bytes_that_are_no_record_are_refused(data):
    """No bytes at all make the reader fail in another way than by refusing."""
    with pytest.raises(DigestMismatch):
        Manifest.from_bytes(data)


def resealed(change) -> bytes:
    """A record that somebody changed and sealed again."""
    from metastra.digest import digest_value
    from metastra.storage import json_bytes

    document = json.loads(EXAMPLE.to_bytes())
    change(document["record"])
    document["sha256"] = digest_value(document["record"])
    return json_bytes(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(digest="0" * 64),
        lambda record: record.update(key="0" * 64),
        lambda record: record.update(extra=1),
        lambda record: record.pop("tools"),
        lambda record: record["files"].update({"../x": {"sha256": "c" * 64, "size": 1}}),
        lambda record: record["files"]["cohort.csv"].update(size=-1),
        lambda record: record["files"]["cohort.csv"].update(size=True),
        lambda record: record["files"]["cohort.csv"].update(sha256="C" * 64),
        lambda record: record.update(schema_version=0),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(change):
    """Digest, key, names and sizes are checked also where the seal holds."""
    with pytest.raises(DigestMismatch):
        Manifest.from_bytes(resealed(change))


def test_a_resealed_record_without_contradiction_is_read():
    """The helper above makes records that are refused for their content, not for their seal."""
    assert Manifest.from_bytes(resealed(lambda record: None)) == EXAMPLE


def test_a_newer_record_layout_is_refused_with_both_numbers():
    """A record that a later metastra writes is not called damaged."""
    document = json.loads(EXAMPLE.to_bytes())
    document["layout"] = 7

    with pytest.raises(SchemaError, match="layout 7, this metastra knows up to 1"):
        Manifest.from_bytes(json.dumps(document).encode())


def test_times_and_versions_are_in_no_digest():
    """A resumed run on another day with another Python has the same digests."""
    other = replace(EXAMPLE, created_at="2031-01-01T00:00:00Z", tools={"metastra": "9"})

    assert other.to_bytes() != EXAMPLE.to_bytes()
    assert other.digest == EXAMPLE.digest
    assert other.recipe.key == EXAMPLE.recipe.key


def test_the_digest_names_content_and_the_key_names_the_making():
    """Other settings with equal bytes change the key only; other bytes change the digest only."""
    other_making = replace(EXAMPLE, recipe=replace(EXAMPLE.recipe, settings={"folds": 6}))
    other_content = replace(EXAMPLE, files={"cohort.csv": StoredFile(sha256="d" * 64, size=12)})
    other_schema = replace(EXAMPLE, recipe=replace(EXAMPLE.recipe, schema_version=2))
    other_name = replace(EXAMPLE, files={"other.csv": StoredFile(sha256="c" * 64, size=12)})

    assert other_making.digest == EXAMPLE.digest
    assert other_making.recipe.key != EXAMPLE.recipe.key
    assert other_content.digest != EXAMPLE.digest
    assert other_name.digest != EXAMPLE.digest
    assert other_schema.digest != EXAMPLE.digest
    assert other_content.recipe.key == EXAMPLE.recipe.key


@settings(deadline=None)
@given(RECIPE, RECIPE)
def test_recipes_differ_in_words_exactly_when_their_keys_differ(one, other):
    """No change goes unexplained, and nothing is said where nothing changed."""
    assert bool(differences(one, other)) == (one.key != other.key)
    assert differences(one, one) == ()


def test_where_a_parent_lies_does_not_matter_only_what_it_is():
    """A study file that was moved does not make its products stale."""
    moved = {"study": Parent(origin=Origin.FILE, ref="../../study.toml", digest="a" * 64)}
    before = {"study": Parent(origin=Origin.FILE, ref="../study.toml", digest="a" * 64)}

    assert Recipe(kind="t", parents=moved).key == Recipe(kind="t", parents=before).key


def test_the_differences_are_said_one_by_one():
    """All changes are listed, with old and new values, long ones shortened."""
    old = Recipe(
        kind="a",
        parents={"gone": parent("1"), "same": parent("2"), "other": parent("3")},
        settings={"folds": 5, "sites": ["x"] * 100},
    )
    new = Recipe(
        kind="b",
        parents={"same": parent("2"), "other": parent("4"), "more": parent("5")},
        settings={"folds": 5.0, "sites": []},
        schema_version=3,
    )

    said = differences(old, new)

    assert said[0] == "the kind was 'a', is 'b'"
    assert said[1] == "the schema was 1, is 3"
    assert said[2] == "parent 'gone' is gone"
    assert said[3] == "parent 'more' is new"
    assert said[4] == f"parent 'other' was {'3' * 12}…, is {'4' * 12}…"
    assert said[5] == "setting 'folds' was 5, is 5.0"
    assert said[6].endswith("…, is []")
    assert len(said[6]) < 100
    assert len(said) == 7


def parent(digit: str) -> Parent:
    return Parent(origin=Origin.VALUE, ref="x", digest=digit * 64)


def test_settings_are_kept_as_json_gives_them_back():
    """A tuple and a list are one setting, so a resumed run compares equal."""
    assert Recipe(kind="t", settings={"a": (1, 2)}) == Recipe(kind="t", settings={"a": [1, 2]})
    with pytest.raises(ValueError, match="nan"):
        Recipe(kind="t", settings={"a": float("nan")})


def test_the_callers_dict_is_not_kept():
    """Changing the dict afterwards does not change the recipe."""
    mine = {"inner": {"folds": 5}}
    recipe = Recipe(kind="t", settings=mine)
    key = recipe.key

    mine["inner"]["folds"] = 6

    assert recipe.key == key


def test_the_key_is_the_recipes():
    """The function and the noun give one key."""
    recipe = Recipe(kind="t", parents={"p": parent("1")}, settings={"a": 1})

    assert product_key("t", {"p": "1" * 64}, {"a": 1}) == recipe.key
    assert product_key("t", {"p": "1" * 64}, {"a": 1}, schema_version=2) != recipe.key


@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, "g" * 64, 7])
def test_what_is_no_digest_is_refused(digest):
    """Parents and files carry real digests or are not made."""
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        Parent(origin=Origin.VALUE, ref="x", digest=digest)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        StoredFile(sha256=digest, size=0)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_in_an_opening_makes_it_none(position, bit):
    """Files are removed on the word of an opening, so a damaged one says nothing."""
    stored = bytearray(Opening(name="a", files=("a.csv", "b.csv")).to_bytes())
    stored[position % len(stored)] ^= 1 << bit

    assert Opening.from_bytes(bytes(stored)) is None


@pytest.mark.parametrize("file", ["../outside", "/etc/passwd", ".records/a.json", ""])
def test_an_opening_never_names_files_outside_the_run(file):
    """A forged opening cannot make the next writer remove other files."""
    assert Opening.from_bytes(Opening(name="a", files=(file,)).to_bytes()) is None
