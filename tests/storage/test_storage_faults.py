"""Every file operation of a write fails or kills once, and the promise holds each time."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from metastra.errors import MetastraError
from metastra.storage import (
    FileOps,
    file_ops,
    is_complete,
    sweep_orphans,
    use_file_ops,
    write_atomically,
    write_product,
)
from metastra.storage.opening import read_opening
from metastra.testing.faults import (
    CountingOps,
    FailingOps,
    FaultFound,
    fail_at_every_step,
    kill_at_random_moments,
    snapshot,
)
from storage.storage_child import PRODUCTS, bring_to, content, look, recipe, write

CHILD = Path(__file__).with_name("storage_child.py")


def child(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHILD), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, **options
    )


def replace_version_1(run: Path) -> None:
    sweep_orphans(run, older_than_s=0)
    if not is_complete(run, "one", recipe(2)):
        write(run, "one", 2)


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("start", ["new", "replacing"])
def test_any_failing_operation_leaves_whole_products_and_resumes_to_the_same_bytes(
    tmp_path, start, error, persistent
):
    """Each operation of writing three files and a record may fail; nothing half-written counts."""
    steps = fail_at_every_step(
        replace_version_1,
        tmp_path,
        prepare=(lambda run: write(run, "one", 1)) if start == "replacing" else None,
        check=lambda run: look(run, ["one"]),
        error=error,
        persistent=persistent,
    )

    assert steps.count("create") == 5, "three files, their record and the opening"
    assert steps.count("replace") == 5
    assert steps.count("unlink") == (1 if start == "replacing" else 0)
    assert {"write", "close", "open_back", "sync", "sync_folder", "open_lock"} <= set(steps)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_product_complete(tmp_path, error):
    """Whatever can run out of room does so before the old product is touched."""
    counted = tmp_path / "counted"
    write(counted, "one", 1)
    with use_file_ops(CountingOps()) as ops:
        write(counted, "one", 2)
    needs_room = {"create", "write", "close", "sync", "make_folder"}
    tried = 0
    for number, name in enumerate(ops.steps, start=1):
        if name not in needs_room:
            continue
        run = tmp_path / str(number)
        write(run, "one", 1)
        before = snapshot(run)

        with use_file_ops(FailingOps(number, error)), pytest.raises(MetastraError):
            write(run, "one", 2)

        assert snapshot(run) == before, f"step {number} ({name})"
        tried += 1

    assert tried >= 16


@pytest.mark.parametrize("start", [0, 1], ids=["new", "replacing"])
def test_a_kill_before_any_operation_leaves_whole_products(tmp_path, start):
    """A process killed with signal 9 before each operation resumes to the undisturbed bytes."""
    result = child("kill_steps", tmp_path, start)

    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)) >= 25


@pytest.mark.slow
def test_200_random_kills_lose_nothing(tmp_path):
    """200 processes killed at random moments leave no lost and no half-written product."""
    expected = tmp_path / "expected"
    bring_to(expected, 1)
    bring_to(expected, 2)
    interrupted = []

    def check(run: Path, lines: tuple[str, ...]) -> None:
        complete = look(run, PRODUCTS)
        finished = dict(line.split() for line in lines)
        done_twice = {name for name, version in finished.items() if version == "2"}
        for name in done_twice:
            assert complete.get(name) == 2, f"{name} was finished and is lost"
        untouched = set(finished) - done_twice - {_next_after(lines)}
        for name in untouched:
            assert complete.get(name) == 1, f"{name} was finished and is lost"
        interrupted.append(len(complete) < len(PRODUCTS))
        bring_to(run, 2)
        assert snapshot(run) == snapshot(expected)

    kills = kill_at_random_moments(
        lambda run: [sys.executable, str(CHILD), "loop", str(run)],
        tmp_path / "trials",
        n=200,
        seed=20261121,
        check=check,
    )

    assert kills.killed == 200, kills
    assert sum(interrupted) >= 20, "the kills came too late to tell anything"


def _next_after(lines: tuple[str, ...]) -> str:
    """The product that was being replaced when the kill came: it may be in neither version."""
    said = [line.split() for line in lines]
    replaced = [name for name, version in said if version == "2"]
    return PRODUCTS[len(replaced)] if len(replaced) < len(PRODUCTS) else ""


def test_a_kill_inside_the_commit_frees_the_lock_and_the_next_write_cleans_up(tmp_path):
    """A process killed between opening the product and completing it leaves no lock."""
    result = child("die_in_commit", tmp_path)
    assert result.returncode == -signal.SIGKILL, result.stderr
    opening = read_opening(tmp_path, "one")
    assert opening is not None, "the kill should have come while the product was open"
    assert set(opening.files) == {*content("one", 1), *content("one", 2)}
    assert not is_complete(tmp_path, "one")

    replace_version_1(tmp_path)

    assert look(tmp_path, ["one"]) == {"one": 2}
    assert not (tmp_path / "out/one/only-1.txt").exists()


class NoSweep(FileOps):
    """Leaves parts behind, as a killed process does."""

    def replace(self, source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "no rename today")

    def unlink(self, path: Path) -> None:
        raise OSError(errno.EIO, "no removal today")


def test_the_driver_finds_a_writer_that_writes_in_place(tmp_path):
    """The harness is no rubber stamp: the pattern that loses data fails it."""

    def in_place(run: Path) -> None:
        ops, path = file_ops(), run / "features.h5"
        if path.exists():
            return
        try:
            with ops.create(path) as stream:
                ops.write(stream, memoryview(b"x" * 1000))
        except OSError as error:
            raise MetastraError from error

    with pytest.raises(FaultFound, match=r"step 2 \(write\).*differs.*features.h5"):
        fail_at_every_step(in_place, tmp_path, error=errno.EIO)


def test_the_driver_finds_a_swallowed_failure(tmp_path):
    """A writer that hides a failed operation fails the harness."""

    def careless(run: Path) -> None:
        try:
            write_atomically(run / "a", lambda stream: stream.write(b"x") and None)
        except MetastraError:
            return

    with pytest.raises(FaultFound, match="swallowed"):
        fail_at_every_step(careless, tmp_path)


def test_the_driver_finds_an_unexplained_error(tmp_path):
    """A bare OSError is no answer for the person who runs metastra."""

    def bare(run: Path) -> None:
        file_ops().create(run / "a").close()

    with pytest.raises(FaultFound, match="unexplained"):
        fail_at_every_step(bare, tmp_path)


def test_orphaned_parts_are_swept_and_nothing_else(tmp_path):
    """Parts of a dead process go; young parts, other files, links and folders stay."""
    with use_file_ops(NoSweep()), pytest.raises(MetastraError):
        write_product(tmp_path, "one", recipe(1), content("one", 1))
    parts = list(tmp_path.rglob(".part-*"))
    assert len(parts) == 5
    other = tmp_path / ".part-of-the-user"
    other.write_bytes(b"mine")
    link = tmp_path / f".part-{32 * 'a'}"
    link.symlink_to(other)
    (tmp_path / f".part-{32 * 'b'}").mkdir()
    os.utime(parts[0], (0, 0))
    # A clock that ran ahead must not keep a part for ever.
    os.utime(parts[1], (4e9, 4e9))

    assert sweep_orphans(tmp_path, older_than_s=3600) == 1
    assert sweep_orphans(tmp_path, older_than_s=0) == 4
    assert sorted(path.name for path in tmp_path.glob(".part-*")) == sorted(
        [other.name, link.name, f".part-{32 * 'b'}"]
    )
    assert other.read_bytes() == b"mine"


class Protocol(FileOps):
    """Writes down what is done to which file."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def sync(self, stream: io.FileIO) -> None:
        self.lines.append(("sync", Path(stream.name).name))
        super().sync(stream)

    def replace(self, source: Path, target: Path) -> None:
        self.lines.append(("replace", source.name))
        self.lines.append(("named", target.name))
        super().replace(source, target)

    def sync_folder(self, folder: Path) -> None:
        self.lines.append(("sync_folder", folder.name))
        super().sync_folder(folder)

    def unlink(self, path: Path) -> None:
        self.lines.append(("unlink", path.name))
        super().unlink(path)


def test_the_order_holds_a_power_cut_out(tmp_path):
    """Bytes are on the disk before their name, the opening before the files, the record last.

    A kill cannot show this, because the kernel keeps what a dead process wrote; so the order of
    the operations is held instead.
    """
    write(tmp_path, "one", 1)
    with use_file_ops(Protocol()) as ops:
        write(tmp_path, "one", 2)
    lines = ops.lines

    for position, (what, part) in enumerate(lines):
        if what == "replace":
            assert ("sync", part) in lines[:position]
    named = [(position, name) for position, (what, name) in enumerate(lines) if what == "named"]
    assert [name for _, name in named] == [
        "one.json",
        "only-2.txt",
        "table.csv",
        "weights.bin",
        "one.json",
    ]
    opening, first, *_, last, record = (position for position, _ in named)
    assert ("sync_folder", ".records") in lines[opening:first]
    assert ("sync_folder", "one") in lines[last:record]
    assert ("unlink", "only-1.txt") in lines[last:record]
    assert lines[record:] == [("named", "one.json"), ("sync_folder", ".records")]
