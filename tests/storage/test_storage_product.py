"""Products: complete with their record or not complete at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from metastra.errors import ConfigError, DigestMismatch, IntegrityError, SchemaError
from metastra.storage import (
    Completeness,
    Depth,
    Recipe,
    completeness,
    is_complete,
    json_bytes,
    open_product,
    owner_of,
    product_names,
    product_parent,
    read_product_bytes,
    read_product_json,
    read_record,
    register_schema,
    remove_product,
    use_file_ops,
    value_parent,
    write_product,
)
from metastra.storage.migrations import _SCHEMAS
from metastra.testing.faults import CountingOps, snapshot
from storage.storage_child import content, look, recipe, write

CHILD = Path(__file__).with_name("storage_child.py")
TABLE = Recipe(kind="table", settings={"rows": 2})


def flip(path: Path, position: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def record_of(run: Path, name: str) -> Path:
    return run / ".records" / f"{name}.json"


def test_a_product_is_files_and_a_record(tmp_path):
    """Bytes and writers are stored alike; the record names what was stored and from what."""
    study = value_parent("study", "a" * 64)
    wanted = Recipe(kind="table", parents={"study": study}, settings={"rows": 2})

    made = write_product(
        tmp_path,
        "cohort",
        wanted,
        {"flow.json": b"{}\n", "tables/cohort.csv": lambda stream: stream.write(b"a\n") and None},
        tools={"pandas": "2.3"},
    )

    assert (tmp_path / "tables/cohort.csv").read_bytes() == b"a\n"
    assert read_record(tmp_path, "cohort") == made
    assert list(made.files) == ["flow.json", "tables/cohort.csv"]
    assert made.recipe == wanted
    assert made.tools["pandas"] == "2.3"
    assert {"metastra", "python"} <= set(made.tools)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", made.created_at)
    assert is_complete(tmp_path, "cohort", wanted)
    assert completeness(tmp_path, "cohort", wanted) == Completeness()


def test_everything_is_private_to_the_user(tmp_path):
    """Files, folders, the record and the lock of a run are readable by their owner only."""
    write(tmp_path / "run", "one", 1)

    found = [tmp_path / "run", *(tmp_path / "run").rglob("*")]
    assert len(found) > 6
    for path in found:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_file_without_a_record_is_not_done(tmp_path):
    """That a file exists says nothing."""
    (tmp_path / "cohort.csv").write_bytes(b"a\n")

    assert completeness(tmp_path, "cohort", TABLE).reasons == ("it was never finished",)
    with pytest.raises(IntegrityError, match="'cohort' has no completion record"):
        read_product_bytes(tmp_path, "cohort")
    with pytest.raises(IntegrityError, match="never finished"):
        product_parent(tmp_path, "cohort")


def test_incompleteness_is_false_in_a_condition(tmp_path):
    """The answer can be asked directly; an object that is always true would make nothing again."""
    assert not completeness(tmp_path, "cohort")
    assert not completeness(tmp_path, "cohort").complete
    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    assert completeness(tmp_path, "cohort")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(b"b\n"), "another digest"),
        (lambda path: path.write_bytes(b"a\n\n"), "3 bytes, recorded 2"),
        (lambda path: path.write_bytes(b""), "0 bytes, recorded 2"),
        (lambda path: (path.unlink(), path.mkdir()), "missing"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "no regular file"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "no regular file"),
        (lambda path: (path.unlink(), path.symlink_to(path)), "."),
    ],
    ids=["gone", "bits", "longer", "empty", "folder", "pipe", "endless device", "circle"],
)
def test_a_file_that_was_changed_is_never_read(tmp_path, harm, reason):
    """Changed, missing, endless and odd files are refused at once, with the reason."""
    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    harm(tmp_path / "cohort.csv")

    for read in (read_product_bytes, open_product):
        with pytest.raises((DigestMismatch, ConfigError), match=reason):
            read(tmp_path, "cohort")


def test_a_changed_file_makes_the_product_incomplete_and_is_replaced(tmp_path):
    """A flipped bit is found by digest, not by size, and making it again mends it."""
    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    flip(tmp_path / "cohort.csv")

    assert not is_complete(tmp_path, "cohort", TABLE)
    assert is_complete(tmp_path, "cohort", TABLE, depth=Depth.SIZE)

    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    assert is_complete(tmp_path, "cohort", TABLE)


def test_other_parents_or_settings_are_said(tmp_path):
    """A product made otherwise is not complete for what is wanted, and the reason is named."""
    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})

    wanted = Recipe(kind="table", settings={"rows": 3})

    assert completeness(tmp_path, "cohort", wanted).reasons == ("setting 'rows' was 2, is 3",)
    assert is_complete(tmp_path, "cohort")


@pytest.mark.parametrize("where", ["record", "digest"])
def test_a_damaged_record_makes_the_product_incomplete(tmp_path, where):
    """A flipped bit in the record is found; the product can be made again over it."""
    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    path = record_of(tmp_path, "cohort")
    data = path.read_bytes()
    flip(path, data.index(b"rows" if where == "record" else b'"sha256"', 100))

    with pytest.raises(DigestMismatch, match="the record of product 'cohort' is damaged"):
        read_record(tmp_path, "cohort")
    assert "damaged" in completeness(tmp_path, "cohort", TABLE).reasons[0]
    with pytest.raises(DigestMismatch):
        remove_product(tmp_path, "cohort")

    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    assert is_complete(tmp_path, "cohort", TABLE)


def test_the_record_of_another_product_does_not_count(tmp_path):
    """A record that was copied under another name is refused."""
    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    shutil.copy(record_of(tmp_path, "cohort"), record_of(tmp_path, "split"))

    with pytest.raises(DigestMismatch, match=r"record of product 'split' belongs to .*'cohort'"):
        read_record(tmp_path, "split")
    assert not is_complete(tmp_path, "split")


@pytest.fixture
def trial_kind():
    """A kind at version 1 that is known only inside the test."""
    register_schema("trial kind", version=1)
    yield "trial kind"
    _SCHEMAS.pop("trial kind", None)


def test_what_a_newer_metastra_wrote_is_neither_used_nor_replaced(tmp_path, trial_kind):
    """A newer schema is refused with both numbers, in reading, in asking and in writing."""
    newer = Recipe(kind=trial_kind, schema_version=5)
    write_product(tmp_path, "cohort", Recipe(kind=trial_kind), {"cohort.csv": b"a\n"})
    path = record_of(tmp_path, "cohort")
    manifest = read_record(tmp_path, "cohort")
    assert manifest is not None
    object.__setattr__(manifest, "recipe", newer)
    path.write_bytes(manifest.to_bytes())
    before = snapshot(tmp_path)

    def never(stream: object) -> None:
        raise AssertionError("the work is not even begun")

    for act in (
        lambda: completeness(tmp_path, "cohort"),
        lambda: read_product_bytes(tmp_path, "cohort"),
        lambda: product_parent(tmp_path, "cohort"),
        lambda: write_product(tmp_path, "cohort", Recipe(kind=trial_kind), {"cohort.csv": never}),
    ):
        with pytest.raises(SchemaError, match=r"has schema 5 of kind 'trial kind'.* up to 1"):
            act()
    assert snapshot(tmp_path) == before


def test_the_same_content_again_replaces_nothing(tmp_path):
    """A second worker that was slower finds the product and leaves every file in place."""
    first = write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    inode = (tmp_path / "cohort.csv").stat().st_ino

    with use_file_ops(CountingOps()) as ops:
        second = write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})

    assert second == first
    assert (tmp_path / "cohort.csv").stat().st_ino == inode
    assert "replace" not in ops.steps
    assert not list(tmp_path.rglob(".part-*"))


def test_the_same_content_from_other_settings_gets_its_own_record(tmp_path):
    """Equal bytes made otherwise are recorded as made otherwise; the digest stays."""
    first = write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})
    other = Recipe(kind="table", settings={"rows": 3})

    second = write_product(tmp_path, "cohort", other, {"cohort.csv": b"a\n"})

    assert is_complete(tmp_path, "cohort", other)
    assert second.digest == first.digest


def test_files_that_only_the_old_product_had_are_gone(tmp_path):
    """After a replacement the folder holds the new product and nothing of the old one."""
    write(tmp_path, "one", 1)
    write(tmp_path, "one", 2)

    files = {path.name for path in (tmp_path / "out/one").iterdir()}
    assert files == {"table.csv", "weights.bin", "only-2.txt"}
    assert look(tmp_path, ["one"]) == {"one": 2}


def test_files_of_another_product_are_never_taken(tmp_path):
    """Two products cannot share a file, and the refusal names both and changes nothing."""
    write_product(tmp_path, "cohort", TABLE, {"table.csv": b"a\n"})
    write_product(tmp_path, "split", TABLE, {"split.csv": b"s\n"})
    before = snapshot(tmp_path)

    with pytest.raises(ConfigError, match=r"'split'.*'table\.csv' belongs to product 'cohort'"):
        write_product(tmp_path, "split", TABLE, {"table.csv": b"b\n", "split.csv": b"s\n"})

    assert snapshot(tmp_path) == before


def test_a_file_that_another_product_took_meanwhile_is_left_to_it(tmp_path):
    """Cleaning up after a kill removes no file that has a new owner."""
    from metastra.storage.opening import Opening

    write_product(tmp_path, "cohort", TABLE, {"table.csv": b"a\n"})
    record_of(tmp_path, "cohort").write_bytes(
        Opening(name="cohort", files=("old.csv", "table.csv")).to_bytes()
    )
    (tmp_path / "old.csv").write_bytes(b"half")
    write_product(tmp_path, "split", TABLE, {"table.csv": b"mine now\n"})

    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"c\n"})

    assert read_product_bytes(tmp_path, "split") == b"mine now\n"
    assert not (tmp_path / "old.csv").exists()


def test_a_file_without_an_owner_is_replaced(tmp_path):
    """What a killed run left under the name does not stop the next one."""
    (tmp_path / "cohort.csv").write_bytes(b"half a ta")

    write_product(tmp_path, "cohort", TABLE, {"cohort.csv": b"a\n"})

    assert read_product_bytes(tmp_path, "cohort") == b"a\n"


def test_a_stream_stays_on_the_file_that_was_verified(tmp_path):
    """A product that is replaced while it is read does not change under the reader."""
    write(tmp_path, "one", 1)
    with open_product(tmp_path, "one", "out/one/weights.bin") as stream:
        write(tmp_path, "one", 2)
        assert stream.read() == content("one", 1)["out/one/weights.bin"]


def test_the_file_must_be_named_where_there_are_several(tmp_path):
    """A product of several files names them when asked for none or for another."""
    write(tmp_path, "one", 1)

    with pytest.raises(ConfigError, match=r"no file was named; it has 'out/one/only-1\.txt'"):
        read_product_bytes(tmp_path, "one")
    with pytest.raises(ConfigError, match=r"no file 'x\.csv'; it has"):
        open_product(tmp_path, "one", "x.csv")


def test_json_products_are_read_as_objects_only(tmp_path):
    """Strict JSON objects come back; a list or a broken document is refused."""
    write_product(tmp_path, "good", TABLE, {"good.json": json_bytes({"auc": 0.75})})
    write_product(tmp_path, "list", TABLE, {"list.json": b"[1]\n"})
    write_product(tmp_path, "loose", TABLE, {"loose.json": b'{"auc": NaN}\n'})

    assert read_product_json(tmp_path, "good") == {"auc": 0.75}
    with pytest.raises(SchemaError, match="'list' holds a list"):
        read_product_json(tmp_path, "list")
    with pytest.raises(SchemaError, match="'loose' is no strict JSON: NaN"):
        read_product_json(tmp_path, "loose")


def test_names_in_other_scripts_and_forms_are_one_product(tmp_path):
    """A name typed in decomposed letters finds the product written in composed ones."""
    composed = "Müller/患者 🧬"
    decomposed = unicodedata.normalize("NFD", composed)
    write_product(tmp_path, decomposed, TABLE, {f"{decomposed}.csv": b"a\n"})

    assert is_complete(tmp_path, composed, TABLE)
    assert read_product_bytes(tmp_path, decomposed, f"{decomposed}.csv") == b"a\n"
    assert product_names(tmp_path) == (composed,)
    assert owner_of(tmp_path, f"{decomposed}.csv") == composed


def test_products_with_related_names_do_not_meet(tmp_path):
    """A product, one inside its name and one with an ending have records of their own."""
    names = ["a", "a/b", "a.b", "a.retired", "a/b/c"]
    for number, name in enumerate(names):
        write_product(tmp_path, name, TABLE, {f"{number}.txt": name.encode()})

    assert product_names(tmp_path) == tuple(sorted(names))
    for number, name in enumerate(names):
        assert read_product_bytes(tmp_path, name) == name.encode(), number


def test_removing_a_product_removes_its_files_and_nothing_else(tmp_path):
    """After removal neither record nor file is there; other products are untouched."""
    write(tmp_path, "one", 1)
    write(tmp_path, "two", 1)

    assert remove_product(tmp_path, "one")

    assert not list((tmp_path / "out/one").iterdir())
    assert product_names(tmp_path) == ("two",)
    assert look(tmp_path, ["one", "two"]) == {"two": 1}
    assert not remove_product(tmp_path, "one")


def test_a_product_that_is_open_is_not_listed_and_can_be_removed(tmp_path):
    """An opening left by a killed process is no product, and its files can be cleared away."""
    from metastra.storage.opening import Opening

    write(tmp_path, "one", 1)
    files = tuple(sorted(content("one", 1)))
    record_of(tmp_path, "one").write_bytes(Opening(name="one", files=files).to_bytes())

    assert product_names(tmp_path) == ()
    assert read_record(tmp_path, "one") is None
    assert remove_product(tmp_path, "one")
    assert not list((tmp_path / "out/one").iterdir())
    assert not record_of(tmp_path, "one").exists()


def test_four_processes_make_the_same_products_at_once(tmp_path):
    """Double work is harmless: all four succeed, each reads back at once what it wrote."""
    workers = [
        subprocess.Popen(
            [sys.executable, str(CHILD), "same", str(tmp_path)], stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors

    names = [f"same-{number}" for number in range(25)]
    assert look(tmp_path, names) == dict.fromkeys(names, 1)
    assert not list(tmp_path.rglob(".part-*"))


def test_a_check_for_a_file_that_is_not_there_is_refused(tmp_path):
    """A misspelled verify would otherwise check nothing."""
    with pytest.raises(ValueError, match=r"does not have: \['b\.csv'\]"):
        write_product(tmp_path, "a", TABLE, {"a.csv": b""}, verify={"b.csv": lambda part: None})


def test_a_check_that_fails_stops_the_whole_product(tmp_path):
    """If one file of several is refused by its check, none of them gets its name."""
    write(tmp_path, "one", 1)
    before = snapshot(tmp_path)

    def refuse(part: Path) -> None:
        raise ValueError("not finite")

    files = content("one", 2)
    with pytest.raises(ValueError, match="not finite"):
        write_product(tmp_path, "one", recipe(2), files, verify={"out/one/weights.bin": refuse})

    assert snapshot(tmp_path) == before


def test_storage_needs_no_numpy():
    """Importing the package loads none of the heavy libraries, so that --help stays quick."""
    code = (
        "import sys, metastra.storage, metastra.progress\n"
        "import json; print(json.dumps(sorted(set(sys.modules) & "
        "{'numpy', 'pandas', 'scipy', 'torch', 'rich', 'pydantic', 'h5py'})))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(result.stdout) == []
