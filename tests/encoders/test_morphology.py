"""The embedded encoder: names that say what they are, and numbers that follow the tissue."""

from __future__ import annotations

import csv
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from metastra.encoders.mask_kernel import masked_quantiles, moments
from metastra.encoders.morphology import FEATURES, Morphology
from metastra.encoders.texture_kernel import (
    LEVELS,
    binary_patterns,
    cooccurrences,
    haralick,
    quantise,
)
from metastra.stats.proportions import wilson_interval
from metastra.synthetic.painting.painter import Box, paint_region
from metastra.synthetic.painting.scanners import SCANNERS
from metastra.synthetic.painting.scene import Recipe, make_scene
from metastra.testing.encoder_contract import awkward_tiles
from metastra.tissue.deconvolution import EOSIN, HAEMATOXYLIN, stain_densities
from metastra.tissue.stain_jitter import jitter_stains

REPOSITORY = Path(__file__).resolve().parents[2]
UNITS = (
    "_od", "_um", "_um2", "_per_mm2", "_share", "_ratio", "_index", "_correlation", "_bits",
    "_mean", "_of_tile", "_of_tissue",
)  # fmt: skip
NAMES = [feature.name for feature in FEATURES]


def named(encoder, tile):
    return dict(zip(NAMES, encoder.encode(tile[None])[0].tolist(), strict=True))


@pytest.fixture(scope="module")
def encoder():
    return Morphology()


@pytest.fixture(scope="module")
def painted():
    """The same 112 µm of painted tissue as three scanners see it, at 0.5 µm per pixel or near."""
    scene = make_scene(Recipe(width_um=400.0, height_um=320.0, seed=8, label="nuclei"))
    box = Box(x_px0=300, y_px0=220, width_px0=224, height_px0=224)
    return scene, box, paint_region(scene, SCANNERS["Pelican 2"], box)


def test_every_feature_is_named_with_its_unit_and_defined():
    """Lower case, unique, unit at the end, a sentence for each."""
    assert len(set(NAMES)) == len(NAMES) > 200
    for feature in FEATURES:
        assert re.fullmatch(r"[a-z0-9_]+", feature.name), feature.name
        assert feature.name.endswith(UNITS), feature.name
        assert feature.definition.endswith("."), feature.name
        assert feature.group


def test_glass_is_all_zero(encoder):
    """Nothing is measured where nothing is."""
    values = named(encoder, awkward_tiles(224)["white"])

    assert values.pop("lumen_largest_share") == 1.0
    assert values.pop("lumina_per_mm2") > 0
    kept = {name for name, value in values.items() if value != 0}
    assert kept <= {"lumen_area_mean_um2", "lumen_ellipse_fill_mean_ratio"}


def test_nuclei_are_counted_as_painted(encoder, painted):
    """Density of the tile against the truth of the painting."""
    scene, box, tile = painted
    x, y = scene.nuclei.x_um / 0.5 - box.x_px0, scene.nuclei.y_um / 0.5 - box.y_px0
    inside = (x >= 0) & (x < 224) & (y >= 0) & (y < 224)

    values = named(encoder, tile)

    per_mm2 = inside.sum() / 0.112**2
    assert inside.sum() > 20
    assert values["nuclei_per_mm2_of_tile"] == pytest.approx(per_mm2, rel=0.3)
    true_area = float(np.mean(np.pi * (scene.nuclei.long_um * scene.nuclei.short_um)[inside]))
    assert values["nucleus_area_mean_um2"] == pytest.approx(true_area, rel=0.5)


def test_a_stronger_stain_changes_only_what_is_absolute(encoder, painted):
    """Relative features cancel a factor on the stains; optical densities follow it."""
    density = -np.log10(np.maximum(painted[2], 1) / 255.0)
    stronger = np.rint(255.0 * 10.0 ** (-1.25 * density)).astype(np.uint8)

    before, after = named(encoder, painted[2]), named(encoder, stronger)

    assert after["haematoxylin_mean_od"] == pytest.approx(
        1.25 * before["haematoxylin_mean_od"], rel=0.06
    )
    for name in NAMES:
        if "_variation_" in name and name.endswith("_sd_ratio"):
            assert after[name] == pytest.approx(before[name], rel=0.1), name
        if name.startswith("haematoxylin_pairs_4um") or name.endswith("neighbours_share"):
            assert after[name] == pytest.approx(before[name], rel=0.25, abs=0.03), name


