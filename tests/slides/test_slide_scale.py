"""Microns per pixel: from the file, or from the user, or unknown; never assumed, never rounded."""

from __future__ import annotations

import math

import pytest

from metastra.errors import ConfigError, SlideError
from metastra.slides.opening import open_slide
from metastra.slides.resolution import MAX_MPP, MIN_MPP, mpp_of_tags, resolve_mpp
from metastra.slides.slide import require_brightfield, require_mpp
from slides.slide_makers import aperio, flat, ome, picture, saved, tiled_pyramid


def info_of(path, **how):
    with open_slide(path, **how) as slide:
        return slide.info


def test_a_scale_is_kept_as_it_stands(tmp_path):
    """0.2526 is not "40×"."""
    info = info_of(aperio(tmp_path / "a.svs", picture(), mpp="0.2526"))

    assert (info.mpp_x, info.mpp_y, info.mpp_source) == (0.2526, 0.2526, "file")
    assert require_mpp(info) == (0.2526, 0.2526)


def test_a_magnification_is_no_scale(tmp_path):
    """AppMag = 20 without MPP: unknown, refused with the option and the column that fix it."""
    info = info_of(aperio(tmp_path / "a.svs", picture(), mpp=None))

    assert info.mpp_x is None
    with pytest.raises(SlideError, match=r"SL007 a\.svs: .*--slide-mpp MPP.*column MPP"):
        require_mpp(info)


@pytest.mark.parametrize("text", ["0", "-1", "1000", "nan", "inf", "0.25 micron", "1e-9"])
def test_a_scale_that_cannot_be_is_named_and_not_believed(tmp_path, text):
    """The slide opens for what needs no µm; what needs them says what stands there."""
    info = info_of(aperio(tmp_path / "a.svs", picture(), mpp=text))

    assert info.mpp_x is None
    assert info.mpp_source is None
    with pytest.raises(SlideError, match=r"SL00[78] a\.svs.*--slide-mpp"):
        require_mpp(info)


@pytest.mark.parametrize("dpi", [72, 96, 300, 600])
def test_print_resolutions_are_no_scale(tmp_path, dpi):
    """What picture programs write when they know nothing."""
    info = info_of(saved(tmp_path / "a.png", picture(), dpi=(dpi, dpi)))

    assert info.mpp_x is None
    assert [p.code for p in info.problems] == ["SL008"]
    with pytest.raises(SlideError, match=r"SL008 .*the file states"):
        require_mpp(info)


def test_the_user_knows_better_and_differences_are_told(tmp_path):
    """The table or the option wins; above 2 % the reader of the results is told."""
    path = tiled_pyramid(tmp_path / "a.tif", picture(), mpp=0.5)

    same = info_of(path, mpp=0.505, mpp_source="table")
    other = info_of(path, mpp=(0.25, 0.26))

    assert (same.mpp_x, same.mpp_source, same.problems) == (0.505, "table", ())
    assert (other.mpp_x, other.mpp_y, other.mpp_source) == (0.25, 0.26, "option")
    assert [p.code for p in other.problems] == ["SL009"]
    assert "option states 0.25 × 0.26 µm per pixel, the file 0.5" in str(other.problems[0])


@pytest.mark.parametrize("mpp", [0, -1, 1000, math.nan, (0.5, 0.0), MIN_MPP / 2, MAX_MPP * 2])
def test_a_given_scale_that_cannot_be_is_refused(tmp_path, mpp):
    """As an option it is a mistake of the command, in a table one of the data."""
    path = tiled_pyramid(tmp_path / "a.tif", picture())

    with pytest.raises(ConfigError, match="the option states"):
        open_slide(path, mpp=mpp)
    with pytest.raises(SlideError, match=r"SL008 .*the table states"):
        open_slide(path, mpp=mpp, mpp_source="table")


@pytest.mark.parametrize(
    ("tags", "mpp"),
    [
        ((20000.0, 20000.0, 3), (0.5, 0.5)),
        ((50800.0, 101600.0, 2), (0.5, 0.25)),
        ((20000.0, 20000.0, 1), None),
        ((1.0, 1.0, 2), None),
        ((1.0, 1.0, 3), None),
    ],
)
def test_resolution_tags_need_a_unit(tags, mpp):
    """Without a unit, or with the value 1 of those who know nothing, they state no length."""
    assert mpp_of_tags(*tags) == mpp
    assert all(map(math.isnan, mpp_of_tags(0.0, 0.0, 2)))


def test_one_direction_alone_is_no_scale():
    """x without y: named, not completed."""
    found = resolve_mpp("a", (0.5, math.nan), None, "option")

    assert found.mpp_x is None
    assert "0.5 × nan" in found.problems[0].found


@pytest.mark.parametrize(
    ("stated", "mpp"),
    [
        ({"PhysicalSizeX": 0.325, "PhysicalSizeY": 0.3251}, (0.325, 0.3251)),
        (
            {
                "PhysicalSizeX": 325,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 3250,
                "PhysicalSizeYUnit": "Å",
            },
            (0.325, 0.325),
        ),
        (
            {
                "PhysicalSizeX": 1,
                "PhysicalSizeXUnit": "pixel",
                "PhysicalSizeY": 1,
                "PhysicalSizeYUnit": "pixel",
            },
            None,
        ),
        ({"PhysicalSizeX": 0.5}, None),
        ({"PhysicalSizeX": 0, "PhysicalSizeY": 0}, None),
    ],
)
def test_ome_lengths_have_units(tmp_path, stated, mpp):
    """µm unless a unit is given; "pixel" is no length, one direction no scale."""
    path = ome(tmp_path / "a.ome.tif", picture(), axes="YXS", metadata=stated, photometric="rgb")
    info = info_of(path)

    if mpp is None:
        assert info.mpp_x is None
    else:
        assert (info.mpp_x, info.mpp_y) == pytest.approx(mpp)


def test_a_damaged_ome_description_is_no_scale_by_accident(tmp_path):
    """XML that cannot be parsed leaves the slide refused, not without its channels."""
    broken = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/x"><Image><Pixels'
    path = flat(tmp_path / "a.tif", picture(), description=broken)

    with pytest.raises(SlideError, match=r"SL004 a\.tif"):
        info_of(path)


def test_fluorescence_is_refused_where_colours_are_stains(shared):
    """NDPI with a filter set, QPTIFF with channels: SL012, with the channels' names."""
    for name, channel in [
        ("hamamatsu_fluorescence_dapi.ndpi", "DAPI 2"),
        ("vectra_polaris_tma_core.qptiff", "DAPI, FITC, Cy3"),
    ]:
        info = info_of(shared / "data" / "wsi" / name)
        with pytest.raises(SlideError, match=rf"SL012 {name}: a fluorescence slide \({channel}"):
            require_brightfield(info)
    require_brightfield(info_of(shared / "data" / "wsi" / "CMU-1-Small-Region.svs"))


def test_an_ndpi_under_another_name_is_still_fluorescence(shared, tmp_path):
    """What a slide is does not hang on how its name ends."""
    for name in ("slide.tif", "slide"):
        (tmp_path / name).symlink_to(shared / "data" / "wsi" / "hamamatsu_fluorescence_dapi.ndpi")
        copied = tmp_path / f"copy-{name}"
        copied.write_bytes((tmp_path / name).read_bytes())
        info = info_of(copied)
        assert (info.vendor, info.modality) == ("hamamatsu", "fluorescence")
