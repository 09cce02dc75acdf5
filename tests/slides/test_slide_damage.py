"""Damaged, hostile and impossible files: each gives a named failure or a readable slide."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from metastra.catalogue import all_checks
from metastra.errors import SlideError
from metastra.slides.opening import open_slide
from metastra.slides.scaled import thumbnail
from slides.slide_damage import (
    every_damage,
    overwritten,
    sparse_claim,
    truncations,
    write,
    wrong_tags,
)
from slides.slide_makers import HEIGHT, RGB_KINDS, WIDTH, ome, picture, tiled_pyramid

KINDS = {kind.name: kind for kind in RGB_KINDS}
NAMED = {code for code in all_checks() if code.startswith("SL0")}


def fate(path) -> tuple[str, set[str]]:
    """Open a file and look at it in several places: what became of it, and all codes."""
    codes: set[str] = set()

    def told(error):
        codes.add(error.code if path.name in str(error) else "a message without the file")

    try:
        slide = open_slide(path)
    except SlideError as error:
        told(error)
        return "refused", codes
    with slide:
        info = slide.info
        last = len(info.levels) - 1
        for look in (
            lambda: thumbnail(slide, 64),
            lambda: slide.read_region(0, 0, 0, min(info.width_px, 400), min(info.height_px, 400)),
            lambda: slide.read_region(info.width_px // 2, info.height_px // 2, last, 64, 64),
        ):
            try:
                assert look().dtype == np.uint8
            except SlideError as error:
                told(error)
    return ("damaged" if codes else "readable"), codes


@pytest.mark.parametrize(
    "name", ["tiled.tif", "aperio.svs", "rgb.ome.tif", "predicted.tif", "jpeg.tif", "flat.png"]
)
def test_whatever_happens_to_a_file_the_failure_has_a_name(name, tmp_path):
    """Cut, overwritten, bytes flipped, tags that cannot be: no crash, no hang, no other error."""
    data = KINDS[name].make(tmp_path / name, picture()).read_bytes()
    fates = {"refused": 0, "damaged": 0, "readable": 0}

    for damage in every_damage(data, flips=6):
        what, codes = fate(write(damage, tmp_path, Path(name).suffix))
        fates[what] += 1
        assert codes <= NAMED, damage.name

    assert fates["refused"] > 5
    if name != "flat.png":
        assert fates["damaged"] > 5


def test_channels_are_as_sturdy_as_colours(tmp_path):
    """A white point is found although some pieces are damaged."""
    path = ome(tmp_path / "a.ome.tif", np.moveaxis(picture(), 2, 0).copy(), axes="CYX")
    for damage in every_damage(path.read_bytes(), flips=4):
        _, codes = fate(write(damage, tmp_path, ".ome.tif"))
        assert codes <= NAMED, damage.name


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "CMU-1-Small-Region.svs",
        "camelyon_lymph_node_level.dcm",
        "hamamatsu_fluorescence_dapi.ndpi",
        "vectra_polaris_tma_core.qptiff",
    ],
)
def test_real_files_that_are_damaged_have_a_named_failure(name, shared, tmp_path):
    """The same for files of real scanners."""
    data = (shared / "data" / "wsi" / name).read_bytes()
    for damage in (*truncations(data), *overwritten(data)):
        _, codes = fate(write(damage, tmp_path, Path(name).suffix))
        assert codes <= NAMED, damage.name


def wholly_read(path) -> bool:
    """Read every pixel; whether all of them could be read."""
    try:
        with open_slide(path) as slide:
            for number, level in enumerate(slide.info.levels):
                slide.read_region(0, 0, number, level.width_px, level.height_px)
    except SlideError:
        return False
    return True


@pytest.mark.parametrize("name", ["tiled.tif", "strips.tif", "lzw.tif", "rgb.ome.tif", "flat.jpg"])
def test_a_file_that_was_cut_short_is_never_whole(name, tmp_path):
    """Reading all of it says so: no grey tiles in place of tissue."""
    kind = KINDS[name]
    data = kind.make(tmp_path / name, picture()).read_bytes()
    for damage in truncations(data):
        path = write(damage, tmp_path, Path(name).suffix)
        if damage.name == "cut-last-byte" and name == "flat.jpg":
            continue  # the last byte says that there are no more
        assert not wholly_read(path), damage.name


@pytest.mark.parametrize("name", ["tiled.tif", "aperio.svs", "rgb.ome.tif"])
def test_a_bad_tile_is_named_and_spoils_nothing_else(name, tmp_path):
    """The place in level-0 pixels; afterwards good tiles are read as before (OpenSlide latches)."""
    kind = KINDS[name]
    whole = kind.make(tmp_path / name, picture())
    with open_slide(whole) as slide:
        good = {
            (x, y): slide.read_region(x, y, 0, 64, 64)
            for x in range(0, WIDTH - 64, 64)
            for y in range(0, HEIGHT - 64, 64)
        }
    data = whole.read_bytes()
    bad, read, told = 0, 0, set()
    for damage in overwritten(data):
        with open_slide(write(damage, tmp_path, Path(name).suffix)) as slide:
            for (x, y), pixels in good.items():
                try:
                    read += bool((slide.read_region(x, y, 0, 64, 64) == pixels).all())
                except SlideError as error:
                    bad += 1
                    told.add((error.code, f"x {x}, y {y} (level-0 px)" in str(error)))
    assert told == {("SL005", True)}
    assert bad > 3
    assert read > 12


def test_a_real_slide_cut_in_half_is_called_cut_short(shared, tmp_path):
    """Aperio writes its tags last: a broken copy has none, and is told so."""
    data = (shared / "data" / "wsi" / "CMU-1-Small-Region.svs").read_bytes()
    path = tmp_path / "half.svs"
    path.write_bytes(data[: len(data) // 2])

    with pytest.raises(SlideError, match=r"SL004 half\.svs: the file ends after 969477 bytes"):
        open_slide(path)


def test_two_kilobytes_that_claim_a_slide_are_refused(tmp_path):
    """60,000² pixels in 2,000 bytes: a decompression bomb or a damaged header, refused at once."""
    bomb = tmp_path / "bomb.tif"
    bomb.write_bytes(sparse_claim())
    assert bomb.stat().st_size == 2000

    with pytest.raises(SlideError, match=r"SL006 bomb\.tif: 2000 bytes claim 60000 × 60000 px"):
        open_slide(bomb)


def test_a_tile_that_would_end_the_process_is_refused_before(tmp_path):
    """OpenSlide aborts where memory for a tile is not to be had; so its size is looked at first."""
    data = tiled_pyramid(tmp_path / "a.tif", picture()).read_bytes()
    damage = next(d for d in wrong_tags(data) if d.name == f"tag-322-is-{2**30}")

    with pytest.raises(SlideError, match=r"SL006 .*tiles of 1073741824 × 64 px"):
        open_slide(write(damage, tmp_path, ".tif"))


def test_pages_in_a_circle_are_refused(tmp_path):
    """A page that is its own next would be read for ever."""
    data = tiled_pyramid(tmp_path / "a.tif", picture()).read_bytes()
    damage = next(d for d in wrong_tags(data) if d.name == "page-after-itself")

    with pytest.raises(SlideError, match=r"SL004 .*circle"):
        open_slide(write(damage, tmp_path, ".tif"))


def test_what_is_no_file_is_named_before_a_library_touches_it(tmp_path):
    """Missing, folder, pipe, empty, broken or circular link, impossible name."""
    (tmp_path / "folder.svs").mkdir()
    os.mkfifo(tmp_path / "pipe.svs")
    (tmp_path / "empty.svs").touch()
    (tmp_path / "broken.svs").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round.svs").symlink_to(tmp_path / "round.svs")
    (tmp_path / "text.svs").write_text("this is no slide at all")
    expected = {
        "missing.svs": ("SL001", "no such file"),
        "folder.svs": ("SL002", "a folder"),
        "pipe.svs": ("SL002", "a pipe"),
        "empty.svs": ("SL003", "no bytes"),
        "broken.svs": ("SL001", "leads nowhere"),
        "round.svs": ("SL001", "symbolic link"),
        "text.svs": ("SL004", "first bytes are 74 68 69 73"),
        "nul\0.svs": ("SL001", "null"),
        "x" * 300: ("SL001", "too long"),
        "empty.svs/inside": ("SL001", "Not a directory"),
    }

    for name, (code, words) in expected.items():
        with pytest.raises(SlideError, match=words) as caught:
            open_slide(tmp_path / name)
        assert caught.value.code == code


def test_a_disk_that_fails_is_a_named_failure(tmp_path, monkeypatch):
    """Input and output errors are of the slide, not of metastra."""
    path = KINDS["tiled.tif"].make(tmp_path / "a.tif", picture())

    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("metastra.slides.opening.require_sane_pages", fails)
    with pytest.raises(SlideError, match=r"SL001 a\.tif: Input/output error"):
        open_slide(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_is_named(tmp_path):
    """Permission is a named failure too."""
    path = KINDS["flat.png"].make(tmp_path / "a.png", picture())
    path.chmod(0)

    with pytest.raises(SlideError, match="SL001"):
        open_slide(path)


def test_a_claim_that_just_passes_costs_no_memory(tmp_path):
    """60,000² in 40 kB, all tiles missing: tiles are read one by one, a thumbnail is refused."""
    bomb = tmp_path / "bomb.tif"
    bomb.write_bytes(sparse_claim().ljust(40_000, b"\0"))

    with open_slide(bomb) as slide:
        with pytest.raises(SlideError, match=r"SL006 .*3\.6e\+09 pixels"):
            thumbnail(slide, 1000)
        assert (slide.read_region(30_000, 30_000, 0, 300, 300) == 255).all()