def test_a_quarter_turn_changes_almost_nothing(encoder, painted):
    """A slide has no up: all but the odd rounding of a direction stays."""
    before, after = (encoder.encode(np.ascontiguousarray(t)[None])[0] for t in (
        painted[2], np.rot90(painted[2])
    ))  # fmt: skip

    close = np.isclose(before, after, rtol=0.05, atol=0.02)
    assert close.mean() > 0.97


def test_stripes_run_in_one_direction_and_noise_in_none(encoder):
    """Coherence tells fibres from grain."""
    x = np.arange(224)[None, :].repeat(224, axis=0)
    wave = (40 * np.sin(2 * np.pi * x / 16)).astype(np.int64)[..., None]
    stripes = np.clip(np.array([180, 110, 170]) + wave, 0, 255).astype(np.uint8)
    grain = np.random.default_rng(0).normal(0, 40, (224, 224))[..., None]
    noise = np.clip(np.array([180, 110, 170]) + grain, 0, 255).astype(np.uint8)

    lined, grainy = named(encoder, stripes), named(encoder, noise)

    assert lined["haematoxylin_coherence_tile_index"] > 0.95
    assert lined["haematoxylin_direction_entropy_index"] < 0.3
    assert grainy["haematoxylin_coherence_tile_index"] < 0.1
    assert grainy["haematoxylin_direction_entropy_index"] > 0.95


def test_lumen_blood_pigment_and_black(encoder):
    """Each is counted where it is, and only there."""
    tile = np.full((224, 224, 3), (200, 130, 180), np.uint8)
    tile[60:100, 60:100] = 250
    tile[:20, :50] = (220, 60, 70)
    tile[200:, :100] = (150, 110, 40)
    tile[200:, 200:] = 5

    values = named(encoder, tile)

    assert values["lumen_largest_share"] == pytest.approx(1600 / 224**2, rel=0.15)
    assert values["lumina_per_mm2"] == pytest.approx(1 / 0.112**2)
    assert values["blood_like_share"] == pytest.approx(1000 / 224**2)
    assert values["pigment_like_share"] == pytest.approx(2400 / 224**2)
    assert values["black_share"] == pytest.approx(576 / 224**2)


def test_fat_is_told_from_lumen_and_glass(encoder):
    """Large round spaces between thin walls; neither a lumen in thick tissue nor an edge."""
    y, x = np.mgrid[:224, :224]
    tissue = np.full((224, 224, 3), (215, 150, 190), np.uint8)
    fat, lumen, edge = tissue.copy(), tissue.copy(), tissue.copy()
    fat[(x % 56 - 28) ** 2 + (y % 56 - 28) ** 2 < 26**2] = 245
    fat[:, ::56], fat[::56] = (110, 70, 150), (110, 70, 150)
    lumen[(x - 112) ** 2 + (y - 112) ** 2 < 40**2] = 245
    edge[:, :110] = 245

    shares = [named(encoder, tile)["fat_like_share"] for tile in (fat, lumen, edge)]

    assert shares[0] > 0.5
    assert shares[1:] == [0.0, 0.0]


def test_real_fat_and_blood_come_first(encoder, shared):
    """Among all ORION tiles: the one of fat, and fields of erythrocytes."""
    pillow = importlib.import_module("PIL.Image")
    paths = sorted((shared / "data" / "tiles" / "orion_crc_he").glob("*.png"))
    tiles = np.stack([np.asarray(pillow.open(path).convert("RGB")) for path in paths])

    features = encoder.encode(tiles)

    def first(name, n):
        order = np.argsort(-features[:, NAMES.index(name)])
        return {paths[i].name for i in order[:n]}

    assert first("fat_like_share", 1) == {"topic2_C05_11607.png"}
    # fields of erythrocytes, told by eye
    blood = {"topic2_C05_15407.png", "topic2_C05_20407.png", "topic4_C01_22007.png"}
    assert first("blood_like_share", 5) >= blood


