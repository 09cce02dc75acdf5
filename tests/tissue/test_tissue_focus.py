"""Focus falls with the width of a known blur, on real tiles and in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import integrate, ndimage

from metastra.tissue.focus import MOST_FIELDS, judge_focus
from metastra.tissue.mask import find_tissue
from metastra.tissue.sharpness import BLURRED_BELOW, blur_um, detail_ratio
from tissue.tissue_pictures import ArraySlide, glass, light_of, tissue_density, with_tissue

WHITE = (242.0, 242.0, 242.0)


def blurred(rgb, sigma_um, mpp):
    soft = ndimage.gaussian_filter(rgb.astype(float), (sigma_um / mpp, sigma_um / mpp, 0))
    soft += np.random.default_rng(0).normal(0, 1.0, soft.shape)
    return np.clip(soft, 0, 255).astype(np.uint8)


def ratio_of(rgb, mpp, white=WHITE):
    tissue = np.ones(rgb.shape[:2], bool)
    return detail_ratio(rgb, tissue, mpp=mpp, glass=white)[0, 0]


def closed_form(sigma_um):
    """Ratio for a random picture whose power falls with the square of frequency."""

    def power(low, high):
        def of(f):
            gauss = [np.exp(-2 * (np.pi * s * f) ** 2) for s in (low, high)]
            blur = np.exp(-2 * (np.pi * sigma_um * f) ** 2)
            return (gauss[0] - gauss[1]) ** 2 * blur**2 / f

        return integrate.quad(of, 1e-3, 1.0, limit=200)[0]

    return np.sqrt(power(0.25, 0.75) / power(0.75, 3.0))


@pytest.mark.parametrize("sigma_um", [0.0, 0.5, 1.0, 2.0])
def test_ratio_agrees_with_its_closed_form(sigma_um):
    """A random field of edges' spectrum, made in the frequency domain."""
    mpp, side = 0.5, 512
    rng = np.random.default_rng(2)
    f = np.hypot(np.fft.fftfreq(side, mpp)[:, None], np.fft.fftfreq(side, mpp)[None])
    f[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) / f
    spectrum *= np.exp(-2 * (np.pi * sigma_um * np.where(np.isinf(f), 0, f)) ** 2)
    spectrum[f > 1.0] = 0
    density = np.fft.ifft2(spectrum).real
    density = 0.4 + 0.06 * density / density.std()
    found = np.mean([ratio_of(_dithered(density, seed), mpp) for seed in range(3)])
    # a Gaussian of half a pixel is not quite one; at 2 µm rounding to grey levels is left over
    tolerance = {0.0: 0.06, 2.0: 0.03}.get(sigma_um, 0.012)
    assert found == pytest.approx(closed_form(sigma_um), abs=tolerance)


def _dithered(density, seed):
    light = 242 * 10.0**-density + np.random.default_rng(seed).uniform(-0.5, 0.5, density.shape)
    return np.repeat(np.rint(light).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_ratio_ignores_brightness_and_stain():
    """Half the stain, or a darker lamp, is as sharp as before."""
    density = tissue_density(256, 256, seed=4)
    full = ratio_of(light_of(density), 0.5)
    assert ratio_of(light_of(0.5 * density), 0.5) == pytest.approx(full, rel=0.03)
    dark = light_of(density, (200, 200, 200))
    assert ratio_of(dark, 0.5, (200.0,) * 3) == pytest.approx(full, rel=0.03)


def test_ratio_falls_with_blur_and_is_read_as_micrometres():
    """Monotone from 0 to 2 µm."""
    rgb = light_of(tissue_density(256, 256, seed=6))
    ratios = [ratio_of(blurred(rgb, s, 0.5), 0.5) for s in (0.3, 0.6, 1.0, 1.5, 2.0)]
    assert np.all(np.diff(ratios) < 0)
    assert np.all(np.diff(blur_um(np.array(ratios))) >= 0)
    assert np.isnan(blur_um(np.array([np.nan]))[0])


def test_blank_fields_are_not_judged():
    """Glass, or tissue without any structure, says nothing about focus."""
    tissue = np.ones((256, 256), bool)
    plain = np.full((256, 256, 3), (200, 120, 170), np.uint8)
    assert np.isnan(detail_ratio(plain, tissue, mpp=0.5, glass=WHITE)).all()
    rgb = light_of(tissue_density(256, 256))
    assert np.isnan(detail_ratio(rgb, ~tissue, mpp=0.5, glass=WHITE)).all()


def test_blocks_are_judged_on_their_own():
    """One sharp half and one blurred half."""
    rgb = light_of(tissue_density(256, 256, seed=8))
    soft = blurred(rgb, 1.5, 0.5)
    soft[:, :128] = rgb[:, :128]
    ratio = detail_ratio(soft, np.ones((256, 256), bool), mpp=0.5, glass=WHITE, blocks=(1, 2))
    assert ratio[0, 0] > BLURRED_BELOW > ratio[0, 1]


def test_coarse_pixels_and_empty_blocks_are_refused():
    tissue = np.ones((8, 8), bool)
    rgb = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match=r"at most 0\.8 µm per pixel, not 1\.0"):
        detail_ratio(rgb, tissue, mpp=1.0, glass=WHITE)
    with pytest.raises(ValueError, match="9"):
        detail_ratio(rgb, tissue, mpp=0.5, glass=WHITE, blocks=(9, 1))


