"""A slide's digest is of its bytes, all of them, wherever they lie and whatever they are called."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from metastra.errors import SlideError
from metastra.slides.companions import companion_files
from metastra.slides.identity import slide_digest
from slides.slide_makers import picture, tiled_pyramid


def test_a_slide_of_one_file_has_the_sha256_of_the_file(tmp_path):
    """What `sha256sum` prints; the name and a link do not count."""
    path = tiled_pyramid(tmp_path / "a.tif", picture())
    copy = tmp_path / "andere Präparate.svs"
    shutil.copy(path, copy)
    (tmp_path / "link.tif").symlink_to(path)

    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    assert slide_digest(path) == slide_digest(copy) == slide_digest(tmp_path / "link.tif") == digest


def test_one_changed_bit_is_another_slide(tmp_path):
    """In the middle of a tile, where a partial hash would not look."""
    path = tiled_pyramid(tmp_path / "a.tif", picture())
    before = slide_digest(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    assert slide_digest(path) != before


def test_mirax_counts_the_files_in_its_folder(tmp_path):
    """The .mrxs itself holds no pixels."""
    for place in ("one", "two"):
        folder = tmp_path / place / f"slide-{place}"
        folder.mkdir(parents=True)
        (tmp_path / place / f"slide-{place}.mrxs").write_bytes(b"a picture of the label")
        (folder / "Slidedat.ini").write_bytes(b"[GENERAL]")
        (folder / "Data0000.dat").write_bytes(b"pixels")
        (tmp_path / place / "another.dat").write_bytes(place.encode())
    one, two = (tmp_path / place / f"slide-{place}.mrxs" for place in ("one", "two"))

    assert slide_digest(one) == slide_digest(two)
    assert [p.name for p in companion_files(one)] == ["Data0000.dat", "Slidedat.ini"]
    (one.with_suffix("") / "Data0000.dat").write_bytes(b"pixelz")
    assert slide_digest(one) != slide_digest(two)


def test_vms_counts_the_files_it_names(tmp_path):
    """Those that are there, and no other."""
    path = tmp_path / "a.vms"
    path.write_text("[Virtual Microscope Specimen]\nNoLayers=1\nImageFile=a.jpg\nMapFile=m.jpg\n")
    (tmp_path / "a.jpg").write_bytes(b"1")
    (tmp_path / "b.jpg").write_bytes(b"2")

    assert [p.name for p in companion_files(path)] == ["a.jpg"]
    before = slide_digest(path)
    (tmp_path / "a.jpg").write_bytes(b"3")
    assert slide_digest(path) != before


def test_any_file_of_a_dicom_series_gives_the_same(shared, tmp_path):
    """The levels of a slide are files of one series; strangers beside them do not count."""
    data = (shared / "data" / "wsi" / "camelyon_lymph_node_level.dcm").read_bytes()
    alone = tmp_path / "alone.dcm"
    alone.write_bytes(data)
    assert slide_digest(alone) == hashlib.sha256(data).hexdigest()

    (tmp_path / "second").write_bytes(data + b"\0")
    stranger = data.replace(b"22424120.1688792467737634.1", b"22424120.1688792467737634.2")
    stranger = stranger.replace(b"24422120.1688792467737634", b"24422120.1688792467737635")
    stranger = stranger.replace(
        b".517182092386.24422120.168879246773763", b".517182092386.24422120.168879246773769"
    )
    (tmp_path / "stranger.dcm").write_bytes(stranger)
    assert [p.name for p in companion_files(alone)] == ["second"]
    assert slide_digest(alone) == slide_digest(tmp_path / "second")
    assert slide_digest(tmp_path / "stranger.dcm") == hashlib.sha256(stranger).hexdigest()


def test_a_slide_that_cannot_be_read_has_no_digest(tmp_path):
    """Named like any other failure."""
    with pytest.raises(SlideError, match=r"SL001 gone\.svs"):
        slide_digest(tmp_path / "gone.svs")
    with pytest.raises(SlideError, match="SL001"):
        slide_digest(tmp_path)