def test_scales_are_micrometres(painted):
    """The same tissue at half the resolution gives nearly the same architecture."""
    tile = painted[2]
    halved = tile.reshape(112, 2, 112, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)

    fine = named(Morphology(), tile)
    coarse = named(Morphology(mpp=1.0, tile_px=112), halved)

    for name in ("tissue_share", "dense_share", "haematoxylin_autocorrelation_16um_correlation"):
        assert coarse[name] == pytest.approx(fine[name], abs=0.08), name
    assert coarse["nucleus_area_mean_um2"] == pytest.approx(fine["nucleus_area_mean_um2"], rel=0.4)


@pytest.mark.parametrize(("mpp", "tile_px"), [(0.1, 224), (1.6, 224), (0.5, 16)])
def test_impossible_tiles_are_refused(mpp, tile_px):
    """Too coarse for nuclei, too fine, or too small for a window."""
    with pytest.raises(ValueError, match="morphology was asked for"):
        Morphology(mpp=mpp, tile_px=tile_px)


def drawn_tile():
    """A tile that hangs on nothing but this function: waves, ellipses of three sizes, a lumen."""
    y, x = np.mgrid[:224, :224]
    grain = (x * 7919 + y * 104729 + x * y * 31) % 17 - 8
    wave = 12 * np.sin((x + 2 * y) / 9.0)
    tile = np.array([215, 150, 190]) + (wave + grain)[..., None]
    for number in range(60):
        cx, cy = (number * 83 + 11) % 224, (number * 47 + 29) % 224
        long, short = 7 + number % 7, 5 + number % 3
        across, along = (x - cx) + 0.3 * (number % 5) * (y - cy), (y - cy)
        inside = (across / long) ** 2 + (along / short) ** 2 <= 1
        tile[inside] = np.array([100, 70, 150]) + grain[inside][:, None] + number % 30
    tile[(x - 150) ** 2 + (y - 70) ** 2 < 24**2] = 245
    return np.clip(tile, 0, 255).astype(np.uint8)


