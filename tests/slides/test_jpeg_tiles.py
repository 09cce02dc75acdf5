"""One JPEG tile decoded into memory that is there: all of it is filled, or it is an error."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from metastra.slides.tiff_codec import JPEG, Coding, DecodeError, unpack, unpack_into
from slides.jpeg_slides import encoded, parted
from slides.slide_makers import picture

SIDE = 64
SHAPE = (SIDE, SIDE, 3)
UNTOUCHED = 0xAB


def coding(tables: bytes = b"", photometric: int = 6) -> Coding:
    return Coding(
        dtype=np.dtype(np.uint8), compression=JPEG, photometric=photometric, tables=tables
    )


def both(how: Coding, data: bytes):
    """What the two ways of unpacking give: pixels, or None for an error."""
    into = np.full(SHAPE, UNTOUCHED, dtype=np.uint8)
    try:
        unpack_into(how, data, into)
    except DecodeError:
        into = None
    try:
        alone = unpack(how, data, SHAPE)
    except DecodeError:
        alone = None
    return into, alone


def same(how: Coding, data: bytes) -> bool:
    into, alone = both(how, data)
    return (into is None) == (alone is None) and (into is None or bool((into == alone).all()))


def saved(pixels, **how) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", **how)
    return stream.getvalue()


TILES = {
    "4:2:0": encoded(picture(SIDE, SIDE)),
    "4:4:4": encoded(picture(SIDE, SIDE), "444"),
    "progressive": saved(picture(SIDE, SIDE), progressive=True),
    "with a comment": saved(picture(SIDE, SIDE), comment=b"\xff\xc0\x00\x11\x08\x00\x10\x00\x10"),
}


@pytest.mark.parametrize("name", TILES)
def test_a_whole_tile_is_what_unpacking_it_gives(name):
    """A frame that is only spoken of in a comment is no frame."""
    into, alone = both(coding(), TILES[name])
    assert (into == alone).all()
    tables, rest = parted(TILES[name]) if name != "progressive" else (b"", TILES[name])
    into, alone = both(coding(tables), rest)
    assert (into == alone).all()


def test_fill_bytes_before_a_marker_are_allowed():
    """The standard lets any number of FF stand there; such a head is left to the decoder."""
    data = TILES["4:2:0"]
    at = data.index(b"\xff\xc0")
    into, alone = both(coding(), data[:at] + b"\xff\xff" + data[at:])
    assert into is not None
    assert (into == alone).all()


WRONG = {
    "smaller": encoded(picture(SIDE // 2, SIDE)),
    "narrower": encoded(picture(SIDE, SIDE // 2)),
    "as many pixels in another form": encoded(picture(SIDE // 2, SIDE * 2)),
    "larger": encoded(picture(SIDE * 2, SIDE * 2)),
    "grey": saved(picture(SIDE, SIDE)[..., 0]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_jpeg_of_another_size_or_kind_is_never_taken_for_the_tile(name):
    """Only one that ends early, as some writers cut the last row, is filled up with black."""
    into, alone = both(coding(), WRONG[name])
    if name == "smaller":
        assert (into == alone).all()
        assert not into[SIDE // 2 :].any()
        assert into[: SIDE // 2].any()
    else:
        assert into is None
        assert alone is None


@pytest.mark.parametrize("name", WRONG)
def test_tables_that_are_a_picture_do_not_take_the_place_of_the_tile(name):
    """What is decoded is then the tables' picture: its size counts, not that of the tile."""
    into, alone = both(coding(WRONG[name]), TILES["4:2:0"])
    assert (into is None) == (alone is None)
    if into is not None:
        assert (into == alone).all()
    headless = WRONG[name].removesuffix(b"\xff\xd9")
    assert same(coding(headless[: headless.index(b"\xff\xda")]), TILES["4:2:0"])


@pytest.mark.parametrize("abbreviated", [False, True])
def test_a_damaged_head_gives_the_same_pixels_or_an_error(abbreviated):
    """Every byte before the scan in turn, and the data cut off in each place."""
    tables, data = parted(TILES["4:2:0"]) if abbreviated else (b"", TILES["4:2:0"])
    how = coding(tables)
    end = data.index(b"\xff\xda") + 14
    rng = np.random.default_rng(0)
    for at in range(end):
        for value in (0, 255, *rng.integers(0, 256, 4 if abbreviated else 1).tolist()):
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            assert same(how, changed), (at, value)
        assert same(how, data[:at]), at
