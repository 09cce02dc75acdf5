"""Rims of bubbles over tissue: closed, grey, darker than both sides; nothing else closes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from metastra.tissue.light import Light
from metastra.tissue.marks import bubble_map
from metastra.tissue.mask import find_tissue
from metastra.tissue.rims import closed_rims, rim_strength
from tissue.tissue_pictures import GLASS, light_of, tissue_density

MPP = 4.0
PURPLE = (0.65, 0.70, 0.29)


def on_tissue(shape, distance_um, *, rim=(0.25, 0.25, 0.25), width_um=16.0, gap=0.0, turn=0.0):
    """Tissue with a line of absorbance where a distance is about 0, open over a share of angles."""
    line = np.exp(-0.5 * (distance_um / (width_um / 2.5)) ** 2)
    y, x = np.indices(shape)
    angle = np.arctan2(y - shape[0] / 2, x - shape[1] / 2) - turn
    line[np.abs(np.angle(np.exp(1j * angle))) < np.pi * gap] = 0.0
    return light_of(tissue_density(*shape, MPP) + line[..., None] * np.array(rim))


def ellipse_um(shape, long_um, short_um):
    """Roughly the distance from an ellipse in the middle, negative inside."""
    y, x = (np.indices(shape).astype(float).T - np.array(shape) / 2).T * MPP
    radius = np.hypot(x / long_um, y / short_um) * 2
    return (radius - 1) * short_um / 2


def found_in(rgb, mpp=MPP):
    return closed_rims(Light.of(rgb, mpp, tuple(float(one) for one in GLASS)))


@pytest.mark.parametrize(("long_um", "short_um"), [(160, 150), (400, 280), (1000, 900)])
def test_a_grey_rim_over_tissue_marks_what_it_encloses(long_um, short_um):
    """Absorbance of 0.25 on tissue of 0.2 to 0.8: neither dark nor colourless by itself."""
    shape = (300, 320)
    distance = ellipse_um(shape, long_um, short_um)
    found = found_in(on_tissue(shape, distance))
    inside = distance < 0
    assert (found & inside).sum() > 0.95 * inside.sum()
    assert not found[distance > 30].any()


@pytest.mark.parametrize(("gap", "closes"), [(0.0, True), (0.1, True), (0.5, False)])
def test_a_tenth_may_be_missing_and_a_half_may_not(gap, closes):
    distance = ellipse_um((200, 200), 420, 380)
    assert found_in(on_tissue((200, 200), distance, gap=gap, turn=0.7)).any() == closes


@pytest.mark.parametrize("colour", [PURPLE, (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)])
def test_rings_of_a_stain_are_no_rims(colour):
    """An epithelium around a lumen, a vessel's wall: they have the colour of their stain."""
    distance = ellipse_um((200, 200), 420, 380)
    rgb = on_tissue((200, 200), distance, rim=0.6 * np.array(colour))
    assert not found_in(rgb).any()
    assert found_in(on_tissue((200, 200), distance, rim=(0.3, 0.3, 0.3))).any()


def test_the_edge_of_something_grey_is_no_rim():
    """Dark on one side only: a smudge, a shadow."""
    distance = ellipse_um((200, 200), 420, 380)
    smudge = 0.4 * ndimage.gaussian_filter((distance < 0).astype(float), 2)
    rgb = light_of(tissue_density(200, 200, MPP) + smudge[..., None])
    assert not found_in(rgb).any()


def test_small_rings_coarse_pixels_and_empty_pictures_have_none():
    distance = ellipse_um((200, 200), 90, 80)
    assert not found_in(on_tissue((200, 200), distance)).any()
    rgb = on_tissue((200, 200), ellipse_um((200, 200), 420, 380))
    assert not found_in(rgb, mpp=20.0).any()
    assert not found_in(rgb[:20, :20]).any()
    assert not found_in(np.full((200, 200, 3), 242, np.uint8)).any()


def test_the_frame_of_a_picture_is_no_rim():
    """Crops come with one, three pixels of black all around."""
    rgb = light_of(tissue_density(256, 256, 0.5))
    rgb[:3] = rgb[-3:] = rgb[:, :3] = rgb[:, -3:] = 0
    assert not found_in(rgb, mpp=0.5).any()


def test_strength_is_what_the_line_absorbs():
    """A straight grey line of known absorbance on even ground; the profile is smoothed by 5 µm."""
    density = np.full((60, 60, 3), 0.1)
    density[:, 28:32] += 0.2
    strength = rim_strength(light_of(density), (242.0,) * 3, mpp=5.0)
    # four pixels of 20 µm under a Gaussian of one pixel: 0.95 of the step is left in the middle
    assert strength[30, 29:31].max() == pytest.approx(0.19, abs=0.015)
    assert strength[:, :20].max() == pytest.approx(0.0, abs=1e-6)


def test_tissue_in_a_bubble_is_taken_out_of_the_mask():
    distance = ellipse_um((200, 200), 420, 380)
    rgb = on_tissue((200, 200), distance)
    assert bubble_map(Light.of(rgb, MPP))[100, 100]
    tissue = find_tissue(rgb, mpp=MPP)
    assert not tissue[distance < 0].any()
    assert tissue[distance > 40].all()


def real_pictures(shared):
    """Real tissue of more than 150 µm without a bubble, at 2 and 4 µm per pixel."""
    folder = shared / "data" / "tiles"
    fields = [
        path for path in (folder / "glas_colon_glands").glob("*.png") if "mask" not in path.name
    ]
    for path in sorted(fields):
        yield Image.open(path).convert("RGB"), 0.62
    for path in sorted((folder / "tcga_crc_msih").glob("*.jpg")):
        yield Image.open(path).convert("RGB"), 0.5
    for patient in ("C01", "C03", "C05"):
        tiles = sorted((folder / "orion_crc_he").glob(f"*_{patient}_*.png"))
        rows = [tiles[at : at + 6] for at in range(0, len(tiles) - 5, 6)]
        mosaic = np.vstack(
            [np.hstack([np.asarray(Image.open(one)) for one in row]) for row in rows]
        )
        yield Image.fromarray(mosaic), 0.65


@pytest.mark.slow
def test_nothing_closes_in_real_tissue(shared):
    """58 pictures: glands, lumina, vessels, the seams of mosaics, black fill."""
    marked, looked_at = [], 0
    for image, mpp in real_pictures(shared):
        for coarser in (2.0, 4.0):
            size = [round(length * mpp / coarser) for length in image.size]
            rgb = np.asarray(image.resize(size, Image.Resampling.BOX))
            marked.append(closed_rims(Light.of(rgb, coarser)).mean())
            looked_at += 1
    assert looked_at == 58
    assert max(marked) == 0


@pytest.mark.parametrize(("shape", "mpp"), [((61, 40), 8.0), ((3, 90), 8.0), ((200, 90), 0.9)])
def test_a_large_picture_is_looked_at_in_bands_and_none_is_seen(shape, mpp, monkeypatch):
    """However the picture is cut, every value is the same to the bit."""
    rgb = np.random.default_rng(3).integers(60, 255, (*shape, 3), dtype=np.uint8)
    whole = rim_strength(rgb, GLASS, mpp=mpp)
    monkeypatch.setattr("metastra.tissue.rims._BAND_PX", 1)
    assert np.array_equal(rim_strength(rgb, GLASS, mpp=mpp), whole)
    assert whole.any()
