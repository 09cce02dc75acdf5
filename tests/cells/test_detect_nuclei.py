"""Nuclei without weights: on discs, on painted tissue with known nuclei, and on real crops."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from metastra.cells.blur_kernel import blob_response, blur
from metastra.cells.detect import detect_nuclei
from metastra.cells.nuclei import Nuclei
from metastra.cells.seed_kernel import keep_strongest, local_maxima
from metastra.synthetic.painting.painter import Box, paint_region, slide_size
from metastra.synthetic.painting.scanners import SCANNERS
from metastra.synthetic.painting.scene import Recipe, make_scene
from metastra.testing.encoder_contract import awkward_tiles
from metastra.testing.nucleus_matching import NucleusAgreement, match_centroids

REPOSITORY = Path(__file__).resolve().parents[2]
PINK, PURPLE = (235, 180, 210), (90, 60, 140)


def discs(centres, radius_px, side=160, long_px=None):
    """Purple ellipses on pink."""
    y, x = np.mgrid[:side, :side]
    picture = np.full((side, side, 3), PINK, np.uint8)
    for cx, cy in centres:
        inside = ((x - cx) / (long_px or radius_px)) ** 2 + ((y - cy) / radius_px) ** 2 <= 1
        picture[inside] = PURPLE
    return picture


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("radius_um", [3.0, 4.5, 6.0])
def test_discs_are_found_at_their_place_and_size(mpp, radius_um):
    """At any resolution, in micrometres."""
    side = int(80 / mpp)
    true_um = np.array([[20, 20], [56, 20], [20, 58], [56, 58]], np.float64)

    found = detect_nuclei(discs(true_um / mpp, radius_um / mpp, side), mpp)

    assert len(found) == 4
    order = np.lexsort(found.centroids_px0.round(-1).T)
    assert found.centroids_px0[order] * mpp == pytest.approx(true_um, abs=0.6)
    # a sharp border on an empty ground is outlined about 1 µm outside
    assert found.radius_um == pytest.approx([radius_um] * 4, abs=1.5)
    assert found.class_names == (None,) * 4
    assert (found.shapes.eccentricity < 0.5).all()
    assert found.shapes.ellipse_fill == pytest.approx([1.0] * 4, abs=0.08)


def test_shape_of_an_ellipse():
    """Long axis along x, eccentricity of a 3 : 1 ellipse, contrast positive."""
    found = detect_nuclei(discs([(80, 80)], 7, long_px=14), 0.5)

    assert len(found) == 1
    assert abs(found.shapes.angle_rad[0]) < 0.1
    assert found.shapes.eccentricity[0] == pytest.approx(np.sqrt(1 - 0.25), abs=0.1)
    assert found.shapes.contrast_od[0] > 0.2


def test_touching_discs_are_two():
    """Two nuclei with a common border are split."""
    found = detect_nuclei(discs([(70, 80), (86, 80)], 8), 0.5)

    assert sorted(found.centroids_px0[:, 0].round()) == pytest.approx([70, 86], abs=1.5)


@pytest.mark.parametrize("name", sorted(awkward_tiles(64)))
@pytest.mark.parametrize("mpp", [0.1, 0.5, 1.5])
def test_no_picture_breaks_it(name, mpp):
    """Nothing is found where nothing is, and every measure is finite."""
    found = detect_nuclei(awkward_tiles(64)[name], mpp)

    if name in {"white", "black", "grey", "pink", "tiny contrast"}:
        assert len(found) == 0
    for values in vars(found.shapes).values():
        assert np.isfinite(values).all()
    again = detect_nuclei(awkward_tiles(64)[name], mpp)
    assert np.array_equal(again.centroids_px0, found.centroids_px0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 31), (33, 2)])
def test_small_and_odd_pictures(shape):
    """No size is too small."""
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)

    found = detect_nuclei(picture, 0.25)

    assert np.isfinite(found.centroids_px0).all()


def test_bad_input_is_refused():
    """Wrong type, wrong shape, and a resolution at which nothing can be seen."""
    picture = np.zeros((20, 20, 3), np.uint8)

    with pytest.raises(ValueError, match=r"expected 0\.1 to 1\.5"):
        detect_nuclei(picture, 2.0)
    with pytest.raises(ValueError, match="expected uint8"):
        detect_nuclei(picture.astype(np.float32), 0.5)
    with pytest.raises(ValueError, match="one of each per nucleus"):
        Nuclei(
            centroids_px0=np.zeros((2, 2)),
            radius_um=np.zeros(2),
            class_names=(None,),
            source="x",
        )


@pytest.fixture(scope="module")
def scene():
    return make_scene(Recipe(width_um=400.0, height_um=320.0, seed=8, label="nuclei"))


@pytest.mark.parametrize("name", ["Aurora S60", "Pelican 2", "Orbit 450"])
def test_painted_nuclei_are_found_by_every_scanner(scene, name):
    """Colour, sharpness and resolution change little; the truth is known to the pixel."""
    scanner = SCANNERS[name]
    width, height = slide_size(scene, scanner)
    box = Box(x_px0=0, y_px0=0, width_px0=width, height_px0=height)

    found = detect_nuclei(paint_region(scene, scanner, box), scanner.mpp)

    truth_um = np.column_stack([scene.nuclei.x_um, scene.nuclei.y_um])
    agreement = match_centroids((found.centroids_px0 + 0.5) * scanner.mpp, truth_um)
    assert agreement.n_true > 100
    assert agreement.f1 > 0.65
    assert 0.8 < agreement.n_found / agreement.n_true < 1.25


def test_the_blur_is_scipys():
    """Narrow to rounding; wide (on a halved map) closely, least so at an odd edge."""
    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(90, 77)), 2.0)
    image = image.astype(np.float32)

    for sigma, tolerance in [(1.0, 1e-3), (3.0, 1e-3), (7.0, 0.04), (20.0, 0.04)]:
        expected = ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=5.0)
        assert np.abs(blur(image, sigma) - expected).max() < tolerance * np.ptp(image)
    for sigma in (2.0, 6.0):
        expected = -(sigma**2) * ndimage.gaussian_laplace(image, sigma, mode="reflect")
        found = blob_response(image, sigma)
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
        assert found.std() / expected.std() == pytest.approx(1.0, abs=0.1)


def test_a_disc_answers_most_at_its_scale():
    """σ = r / √2 is the scale of a disc of radius r."""
    y, x = np.mgrid[:101, :101]
    disc = (((x - 50) ** 2 + (y - 50) ** 2) <= 10**2).astype(np.float32)
    sigmas = [3.0, 5.0, 10 / np.sqrt(2), 10.0, 14.0]

    answers = [blob_response(disc, sigma)[50, 50] for sigma in sigmas]

    assert int(np.argmax(answers)) == 2


def test_maxima_and_suppression_against_brute_force():
    """The grid of cells finds what comparing all pairs finds; a plateau counts once."""
    rng = np.random.default_rng(5)
    image = rng.integers(0, 6, (40, 50)).astype(np.float32)
    padded = np.pad(image, 1, constant_values=-1)
    expected = []
    for y in range(40):
        for x in range(50):
            window = padded[y : y + 3, x : x + 3].ravel()
            if image[y, x] > 0 and image[y, x] == window.max() and image[y, x] > window[:4].max():
                expected.append(y * 50 + x)
    assert local_maxima(image, 0.0).tolist() == expected

    x, y, radius = rng.uniform(0, 90, 300), rng.uniform(0, 70, 300), rng.uniform(1, 9, 300)
    order = rng.permutation(300)
    kept = []
    for i in order:
        near = [
            j for j in kept if np.hypot(x[i] - x[j], y[i] - y[j]) < 0.6 * max(radius[i], radius[j])
        ]
        if not near:
            kept.append(i)
    owner = keep_strongest(x, y, radius, order, 0.6)
    assert sorted(np.flatnonzero(owner == np.arange(300))) == sorted(kept)
    assert set(owner) == set(kept)


def test_matching_is_one_to_one_and_the_best():
    """A greedy match would take the wrong pair first and lose the second."""
    found = np.array([[0.0, 0.0], [2.5, 0.0]])
    truth = np.array([[2.4, 0.0], [-2.9, 0.0]])

    agreement = match_centroids(found, truth)

    assert agreement == NucleusAgreement(n_found=2, n_true=2, n_matched=2)
    assert match_centroids(np.zeros((0, 2)), truth).f1 == 0.0
    assert (agreement + agreement).f1 == 1.0


def test_monuseg_crops(shared, monkeypatch):
    """Counts follow the truth (r ≥ .85) and centroids match (F1 ≥ .60 at 3 µm), held out too."""
    pytest.importorskip("skimage")
    monkeypatch.syspath_prepend(str(REPOSITORY))
    monuseg = importlib.import_module("benchmarks.monuseg")

    crops = monuseg.measure_crops(shared / "data" / "tiles" / "monuseg_256")

    assert len(crops) == 14
    for some in (crops, monuseg.held_out(crops)):
        counts = np.array([[c.agreement.n_found, c.agreement.n_true] for c in some])
        total = NucleusAgreement(n_found=0, n_true=0, n_matched=0)
        for crop in some:
            total += crop.agreement
        assert np.corrcoef(counts.T)[0, 1] >= 0.85
        assert total.f1 >= 0.60
