"""Light spaces of a tile: lumina, fat, mucin and vacuoles, and what lines them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import ScaleSpace
from metastra.cells.nuclei import Nuclei
from metastra.cells.seed_kernel import local_maxima
from metastra.encoders.feature import Feature
from metastra.encoders.map_kernel import (
    count_below,
    count_true,
    mean_positive,
    raise_and_negate,
)
from metastra.encoders.mask_kernel import moments
from metastra.encoders.part_kernel import part_shapes, parts_where
from metastra.encoders.space_kernel import colour_counts, near_share, rim_of_parts
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
_AT_LEAST = _DENSITY[None, :] >= np.float32(0.7) * _DENSITY[:, None]
_AT_MOST = _DENSITY[None, :] <= np.float32(0.6) * _DENSITY[:, None]
_IS_STAINED = np.float32(0.18) < _DENSITY
# grey level of red from which, and one more than that of blue up to which it is orange-red
_RED_FROM = np.where(_IS_STAINED, np.argmax(_AT_MOST, axis=1), 256)
_BLUE_BELOW = np.where(_IS_STAINED, 256 - np.argmax(_AT_LEAST[:, ::-1], axis=1), 0)
# grey level of blue under which a pixel with this green is yellow or brown
_PIGMENT_BELOW = np.minimum(255.0 * (np.arange(256) / 255.0) ** 1.3, 128.0).astype(np.uint8)
_LIMITS = ((_RED_FROM * 512 + _BLUE_BELOW) * 512 + _PIGMENT_BELOW).astype(np.uint32)


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
    found = [*_lumina(maps, nuclei), *_pale(maps), *_blobs(maps)]
    counts = colour_counts(maps.tile, _LIMITS)
    return np.array(found + [count / maps.tissue.size for count in counts])


def _lumina(maps: TileMaps, nuclei: Nuclei) -> list[float]:
    mpp, n_pixels = maps.mpp, maps.tissue.size
    runs, n = parts_where(~maps.tissue)
    area_px, eccentricity, fill = part_shapes(runs, n)
    area_um2 = area_px * mpp**2
    counted = area_um2 >= _SMALLEST_UM2
    if not counted.any():
        return [0.0] * 9
    rim = rim_of_parts(runs, counted, maps.tissue, _RIM_UM, mpp)
    in_rim = [moments(image, rim)[0] for image in (maps.haematoxylin, maps.eosin)]
    near = near_share(runs, counted, nuclei.centroids_px0, maps.tissue.shape, 2.0 * _RIM_UM, mpp)
    fat = (area_um2 >= _FAT_UM2[0]) & (area_um2 <= _FAT_UM2[1]) & (fill >= 0.85)
    ratios, fat_share = [0.0, 0.0], 0.0
    n_rim = count_true(rim)
    whole = [one.mean_od for one in maps.spread[:2]]
    if n_rim:
        ratios = [_log_ratio(*pair) for pair in zip(in_rim, whole, strict=True)]
        thin_walls = n_rim >= _FAT_WALLS * maps.n_tissue
        if thin_walls and in_rim[0] <= 0.5 * maps.spread[0].strength_od:
            fat_share = float(area_px[fat].sum()) / n_pixels
    return [
        float(counted.sum()) / maps.area_mm2(),
        float(area_px.max()) / n_pixels,
        float(area_um2[counted].mean()),
        float(eccentricity[counted].mean()),
        float(fill[counted].mean()),
        *ratios,
        near,
        fat_share,
    ]


def _log_ratio(part_od: float, whole_od: float) -> float:
    return math.log((part_od + 0.05) / (whole_od + 0.05))


def _pale(maps: TileMaps) -> list[float]:
    n = maps.n_tissue
    if n == 0:
        return [0.0] * len(_PALE)
    # what is no tissue is paler than every limit
    smooth, strength_od = maps.smooth_darkness, maps.spread[2].strength_od
    glass = smooth.size - n
    return [(count_below(smooth, limit * strength_od) - glass) / n for limit in _PALE]


def _blobs(maps: TileMaps) -> list[float]:
    dark = [mean_positive(one) for one in _responses(maps.relative[0], maps.mpp)]
    found: list[float] = []
    with maps.scratch.frame():
        # glass at the level of very pale tissue, or every lumen would be the strongest vacuole
        lightness = maps.scratch.take(maps.tissue.shape)
        floor = TISSUE_OD / maps.spread[2].strength_od
        raise_and_negate(maps.relative[2].image, floor, lightness)
        responses = _responses(ScaleSpace(lightness, maps.scratch), maps.mpp)
        for of_dark, pale in zip(dark, responses, strict=True):
            n = len(local_maxima(pale, _BLOB_FLOOR))
            found += [n / maps.area_mm2(), mean_positive(pale), of_dark]
    return found


def _responses(space: ScaleSpace, mpp: float) -> Iterator[NDArray[np.float32]]:
    """Responses to discs of each size, the large ones on a coarser map."""
    sigmas_um = [radius_um / math.sqrt(2.0) for radius_um in _BLOBS_UM]
    done = 0
    while done < len(_BLOBS_UM):
        while _BLOBS_UM[done] / mpp > 12.0 and min(space.image.shape) >= 32:
            space, mpp = space.halved, 2.0 * mpp
        last = done + 1
        while last < len(_BLOBS_UM) and not (
            _BLOBS_UM[last] / mpp > 12.0 and min(space.image.shape) >= 32
        ):
            last += 1
        yield from space.make((), tuple(max(um / mpp, 0.33) for um in sigmas_um[done:last]))
        done = last