def test_a_blurred_piece_of_a_slide_is_found_where_it_is():
    """The lower half of the tissue is out of focus."""
    density = tissue_density(1400, 1000, seed=9)
    rgb = with_tissue(glass(1700, 1300), density, 150, 150)
    rgb[850:] = blurred(rgb[850:], 1.5, 0.5)
    slide = ArraySlide(rgb)
    tissue = find_tissue(rgb[::8, ::8].copy(), mpp=4.0)
    scale = (rgb.shape[1] / tissue.shape[1], rgb.shape[0] / tissue.shape[0])
    focus, reason = judge_focus(slide, tissue, scale, WHITE)
    assert reason == ""
    assert focus.every == 1
    half = round(850 / scale[1])
    band = 10
    assert focus.blurred[: half - band].sum() == 0
    below = focus.judged[half + band :]
    assert focus.blurred[half + band :].sum() == below.sum() > 0


def test_reading_is_bounded_on_a_large_slide():
    """A slide of any size costs at most 64 fields."""
    rgb = np.tile(light_of(tissue_density(512, 512, seed=3)), (12, 12, 1))
    slide = ArraySlide(rgb)
    tissue = np.ones((384, 384), bool)
    focus, _ = judge_focus(slide, tissue, (16.0, 16.0), WHITE)
    assert 16 <= len(focus.boxes_px0) <= MOST_FIELDS
    assert focus.every > 1
    assert slide.asked <= MOST_FIELDS * 260**2
    assert focus.judged.all()
    assert not focus.blurred.any()


@pytest.mark.parametrize(("mpp", "said"), [(None, "not known"), (1.2, "too coarse")])
def test_without_scale_or_detail_there_is_a_reason(mpp, said):
    slide = ArraySlide(glass(64, 64), mpp=mpp)
    focus, reason = judge_focus(slide, np.ones((64, 64), bool), (1.0, 1.0), WHITE)
    assert focus is None
    assert said in reason


def real_tiles(shared):
    """Clean real tiles at 0.5 to 0.62 µm per pixel, none of them used to label artefacts."""
    folder = shared / "data" / "tiles"
    for path in sorted((folder / "glas_colon_glands").glob("*.png")):
        if "mask" not in path.name:
            yield np.asarray(Image.open(path).convert("RGB"))[:256, :256], 0.62
    for path in sorted((folder / "nct_crc_he").glob("*.tif")):
        yield np.asarray(Image.open(path).convert("RGB")), 0.5
    for path in sorted((folder / "monuseg_256").glob("img_*.png")):
        yield np.asarray(Image.open(path).convert("RGB"))[3:-3, 3:-3], 0.5


@pytest.mark.parametrize(
    ("sigma_um", "least", "most"), [(0.0, 0.0, 0.02), (1.0, 0.9, 1.0), (2.0, 0.98, 1.0)]
)
def test_dose_and_response_on_real_tiles(shared, sigma_um, least, most):
    """Share of 40 real tiles called out of focus: none as they are, nearly all from 1 µm on."""
    called, judged = 0, 0
    for rgb, mpp in real_tiles(shared):
        soft = blurred(rgb, sigma_um, mpp) if sigma_um else rgb
        ratio = ratio_of(soft, mpp, WHITE)
        judged += 1
        called += ratio < BLURRED_BELOW
    assert judged == 40
    assert least <= called / judged <= most
