"""One file, whole or not at all."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from metastra.errors import ConfigError, DigestMismatch, ResourceError
from metastra.storage import FileOps, use_file_ops, write_atomically, write_bytes
from metastra.testing.faults import FailingOps


def put(data: bytes):
    def write(stream):
        stream.write(data)

    return write


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_the_digest_is_that_of_the_file(tmp_path, size):
    """The returned digest is the file's SHA-256, below, at and above the buffer's size."""
    data = os.urandom(size)

    digest = write_atomically(tmp_path / "a.bin", put(data))

    assert (tmp_path / "a.bin").read_bytes() == data
    assert digest == hashlib.sha256(data).hexdigest()


def test_files_and_folders_are_private_whatever_the_umask(tmp_path):
    """New files have mode 0600 and new folders 0700, also with umask 0."""
    before = os.umask(0)
    try:
        write_atomically(tmp_path / "deep/er/a.bin", put(b"x"))
    finally:
        os.umask(before)

    assert (tmp_path / "deep/er/a.bin").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "deep/er").stat().st_mode & 0o777 == 0o700


def test_a_failing_writer_leaves_the_old_file_and_no_part(tmp_path):
    """An error inside the writer comes out as it is; the old file stays."""
    path = tmp_path / "a.bin"
    write_atomically(path, put(b"old"))

    def fail(stream):
        stream.write(b"n" * 10)
        raise KeyError("the writer's own error")

    with pytest.raises(KeyError, match="own error"):
        write_atomically(path, fail)

    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_an_os_error_of_the_writers_own_source_is_not_blamed_on_the_target(tmp_path):
    """A source file that is missing is reported as it is, not as trouble with the target."""

    def copy(stream):
        stream.write((tmp_path / "missing.csv").read_bytes())

    with pytest.raises(FileNotFoundError, match=r"missing\.csv"):
        write_atomically(tmp_path / "a.bin", copy)


def test_memory_that_runs_out_in_the_writer_is_a_resource_error(tmp_path):
    """A MemoryError becomes exit class 7 with the file's name."""

    def greedy(stream):
        raise MemoryError

    with pytest.raises(ResourceError, match=r"a\.bin: memory ran out") as caught:
        write_atomically(tmp_path / "a.bin", greedy)

    assert caught.value.errno == errno.ENOMEM


def test_a_library_that_hides_the_failure_does_not_hide_it_from_us(tmp_path):
    """Where a writer catches the disk's error and goes on, the write still fails."""

    def careless(stream):
        try:
            stream.write(b"x" * 3_000_000)
        except OSError:
            return

    with use_file_ops(FailingOps(2)), pytest.raises(ResourceError, match="the disk is full"):
        write_atomically(tmp_path / "a.bin", careless)

    assert list(tmp_path.iterdir()) == []


def test_bytes_at_hand_need_no_writer(tmp_path):
    """The short form writes the same file, private and whole."""
    digest = write_bytes(tmp_path / "deep" / "a.bin", b"abc")

    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"abc"
    assert digest == hashlib.sha256(b"abc").hexdigest()


class NoRename(FileOps):
    """A disk on which names cannot be given."""

    def replace(self, source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "no rename today")


def test_a_name_that_cannot_be_given_leaves_the_old_file_and_no_part(tmp_path):
    """When the last step fails, the old file stays and the finished part goes."""
    write_atomically(tmp_path / "a.bin", put(b"old"))

    with use_file_ops(NoRename()), pytest.raises(ResourceError, match=r"the disk .* failed"):
        write_atomically(tmp_path / "a.bin", put(b"new"))

    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


class BitFlip(FileOps):
    """A disk that changes one bit."""

    def write(self, stream: io.FileIO, data: memoryview) -> None:
        changed = bytearray(data)
        changed[0] ^= 1
        super().write(stream, memoryview(changed))


def test_a_disk_that_changes_a_bit_is_caught_before_the_name_is_given(tmp_path):
    """What is read back is compared with what was written."""
    with use_file_ops(BitFlip()), pytest.raises(DigestMismatch, match="not what was written"):
        write_atomically(tmp_path / "a.bin", put(b"abc"))

    assert list(tmp_path.iterdir()) == []


class Sip:
    """A stream that takes three bytes at a time, as a network drive may."""

    def __init__(self) -> None:
        self.taken = b""

    def write(self, data: memoryview) -> int:
        self.taken += bytes(data[:3])
        return len(data[:3])


def test_short_writes_are_continued():
    """A file system may take fewer bytes than it was given."""
    stream = Sip()

    FileOps().write(stream, memoryview(bytes(range(256))))

    assert stream.taken == bytes(range(256))


