"""Painted slides: the file, the pixels and the truth say the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile

from metastra.errors import ConfigError, SchemaError
from metastra.synthetic.covariates import Covariates
from metastra.synthetic.painting.artefacts import Artefact
from metastra.synthetic.painting.classes import (
    ARTEFACT_BITS,
    ArtefactKind,
    NucleusType,
    TissueClass,
)
from metastra.synthetic.painting.composition import Composition, Surroundings
from metastra.synthetic.painting.painted_truth import read_painted_truth, truth_of
from metastra.synthetic.painting.painter import Box, paint_region, paint_stain, slide_size
from metastra.synthetic.painting.pyramid import level_sizes
from metastra.synthetic.painting.scanners import SCANNERS, get_scanner
from metastra.synthetic.painting.scene import Recipe, make_scene
from metastra.synthetic.painting.slide_file import paint_slide, truth_path, write_slide

RECIPE = Recipe(
    width_um=640.0,
    height_um=520.0,
    surroundings=Surroundings(mucosa=0.15, muscle=0.1, fat=0.1),
    seed=8,
    label="test",
)
PELICAN = SCANNERS["Pelican 2"]


@pytest.fixture(scope="module")
def scene():
    return make_scene(RECIPE)


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A slide at 0.5 µm/px with its truth."""
    return paint_slide(tmp_path_factory.mktemp("painted") / "S1.tiff", RECIPE, PELICAN)


def whole(scene, scanner):
    """All pixels of a slide before JPEG, and the stain in them."""
    width, height = slide_size(scene, scanner)
    box = Box(x_px0=0, y_px0=0, width_px0=width, height_px0=height)
    return paint_region(scene, scanner, box), paint_stain(scene, scanner, box)


# ── composition ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("grade", [1, 2, 3])
@pytest.mark.parametrize(
    "shares",
    [
        {"tumour": 0.40, "stroma": 0.35, "lymphocytes": 0.08, "necrosis": 0.05},
        {"tumour": 0.15, "stroma": 0.60, "lymphocytes": 0.20, "necrosis": 0.01},
        {"tumour": 0.30, "stroma": 0.20, "lymphocytes": 0.02, "necrosis": 0.35},
    ],
)
def test_the_shares_of_the_tumour_area_are_those_asked_for(grade, shares):
    """Each tissue has its share to a thousandth, however the glands are built."""
    scene = make_scene(
        replace(RECIPE, composition=Composition(grade=grade, budding=10, **shares), seed=grade)
    )

    found = {name: scene.layout.share(TissueClass[name.upper()]) for name in shares}

    assert found == pytest.approx(shares, abs=0.001)


def test_the_composition_is_that_of_the_patient():
    """Fractions, grade and buds come from the covariates on which the hazards depend."""
    patient = Covariates.reference()

    composition = Composition.of_patient(patient, 0)

    assert composition == Composition(grade=2, budding=3)
    assert composition.rest == pytest.approx(0.12)


def test_surroundings_take_their_share_of_the_tissue(scene):
    """Muscle and fat outside the tumour area, and what is left is the tumour area."""
    classes, area = scene.layout.classes, scene.layout.tumour_area
    tissue = scene.layout.edge_um > 0

    assert (classes[~area & tissue] == TissueClass.FAT).sum() == pytest.approx(
        0.1 * tissue.sum(), abs=1
    )
    assert area.sum() == pytest.approx(0.65 * tissue.sum(), abs=3)


