"""When a slide gets a code and when a tile falls out: every threshold in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CODES", "PALE_SHARE", "SLIDE_RULES", "TILE_RULES", "TileRules", "tile_codes"]

CODES: dict[str, str] = {
    "tissue": "QC001",
    "blur": "QC002",
    "pen": "QC003",
    "fold": "QC004",
    "bubble": "QC005",
    "fading": "QC006",
    "dark": "QC007",
    "blank": "QC008",
    "region": "QC009",
}
"""The code of each measure."""

SLIDE_RULES: dict[str, float] = {
    "blur": 0.2,
    "pen": 0.002,
    "fold": 0.05,
    "bubble": 0.005,
    "fading": 0.05,
    "dark": 0.001,
    "blank": 0.5,
}
"""Fraction of a slide above which it gets the measure's code."""
PALE_SHARE = 0.5
"""Share of the tissue that must be pale before paleness counts as fading: fat is pale too."""


@dataclass(frozen=True, kw_only=True)
class TileRules:
    """What a tile must have, and what it may have.

    Parameters
    ----------
    least_tissue : float
        Share of the tile that is tissue.
    least_region : float
        Share of the tile inside the drawn region, where there is one.
    most_blur, most_fold, most_fading : float
        Share of the tile's *tissue* that is out of focus, folded, or faded beside the slide's.
    most_pen, most_bubble, most_dark : float
        Share of the tile under ink, edge or bubble, or black fill.
    """

    least_tissue: float = 0.1
    least_region: float = 0.5
    most_blur: float = 0.35
    most_fold: float = 0.1
    most_fading: float = 0.5
    most_pen: float = 0.1
    most_bubble: float = 0.1
    most_dark: float = 0.05


TILE_RULES = TileRules()
"""The rules when nothing else is asked for."""


def tile_codes(
    fractions: Mapping[str, NDArray[np.float64]], rules: TileRules = TILE_RULES
) -> NDArray[np.str_]:
    """Say which tiles fall out, and for what.

    Parameters
    ----------
    fractions : mapping of str to float array of shape (n,)
        From `SlideQuality.tile_fractions`: shares of each tile, NaN where not assessed.
    rules : TileRules
        Thresholds.

    Returns
    -------
    array of str of shape (n,)
        Empty for a tile that stays, else the first code that holds, in the order: outside the
        region, dark fill, pen, bubble or edge, too little tissue, blur, fold,
        fading.  What was not assessed costs no tile.

    Examples
    --------
    >>> shares = {"tissue": np.array([0.9, 0.9, 0.0]), "blur": np.array([0.0, 0.8, 0.0])}
    >>> tile_codes(shares).tolist()
    ['', 'QC002', 'QC001']
    """
    tissue = np.asarray(fractions["tissue"], dtype=np.float64)
    codes = np.full(tissue.shape, "", dtype="<U5")
    of_tissue = np.maximum(tissue, 1e-9)

    def share(name: str) -> NDArray[np.float64]:
        return np.nan_to_num(np.asarray(fractions.get(name, 0.0), dtype=np.float64))

    out: list[tuple[str, NDArray[np.bool_]]] = []
    if "region" in fractions:
        out.append(("region", fractions["region"] < rules.least_region))
    out += [
        ("dark", share("dark") > rules.most_dark),
        ("pen", share("pen") > rules.most_pen),
        ("bubble", share("bubble") > rules.most_bubble),
        ("tissue", tissue < rules.least_tissue),
        ("blur", share("blur") > rules.most_blur * of_tissue),
        ("fold", share("fold") > rules.most_fold * of_tissue),
        ("fading", share("fading") > rules.most_fading * of_tissue),
    ]
    for name, holds in out:
        codes[(codes == "") & holds] = CODES[name]
    return codes
