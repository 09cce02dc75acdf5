"""Ink, fill and edges are found where they are drawn, and nowhere in stained tissue."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from metastra.tissue.light import Light
from metastra.tissue.marks import blank_map, bubble_map, pen_map
from metastra.tissue.mask import find_tissue, tissue_of
from tissue.tissue_pictures import glass, light_of, tissue_density, with_tissue

INKS = {
    "red": (200, 20, 40),
    "blue": (30, 60, 190),
    "green": (20, 140, 60),
    "turquoise": (60, 190, 200),
    "black": (35, 35, 40),
}


def stroke(picture, colour, width, box=((60, 250), (240, 60))):
    """A stroke of ink: it multiplies the light, as a filter does."""
    drawn = Image.new("L", picture.shape[1::-1], 0)
    ImageDraw.Draw(drawn).line(box, fill=255, width=width)
    inside = np.asarray(drawn) > 0
    out = picture.astype(float)
    out[inside] *= np.array(colour) / 242.0
    return out.astype(np.uint8), inside


@pytest.mark.parametrize("mpp", [8.0, None])
@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("on_tissue", [False, True])
def test_strokes_of_ink_are_found(ink, mpp, on_tissue):
    """On glass and over tissue; the mask then leaves the stroke out."""
    picture = glass(300, 300)
    if on_tissue:
        picture = with_tissue(picture, tissue_density(260, 260, 8.0), 20, 20)
    picture, true = stroke(picture, INKS[ink], 30)
    light = Light.of(picture, mpp)
    found = pen_map(light)
    assert np.count_nonzero(found & true) > 0.85 * np.count_nonzero(true)
    assert np.count_nonzero(found & ~true) < 0.25 * np.count_nonzero(true)
    tissue = tissue_of(light, found)
    assert np.count_nonzero(tissue & true) < 0.15 * np.count_nonzero(true)
    assert tissue.any() == on_tissue


@pytest.mark.parametrize("width", [2, 6, 12, 24, 48])
def test_dose_and_response_of_ink(width):
    """The measured area grows with the stroke, and never falls behind it by more than its rim."""
    picture, true = stroke(glass(400, 400), INKS["red"], width)
    share = pen_map(Light.of(picture, 8.0)).sum() / true.sum()
    assert share < 1.0 + 6.0 / width
    assert share > (0.9 if width >= 6 else 0.0)


def test_stained_tissue_has_no_ink():
    """Haematoxylin, eosin and DAB over the whole range of density."""
    for stain in [(0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78), (0.4, 0.8, 0.25)]:
        for amount in (0.1, 0.4, 0.8, 1.2):
            density = np.ones((120, 120, 1)) * amount * np.array(stain)
            picture = with_tissue(glass(200, 200), density, 40, 40)
            assert not pen_map(Light.of(picture, 8.0)).any(), (stain, amount)


def test_erythrocytes_are_not_red_ink():
    """They have ink's colour, but gaps between them."""
    density = np.zeros((200, 200, 3))
    y, x = np.mgrid[:200, :200]
    cell = np.hypot(y % 14 - 7, x % 14 - 7) < 5.5
    density[cell] = (0.08, 0.62, 0.5)
    assert not pen_map(Light.of(light_of(density), 0.5)).any()


def test_black_fill_and_white_fill():
    """Flat black was never scanned; flat 255 was never measured; dark tissue is neither."""
    picture = with_tissue(glass(200, 200), 2.2 * tissue_density(100, 200, 0.5), 0, 0)
    assert not Light.of(picture).dark.any()
    picture[150:, :100] = (0, 0, 2)
    picture[150:, 100:] = 255
    assert Light.of(picture).dark.sum() == pytest.approx(50 * 100, rel=0.05)
    assert blank_map(picture).sum() == 50 * 100
    picture[150:, :100] = np.random.default_rng(0).integers(0, 30, (50, 100, 1))
    assert not Light.of(picture).dark.any()


def test_fill_beside_tissue_is_no_edge_and_no_ink():
    """The rim between black fill and tissue mixes both and is neither."""
    picture = light_of(tissue_density(224, 224, 0.5))
    picture[80:] = 0
    light = Light.of(picture, 0.5)
    assert not bubble_map(light).any()
    assert not pen_map(light).any()
    assert Light.of(picture).dark[84:].all()


@pytest.mark.parametrize("mpp", [8.0, None])
def test_the_edge_of_a_bubble_and_what_is_inside(mpp):
    """A closed thin dark ring marks its inside; tissue in it is taken out of the mask."""
    picture = with_tissue(glass(400, 400), tissue_density(300, 300, 8.0), 50, 50)
    image = Image.fromarray(picture)
    ImageDraw.Draw(image).ellipse((120, 120, 280, 280), outline=(60, 60, 62), width=4)
    picture = np.asarray(image)
    found = bubble_map(Light.of(picture, mpp))
    assert found[200, 200]
    assert 0.9 < found.sum() / (np.pi * 80**2) < 1.25
    assert not find_tissue(picture, mpp=mpp)[160:240, 160:240].any()


def test_an_open_edge_is_marked_along_its_line_only():
    image = Image.fromarray(glass(400, 400))
    ImageDraw.Draw(image).line((0, 80, 399, 300), fill=(50, 50, 50), width=4)
    found = bubble_map(Light.of(np.asarray(image), 8.0))
    assert 0 < found.mean() < 0.05


def test_a_black_frame_is_no_bubble_around_the_whole_picture():
    """Crops come with one; what it holds is judged like any picture."""
    picture = with_tissue(glass(400, 400), tissue_density(300, 300, 8.0), 50, 50)
    framed = picture.copy()
    framed[:3], framed[-3:], framed[:, :3], framed[:, -3:] = 0, 0, 0, 0
    found = bubble_map(Light.of(framed, 8.0))
    assert not found[8:-8, 8:-8].any()
    inside = (slice(8, -8), slice(8, -8))
    whole = find_tissue(picture, mpp=8.0)[inside]
    assert (find_tissue(framed, mpp=8.0)[inside] == whole).mean() > 0.99


def test_a_picture_too_small_for_an_edge_has_none():
    """250 px at 0.5 µm are 125 µm; the dark chain of nuclei in it is no cover slip."""
    picture = glass(250, 250)
    picture[120:124] = 60
    assert bubble_map(Light.of(picture, None)).any()
    assert not bubble_map(Light.of(picture, 0.5)).any()


def test_thick_or_short_dark_things_are_no_edges():
    """A blob of pigment and a fleck are not long and thin."""
    picture = glass(400, 400)
    picture[100:180, 100:220] = 70
    picture[300:304, 300:320] = 60
    assert not bubble_map(Light.of(picture, 8.0)).any()
