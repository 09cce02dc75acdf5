"""Locks that name their holder and die with it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from metastra.errors import BusyError, ConfigError
from metastra.storage import hold, write_product
from metastra.storage.locks import commit_lock
from metastra.storage.manifest import Recipe

CHILD = Path(__file__).with_name("storage_child.py")


@contextmanager
def holder(run: Path):
    """Another process that holds the run, with a forked worker of its own."""
    process = subprocess.Popen(
        [sys.executable, str(CHILD), "hold_lock", str(run)], stdout=subprocess.PIPE, text=True
    )
    worker = int(process.stdout.readline())
    try:
        yield process, worker
    finally:
        os.kill(worker, signal.SIGKILL)
        process.kill()
        process.communicate()


def test_the_holder_is_named(tmp_path):
    """A second process is told who holds the run, on which machine and since when."""
    with holder(tmp_path) as (process, _):
        with pytest.raises(BusyError) as caught, hold(tmp_path):
            pass

        text = str(caught.value)
        assert f"process {process.pid} on {os.uname().nodename} since 20" in text
        assert "no file to delete" in text


def test_a_killed_holder_frees_the_run_though_its_worker_lives(tmp_path):
    """The kernel frees the lock on kill -9; a forked worker does not keep it."""
    with holder(tmp_path) as (process, worker):
        process.kill()
        process.wait()
        os.kill(worker, 0)

        with hold(tmp_path):
            pass

    assert (tmp_path / ".lock").exists(), "the file stays, it is the lock on it that counts"


def test_waiting_ends_when_the_holder_does(tmp_path):
    """With a wait, the second process goes on as soon as the first is gone."""
    with holder(tmp_path) as (process, _):
        begun = time.monotonic()
        with pytest.raises(BusyError, match=r"waited 0\.2 s"), hold(tmp_path, wait_s=0.2):
            pass
        assert 0.2 <= time.monotonic() - begun < 5

        process.kill()
        with hold(tmp_path, wait_s=20):
            assert time.monotonic() - begun < 10


def test_the_run_is_free_after_the_block_also_after_an_error(tmp_path):
    """An error inside the block frees the run; the same process does not get it twice."""
    with pytest.raises(KeyError), hold(tmp_path):
        raise KeyError
    with (
        hold(tmp_path),
        pytest.raises(BusyError, match="this very process"),
        hold(tmp_path),
    ):
        pass
    with hold(tmp_path):
        pass


def test_a_forked_child_that_leaves_the_block_frees_nothing(tmp_path):
    """Only the process that took the lock gives it back; no other file of the child is closed."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from metastra.storage import hold\n"
        "from metastra.errors import BusyError\n"
        "run = Path(sys.argv[1])\n"
        "main = os.getpid()\n"
        "with hold(run):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        taken = [open(os.devnull, 'w') for _ in range(20)]\n"
        "    else:\n"
        "        _, status = os.waitpid(child, 0)\n"
        "        assert status == 0, status\n"
        "        try:\n"
        "            with hold(run): pass\n"
        "        except BusyError: print('still held')\n"
        "if not child:\n"
        "    for stream in taken: stream.write('x'); stream.close()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout == "still held\n"


def test_the_note_about_the_holder_may_be_unreadable(tmp_path):
    """A lock file with rubbish in it still is a lock."""
    with hold(tmp_path):
        (tmp_path / ".lock").write_bytes(b"\xff[rubbish")
        with pytest.raises(BusyError, match="another process"), hold(tmp_path):
            pass


def test_a_link_in_place_of_the_lock_is_refused(tmp_path):
    """The lock file is opened for writing, so it must not lead somewhere else."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / ".lock").symlink_to(elsewhere)

    with pytest.raises(ConfigError, match=r"\.lock"), hold(tmp_path):
        pass
    assert elsewhere.read_bytes() == b"theirs"


def test_without_locks_the_work_goes_on_with_a_warning(tmp_path, monkeypatch):
    """On a file system without locks products are still whole; the user is warned."""

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)

    with pytest.warns(RuntimeWarning, match="has no locks"), hold(tmp_path):
        pass
    with pytest.warns(RuntimeWarning, match="has no locks"):
        write_product(tmp_path, "a", Recipe(kind="t"), {"a.txt": b"x"})


def test_a_commit_that_hangs_elsewhere_is_reported_not_waited_for_ever(tmp_path, monkeypatch):
    """Where another process is stopped inside a commit, a writer gives up with a message."""
    monkeypatch.setattr("metastra.storage.locks._COMMIT_WAIT_S", 0.1)
    write_product(tmp_path, "a", Recipe(kind="t"), {"a.txt": b"x"})

    with commit_lock(tmp_path), pytest.raises(BusyError, match=r"waited 0\.1 s"):
        write_product(tmp_path, "b", Recipe(kind="t"), {"b.txt": b"x"})

    assert not list(tmp_path.rglob(".part-*"))
