"""Real disks that are full, read-only or forbidden; nothing is simulated here."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("storage_child.py")


def on_small_disk(folder: Path, options: str, mode: str, between: str = "true") -> dict:
    """Run a child on a tmpfs of its own, which is gone with the process."""
    script = (
        f'mount -t tmpfs -o {options} tmpfs "$0" && "$1" "$2" prepare_a "$0" && {between} '
        f'&& "$1" "$2" {mode} "$0"'
    )
    if shutil.which("unshare") is None:
        pytest.skip("no `unshare` here to mount a small disk with")
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, str(folder), sys.executable, str(CHILD)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if result.returncode and ("unshare" in result.stderr or "mount:" in result.stderr):
        pytest.skip(f"mounting a small disk is not allowed here: {result.stderr.strip()}")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_full_disk_is_said_with_the_room_and_leaves_the_old_product(tmp_path):
    """On a disk of 1 MB, a product of 3 MB is refused; the old one stays, no part is left."""
    facts = on_small_disk(tmp_path, "size=1m", "starve")

    assert facts["error"] == "ResourceError"
    assert facts["errno"] == errno.ENOSPC
    assert "a.bin: the disk is full (at least 3.0 MB needed, " in facts["text"]
    assert "free in" in facts["text"]
    assert facts["old_complete"]
    assert facts["parts"] == 0


def test_a_disk_without_inodes_is_said_so(tmp_path):
    """When the disk can hold no more files, the message says that and not 'free space'."""
    facts = on_small_disk(tmp_path, "size=8m,nr_inodes=40", "small_files")

    assert facts["error"] == "ResourceError"
    assert "no room for more files (inodes)" in facts["text"]
    assert facts["old_complete"]
    assert facts["parts"] == 0


def test_a_read_only_disk_is_refused_and_leaves_the_old_product(tmp_path):
    """A run folder on a disk that was mounted read-only cannot be used, and keeps what it has."""
    facts = on_small_disk(tmp_path, "size=1m", "one_more", 'mount -o remount,ro "$0"')

    assert facts["error"] == "ConfigError"
    assert "Read-only file system" in facts["text"]
    assert facts["old_complete"]


def test_a_limit_on_the_size_of_files_is_said(tmp_path):
    """With `ulimit -f` too small the file is refused, the old one stays, no part is left."""
    result = subprocess.run(
        [sys.executable, str(CHILD), "limited", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    facts = json.loads(result.stdout)

    assert facts["error"] == "ResourceError"
    assert facts["errno"] == errno.EFBIG
    assert "ulimit -f" in facts["text"]
    assert facts["old_complete"]
    assert facts["parts"] == 0


def test_a_folder_of_somebody_else_is_refused_with_its_owner():
    """Without the right to write, the message names the folder, its owner and the user."""
    # Not under pytest's own folder, which another user may not enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir(mode=0o555)
        folder.chmod(0o755)
        result = subprocess.run(
            [sys.executable, str(CHILD), "one_more_as_nobody", str(folder / "run")],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
    facts = json.loads(result.stdout)

    assert facts["error"] == "ConfigError"
    assert "Permission denied" in facts["text"]
    assert "belongs to" in facts["text"]
    assert "mode 555" in facts["text"]


def test_the_full_device_is_explained():
    """Python's own report of a full device comes out as a ResourceError with its errno."""
    from metastra.errors import ResourceError
    from metastra.storage.failures import explained

    with (
        pytest.raises(ResourceError, match="the disk is full") as caught,
        explained(Path("/dev/full"), needed_bytes=1),
        Path("/dev/full").open("wb", buffering=0) as stream,
    ):
        stream.write(b"x")

    assert caught.value.errno == errno.ENOSPC
    assert isinstance(caught.value.__cause__, OSError)
