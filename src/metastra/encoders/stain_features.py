"""How much of each stain a tile holds, and how it is spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metastra.encoders.feature import Feature
from metastra.encoders.stain_kernel import measure_stains
from metastra.encoders.tile_maps import QUANTILES, TileMaps

__all__ = ["FEATURES", "measure"]

_GROUP = "Stain"
_RUIFROK = "Ruifrok and Johnston 2001"
_QUANTILES = (10, 25, 50, 75, 90, 99)
_STAINS = ("haematoxylin", "eosin")
_FLOOR_OD = 0.05
_COLUMNS = (3 + QUANTILES.index(10), 3 + QUANTILES.index(50), 3 + QUANTILES.index(90))


def _declare() -> tuple[Feature, ...]:
    found = [
        Feature(
            name="tissue_share",
            group=_GROUP,
            definition="Share of the tile with smoothed (1 µm) optical density above 0.06.",
        )
    ]
    for stain in _STAINS:
        found += [
            _one(f"{stain}_mean_od", f"Mean {stain} over the tissue of the tile."),
            _one(f"{stain}_sd_od", f"Standard deviation of {stain} over the tissue."),
            *(
                _one(f"{stain}_p{q}_od", f"{q}th percentile of {stain} over the tissue.")
                for q in _QUANTILES
            ),
            _one(
                f"{stain}_skewness_index",
                f"Third standardised moment of {stain} over the tissue; positive when a small part "
                "is much darker than the rest.",
            ),
            _one(
                f"{stain}_p90_to_p50_log_ratio",
                f"Natural logarithm of the 90th over the 50th percentile of {stain} (each plus "
                "0.05): unchanged when the whole stain is stronger.",
            ),
            _one(
                f"{stain}_p50_to_p10_log_ratio",
                f"The same for the 50th over the 10th percentile of {stain}.",
            ),
        ]
    return (
        *found,
        _one(
            "haematoxylin_to_eosin_log_ratio",
            "Natural logarithm of mean haematoxylin over mean eosin (each plus 0.05).",
        ),
        _one(
            "haematoxylin_eosin_correlation",
            "Pearson correlation of the two stains over the tissue.",
        ),
        _one("residual_mean_od", "Mean of what neither stain explains, over the tissue."),
        _one("residual_sd_od", "Standard deviation of what neither stain explains."),
    )


def _one(name: str, definition: str) -> Feature:
    return Feature(name=name, group=_GROUP, definition=definition, source=_RUIFROK)


FEATURES = _declare()


def measure(maps: TileMaps) -> NDArray[np.float64]:
    """Measure the stains of a tile.

    Parameters
    ----------
    maps : TileMaps
        Of the tile.

    Returns
    -------
    ndarray of shape (len(FEATURES),)
        In the order of `FEATURES`; all 0 where there is no tissue.
    """
    if not maps.n_tissue:
        return np.zeros(len(FEATURES))
    found: NDArray[np.float64] = measure_stains(
        maps.densities, maps.tissue, maps.n_tissue, maps.table, _COLUMNS, _FLOOR_OD
    )
    return found
