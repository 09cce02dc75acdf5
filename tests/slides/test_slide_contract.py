"""One contract for every reader: what a slide promises, whoever opens it."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile

from metastra.slides.opening import open_slide
from metastra.slides.scaled import read_scaled, thumbnail
from metastra.slides.slide import MAX_REGION_PX
from slides.slide_makers import HEIGHT, RGB_KINDS, WIDTH, halved, ome, picture

REAL = [
    "CMU-1-Small-Region.svs",
    "camelyon_lymph_node_level.dcm",
    "hamamatsu_fluorescence_dapi.ndpi",
    "vectra_polaris_tma_core.qptiff",
    "kidney_ihc_sparse_tissue.tif",
    "colon_glands_ihc_fhl2.png",
    "converted/camelyon_lymph_node_pyramid.tif",
    "converted/vectra_polaris_tma_core.ome.tif",
]


@pytest.fixture(scope="module", params=RGB_KINDS, ids=lambda kind: kind.name)
def made(request, tmp_path_factory):
    """A slide of one kind, closed at the end, with what it must show."""
    kind = request.param
    path = tmp_path_factory.mktemp("made") / kind.name
    kind.make(path, picture())
    with open_slide(path) as slide:
        yield slide, kind, path


@pytest.fixture(params=REAL)
def real(request, shared):
    with open_slide(shared / "data" / "wsi" / request.param) as slide:
        yield slide


def holds_the_contract(slide):
    """What must be true of any slide."""
    info = slide.info
    first = info.levels[0]
    assert (first.width_px, first.height_px, first.downsample) == (
        info.width_px,
        info.height_px,
        1.0,
    )
    assert (info.mpp_x is None) == (info.mpp_y is None) == (info.mpp_source is None)
    assert info.modality in ("brightfield", "fluorescence")
    assert info.channels
    assert all(info.channels)
    assert "/" not in info.name
    for number, level in enumerate(info.levels):
        assert abs(info.width_px / level.width_px / level.downsample - 1) < 0.02
        region = slide.read_region(0, 0, number, 40, 30)
        assert region.shape == (30, 40, 3)
        assert region.dtype == np.uint8
        assert region.flags.c_contiguous
        # the same place, asked for with a white rim around it
        rim = round(8 * level.downsample)
        wide = slide.read_region(-rim, -rim, number, 48, 38)
        if level.downsample == round(level.downsample):
            assert (wide[8:, 8:] == region).all()
            assert (wide[:8] == 255).all()
            assert (wide[:, :8] == 255).all()
    assert slide.read_region(0, 0, 0, 0, 5).shape == (5, 0, 3)
    outside = slide.read_region(info.width_px + 10, info.height_px + 10, 0, 9, 9)
    assert (outside == 255).all()
    with pytest.raises(ValueError, match="levels 0 to"):
        slide.read_region(0, 0, len(info.levels), 5, 5)
    with pytest.raises(ValueError, match="levels 0 to"):
        slide.read_region(0, 0, -1, 5, 5)
    with pytest.raises(ValueError, match="no size"):
        slide.read_region(0, 0, 0, -1, 5)
    with pytest.raises(ValueError, match="above the limit"):
        slide.read_region(0, 0, 0, MAX_REGION_PX, 2)


def test_every_kind_that_can_be_written_holds_the_contract(made):
    """Shapes, white outside, refusals: equal for all readers."""
    slide, kind, _ = made

    holds_the_contract(slide)
    assert slide.info.reader == kind.reader
    assert len(slide.info.levels) == kind.levels
    assert slide.info.modality == "brightfield"


def test_real_files_hold_the_contract(real):
    """The same for files of real scanners."""
    holds_the_contract(real)


def test_a_real_file_closes(shared):
    """Closed is closed, twice is once, and a later question is a programmer's mistake."""
    for name in REAL:
        slide = open_slide(shared / "data" / "wsi" / name)
        slide.close()
        slide.close()
        with pytest.raises(ValueError, match="closed"):
            slide.read_region(0, 0, 0, 5, 5)


def test_the_pixels_are_those_that_were_written(made):
    """Lossless to the bit; JPEG as another decoder gives it; any window, over the edges too."""
    slide, kind, path = made
    written = picture()
    if kind.lossy:
        decoded = imagecodecs.imread(path) if path.suffix == ".jpg" else tifffile.imread(path)
        assert np.abs(decoded.astype(int) - written).mean() < 2
        written = decoded
    truth = np.full((HEIGHT + 40, WIDTH + 40, 3), 255, np.uint8)
    truth[20:-20, 20:-20] = written

    for x, y, width, height in [(0, 0, WIDTH, HEIGHT), (63, 61, 70, 10), (-20, -20, 340, 260)]:
        got = slide.read_region(x, y, 0, width, height)
        assert (got == truth[y + 20 : y + 20 + height, x + 20 : x + 20 + width]).all()


