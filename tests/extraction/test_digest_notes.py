"""Notes of digests: what is trusted without reading, and every way in which a slide may change."""

from __future__ import annotations

import os
import shutil

import pytest

from metastra.extraction import digests
from metastra.extraction.digests import known_digest, noted_digest, stands_in_doubt
from metastra.slides.identity import slide_digest


@pytest.fixture
def slide(tmp_path):
    """A slide of some bytes, with its note."""
    folder = tmp_path / "study"
    folder.mkdir()
    path = folder / "a.tif"
    path.write_bytes(bytes(range(256)) * 40)
    noted_digest(path, "a", folder)
    return path


@pytest.fixture
def reads(monkeypatch):
    """Every slide that is read."""
    read = []

    def counted(path):
        read.append(path.name)
        return slide_digest(path)

    monkeypatch.setattr(digests, "slide_digest", counted)
    return read


def put_back(path, status):
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_an_untouched_slide_is_not_read(slide, reads):
    """Nor is its folder moved: neither the path nor what lies around counts."""
    folder = slide.parent.rename(slide.parent.with_name("moved"))
    path = folder / slide.name

    assert not stands_in_doubt(path, "a", folder)
    assert known_digest(path, "a", folder) == slide_digest(path)
    assert noted_digest(path, "a", folder) == slide_digest(path)
    assert reads == []


@pytest.mark.parametrize("copy", [shutil.copy2, shutil.copyfile], ids=["times kept", "times new"])
def test_a_copied_study_is_read_once_and_is_the_same(slide, tmp_path, reads, copy):
    """A copy has other inodes and times: in doubt, read, trusted from then on."""
    folder = tmp_path / "copy"
    shutil.copytree(slide.parent, folder, copy_function=copy)
    path = folder / slide.name

    assert stands_in_doubt(path, "a", folder)
    assert known_digest(path, "a", folder) is None
    assert noted_digest(path, "a", folder) == slide_digest(slide)
    assert reads == ["a.tif"]
    assert not stands_in_doubt(path, "a", folder)
    assert known_digest(path, "a", folder) == slide_digest(slide)
    assert noted_digest(path, "a", folder) == slide_digest(slide)
    assert reads == ["a.tif"]


def test_rights_that_change_put_a_slide_in_doubt_and_no_more(slide, reads):
    """The price of looking at the inode's time: one reading."""
    slide.chmod(0o600)

    assert stands_in_doubt(slide, "a", slide.parent)
    noted_digest(slide, "a", slide.parent)
    assert reads == ["a.tif"]
    assert not stands_in_doubt(slide, "a", slide.parent)


def change_in_place(path, content):
    with path.open("r+b") as stream:
        stream.write(content)


def replace_by_another(path, content):
    other = path.with_suffix(".other")
    other.write_bytes(content)
    other.replace(path)


@pytest.mark.parametrize("how", [change_in_place, replace_by_another])
def test_other_pixels_of_the_same_size_and_time_are_noticed(slide, how):
    """Changed in place, or another file under the name, the old time set back."""
    before, status = slide_digest(slide), slide.stat()
    how(slide, slide.read_bytes()[::-1])
    put_back(slide, status)

    assert slide.stat().st_size == status.st_size
    assert slide.stat().st_mtime_ns == status.st_mtime_ns
    assert known_digest(slide, "a", slide.parent) is None
    assert noted_digest(slide, "a", slide.parent) == slide_digest(slide) != before
    assert known_digest(slide, "a", slide.parent) == slide_digest(slide)


def test_another_size_is_another_slide_and_is_not_in_doubt(slide, reads):
    """It need not be read to learn that it is not the one that was noted."""
    slide.write_bytes(b"short")

    assert not stands_in_doubt(slide, "a", slide.parent)
    assert known_digest(slide, "a", slide.parent) is None
    assert reads == []


@pytest.mark.parametrize(
    "note",
    [b"", b"[]", b'{"digest": "ab"}', b'{"digest": "ab", "files": [[1, 2]]}', b'{"files": 7}'],
)
def test_a_note_that_is_none_is_no_note(slide, note, reads):
    """Half a note, one of an earlier version, or something else: the slide is read."""
    (slide.parent / ".digests/a.json").write_bytes(note)

    assert not stands_in_doubt(slide, "a", slide.parent)
    assert known_digest(slide, "a", slide.parent) is None
    assert noted_digest(slide, "a", slide.parent) == slide_digest(slide)
    assert reads == ["a.tif"]


def test_the_files_beside_a_slide_count(tmp_path):
    """MIRAX keeps its pixels in a folder: one of its files changed, the old time set back."""
    path = tmp_path / "m.mrxs"
    path.write_bytes(b"index")
    part = tmp_path / "m/Data0000.dat"
    part.parent.mkdir()
    part.write_bytes(b"pixels")
    before, status = noted_digest(path, "m", tmp_path), part.stat()
    assert known_digest(path, "m", tmp_path) == before

    part.write_bytes(b"PIXELS")
    put_back(part, status)
    assert known_digest(path, "m", tmp_path) is None
    assert noted_digest(path, "m", tmp_path) != before

    part.unlink()
    assert not stands_in_doubt(path, "m", tmp_path)
    path.unlink()
    assert known_digest(path, "m", tmp_path) is None


def test_where_nothing_can_be_written_the_digest_is_given_all_the_same(slide, monkeypatch):
    """A study on a read-only drive can be looked at."""
    (slide.parent / ".digests/a.json").unlink()
    (slide.parent / ".digests").rmdir()
    (slide.parent / ".digests").write_text("in the way")

    assert noted_digest(slide, "a", slide.parent) == slide_digest(slide)
    assert known_digest(slide, "a", slide.parent) is None
