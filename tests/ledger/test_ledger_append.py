"""No entry is lost and none is half: kills at any byte, failing disks, two writers."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ledger.ledger_study import (
    SCREENED,
    at,
    begin,
    played,
    protocol_in,
    repeated_salt,
    source,
)
from metastra.errors import BusyError, LockedError, ResourceError
from metastra.ledger.opening import opened, writing
from metastra.ledger.recording import screen
from metastra.ledger.verifying import verify_ledger
from metastra.storage import append_lines, hold, read_lines, use_file_ops
from metastra.testing.faults import fail_at_every_step, kill_at_every_step, kill_at_random_moments
from metastra.testing.faulty_ops import FailingOps

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    """A study before its first patient, in a folder with its tables."""
    folder = tmp_path_factory.mktemp("before")
    begin(folder, protocol_in(folder), salt=repeated_salt)
    source(folder, "north", "s.csv", SCREENED.format(c="n"))
    return folder


def screened(trial: Path) -> None:
    """Screen four patients with salts that repeat; a second call finds them recorded."""
    table = source(trial, "north", "s.csv", SCREENED.format(c="n"))
    with writing(trial / "study", salt=repeated_salt) as ledger:
        screen(ledger, table, at("2026-02-04"))


def sound(trial: Path) -> None:
    """After a disturbance the ledger holds, and every entry has its payload."""
    result = verify_ledger(trial / "study")
    assert result.holds, [str(p) for p in result.problems]
    assert {p.code for p in result.problems} <= {"PR116", "PR117"}


def test_every_failing_step_leaves_whole_entries(before, tmp_path):
    """Each file operation fails once; the second run gives the bytes of an undisturbed one."""
    steps = fail_at_every_step(
        screened,
        tmp_path,
        prepare=lambda trial: shutil.copytree(before, trial, dirs_exist_ok=True),
        check=sound,
        may_pass=frozenset({"unlink"}),
    )

    assert {"open_append", "write", "sync", "replace", "sync_folder"} <= set(steps)


def test_every_kill_leaves_whole_entries(before, tmp_path):
    """The process is killed before each file operation, half of a write done."""
    if threading.active_count() > 1:
        # a fork does not copy the threads that other tests left: do it in a process without any
        own = f"{__file__}::test_every_kill_leaves_whole_entries"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", own],
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "1 passed" in done.stdout, done.stdout + done.stderr
        return
    steps = kill_at_every_step(
        screened,
        tmp_path,
        prepare=lambda trial: shutil.copytree(before, trial, dirs_exist_ok=True),
        check=sound,
    )

    assert len(steps) > 30


def test_a_chain_cut_at_any_byte_keeps_its_whole_entries(tmp_path):
    """For every prefix of a chain: the whole lines are entries, the rest counts for nothing."""
    study = played(tmp_path, outcomes=False)
    path = study / "centres" / "south.jsonl"
    data = path.read_bytes()
    (study / "anchors").rename(tmp_path / "anchors")
    ledger_path = study / "ledger.jsonl"
    ledger_path.write_bytes(b"".join(ledger_path.read_bytes().splitlines(keepends=True)[:1]))
    ends = [i for i, byte in enumerate(data) if byte == ord("\n")]
    for size in range(0, len(data), 11):
        path.write_bytes(data[:size])
        result = verify_ledger(study)
        whole = sum(end < size for end in ends)
        assert result.chains["south"]["entries"] == whole
        cut = size > 0 and data[size - 1] != ord("\n")
        codes = {p.code for p in result.problems}
        assert codes <= {"PR116", "PR117"}
        assert ("PR116" in codes) == cut


@pytest.mark.slow
def test_random_kills_lose_no_entry_that_was_reported(before, tmp_path):
    """A dozen kills at random moments of a process that screens again and again."""

    def command(trial: Path) -> list[str]:
        shutil.copytree(before, trial, dirs_exist_ok=True)
        return [sys.executable, str(HERE / "ledger_child.py"), str(trial)]

    def check(trial: Path, said: tuple[str, ...]) -> None:
        result = verify_ledger(trial / "study")
        assert result.holds, [str(p) for p in result.problems]
        entries = {e.name for e in opened(trial / "study").everything()}
        assert set(said) <= entries
        with writing(trial / "study"):
            pass
        after = verify_ledger(trial / "study")
        assert {p.code for p in after.problems} <= {"PR116"}

    kills = kill_at_random_moments(command, tmp_path, n=12, seed=3, check=check)

    assert kills.killed >= 9


def test_a_full_disk_is_exit_7_and_writes_nothing(before, tmp_path):
    """Half of the lines are cut back; the message says what to do."""
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "a.jsonl"
    append_lines(path, [b"one"])

    class Full(FailingOps):
        def _is_next(self) -> bool:
            return len(self.steps) + 1 == 2 and "truncate" not in self.steps

    with use_file_ops(Full(2, errno.ENOSPC)), pytest.raises(ResourceError, match="disk is full"):
        append_lines(path, [b"two", b"three"])

    assert path.read_bytes() == b"one\n"


def test_a_second_writer_is_told_who_holds_the_ledger(before, tmp_path, monkeypatch):
    """The kernel's lock: exit 6, and nothing to delete by hand."""
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr("metastra.ledger.opening._WAIT_S", 0.05)

    with hold(tmp_path / "study"), pytest.raises(BusyError, match="in use by"):  # noqa: SIM117
        with writing(tmp_path / "study"):
            pass


def test_a_clock_that_went_backwards_writes_nothing(before, tmp_path):
    """The next entry may not lie before the last one."""
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    screened(tmp_path)
    table = source(tmp_path, "north", "t.csv", SCREENED.format(c="m"))

    with writing(tmp_path / "study") as ledger, pytest.raises(LockedError, match="the clock says"):
        screen(ledger, table, at("2026-02-03T12:00:00"))

    assert len(opened(tmp_path / "study").entries("north")) == 4


def test_a_study_begins_once(before, tmp_path):
    """A second `init` in the same folder is refused."""
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)

    with pytest.raises(LockedError, match="begins once"):
        begin(tmp_path, protocol_in(tmp_path))


def test_lines_are_read_back_over_any_block_boundary(tmp_path):
    """A remainder longer than the block that is searched for its beginning."""
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"one\n" + b"x" * 200_000)

    append_lines(path, [b"two"])

    assert read_lines(path) == ([b"one", b"two"], b"")


def test_a_ledger_is_private(before):
    """Chains and payloads are readable by their owner alone."""
    study = before / "study"
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in study.rglob("*") if p.is_file()}

    assert set(modes.values()) == {"0o600"}
    assert oct((study / "payloads").stat().st_mode & 0o777) == "0o700"