def test_wrong_compositions_are_refused_with_all_that_is_wrong():
    with pytest.raises(ConfigError, match=r"tumour 1\.2 is not within.*grade 5.*budding -1"):
        Composition(tumour=1.2, grade=5, budding=-1)
    with pytest.raises(ConfigError, match=r"add up to 1\.2, more than 1"):
        Composition(tumour=0.6, stroma=0.5, lymphocytes=0.05, necrosis=0.05)
    with pytest.raises(ConfigError, match="surroundings"):
        Surroundings(mucosa=0.5, fat=0.4)
    with pytest.raises(ConfigError, match="at least 100"):
        Recipe(width_um=20.0, height_um=500.0)
    with pytest.raises(ConfigError, match=r"120 mm² at most.*haematoxylin 9.*negative"):
        Recipe(width_um=5e4, height_um=5e4, haematoxylin=9.0, seed=-1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(bad):
    with pytest.raises(ConfigError):
        Composition(tumour=bad)
    with pytest.raises(ConfigError):
        Recipe(width_um=bad, height_um=500.0)
    with pytest.raises(ConfigError):
        replace(PELICAN, mpp=bad)


def test_wrong_scanners_and_artefacts_are_refused():
    with pytest.raises(ConfigError, match="'Aurora S60'"):
        get_scanner("Aurora S6")
    with pytest.raises(ConfigError, match="must absorb, and in different colours"):
        replace(PELICAN, eosin=PELICAN.haematoxylin)
    with pytest.raises(ConfigError, match="jpeg_quality"):
        replace(PELICAN, jpeg_quality=0)
    with pytest.raises(ConfigError, match="long ≥ short"):
        Artefact(kind=ArtefactKind.PEN, x_um=0, y_um=0, long_um=5, short_um=50)
    with pytest.raises(ConfigError, match="strength 2 is not within 0 to 1"):
        Artefact(kind=ArtefactKind.FADING, x_um=0, y_um=0, long_um=50, short_um=50, strength=2)


# ── pixels and truth ────────────────────────────────────────────────────────────────────────


def test_haematoxylin_is_where_the_nuclei_are(scene):
    """The stain at the centres is several times that of the tissue outside all nuclei."""
    _, stain = whole(scene, PELICAN)
    truth = truth_of(scene, PELICAN)
    x, y = np.floor(truth.nuclei_px0).astype(int).T
    rows, columns = np.indices(stain.shape[1:])
    outside = np.ones(stain.shape[1:], dtype=bool)
    for (cx, cy), radius in zip(truth.nuclei_px0, truth.nuclei_radius_um, strict=True):
        r = int(3 * radius / PELICAN.mpp) + 2
        window = (slice(max(int(cy) - r, 0), int(cy) + r), slice(max(int(cx) - r, 0), int(cx) + r))
        far = np.hypot(columns[window] - cx, rows[window] - cy) > 3 * radius / PELICAN.mpp
        outside[window] &= far
    epithelium = truth.class_at(columns.ravel(), rows.ravel()).reshape(outside.shape)
    outside &= epithelium != TissueClass.GLASS

    assert len(x) > 500
    assert np.median(stain[0, y, x]) > 4 * np.median(stain[0, outside])
    assert np.mean(stain[0, y, x] > 0.35) > 0.97


def test_each_type_of_nucleus_lies_in_its_tissue(scene):
    """Also the sizes of the types are those of the truth."""
    truth = truth_of(scene, PELICAN)
    where = truth.class_at(*truth.nuclei_px0.T)
    home = {
        NucleusType.TUMOUR: {TissueClass.TUMOUR},
        NucleusType.NORMAL: {TissueClass.NORMAL},
        NucleusType.PYKNOTIC: {TissueClass.NECROSIS},
        NucleusType.MUSCLE: {TissueClass.MUSCLE},
        NucleusType.FIBROBLAST: {TissueClass.STROMA},
        NucleusType.ADIPOCYTE: {TissueClass.FAT},
        NucleusType.LYMPHOCYTE: {TissueClass.LYMPHOCYTES, TissueClass.STROMA, TissueClass.TUMOUR},
    }
    for kind, places in home.items():
        mine = where[truth.nuclei_type == kind]
        assert mine.size, kind
        assert np.isin(mine, list(places)).mean() > 0.93, kind
    radius = {k: np.median(truth.nuclei_radius_um[truth.nuclei_type == k]) for k in NucleusType}
    assert radius[NucleusType.PYKNOTIC] < radius[NucleusType.LYMPHOCYTE]
    assert radius[NucleusType.LYMPHOCYTE] < radius[NucleusType.TUMOUR]


def test_no_nucleus_lies_upon_another(scene):
    nuclei = scene.nuclei
    points = np.stack([nuclei.x_um, nuclei.y_um], axis=1)
    away = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    np.fill_diagonal(away, np.inf)

    assert away.min() >= 4.5


def test_tissues_have_their_colours(scene):
    """Glass and lumens are white; muscle has most eosin; nuclei of glands make them blue."""
    rgb, stain = whole(scene, PELICAN)
    rows, columns = np.indices(rgb.shape[:2])
    classes = truth_of(scene, PELICAN).class_at(columns.ravel(), rows.ravel()).reshape(rows.shape)
    eosin = {kind: float(stain[1][classes == kind].mean()) for kind in TissueClass}
    haematoxylin = {kind: float(stain[0][classes == kind].mean()) for kind in TissueClass}

    assert np.abs(rgb[classes == TissueClass.GLASS].mean(axis=0) - PELICAN.white).max() < 4
    assert rgb[classes == TissueClass.LUMEN].mean() > 225
    assert eosin[TissueClass.MUSCLE] == max(eosin.values())
    assert haematoxylin[TissueClass.LYMPHOCYTES] > 2 * haematoxylin[TissueClass.STROMA]
    assert haematoxylin[TissueClass.TUMOUR] > 2 * haematoxylin[TissueClass.STROMA]
    assert eosin[TissueClass.FAT] < 0.3 * eosin[TissueClass.STROMA]


@pytest.mark.parametrize("name", SCANNERS)
def test_colour_deconvolution_gives_the_stain_back(scene, name):
    """With the scanner's vectors, optical density solves to the painted stain."""
    sharp = replace(SCANNERS[name], blur_um=0.0, noise=0.0)
    box = Box(x_px0=300, y_px0=300, width_px0=256, height_px0=200)
    rgb = paint_region(scene, sharp, box).astype(float)
    density = -np.log(np.maximum(rgb, 1.0) / np.array(sharp.white))
    found = density.reshape(-1, 3) @ np.linalg.pinv(sharp.stain_matrix)
    true = paint_stain(scene, sharp, box).reshape(2, -1).T

    light = rgb.reshape(-1, 3).min(axis=1) > 25
    assert np.abs(found - true)[light].max() < 0.05
    assert np.abs(found - true).mean() < 0.01
    for stain in (0, 1):
        assert np.corrcoef(found[:, stain], true[:, stain])[0, 1] > 0.998


def test_the_lens_blurs_as_declared(scene):
    """The second moment of what a point becomes is the declared one."""
    from metastra.synthetic.painting.optics_kernels import smear
    from metastra.synthetic.painting.painter import _lens

    for scanner in SCANNERS.values():
        sigma = scanner.blur_um / scanner.mpp
        weights = _lens(sigma)
        reach = weights.size - 1
        point = np.zeros((3, 41 + 2 * reach, 41), dtype=np.float32)
        point[:, 20 + reach, 20] = 1.0
        seen = np.empty((3, 41, 41), dtype=np.float32)
        smear(point, weights, seen)
        place = np.arange(41) - 20

        assert seen[0].sum() == pytest.approx(1.0, abs=1e-5)
        assert np.sqrt((seen[0].sum(axis=0) * place**2).sum()) == pytest.approx(sigma, rel=0.06)


def test_the_noise_is_as_declared(scene):
    """Its standard deviation on glass, and the same again for the same pixel."""
    glass = Box(x_px0=-400, y_px0=-300, width_px0=256, height_px0=256)
    for scanner in SCANNERS.values():
        rgb = paint_region(scene, scanner, glass).astype(float)
        per_channel = rgb.std(axis=(0, 1))
        # the channels' own byte adds half as much variance; rounding adds a twelfth
        assert rgb.mean(axis=(0, 1)) == pytest.approx(scanner.white, abs=0.1)
        assert per_channel == pytest.approx(np.sqrt(1.25 * scanner.noise**2 + 1 / 12), rel=0.12)


def test_the_scanners_differ_as_declared(scene):
    """One tissue: each scanner has its colour, its pixels and its sharpness."""
    mean = {}
    for scanner in SCANNERS.values():
        rgb, stain = whole(scene, scanner)
        tissue = stain[1] > 0.1
        density = -np.log(np.maximum(rgb[tissue], 1) / np.array(scanner.white)).mean(axis=0)
        expected = stain[:, tissue].mean(axis=1) @ scanner.stain_matrix
        assert density == pytest.approx(expected, abs=0.02)
        mean[scanner.name] = density / np.linalg.norm(density)
        width, height = slide_size(scene, scanner)
        assert width * scanner.mpp == pytest.approx(640.0, abs=64 * scanner.mpp)
        assert height * scanner.mpp == pytest.approx(520.0, abs=64 * scanner.mpp)
    names = list(mean)
    for i, first in enumerate(names):
        for second in names[:i]:
            assert np.linalg.norm(mean[first] - mean[second]) > 0.02, (first, second)


def test_regions_fit_together(scene):
    """A pixel is the same whatever region it is painted with."""
    rgb, _ = whole(scene, PELICAN)
    box = Box(x_px0=211, y_px0=307, width_px0=190, height_px0=77)

    part = paint_region(scene, PELICAN, box)

    assert (part == rgb[307 : 307 + 77, 211 : 211 + 190]).all()


# ── artefacts ───────────────────────────────────────────────────────────────────────────────


def artefact(kind, **more):
    size = (
        {"long_um": 260.0, "short_um": 120.0}
        if kind != "fold"
        else {"long_um": 300.0, "short_um": 50.0}
    )
    return Artefact(
        kind=ArtefactKind(kind), x_um=320.0, y_um=260.0, **{**size, "strength": 0.7, **more}
    )


@cache
def without_artefacts():
    return whole(make_scene(RECIPE), PELICAN)


def seen_with(kind, **more):
    """Pixels and truth with and without an artefact, and where the truth says it is."""
    spoiled = make_scene(replace(RECIPE, artefacts=(artefact(kind, **more),)))
    truth = truth_of(spoiled, PELICAN)
    first, second = without_artefacts(), whole(spoiled, PELICAN)
    rows, columns = np.indices(first[0].shape[:2])
    row = np.minimum(np.rint(rows * PELICAN.mpp / truth.cell_um), truth.classes.shape[0] - 1)
    column = np.minimum(np.rint(columns * PELICAN.mpp / truth.cell_um), truth.classes.shape[1] - 1)
    bits = truth.artefacts[row.astype(int), column.astype(int)]
    return first, second, (bits & ARTEFACT_BITS[ArtefactKind(kind)]) > 0


@pytest.mark.parametrize("kind", [kind.value for kind in ArtefactKind])
def test_an_artefact_changes_pixels_where_the_truth_says_and_hardly_elsewhere(kind):
    strength = {"blur": 3.0}.get(kind, 0.7)
    (clean, stain), (spoiled, _), inside = seen_with(kind, strength=strength)
    change = np.abs(clean.astype(int) - spoiled).max(axis=2)
    # what only acts on stain cannot be seen in lumens
    seen = inside & (stain.max(axis=0) > 0.15)

    assert 0.02 < inside.mean() < 0.2
    assert (change[seen] > 3).mean() > 0.85
    assert (change[~inside] > 3).mean() < 0.05


def test_a_fold_doubles_the_stain_and_fading_takes_it():
    (_, clean), (_, folded), inside = seen_with("fold", strength=1.0)
    assert folded[:, inside].mean() == pytest.approx(2 * clean[:, inside].mean(), rel=0.25)

    (_, clean), (_, faded), inside = seen_with("fading", strength=0.6)
    middle = inside & (faded[1] < 0.42 * clean[1])
    stained = inside & (clean[1] > 0.15)
    assert (middle & stained).sum() > 0.6 * stained.sum()


def test_blank_is_white_dark_is_black_and_ink_has_its_colour():
    (_, _), (rgb, _), inside = seen_with("blank")
    assert (rgb[inside] == 255).mean() > 0.97
    (_, _), (rgb, _), inside = seen_with("dark")
    assert (rgb[inside] == 0).mean() > 0.97
    (_, _), (rgb, _), inside = seen_with("pen", strength=1.0, ink="green")
    red, green, blue = rgb[inside].astype(int).T
    assert ((green > red) & (green > blue)).mean() > 0.9


def test_blur_takes_the_fine_detail():
    (clean, _), (blurred, _), inside = seen_with("blur", strength=3.0)
    sharp, soft = (
        np.abs(np.diff(rgb[..., 1].astype(float), axis=1))[inside[:, 1:]].mean()
        for rgb in (clean, blurred)
    )

    assert soft < 0.6 * sharp


# ── the file ────────────────────────────────────────────────────────────────────────────────


def test_openslide_and_tifffile_see_the_painted_pixels(painted, scene):
    """Equal to each other at level 0, and to the painting up to JPEG."""
    rgb, _ = whole(scene, PELICAN)
    with openslide.OpenSlide(painted.slide) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5, rel=1e-9)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.5, rel=1e-9)
        assert slide.dimensions == (painted.width_px0, painted.height_px0) == rgb.shape[1::-1]
        assert slide.level_dimensions == tuple(level_sizes(*slide.dimensions))
        assert slide.level_downsamples == tuple(4.0**k for k in range(slide.level_count))
        seen = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
    with tifffile.TiffFile(painted.slide) as file:
        page = file.pages[0]
        tiles = np.zeros((page.imagelength + 256, page.imagewidth + 256, 3), np.uint8)
        per_row = -(-page.imagewidth // 256)
        for k, (offset, size) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
            file.filehandle.seek(offset)
            tile = simplejpeg.decode_jpeg(file.filehandle.read(size), fastdct=False)
            top, left = k // per_row * 256, k % per_row * 256
            tiles[top : top + 256, left : left + 256] = tile
    read = tiles[: rgb.shape[0], : rgb.shape[1]]

    assert (seen == read).all()
    difference = np.abs(seen.astype(int) - rgb)
    assert difference.mean() < 4
    assert np.abs(seen.mean(axis=(0, 1)) - rgb.mean(axis=(0, 1))).max() < 1


def test_levels_are_means_of_areas(tmp_path, scene):
    """Each level is the mean of four by four pixels of the one before, up to the best JPEG."""
    best = replace(PELICAN, jpeg_quality=100, subsampling="444")
    write_slide(tmp_path / "best.tiff", scene, best)
    rgb, _ = whole(scene, best)
    with openslide.OpenSlide(tmp_path / "best.tiff") as slide:
        assert slide.level_count == 3
        for level in range(1, slide.level_count):
            width, height = slide.level_dimensions[level]
            step = 4**level
            mean = rgb.reshape(height, step, width, step, 3).mean(axis=(1, 3))
            seen = np.asarray(slide.read_region((0, 0), level, (width, height)).convert("RGB"))
            assert np.abs(seen - mean).mean() < 0.8
            assert np.abs(seen.mean(axis=(0, 1)) - rgb.mean(axis=(0, 1))).max() < 0.5


@pytest.mark.parametrize("name", SCANNERS)
def test_every_scanner_says_its_resolution(tmp_path, name):
    """Also those whose resolution is no short fraction of a centimetre."""
    scanner = SCANNERS[name]
    scene = make_scene(Recipe(width_um=160.0, height_um=120.0))
    write_slide(tmp_path / "a.tiff", scene, scanner)
    with openslide.OpenSlide(tmp_path / "a.tiff") as slide:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(scanner.mpp, rel=1e-7)
        assert slide.properties["tiff.ImageDescription"].startswith("metastra painted slide")


def test_the_same_recipe_gives_the_same_bytes(tmp_path):
    """And another seed, label or scanner gives others."""
    small = Recipe(width_um=200.0, height_um=150.0, seed=5)
    first = paint_slide(tmp_path / "a.tiff", small, PELICAN)
    again = paint_slide(tmp_path / "b.tiff", small, PELICAN)
    other = paint_slide(tmp_path / "c.tiff", replace(small, label="other"), PELICAN)
    seed = paint_slide(tmp_path / "d.tiff", replace(small, seed=6), PELICAN)

    assert first.slide_sha256 == again.slide_sha256
    assert first.truth_sha256 == again.truth_sha256
    assert len({first.slide_sha256, other.slide_sha256, seed.slide_sha256}) == 3
    assert hashlib.sha256(again.slide.read_bytes()).hexdigest() == first.slide_sha256


def test_the_truth_is_read_back(painted, scene):
    """Every array and the recipe; nothing in it needs code to be read."""
    truth, expected = read_painted_truth(painted.truth), truth_of(scene, PELICAN)

    assert painted.truth == truth_path(painted.slide)
    assert truth.recipe == RECIPE
    assert (truth.scanner, truth.mpp, truth.cell_um) == ("Pelican 2", 0.5, 2.0)
    for name in ("classes", "tumour_area", "artefacts", "nuclei_px0", "nuclei_type", "buds_px0"):
        assert (getattr(truth, name) == getattr(expected, name)).all()
    assert truth.share(TissueClass.TUMOUR) == pytest.approx(0.40, abs=0.001)
    assert all(truth.artefact_fraction(kind) == 0 for kind in ArtefactKind)


def test_recipes_with_artefacts_survive_writing():
    recipe = replace(RECIPE, artefacts=(artefact("pen", ink="red"), artefact("dark")))

    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"hello"])
def test_what_is_no_truth_is_refused(tmp_path, content):
    path = Path(tmp_path / "x.truth.npz")
    path.write_bytes(content)
    with pytest.raises(SchemaError, match=r"x\.truth\.npz holds no file of numpy arrays"):
        read_painted_truth(path)


def test_arrays_of_something_else_are_refused(tmp_path):
    np.savez(tmp_path / "x.truth.npz", classes=np.zeros((2, 2), np.uint8))
    with pytest.raises(SchemaError, match="holds no about, artefacts, buds_px0"):
        read_painted_truth(tmp_path / "x.truth.npz")