def test_lower_levels_show_the_same_place(made):
    """A corner in level-0 pixels, a size in pixels of the level."""
    slide, _, _ = made
    for number, level in enumerate(slide.info.levels[1:], start=1):
        small = picture()
        for _ in range(number):
            small = halved(small)
        x, y = 16 // 2**number, 32 // 2**number
        got = slide.read_region(16, 32, number, 20, 15)
        assert (got == small[y : y + 15, x : x + 20]).all()
        assert level.downsample == pytest.approx(2.0**number, rel=0.01)


def test_the_scale_is_the_files(made):
    """Properties, resolution tags in inch and centimetre, OME lengths with a unit; or unknown."""
    slide, kind, _ = made
    info = slide.info

    if kind.mpp is None:
        assert info.mpp_x is None
    else:
        assert (info.mpp_x, info.mpp_y) == pytest.approx(kind.mpp, rel=1e-6)
        assert info.mpp_source == "file"


def test_a_thumbnail_of_every_kind_shows_the_picture(made):
    """Small, from the edges to the edges, and of the right mean."""
    slide, _, _ = made

    small = thumbnail(slide, 100)

    assert small.shape == (73, 100, 3)
    assert np.abs(small.mean(axis=(0, 1)) - picture().mean(axis=(0, 1))).max() < 1.5
    assert read_scaled(slide, 10, 10, 100, 100, 50, 50).shape == (50, 50, 3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_channels_keep_their_intensities_and_are_shown_in_colour(tmp_path, dtype):
    """Fluorescence: named channels, the stored numbers, a picture for people."""
    planes = np.moveaxis(picture(), 2, 0).astype(dtype) * (40 if dtype == "uint16" else 1)
    planes[:, :20] = 0
    path = ome(
        tmp_path / "if.ome.tif",
        planes,
        axes="CYX",
        predictor=False,
        metadata={"Channel": {"Name": ["DAPI", "CD3", "CD20"]}, "PhysicalSizeX": 0.3},
    )
    with open_slide(path, mpp=0.325) as slide:
        holds_the_contract(slide)
        info = slide.info
        raw = slide.read_channels(-5, 30, 0, 50, 40)
        shown = slide.read_region(0, 0, 0, WIDTH, HEIGHT)
        small = slide.read_channels(0, 0, 1, 20, 20)

    assert (info.modality, info.channels) == ("fluorescence", ("DAPI", "CD3", "CD20"))
    assert raw.dtype == np.dtype(dtype)
    assert (raw[:, 5:] == np.moveaxis(planes[:, 30:70, :45], 0, 2)).all()
    assert (raw[:, :5] == 0).all()
    assert small.shape == (20, 20, 3)
    assert (shown[:20] == 0).all()
    # blue for the nuclei, green and red for the next
    bright = np.quantile(planes.reshape(3, -1).astype(float), 0.9, axis=1)
    for channel, colour in enumerate([2, 1, 0]):
        at = planes[channel] >= bright[channel]
        assert shown[..., colour][at].mean() > 180


def test_real_fluorescence_is_read_to_the_bit_by_both_ways(shared):
    """The OME-TIFF was converted from the QPTIFF: Deflate tiles and LZW strips, equal numbers."""
    wsi = shared / "data" / "wsi"
    with open_slide(wsi / "vectra_polaris_tma_core.qptiff") as one:
        strips = one.read_channels(0, 0, 0, 1920, 1440)
        info = one.info
    with open_slide(wsi / "converted" / "vectra_polaris_tma_core.ome.tif") as other:
        tiles = other.read_channels(0, 0, 0, 1920, 1440)

    assert (strips == tiles).all()
    assert strips.max(axis=(0, 1)).tolist() == [81, 89, 91]
    assert info.channels == ("DAPI", "FITC", "Cy3")
    assert info.mpp_x == pytest.approx(1e4 / 20139.582, rel=1e-6)


def test_a_slide_is_read_whatever_its_name(tmp_path):
    """Non-ASCII names, a misleading ending, a symbolic link."""
    for name in ("Präparat 7 – łódź 病理.tif", "slide.svs", "no_ending"):
        path = RGB_KINDS[0].make(tmp_path / name, picture())
        with open_slide(path) as slide:
            assert slide.info.name == name
            assert slide.info.vendor == "generic-tiff"
    link = tmp_path / "link.tif"
    link.symlink_to(tmp_path / "no_ending")
    with open_slide(str(link)) as slide:
        assert (slide.read_region(0, 0, 0, 50, 50) == picture()[:50, :50]).all()