def test_the_callers_check_decides_before_the_name_is_given(tmp_path):
    """A verify that raises leaves the old file; it sees the finished part."""
    path = tmp_path / "a.bin"
    write_atomically(path, put(b"old"))
    seen = []

    def verify(part: Path) -> None:
        seen.append(part.read_bytes())
        raise ValueError("7 tiles, 8 coordinates")

    with pytest.raises(ValueError, match="7 tiles"):
        write_atomically(path, put(b"new"), verify=verify)

    assert seen == [b"new"]
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_hdf5_and_zip_can_be_written_with_a_check(tmp_path):
    """Formats that go back in their file are written whole when they bring a verify."""
    values = np.arange(300_000, dtype=np.float32)

    def write_hdf5(stream):
        with h5py.File(stream, "w") as file:
            file["features"] = values

    def check_hdf5(part: Path) -> None:
        with h5py.File(part, "r") as file:
            assert file["features"].shape == values.shape

    def write_zip(stream):
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a.txt", "text")

    write_atomically(tmp_path / "a.h5", write_hdf5, verify=check_hdf5)
    write_atomically(tmp_path / "a.zip", write_zip, verify=lambda part: None)

    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert np.array_equal(file["features"][:], values)
    assert zipfile.ZipFile(tmp_path / "a.zip").testzip() is None


@pytest.mark.parametrize("step", range(2, 8))
def test_hdf5_on_a_failing_disk_says_that_the_disk_failed(tmp_path, step):
    """HDF5 puts vague errors in place of the disk's; the disk's comes out, at any write."""

    def write_hdf5(stream):
        with h5py.File(stream, "w") as file:
            file["features"] = np.zeros(1_000_000)

    ops = FailingOps(step, persistent=True)
    with use_file_ops(ops), pytest.raises(ResourceError, match="the disk is full"):
        write_atomically(tmp_path / "a.h5", write_hdf5, verify=lambda part: None)


def test_a_writer_that_goes_back_needs_a_check(tmp_path):
    """Without a verify nobody could say what should stand in the file."""

    def patch(stream):
        stream.write(b"0000 data")
        stream.seek(0)
        stream.write(b"0009")

    with pytest.raises(ValueError, match="needs verify="):
        write_atomically(tmp_path / "a.bin", patch)
    assert list(tmp_path.iterdir()) == []

    write_atomically(tmp_path / "a.bin", patch, verify=lambda part: None)
    assert (tmp_path / "a.bin").read_bytes() == b"0009 data"


def test_a_writer_may_truncate_what_it_wrote(tmp_path):
    """A shortened file counts as written out of order, and is what the writer left."""

    def shorten(stream):
        stream.write(b"0123456789")
        stream.flush()
        stream.truncate(4)

    with pytest.raises(ValueError, match="needs verify="):
        write_atomically(tmp_path / "a.bin", shorten)
    write_atomically(tmp_path / "a.bin", shorten, verify=lambda part: None)

    assert (tmp_path / "a.bin").read_bytes() == b"0123"


def test_a_writer_may_wrap_and_close_the_stream(tmp_path):
    """A text layer that closes the stream at its end does no harm."""

    def table(stream):
        with io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
            csv.writer(text, lineterminator="\n").writerow(["µm", 1])

    write_atomically(tmp_path / "a.csv", table)

    assert (tmp_path / "a.csv").read_bytes() == "µm,1\n".encode()


def test_a_link_is_replaced_and_what_it_pointed_to_stays(tmp_path):
    """Writing to a symbolic link never changes a file somewhere else."""
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / "a.txt").symlink_to(elsewhere)
    (tmp_path / "b.txt").symlink_to(tmp_path / "nowhere")

    write_atomically(tmp_path / "a.txt", put(b"ours"))
    write_atomically(tmp_path / "b.txt", put(b"ours"))

    assert elsewhere.read_bytes() == b"theirs"
    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "b.txt").read_bytes() == b"ours"
    assert not (tmp_path / "nowhere").exists()


def test_a_linked_folder_is_followed(tmp_path):
    """A run may keep its features on another disk through a linked folder."""
    (tmp_path / "big disk").mkdir()
    (tmp_path / "features").symlink_to(tmp_path / "big disk")

    write_atomically(tmp_path / "features/a.h5", put(b"x"))

    assert (tmp_path / "big disk/a.h5").read_bytes() == b"x"


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_in_the_way_is_refused(tmp_path, link):
    """A folder of the target's name, or a link to one, is never replaced."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")

    with pytest.raises(ConfigError, match="a folder has this name"):
        write_atomically(tmp_path / ("link" if link else "folder"), put(b"x"))


def test_a_file_in_the_way_of_a_folder_is_refused(tmp_path):
    """A file where a folder has to be is named, with the system's reason."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ConfigError, match=r"file.*(Not a directory|File exists)"):
        write_atomically(tmp_path / "file" / "a.txt", put(b"x"))


def test_a_link_in_a_circle_is_refused(tmp_path):
    """A folder that is a link to itself is refused instead of followed for ever."""
    (tmp_path / "round").symlink_to(tmp_path / "round")

    with pytest.raises(ConfigError):
        write_atomically(tmp_path / "round" / "a.txt", put(b"x"))


def test_a_name_that_is_too_long_is_refused(tmp_path):
    """256 bytes in one part of a path are more than a file system takes."""
    with pytest.raises(ConfigError, match="File name too long"):
        write_atomically(tmp_path / ("x" * 256), put(b"x"))


@pytest.mark.parametrize(
    "name",
    ["Müller 7.csv", "患者.h5", "🧬.json", "-rf", "100% #1.txt", "a b", "con", "it's;$(x).txt"],
)
def test_odd_names_are_only_names(tmp_path, name):
    """Letters of any script, spaces and signs that a shell knows are no trouble."""
    write_atomically(tmp_path / name, put(b"x"))

    assert (tmp_path / name).read_bytes() == b"x"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
