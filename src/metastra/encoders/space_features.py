"""Light spaces of a tile: lumina, fat, mucin and vacuoles, and what lines them."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from metastra.cells.blur_kernel import blob_response, halve
from metastra.cells.nuclei import Nuclei
from metastra.cells.seed_kernel import local_maxima
from metastra.encoders.feature import Feature
from metastra.encoders.texture_kernel import moments
from metastra.encoders.tile_maps import TISSUE_OD, TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Lumina, fat and vacuoles"
_SMALLEST_UM2 = 60.0
_FAT_UM2 = (400.0, 6000.0)
_FAT_WALLS = 0.4
_RIM_UM = 6.0
_BLOBS_UM = (3.0, 6.0, 12.0, 24.0)
_BLOB_FLOOR = 0.06
_PALE = (0.25, 0.4)
_DENSITY = -np.log10(np.maximum(np.arange(256), 0.5) / 255.0).astype(np.float32)
# grey level of blue under which a pixel with this green is yellow or brown
_PIGMENT_BELOW = np.minimum(255.0 * (np.arange(256) / 255.0) ** 1.3, 128.0).astype(np.uint8)


def _one(name: str, definition: str, source: str = "") -> Feature:
    return Feature(name=name, group=_GROUP, definition=definition, source=source)


FEATURES: tuple[Feature, ...] = (
    _one(
        "lumina_per_mm2",
        "White spaces (no tissue) of at least 60 µm² over the area of the tile; a space that the "
        "edge of the tile cuts counts.",
    ),
    _one("lumen_largest_share", "Area of the largest white space over that of the tile."),
    _one("lumen_area_mean_um2", "Mean area of the white spaces of at least 60 µm²."),
    _one("lumen_eccentricity_mean_index", "Mean eccentricity of their ellipses."),
    _one("lumen_ellipse_fill_mean_ratio", "Mean area over that of the ellipse of equal moments."),
    _one(
        "lumen_rim_haematoxylin_log_ratio",
        "Logarithm of mean haematoxylin of tissue within 6 µm of white over that of all tissue: "
        "high where a gland's nuclei line its lumen.",
    ),
    _one("lumen_rim_eosin_log_ratio", "The same for eosin: high at a brush border."),
    _one("nuclei_near_lumen_share", "Share of nuclei within 12 µm of a white space."),
    _one(
        "fat_like_share",
        "Area share of white spaces of 400 to 6000 µm² that fill 0.85 of their ellipse, where at "
        "least 0.4 of the tissue lies within 6 µm of white (thin walls) and that rim has at most "
        "half the strength of haematoxylin; else 0.",
    ),
    *(
        _one(
            f"pale_under_{percent}_percent_share",
            f"Share of tissue whose darkness, smoothed over 1 µm, is under {percent} % of its "
            "strength: mucin, foam, oedema.",
        )
        for percent in (25, 40)
    ),
    *(
        feature
        for radius in _BLOBS_UM
        for feature in (
            _one(
                f"pale_blobs_{radius:g}um_per_mm2",
                f"Pale discs of about {radius:g} µm radius (Laplacian of Gaussian of the darkness "
                "over its strength above 0.06) over the area of the tile.",
                "Lindeberg 1998",
            ),
            _one(
                f"pale_blobs_{radius:g}um_response_ratio",
                f"Mean positive response to pale discs of {radius:g} µm over the tile.",
                "Lindeberg 1998",
            ),
            _one(
                f"dark_blobs_{radius:g}um_response_ratio",
                f"Mean positive response to dark discs of {radius:g} µm in haematoxylin over its "
                "strength.",
                "Lindeberg 1998",
            ),
        )
    ),
    _one(
        "blood_like_share",
        "Share of the tile with optical density above 0.18 in green, of which red absorbs at most "
        "0.6 times as much and blue at least 0.7 times: orange-red, as erythrocytes are.",
    ),
    _one(
        "pigment_like_share",
        "Share of the tile with optical density above 0.3 and 1.3 times that of green in blue: "
        "yellow and brown.",
    ),
    _one(
        "black_share",
        "Share of the tile darker than 40 of 255 in all colours: ink, folds, black fill.",
    ),
)


def measure(maps: TileMaps, nuclei: Nuclei) -> NDArray[np.float64]:
    """Measure the light spaces of a tile.

    Parameters
    ----------
    maps : TileMaps
        Of the tile.
    nuclei : Nuclei
        Of the tile.

    Returns
    -------
    ndarray of shape (len(FEATURES),)
        In the order of `FEATURES`; what is about lumina is 0 where there is none.
    """
    darkness = maps.relative[2]
    found = [*_lumina(maps, nuclei), *_pale(maps)]
    found += _blobs(maps, darkness)
    found += [count / maps.tissue.size for count in _colours(maps.tile, _DENSITY, _PIGMENT_BELOW)]
    return np.array(found)


@njit(cache=True)
def _colours(
    tile: NDArray[np.uint8], density: NDArray[np.float32], pigment_below: NDArray[np.uint8]
) -> tuple[int, int, int]:
    """Count pixels that look like blood, like pigment, and black ones."""
    blood, pigment, black = 0, 0, 0
    weak, most, least = np.float32(0.18), np.float32(0.6), np.float32(0.7)
    for y in range(tile.shape[0]):
        for x in range(tile.shape[1]):
            red, green, blue = tile[y, x, 0], tile[y, x, 1], tile[y, x, 2]
            of_green = density[green]
            reddish = density[red] <= most * of_green and density[blue] >= least * of_green
            blood += of_green > weak and reddish
            pigment += blue < pigment_below[green]
            black += red < 40 and green < 40 and blue < 40
    return blood, pigment, black


def _lumina(maps: TileMaps, nuclei: Nuclei) -> list[float]:
    mpp = maps.mpp
    white = ~maps.tissue
    labels, n = ndimage.label(white)
    if n == 0:
        return [0.0] * 9
    area_px, eccentricity, fill = _component_shapes(labels, n)
    area_um2 = area_px * mpp**2
    counted = area_um2 >= _SMALLEST_UM2
    if not counted.any():
        return [0.0] * 9
    large = np.concatenate([[False], counted])[labels]
    outward_um = ndimage.distance_transform_edt(~large) * mpp
    rim = maps.tissue & (outward_um <= _RIM_UM)
    ratios = [_log_ratio(image, rim, maps.tissue) for image in (maps.haematoxylin, maps.eosin)]
    near = 0.0
    if len(nuclei):
        at = np.clip(
            nuclei.centroids_px0.round().astype(np.int64), 0, np.array(white.shape)[::-1] - 1
        )
        near = float(np.mean(outward_um[at[:, 1], at[:, 0]] <= 2.0 * _RIM_UM))
    fat = (area_um2 >= _FAT_UM2[0]) & (area_um2 <= _FAT_UM2[1]) & (fill >= 0.85)
    fat_share = 0.0
    thin_walls = rim.any() and rim.sum() >= _FAT_WALLS * maps.tissue.sum()
    if thin_walls and moments(maps.haematoxylin, rim)[0] <= 0.5 * maps.strengths_od[0]:
        fat_share = float(area_px[fat].sum()) / white.size
    return [
        float(counted.sum()) / maps.area_mm2(),
        float(area_px.max()) / white.size,
        float(area_um2[counted].mean()),
        float(eccentricity[counted].mean()),
        float(fill[counted].mean()),
        *ratios,
        near,
        fat_share,
    ]


def _component_shapes(
    labels: NDArray[np.signedinteger], n: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Area in pixels, eccentricity and ellipse fill of labels 1 to n."""
    y, x = np.nonzero(labels)
    which = labels[y, x] - 1

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(which, values, n) / area

    area = np.bincount(which, minlength=n).astype(np.float64)
    fx, fy = x.astype(np.float64), y.astype(np.float64)
    cx, cy = mean(fx), mean(fy)
    fx -= cx[which]
    fy -= cy[which]
    xx, yy, xy = mean(fx * fx) + 1.0 / 12.0, mean(fy * fy) + 1.0 / 12.0, mean(fx * fy)
    half, gap = (xx + yy) / 2.0, np.hypot((xx - yy) / 2.0, xy)
    long, short = half + gap, np.maximum(half - gap, 1e-9)
    eccentricity = np.sqrt(np.clip(1.0 - short / long, 0.0, 1.0))
    return area, eccentricity, area / (4.0 * np.pi * np.sqrt(long * short))


