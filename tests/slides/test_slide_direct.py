"""JPEG tiles that are decoded without OpenSlide are those that OpenSlide gives, or it is asked."""

from __future__ import annotations

import numpy as np
import openslide
import pytest
import tifffile

from metastra.errors import SlideError
from metastra.slides import tiff_codec
from metastra.slides.direct_tiles import direct_planes
from metastra.slides.opening import open_slide
from metastra.slides.openslide_reader import OpenSlideReader
from slides.jpeg_slides import jpeg_pyramid
from slides.slide_makers import aperio, picture, tiled_pyramid


def by_openslide(path, level, location, size):
    with openslide.OpenSlide(path) as slide:
        region = np.asarray(slide.read_region(location, level, size)).astype(int)
    alpha = region[..., 3:] / 255
    return np.floor(region[..., :3] * alpha + 255 * (1 - alpha) + 0.5)


def is_direct(path) -> list[int]:
    with OpenSlideReader(path) as slide:
        return [n for n in range(len(slide.info.levels)) if slide.reading(n).direct]


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


VARIANTS = {
    "4:2:0": {"subsampling": "420"},
    "4:2:2": {"subsampling": "422"},
    "4:4:4": {"subsampling": "444"},
    "abbreviated": {"abbreviated": True},
    "abbreviated 4:4:4": {"abbreviated": True, "subsampling": "444"},
    "BigTIFF": {"bigtiff": True, "abbreviated": True},
    "not square": {"tile": (48, 112)},
    "of 240 px": {"tile": (240, 240)},
    "one tile larger than the slide": {"tile": (512, 512)},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_of_jpeg_is_equal_to_the_bit(variant, tmp_path):
    """Whole levels, their edge tiles and the rim outside."""
    path = jpeg_pyramid(tmp_path / "a.tif", picture(), levels=2, **VARIANTS[variant])

    assert is_direct(path) == [0, 1]
    with open_slide(path) as slide:
        for number, level in enumerate(slide.info.levels):
            size = (level.width_px + 20, level.height_px + 20)
            mine = slide.read_region(-8, -8, number, *size)
            assert (mine == by_openslide(path, number, (-8, -8), size)).all()


def test_eight_levels_are_read_directly(tmp_path):
    """Down to a few pixels; a level whose scale is no whole number, too."""
    path = jpeg_pyramid(tmp_path / "a.tif", picture(700, 900), levels=8)

    assert is_direct(path) == list(range(8))
    with open_slide(path) as slide:
        assert slide.info.levels[-1].downsample != 128
        assert slide.reading(0).reason == "4 tiles equal to OpenSlide's to the bit"
        small = slide.info.levels[-1]
        size = (small.width_px, small.height_px)
        assert (slide.read_region(0, 0, 7, *size) == by_openslide(path, 7, (0, 0), size)).all()


@pytest.mark.parametrize(
    ("compression", "vendor"),
    [("lzw", tiled_pyramid), ("deflate", tiled_pyramid), (33005, aperio), ("none", tiled_pyramid)],
)
def test_other_compressions_are_read_directly_where_they_are_equal(compression, vendor, tmp_path):
    """JPEG 2000 as Aperio writes it, LZW, Deflate and none."""
    how = {"compressionargs": {}} if vendor is aperio else {}
    path = vendor(tmp_path / "a.tif", picture(), compression=compression, **how)

    assert 0 in is_direct(path)
    with open_slide(path) as slide:
        mine = slide.read_region(30, 20, 0, 200, 150)
    assert (mine == by_openslide(path, 0, (30, 20), (200, 150))).all()


def test_why_a_level_is_left_to_openslide_is_told(tmp_path, shared):
    """Strips, another format, grey."""
    scanner = shared / "data" / "wsi" / "hamamatsu_fluorescence_dapi.ndpi"
    with open_slide(scanner) as slide:
        told = slide.reading(0)
        assert not told.direct
        assert told.reason == "hamamatsu does not keep its levels as plain pages of a TIFF"
        assert slide.direct_level(0) is None

    grey = tmp_path / "grey.tif"
    tifffile.imwrite(grey, picture()[..., 0], tile=(64, 64), photometric="minisblack")
    with OpenSlideReader(grey) as slide:
        assert slide.reading(0).reason == "other pixels than RGB of 8 bits"


def test_a_picture_of_the_same_size_twice_is_left_to_openslide(tmp_path):
    """Nothing says which of them the level is."""
    path = tmp_path / "a.tif"
    tiled_pyramid(path, picture(), levels=1)
    with tifffile.TiffWriter(path, append=True) as writer:
        writer.write(picture(seed=6), tile=(64, 64), photometric="rgb", metadata=None)
    with OpenSlideReader(path) as slide:
        assert slide.reading(0).reason == "two pictures of the file have its size"


def test_where_the_two_differ_openslide_is_believed(shared, monkeypatch):
    """The probe notices wrong colours; the level is then read through OpenSlide."""
    path = shared / "data" / "wsi" / "CMU-1-Small-Region.svs"
    true = tiff_codec.splice
    monkeypatch.setattr(tiff_codec, "splice", lambda data, tables, _: true(data, tables, 6))

    assert is_direct(path) == []
    with open_slide(path) as slide:
        assert "differs from OpenSlide's pixels" in slide.reading(0).reason
        mine = slide.read_region(500, 400, 0, 300, 220)
    assert (mine == by_openslide(path, 0, (500, 400), (300, 220))).all()


def test_tiles_that_were_never_written_are_left_to_openslide(tmp_path):
    """Aperio fills them from another level; only OpenSlide knows."""
    path = aperio(tmp_path / "a.svs", picture())
    with OpenSlideReader(path) as slide:
        levels = slide.info.levels
    assert list(direct_planes(path, levels)[0]) == [0]

    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages.first.tags[325]
        place, kind = tag.valueoffset, tag.dtype
    data = bytearray(path.read_bytes())
    width = 2 if kind == 3 else 4
    data[place : place + width] = bytes(width)
    path.write_bytes(data)
    planes, readings = direct_planes(path, levels)
    assert planes == {}
    assert readings[0].reason == "tiles that were never written"


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
