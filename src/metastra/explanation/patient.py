"""One patient explained: all tiles of all slides together, since together they made the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metastra.errors import DataError, NotEstimable
from metastra.explanation.contributions import ExplainedTiles, RiskMap, risk_map, tile_cells
from metastra.explanation.extremes import FeatureDifference, differing_features, extreme_tiles
from metastra.explanation.faithfulness import Faithfulness, flip_tiles
from metastra.features.bag import Bag

__all__ = ["NamedBag", "PatientExplanation", "ShownTile", "TileModel", "explain_patient"]

_BLOCK_ROWS = 4096


class TileModel(Protocol):
    """A model of slides that can say what its tiles do.

    `metastra.bundle.slide_model.SlideModel` is one.
    """

    def explain(self, tiles: NDArray[np.float32]) -> ExplainedTiles:
        """Explain the score of these tiles, shape (n, d)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedBag:
    """One slide of a patient.

    Parameters
    ----------
    name : str
        A name that may be shown: its pseudonym, or the file's name where its user asks.
    bag : Bag
        Its tiles.
    """

    name: str
    bag: Bag

    @property
    def side_px0(self) -> tuple[float, float]:
        """Width and height of a tile in level-0 pixels.

        Raises
        ------
        DataError
            If the feature file does not say it.
        """
        side = self.bag.frame.completed().tile_side_px0
        if side is None:
            raise DataError(
                f"{self.name}: the feature file does not say how large a tile is on the slide, so "
                "nothing can be drawn; give the slide's scale, or extract the features again"
            )
        return side

    @property
    def boxes_px0(self) -> NDArray[np.float64]:
        """x, y, width and height of each tile in level-0 pixels, shape (n, 4)."""
        sides = np.broadcast_to(np.asarray(self.side_px0), (len(self.bag), 2))
        return np.concatenate([self.bag.coords.astype(np.float64), sides], axis=1)


@dataclass(frozen=True, kw_only=True)
class ShownTile:
    """A tile that raised or lowered the score much.

    Parameters
    ----------
    slide, row : int
        Which of the patient's slides, and which row of its features.
    contribution, neighbourhood : float
        Log relative hazard; the second with its neighbours, NaN where that is the whole slide.
    attention : float
        Share of where the model looked.
    differences : tuple of FeatureDifference
        In which named features it differs from the patient's tiles.
    """

    slide: int
    row: int
    contribution: float
    neighbourhood: float
    attention: float
    differences: tuple[FeatureDifference, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PatientExplanation:
    """What made a patient's slide score.

    Parameters
    ----------
    slides : tuple of NamedBag
        With at least one tile each.
    risk : RiskMap
        Of all n tiles, slide after slide.
    slide_of : ndarray of int64, shape (n,)
        Which slide each tile lies on.
    faithfulness : Faithfulness or None
        Whether the map is true to the model; None where that could not be tested.
    untested : str
        Why not.
    raising, lowering : tuple of ShownTile
        Strongest first.
    """

    slides: tuple[NamedBag, ...]
    risk: RiskMap
    slide_of: NDArray[np.int64]
    faithfulness: Faithfulness | None
    untested: str
    raising: tuple[ShownTile, ...]
    lowering: tuple[ShownTile, ...]

    def of_slide(self, which: int) -> slice:
        """Find the tiles of a slide.

        Parameters
        ----------
        which : int
            Position in `slides`.

        Returns
        -------
        slice
            Of the arrays of `risk`.
        """
        begin = sum(len(slide.bag) for slide in self.slides[:which])
        return slice(begin, begin + len(self.slides[which].bag))


def explain_patient(
    model: TileModel,
    slides: Sequence[NamedBag],
    *,
    per_score: float = 1.0,
    orders: int = 40,
    seed: int = 0,
    count: int = 6,
) -> PatientExplanation:
    """Explain a patient's slide score by its tiles.

    Parameters
    ----------
    model : TileModel
        Whose score it is.
    slides : sequence of NamedBag
        Slides without tiles are passed over.
    per_score : float
        Log relative hazard of the risk model for one unit of the slide score.
    orders, seed : int
        Random orders of the test by tile flipping, and their seed.
    count : int
        Tiles that are shown for each direction, at most.

    Returns
    -------
    PatientExplanation
        In units of log relative hazard.

    Raises
    ------
    NotEstimable
        If there are no tiles.
    DataError
        If a feature file does not say the size of its tiles, or holds NaN (SL054).
    """
    used = tuple(slide for slide in slides if len(slide.bag))
    if not used:
        raise NotEstimable("there are no tiles to explain")
    features = np.concatenate([_features(slide.bag) for slide in used])
    slide_of = np.repeat(np.arange(len(used)), [len(slide.bag) for slide in used])
    cells = np.concatenate([tile_cells(one.bag.coords, one.side_px0) for one in used])
    explained = model.explain(features)
    risk = risk_map(explained, cells, slide_of, per_score=per_score)
    tested: Faithfulness | None = None
    untested = ""
    try:
        tested = flip_tiles(explained, risk.tiles, per_score=per_score, orders=orders, seed=seed)
    except NotEstimable as error:
        untested = error.reason
    names = used[0].bag.origin.feature_names

    def shown(*, raising: bool) -> tuple[ShownTile, ...]:
        chosen = extreme_tiles(risk.tiles, cells, slide_of, raising=raising, count=count)
        return tuple(_shown(used, risk, slide_of, features, place, names) for place in chosen)

    return PatientExplanation(
        slides=used,
        risk=risk,
        slide_of=slide_of,
        faithfulness=tested,
        untested=untested,
        raising=shown(raising=True),
        lowering=shown(raising=False),
    )


def _features(bag: Bag) -> NDArray[np.float32]:
    """Read all rows block by block, so that what is mapped is not held twice."""
    features = np.empty((len(bag), bag.dimension), dtype=np.float32)
    for start in range(0, len(bag), _BLOCK_ROWS):
        features[start : start + _BLOCK_ROWS] = bag.rows(slice(start, start + _BLOCK_ROWS))
    return features


def _shown(
    slides: Sequence[NamedBag],
    risk: RiskMap,
    slide_of: NDArray[np.int64],
    features: NDArray[np.float32],
    place: int,
    names: Sequence[str],
) -> ShownTile:
    which = int(slide_of[place])
    before = sum(len(slide.bag) for slide in slides[:which])
    return ShownTile(
        slide=which,
        row=place - before,
        contribution=float(risk.tiles[place]),
        neighbourhood=float(risk.neighbourhoods[place]),
        attention=float(risk.attention[place]),
        differences=tuple(differing_features(features, place, names)),
    )