def _log_ratio(
    image: NDArray[np.float32], part: NDArray[np.bool_], whole: NDArray[np.bool_]
) -> float:
    if not part.any():
        return 0.0
    return float(np.log((moments(image, part)[0] + 0.05) / (moments(image, whole)[0] + 0.05)))


def _pale(maps: TileMaps) -> list[float]:
    n = int(maps.tissue.sum())
    if n == 0:
        return [0.0] * len(_PALE)
    # what is no tissue is paler than every limit
    smooth, strength_od = maps.smooth_darkness, maps.strengths_od[2]
    glass = smooth.size - n
    return [(int(np.sum(smooth < limit * strength_od)) - glass) / n for limit in _PALE]


def _blobs(maps: TileMaps, darkness: NDArray[np.float32]) -> list[float]:
    found: list[float] = []
    # glass at the level of very pale tissue, or every lumen would be the strongest vacuole
    floor = np.float32(TISSUE_OD / maps.strengths_od[2])
    lightness = -np.maximum(darkness, floor)
    haematoxylin = maps.relative[0]
    mpp = maps.mpp
    for radius_um in _BLOBS_UM:
        while radius_um / mpp > 12.0 and min(lightness.shape) >= 32:
            lightness, haematoxylin, mpp = halve(lightness), halve(haematoxylin), 2.0 * mpp
        sigma_px = max(radius_um / np.sqrt(2.0) / mpp, 0.33)
        pale = blob_response(lightness, sigma_px)
        dark = blob_response(haematoxylin, sigma_px)
        found += [
            len(local_maxima(pale, _BLOB_FLOOR)) / maps.area_mm2(),
            float(np.maximum(pale, 0.0).mean(dtype=np.float64)),
            float(np.maximum(dark, 0.0).mean(dtype=np.float64)),
        ]
    return found
