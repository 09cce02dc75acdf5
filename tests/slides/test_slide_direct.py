"""JPEG tiles that are decoded without OpenSlide are those that OpenSlide gives, or it is asked."""

from __future__ import annotations

import numpy as np
import openslide
import pytest

from metastra.errors import SlideError
from metastra.slides import tiff_codec
from metastra.slides.direct_tiles import direct_planes
from metastra.slides.opening import open_slide
from metastra.slides.openslide_reader import OpenSlideReader
from slides.slide_makers import aperio, picture, tiled_pyramid


def by_openslide(path, level, location, size):
    with openslide.OpenSlide(path) as slide:
        region = np.asarray(slide.read_region(location, level, size)).astype(int)
    alpha = region[..., 3:] / 255
    return np.floor(region[..., :3] * alpha + 255 * (1 - alpha) + 0.5)


def is_direct(path) -> list[int]:
    with OpenSlideReader(path) as slide:
        for number in range(len(slide.info.levels)):
            slide.read_region(0, 0, number, 5, 5)
        return sorted(slide._proven)


@pytest.mark.parametrize(
    "name", ["CMU-1-Small-Region.svs", "converted/camelyon_lymph_node_pyramid.tif"]
)
def test_real_slides_are_equal_to_the_bit_on_every_level(name, shared):
    """JPEG in RGB without a mark (Aperio) and in YCbCr: every pixel, and the rim outside."""
    path = shared / "data" / "wsi" / name
    with open_slide(path) as slide:
        levels = slide.info.levels
        for number, level in enumerate(levels):
            rim = round(16 * level.downsample)
            size = (level.width_px + 32, level.height_px + 32)
            mine = slide.read_region(-rim, -rim, number, *size)
            assert (mine == by_openslide(path, number, (-rim, -rim), size)).all()
    assert is_direct(path) == list(range(len(levels)))


def test_a_written_pyramid_is_equal_too(tmp_path):
    """With the tables that all tiles share, and colours at half the resolution."""
    path = tiled_pyramid(
        tmp_path / "a.tif",
        picture(),
        compression="jpeg",
        photometric="ycbcr",
        subsampling=(2, 2),
        compressionargs={"level": 80},
    )
    assert is_direct(path) == [0, 1, 2]
    with open_slide(path) as slide:
        mine = slide.read_region(40, 20, 1, 90, 80)
    assert (mine == by_openslide(path, 1, (40, 20), (90, 80))).all()


def test_where_the_two_differ_openslide_is_believed(shared, monkeypatch):
    """The probe notices wrong colours; the level is then read through OpenSlide."""
    path = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    true = tiff_codec.splice
    monkeypatch.setattr(tiff_codec, "splice", lambda data, tables, _: true(data, tables, 6))

    assert is_direct(path) == []
    with open_slide(path) as slide:
        mine = slide.read_region(500, 400, 0, 300, 220)
    assert (mine == by_openslide(path, 0, (500, 400), (300, 220))).all()


def test_tiles_that_were_never_written_are_left_to_openslide(tmp_path):
    """Aperio fills them from another level; only OpenSlide knows."""
    path = aperio(tmp_path / "a.svs", picture())
    with OpenSlideReader(path) as slide:
        levels = slide.info.levels
    assert list(direct_planes(path, levels)) == [0]

    import tifffile

    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags[325]
        place, kind = tag.valueoffset, tag.dtype
    data = bytearray(path.read_bytes())
    width = 2 if kind == 3 else 4
    data[place : place + width] = bytes(width)
    path.write_bytes(data)
    assert direct_planes(path, levels) == {}


def test_a_bad_tile_read_directly_is_named_and_spoils_nothing(shared, tmp_path):
    """The middle of a real slide overwritten: the place is told, the rest is as before."""
    whole = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    data = bytearray(whole.read_bytes())
    noise = np.random.default_rng(0).integers(0, 256, 2000, dtype=np.uint8).tobytes()
    data[600_000:602_000] = noise
    path = tmp_path / "a.svs"
    path.write_bytes(data)
    assert is_direct(path) == [0]

    bad, same = [], 0
    with open_slide(path) as slide, open_slide(whole) as good:
        for y in range(0, 2900, 240):
            for x in range(0, 2160, 240):
                want = good.read_region(x, y, 0, 60, 60)
                try:
                    same += bool((slide.read_region(x, y, 0, 60, 60) == want).all())
                except SlideError as error:
                    bad.append((error.code, f"at x {x}, y {y} (level-0 px)" in str(error)))
    assert set(bad) == {("SL005", True)}
    assert len(bad) <= 2
    assert same >= 117 - 2
