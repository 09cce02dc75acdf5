"""The tiles that raised and lowered a score most, and what is different about them, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FeatureDifference", "differing_features", "extreme_tiles", "feature_in_words"]

_Array = NDArray[np.float64]

_SAME = 0.7
"""Features that go together this closely say the same; one of them is named."""
_MOST_TILES = 4096
_LEAST_DIFFERENCE = 1.0

_TEXTURE = re.compile(r"_(pairs|circle|autocorrelation|coherence|blobs)_|_variation_[\dp]+_to_")
"""Measures of texture, which nobody sees as such: named only where nothing else differs."""

_UNITS = (
    ("_per_mm2", " per mm²"),
    ("_mm_per_mm2", ", mm per mm²"),
    ("_um2", ", µm²"),
    ("_um", ", µm"),
    ("_od", ", optical density"),
    ("_share", ", share"),
    ("_log_ratio", ", log ratio"),
    ("_ratio", ", ratio"),
    ("_bits", ", bits"),
    ("_index", ""),
    ("_correlation", ", correlation"),
)
_PERCENTILE = re.compile(r"\bp(\d\d)\b")
_LENGTH = re.compile(r"\b(\d+)(?:p(\d+))?(um|mm2)\b")
_MARKS = {"um": "µm", "mm2": "mm²"}


@dataclass(frozen=True, kw_only=True)
class FeatureDifference:
    """How one feature of a tile differs from the patient's other tiles.

    Parameters
    ----------
    feature : str
        As the encoder names it.
    words : str
        For people.
    deviations : float
        Tile less mean, in standard deviations between the patient's tiles.
    value, mean : float
        Of the tile and of the patient's tiles, in the feature's own unit.
    """

    feature: str
    words: str
    deviations: float
    value: float
    mean: float


def extreme_tiles(
    contributions: _Array,
    cells: NDArray[np.int64],
    slides: NDArray[np.int64],
    *,
    raising: bool,
    count: int = 6,
) -> list[int]:
    """Choose the tiles that raised, or lowered, the score most.

    Parameters
    ----------
    contributions : ndarray of shape (n,)
        Of the tiles; higher raises.
    cells : ndarray of int64, shape (n, 2)
        Column and row of each tile on its slide.
    slides : ndarray of int64, shape (n,)
        Which slide each tile lies on.
    raising : bool
        Whether those that raise are wanted.
    count : int
        At most so many.

    Returns
    -------
    list of int
        Positions, strongest first.  A tile that touches one already chosen is passed over, so that
        different places are shown; a tile without the wanted sign is never chosen.

    Examples
    --------
    >>> cells = np.array([[0, 0], [1, 0], [5, 0]])
    >>> extreme_tiles(np.array([3.0, 2.0, 1.0]), cells, np.zeros(3, int), raising=True)
    [0, 2]
    """
    strength = contributions if raising else -contributions
    chosen: list[int] = []
    for place in np.argsort(-strength, kind="stable").tolist():
        if len(chosen) == count or not strength[place] > 0.0:
            break
        near = (np.abs(cells[chosen] - cells[place]) <= 1).all(axis=1)
        if not (near & (slides[chosen] == slides[place])).any():
            chosen.append(place)
    return chosen


def differing_features(
    features: NDArray[np.float32], place: int, names: Sequence[str], *, count: int = 3
) -> list[FeatureDifference]:
    """Name the features in which a tile differs most from the patient's tiles.

    Parameters
    ----------
    features : ndarray of float32, shape (n, d)
        Of all tiles of the patient.
    place : int
        Which tile.
    names : sequence of str
        Of the d features; empty where the encoder gives them none.
    count : int
        At most so many.

    Returns
    -------
    list of FeatureDifference
        Largest first, at least one standard deviation, what can be seen in a tile before measures
        of texture; a feature that goes with one already named (correlation above 0.7 between the
        patient's tiles) is passed over.  Empty without names.

    Notes
    -----
    A difference is what is seen in the tile.  That the model used it does not follow.
    """
    if not len(names) or len(features) < 3:
        return []
    mean = features.mean(axis=0, dtype=np.float64)
    spread = features.std(axis=0, dtype=np.float64)
    varies = spread > 1e-9 * np.maximum(1.0, np.abs(mean))
    scale = np.where(varies, spread, 1.0)
    deviations = np.where(varies, (features[place] - mean) / scale, 0.0)
    step = max(1, len(features) // _MOST_TILES)
    standard = (features[::step].astype(np.float64) - mean) / scale
    chosen: list[int] = []
    far = [k for k in range(len(names)) if abs(deviations[k]) >= _LEAST_DIFFERENCE]
    seen = {k: _TEXTURE.search(names[k]) is None for k in far}
    for column in sorted(far, key=lambda k: (not seen[k], -abs(deviations[k]))):
        if len(chosen) == count:
            break
        alike = [_correlation(standard[:, column], standard[:, other]) for other in chosen]
        if all(abs(value) <= _SAME for value in alike):
            chosen.append(column)
    return [
        FeatureDifference(
            feature=names[column],
            words=feature_in_words(names[column]),
            deviations=float(deviations[column]),
            value=float(features[place, column]),
            mean=float(mean[column]),
        )
        for column in chosen
    ]


def _correlation(a: _Array, b: _Array) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0.0 else 0.0


def feature_in_words(name: str) -> str:
    """Write a feature's name as people read it.

    Parameters
    ----------
    name : str
        As the encoder has it, with its unit at the end.

    Returns
    -------
    str
        With spaces and the unit written out.

    Examples
    --------
    >>> feature_in_words("nucleus_area_p90_um2")
    'nucleus area 90th percentile, µm²'
    >>> feature_in_words("haematoxylin_pairs_1p5um_contrast_index")
    'haematoxylin pairs 1.5 µm contrast'
    """
    unit = ""
    for ending, written in sorted(_UNITS, key=lambda item: -len(item[0])):
        if name.endswith(ending) and len(name) > len(ending):
            name, unit = name.removesuffix(ending), written
            break
    words = name.replace("_", " ")
    words = _LENGTH.sub(_length, words).replace(" mm2", " mm²")
    return _PERCENTILE.sub(r"\1th percentile", words) + unit


def _length(found: re.Match[str]) -> str:
    whole, part, unit = found.groups()
    return f"{whole}{'.' + part if part else ''} {_MARKS[unit]}"
