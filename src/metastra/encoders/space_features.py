"""Light spaces of a tile: lumina, fat, mucin and vacuoles, and what lines them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from metastra.cells.blur_kernel import ScaleSpace
from metastra.cells.nuclei import Nuclei
from metastra.encoders.feature import Feature
from metastra.encoders.space_kernel import (
    measure_blobs,
    measure_colours,
    measure_lumina,
)
from metastra.encoders.tile_maps import TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Lumina, fat and vacuoles"
# least area; fat from and to; share of tissue near white where walls are thin; width of a rim
_LIMITS_OF_LUMINA = (60.0, 400.0, 6000.0, 0.4, 6.0)
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
    stains, mpp = maps.spread, maps.mpp
    lumina = measure_lumina(
        maps.densities,
        maps.tissue,
        maps.n_tissue,
        (stains[0].mean_od, stains[1].mean_od, stains[0].strength_od),
        nuclei.centroids_px0,
        _LIMITS_OF_LUMINA,
        (mpp, mpp**2),
    )
    with maps.scratch.frame():
        area_mm2 = maps.area_mm2()
        blobs = [
            measure_blobs(responses, _BLOB_FLOOR, area_mm2)
            for responses in _responses(maps.blobs, mpp)
        ]
    return np.concatenate([lumina, _pale(maps), *blobs, measure_colours(maps.tile, _LIMITS)])


def _pale(maps: TileMaps) -> list[float]:
    n = maps.n_tissue
    if n == 0:
        return [0.0] * len(_PALE)
    # what is no tissue is paler than every limit
    smooth, strength_od = maps.smooth_darkness, maps.spread[2].strength_od
    limits = (np.float32(share * strength_od) for share in _PALE)
    return [(np.count_nonzero(smooth < limit) - smooth.size + n) / n for limit in limits]


def _responses(space: ScaleSpace, mpp: float) -> Iterator[NDArray[np.float32]]:
    """Responses to discs of each size, the large ones on a coarser map."""
    sigmas_um = [radius_um / math.sqrt(2.0) for radius_um in _BLOBS_UM]
    done = 0
    while done < len(_BLOBS_UM):
        while _is_coarse(_BLOBS_UM[done] / mpp, space):
            space, mpp = space.halved, 2.0 * mpp
        last = done + 1
        while last < len(_BLOBS_UM) and not _is_coarse(_BLOBS_UM[last] / mpp, space):
            last += 1
        yield space.make((), tuple(max(um / mpp, 0.33) for um in sigmas_um[done:last]))
        done = last


def _is_coarse(radius_px: float, space: ScaleSpace) -> bool:
    return radius_px > 12.0 and min(space.images.shape[1:]) >= 32