def test_the_revision_belongs_to_these_numbers(encoder):
    """A change of any feature must come with a new revision, or old and new features mix."""
    values = named(encoder, drawn_tile())
    stored = STORED[encoder.card.revision]

    assert len(FEATURES) == stored["n_features"]
    for name, value in stored["values"].items():
        assert values[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name


def reference_tiles():
    """The drawn tile and parts of it, each with the scale at which it is measured."""
    tile = drawn_tile()
    turned = np.ascontiguousarray(tile[::-1, 40:173].transpose(1, 0, 2)[:, :133])
    pale = np.clip(tile.astype(np.int64) + 45, 0, 255).astype(np.uint8)
    return {
        "drawn at 0.5": (tile, 0.5),
        "drawn at 0.25": (tile, 0.25),
        "cut at 0.7": (tile[:201, 13:214].copy(), 0.7),
        "turned at 1": (turned, 1.0),
        "pale at 0.5": (pale, 0.5),
    }


def test_the_values_are_those_of_the_first_implementation():
    """Faster loops changed no feature: all were stored before they came (revision 2)."""
    with (Path(__file__).parent / "morphology_2.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert [row[0] for row in rows] == NAMES
    stored = np.array([row[1:] for row in rows], np.float64)
    tiles = reference_tiles()
    assert header[1:] == list(tiles)

    for number, (name, (tile, mpp)) in enumerate(tiles.items()):
        found = Morphology(mpp=mpp, tile_px=len(tile)).encode(tile[None])[0]
        assert found == pytest.approx(stored[:, number], rel=1e-6, abs=1e-7), name


def test_real_tiles_have_the_values_of_the_first_implementation(encoder, shared):
    """Mean and root mean square of each feature over the ORION tiles, stored with revision 2.

    One pixel more in one pattern, or one nucleus more in one tile, would be seen.
    """
    pillow = importlib.import_module("PIL.Image")
    paths = sorted((shared / "data" / "tiles" / "orion_crc_he").glob("*.png"))
    tiles = [np.asarray(pillow.open(path).convert("RGB")) for path in paths]
    found = encoder.encode(np.stack([tile for tile in tiles if tile.shape[:2] == (224, 224)]))
    with (Path(__file__).parent / "morphology_2_real.csv").open(encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    assert [row[0] for row in rows] == NAMES
    stored = np.array([row[1:] for row in rows], np.float64)

    values = found.astype(np.float64)
    assert values.mean(axis=0) == pytest.approx(stored[:, 0], rel=1e-6, abs=1e-8)
    squares = np.sqrt((values**2).mean(axis=0))
    assert squares == pytest.approx(stored[:, 1], rel=1e-6, abs=1e-8)


STORED = {
    "2": {
        "n_features": 243,
        "values": {
            "tissue_share": 0.966976,
            "haematoxylin_p50_to_p10_log_ratio": 0.482098,
            "eosin_p50_to_p10_log_ratio": 1.66701,
            "haematoxylin_variation_4_to_8um_sd_ratio": 0.0886131,
            "haematoxylin_pairs_4um_correlation": 0.38,
            "haematoxylin_circle_1p5um_0_darker_neighbours_share": 0.290143,
            "haematoxylin_circle_4um_1_darker_neighbours_share": 0.0653496,
            "eosin_variation_1_to_2um_sd_ratio": 0.073782,
            "eosin_pairs_1p5um_energy_index": 0.117496,
            "eosin_pairs_12um_homogeneity_index": 0.491375,
            "eosin_circle_1p5um_7_darker_neighbours_share": 0.000152615,
            "eosin_circle_4um_8_darker_neighbours_share": 0.0191074,
            "eosin_coherence_15um_mean_index": 0.822108,
            "nucleus_area_p90_um2": 122.25,
            "nucleus_haematoxylin_p10_od": 0.487669,
            "nucleus_chromatin_variation_sd_ratio": 0.0403192,
            "nearest_nucleus_mean_um": 10.5279,
            "nucleus_haematoxylin_difference_neighbours_log_ratio": 0.055329,
            "pale_under_25_percent_share": 0.00284425,
            "pale_blobs_24um_per_mm2": 159.439,
            "haematoxylin_blocks_variation_ratio": 0.315883,
            "dense_separation_index": 0.801724,
            "loose_nuclei_per_mm2": 0,
        },
    }
}
"""Every 11th feature of the drawn tile, by revision."""


def test_deconvolution_gives_back_what_was_mixed():
    """Beer and Lambert there and back, to the rounding of a grey level."""
    rng = np.random.default_rng(3)
    amounts = rng.uniform(0, 0.7, (30, 40, 2))
    vectors = np.array([HAEMATOXYLIN, EOSIN])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rgb = np.rint(255 * 10.0 ** -(amounts @ vectors)).astype(np.uint8)

    separated = stain_densities(rgb)

    assert separated[0] == pytest.approx(amounts[..., 0], abs=0.03)
    assert separated[1] == pytest.approx(amounts[..., 1], abs=0.03)
    assert np.abs(separated[2]).max() < 0.02
    with pytest.raises(ValueError, match="nearly one colour"):
        stain_densities(rgb, haematoxylin=EOSIN)


def test_deconvolution_is_scikit_images():
    """Against an independent implementation with the same vectors."""
    color = pytest.importorskip("skimage.color")
    rgb = np.random.default_rng(4).integers(1, 256, (20, 30, 3), dtype=np.uint8)
    rows = np.array([HAEMATOXYLIN, EOSIN, np.cross(HAEMATOXYLIN, EOSIN)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)

    # theirs takes the logarithm to the base of 1e-6, and cuts at 0
    expected = color.separate_stains(rgb, np.linalg.inv(rows)) * 6.0

    assert np.maximum(np.moveaxis(stain_densities(rgb), 0, -1), 0) == pytest.approx(
        expected, abs=2e-3
    )


def test_texture_against_scikit_image():
    """Co-occurrence and its measures, and local binary patterns."""
    feature = pytest.importorskip("skimage.feature")
    rng = np.random.default_rng(6)
    image = rng.random((30, 40)).astype(np.float32)
    mask = np.ones(image.shape, bool)
    levels = np.empty(image.shape, np.uint8)
    quantise(image, mask, 1.0, levels)
    theirs = feature.graycomatrix(levels, [3], [0], levels=LEVELS, symmetric=True)[:, :, 0, 0]

    counts, down = cooccurrences(levels, np.array([3, 0]), np.array([0, 2]))

    assert np.array_equal(counts, theirs)
    below = feature.graycomatrix(levels, [2], [np.pi / 2], levels=LEVELS, symmetric=True)
    assert np.array_equal(down, below[:, :, 0, 0])
    share = theirs / theirs.sum()
    props = {
        name: float(feature.graycoprops(share[:, :, None, None], name)[0, 0])
        for name in ("contrast", "correlation", "homogeneity", "ASM")
    }
    entropy = -float(np.sum(share[share > 0] * np.log2(share[share > 0])))
    assert haralick(counts) == pytest.approx((*props.values(), entropy))

    around = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    circles = np.array([list(zip(*around, strict=True))])
    found = binary_patterns(image[None, None], np.zeros(1, np.int64), mask, circles, 0.0)[0, 0]
    brute = np.zeros(10)
    for y in range(1, 29):
        for x in range(1, 39):
            bits = [image[y + v, x + u] > image[y, x] for u, v in around]
            changes = sum(bits[k] != bits[k - 1] for k in range(8))
            brute[sum(bits) if changes <= 2 else 9] += 1
    assert found == pytest.approx(brute / brute.sum())


def test_moments_and_quantiles_against_scipy():
    """Inside a mask; empty and flat maps give zeros."""
    stats = importlib.import_module("scipy.stats")
    rng = np.random.default_rng(7)
    image = rng.gamma(2.0, 0.2, (50, 60)).astype(np.float32)
    mask = rng.random(image.shape) > 0.4
    inside = image[mask].astype(np.float64)

    expected = (inside.mean(), inside.std(), stats.skew(inside))
    assert moments(image, mask) == pytest.approx(expected, rel=1e-5)
    shares = np.array([0.1, 0.5, 0.9])
    expected = np.quantile(inside, shares, method="lower")
    assert masked_quantiles(image, mask, shares) == pytest.approx(expected, abs=0.0013)
    assert moments(image, np.zeros_like(mask)) == (0.0, 0.0, 0.0)
    assert moments(np.ones_like(image), mask) == pytest.approx((1.0, 0.0, 0.0))


def test_jitter_restains_and_repeats():
    """The same draws give the same pixels; the structure stays, the colour does not."""
    tiles = np.random.default_rng(1).integers(60, 250, (3, 20, 20, 3), dtype=np.uint8)

    one = jitter_stains(tiles, np.random.default_rng(5))
    again = jitter_stains(tiles, np.random.default_rng(5))
    none = jitter_stains(tiles, np.random.default_rng(5), strength=0.0)

    assert np.array_equal(one, again)
    assert not np.array_equal(one, tiles)
    assert np.abs(none.astype(int) - tiles).max() <= 1
    colour = [np.corrcoef(one[k].ravel(), tiles[k].ravel())[0, 1] for k in range(3)]
    assert min(colour) > 0.8
    with pytest.raises(ValueError, match="expected 0 or more"):
        jitter_stains(tiles, np.random.default_rng(5), strength=-1.0)


@pytest.mark.slow
def test_polito_tiles(shared, monkeypatch):
    """Another staining, classifier chosen inside training: AUC ≥ .95 and accuracy ≥ .65."""
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(str(REPOSITORY))
    polito = importlib.import_module("benchmarks.polito")
    folder = shared / "data" / "tiles" / "polito_crc_5class"
    training, test = polito.read(folder, "training"), polito.read(folder, "test")
    encoder = Morphology(mpp=polito.MPP)
    features = polito.encode_all(training, encoder)

    judged = polito.judge(polito.CHOSEN, features, training.codes, test, encoder)

    low, high = wilson_interval(judged.n_right, judged.n)
    print(
        f"accuracy {judged.n_right}/{judged.n} ({low:.2f} to {high:.2f}), "
        f"AUC {judged.auc:.3f} on {judged.n_pair}"
    )
    assert (judged.n, judged.n_pair) == (100, 40)
    assert judged.n_right / judged.n >= 0.65
    assert judged.auc >= 0.95
