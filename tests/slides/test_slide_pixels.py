"""Every kind of pixel has one defined conversion to RGB, or is refused with its code."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from metastra.errors import SlideError
from metastra.slides.lzw_kernel import lzw_decode, packbits_decode
from metastra.slides.opening import open_slide
from metastra.slides.picture_reader import MAX_PICTURE_PX, PictureReader
from slides.slide_makers import flat, ome, picture, saved, tiled_pyramid

GREY = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30) * 109


def read(path):
    with open_slide(path) as slide:
        info = slide.info
        return slide.read_region(0, 0, 0, info.width_px, info.height_px)


def narrow(wide):
    return np.floor(wide / 257 + 0.5).astype(np.uint8)


def test_sixteen_bits_become_eight_by_division(tmp_path):
    """65535 is 255: divided by 257 and rounded, for grey and colour, TIFF and PNG."""
    want = np.repeat(narrow(GREY)[..., None], 3, axis=2)
    flat(tmp_path / "g.tif", GREY, photometric="minisblack")
    Image.fromarray(GREY).save(tmp_path / "g.png")
    colour = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)
    flat(tmp_path / "c.tif", colour)

    assert (read(tmp_path / "g.tif") == want).all()
    assert (read(tmp_path / "g.png") == want).all()
    assert (read(tmp_path / "c.tif") == narrow(colour)).all()


def test_grey_and_inverted_grey_fill_three_channels(tmp_path):
    """Where 0 is white it is turned round."""
    grey = narrow(GREY)
    flat(tmp_path / "b.tif", grey, photometric="minisblack")
    flat(tmp_path / "w.tif", grey, photometric="miniswhite")
    saved(tmp_path / "l.png", grey)
    Image.fromarray(grey > 128).save(tmp_path / "one.png")

    assert (read(tmp_path / "b.tif") == grey[..., None]).all()
    assert (read(tmp_path / "w.tif") == 255 - grey[..., None]).all()
    assert (read(tmp_path / "l.png") == grey[..., None]).all()
    assert (read(tmp_path / "one.png") == np.where(grey > 128, 255, 0)[..., None]).all()


def test_transparency_is_laid_over_white(tmp_path):
    """PNG with alpha, grey with alpha, a palette with a transparent colour, TIFF of both kinds."""
    rgb = picture(20, 30)
    alpha = np.tile(np.linspace(0, 255, 30).astype(np.uint8), (20, 1))
    over = rgb * (alpha[..., None] / 255) + 255 * (1 - alpha[..., None] / 255)
    saved(tmp_path / "a.png", np.dstack([rgb, alpha]))
    saved(tmp_path / "la.png", np.dstack([rgb[..., 0], alpha]))
    flat(tmp_path / "un.tif", np.dstack([rgb, alpha]), extrasamples=["unassalpha"])
    multiplied = np.floor(rgb * (alpha[..., None] / 255) + 0.5).astype(np.uint8)
    flat(tmp_path / "as.tif", np.dstack([multiplied, alpha]), extrasamples=["assocalpha"])
    flat(tmp_path / "x.tif", np.dstack([rgb, alpha]), extrasamples=["unspecified"])
    paletted = Image.fromarray(rgb).quantize(16)
    paletted.save(tmp_path / "p.png", transparency=3)
    index = np.asarray(paletted)

    assert np.abs(read(tmp_path / "a.png") - over).max() <= 1
    assert np.abs(read(tmp_path / "la.png") - over[..., :1]).max() <= 1
    assert np.abs(read(tmp_path / "un.tif") - over).max() <= 1
    assert np.abs(read(tmp_path / "as.tif") - over).max() <= 1
    assert (read(tmp_path / "x.tif") == rgb).all()
    got = read(tmp_path / "p.png")
    assert (got[index == 3] == 255).all()
    assert (got[index != 3] == np.asarray(paletted.convert("RGB"))[index != 3]).all()


def test_a_palette_gives_its_colours(tmp_path):
    """TIFF's 16-bit palette."""
    index = narrow(GREY)
    colours = np.random.default_rng(4).integers(0, 65536, (3, 256), dtype=np.uint16)
    flat(tmp_path / "p.tif", index, photometric="palette", colormap=colours)

    assert (read(tmp_path / "p.tif") == narrow(colours.T)[index]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_as_its_camera_says(tmp_path, orientation):
    """EXIF orientation: the size, the scale and the pixels turn together."""
    pixels = np.zeros((16, 48, 3), np.uint8)
    pixels[:8, :16] = 255  # the top left of the stored picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    saved(tmp_path / "o.jpg", pixels, quality=98, exif=exif, dpi=(25400, 12700))

    with open_slide(tmp_path / "o.jpg") as slide:
        info = slide.info
        got = slide.read_region(0, 0, 0, info.width_px, info.height_px)

    turned = orientation in (5, 6, 7, 8)
    assert got.shape == ((48, 16, 3) if turned else (16, 48, 3))
    assert (info.mpp_x, info.mpp_y) == ((2.0, 1.0) if turned else (1.0, 2.0))
    corners = {
        "tl": got[2, 2, 0],
        "tr": got[2, -3, 0],
        "br": got[-3, -3, 0],
        "bl": got[-3, 2, 0],
    }
    bright = {1: "tl", 2: "tr", 3: "br", 4: "bl", 5: "tl", 6: "tr", 7: "br", 8: "bl"}
    assert [name for name, value in corners.items() if value > 128] == [bright[orientation]]


REFUSED = {
    "cmyk.jpg": lambda p: Image.fromarray(picture(20, 30)).convert("CMYK").save(p),
    "cmyk.tif": lambda p: flat(
        p, np.dstack([picture(20, 30), picture(20, 30)[..., 0]]), photometric="separated"
    ),
    "lab.tif": lambda p: flat(p, picture(20, 30), photometric="cielab"),
    "float.tif": lambda p: flat(p, picture(20, 30).astype(np.float32)),
    "signed.tif": lambda p: flat(p, GREY.astype(np.int16), photometric="minisblack"),
    "wide.tif": lambda p: flat(p, GREY.astype(np.uint32), photometric="minisblack"),
    "one.tif": lambda p: Image.fromarray(GREY > 9000).save(p),
    "stack.tif": lambda p: flat(p, np.stack([GREY, GREY]), photometric="minisblack"),
    "depth.ome.tif": lambda p: ome(
        p, np.stack([GREY, GREY]), axes="ZYX", tile=(16, 16), photometric="minisblack"
    ),
    "turned.tif": lambda p: flat(p, picture(20, 30), extratags=[(274, 3, 1, 6, True)]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_defined_conversion_is_refused(name, tmp_path):
    """CMYK, CIELab, other numbers, stacks: SL011, and what would be taken."""
    REFUSED[name](tmp_path / name)

    with pytest.raises(SlideError, match=f"SL011 {name}: .*; expected ") as caught:
        open_slide(tmp_path / name)
    assert caught.value.code == "SL011"


def test_a_compression_that_is_not_read_is_named(tmp_path):
    """By its number, with what to do."""
    flat(tmp_path / "j.tif", picture(20, 30), compression="png")
    with pytest.raises(SlideError, match=r"SL013 .*compression 34933"):
        open_slide(tmp_path / "j.tif")


@pytest.mark.parametrize("damage", ["cut short", "other bytes", "another size"])
def test_a_damaged_jpeg_xl_is_an_error_of_its_strip(tmp_path, damage):
    """And never more memory than the page says; the other strips are read."""
    path = flat(tmp_path / "x.tif", picture(64, 48), compression="jpegxl", rowsperstrip=32)
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[0], tiff.pages[0].databytecounts[0]
    data = bytearray(path.read_bytes())
    part = bytes(data[offset : offset + count])
    small = imagecodecs.jpegxl_encode(picture(8, 48), lossless=True)
    assert len(small) < count
    new = {"cut short": part[: count // 2], "other bytes": bytes(count), "another size": small}
    data[offset : offset + count] = new[damage].ljust(count, b"\0")
    path.write_bytes(data)
    with open_slide(path) as slide:
        with pytest.raises(SlideError, match="SL005"):
            slide.read_region(0, 0, 0, 10, 10)
        assert (slide.read_region(0, 32, 0, 48, 32) == picture(64, 48)[32:]).all()


def test_a_codec_that_is_not_installed_is_named_with_its_command(tmp_path, monkeypatch):
    """Zstandard needs the extra; the slide fails, the batch goes on."""
    flat(tmp_path / "z.tif", picture(20, 30), compression="zstd")
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    with open_slide(tmp_path / "z.tif") as slide, pytest.raises(SlideError, match=r"SL013") as no:
        slide.read_region(0, 0, 0, 5, 5)
    assert "metastra[formats]" in str(no.value)


def test_a_flat_picture_has_a_limit(tmp_path):
    """It would be decoded whole: the header alone decides."""
    side = int(MAX_PICTURE_PX**0.5) + 1
    path = tmp_path / "big.png"
    Image.new("1", (side, side)).save(path)

    with pytest.raises(SlideError, match=r"SL006 .*flat picture"):
        PictureReader(path)
    bomb = tmp_path / "bomb.png"
    data = bytearray(saved(tmp_path / "a.png", picture(20, 30)).read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    bomb.write_bytes(data)
    with pytest.raises(SlideError, match=r"SL00[46]"):
        open_slide(bomb)


def test_a_colour_profile_is_carried_and_never_applied(tmp_path):
    """The bytes of the file, whichever reader; the pixels stay as they are stored."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = picture(80, 90)
    tag = (34675, 7, len(profile), profile, True)
    saved(tmp_path / "a.png", pixels, icc_profile=profile)
    flat(tmp_path / "a.tif", pixels, iccprofile=profile)
    tiled_pyramid(tmp_path / "t.tif", pixels, levels=1, extratags=[tag])

    for name in ("a.png", "a.tif", "t.tif"):
        with open_slide(tmp_path / name) as slide:
            assert slide.info.icc_profile == profile
            assert (slide.read_region(0, 0, 0, 90, 80) == pixels).all()


def test_a_level_of_another_shape_is_left_out(tmp_path):
    """Missing or foreign levels are a warning; the slide is read from those that fit."""
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(picture(64, 96), subifds=2, photometric="rgb", metadata={"axes": "YXS"})
        writer.write(picture(20, 48), subfiletype=1, photometric="rgb", metadata=None)
        writer.write(picture(16, 24), subfiletype=1, photometric="rgb", metadata=None)

    with open_slide(path) as slide:
        assert [level.downsample for level in slide.info.levels] == [1.0, 4.0]
        assert [p.code for p in slide.info.problems] == ["SL014"]
        assert "48 × 20 px" in slide.info.problems[0].found


def test_label_and_macro_are_never_the_slide(tmp_path):
    """The first image that has neither name."""
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name, pixels in [
            ("Label Image", picture(200, 200)),
            ("macro", picture(150, 150)),
            ("scan", picture(64, 96)),
        ]:
            writer.write(pixels, photometric="rgb", metadata={"axes": "YXS", "Name": name})

    with open_slide(path) as slide:
        assert (slide.info.width_px, slide.info.height_px) == (96, 64)


def test_pixels_in_other_files_are_not_followed(tmp_path):
    """An OME-TIFF that names another file opens no other file."""
    flat(tmp_path / "secret.tif", GREY, photometric="minisblack")
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels DimensionOrder="XYCZT" Type="uint16" SizeX="30" SizeY="20" SizeC="2" SizeZ="1" '
        'SizeT="1"><Channel SamplesPerPixel="1"/><Channel SamplesPerPixel="1"/>'
        '<TiffData FirstC="0" IFD="0"><UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstC="1" IFD="0"><UUID FileName="secret.tif">urn:uuid:2</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, description=xml, metadata=None)

    with pytest.raises(SlideError, match=r"SL004 .*names other files"):
        open_slide(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("size", [1, 5, 700, 40_000])
def test_own_decoders_equal_those_of_a_library(size):
    """LZW and PackBits against imagecodecs: noise, runs and text, to the byte."""
    imagecodecs = pytest.importorskip("imagecodecs")
    rng = np.random.default_rng(size)
    for data in (
        rng.integers(0, 256, size, dtype=np.uint8),
        rng.integers(0, 3, size, dtype=np.uint8),
        np.zeros(size, np.uint8),
        np.repeat(rng.integers(0, 256, size // 50 + 1, dtype=np.uint8), 50)[:size],
    ):
        for encode, decode in (
            (imagecodecs.lzw_encode, lzw_decode),
            (imagecodecs.packbits_encode, packbits_decode),
        ):
            packed = np.frombuffer(encode(data.tobytes()), np.uint8)
            out = np.zeros(size, np.uint8)
            assert decode(packed, out) == size
            assert (out == data).all()
            short = np.zeros(size // 2, np.uint8)
            assert decode(packed, short) == size // 2
            assert (short == data[: size // 2]).all()


def test_lzw_of_noise_ends():
    """Whatever bytes come, it stops at the end of its buffer or says that a code is undefined."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        out = np.zeros(500, np.uint8)
        seen.add(np.sign(lzw_decode(rng.integers(0, 256, 400, dtype=np.uint8), out)))
    assert -1 in seen
