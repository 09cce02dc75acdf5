"""Is a map true to its model?  Take tiles away in its order and see whether the score follows.

Tile flipping (Samek et al. 2017 for pixels; Hense et al., xMIL, NeurIPS 2024 for tiles): if the map
is right, taking away first what it says raises the risk most lowers the score faster than taking
tiles away in any order.  A map that does not beat random order says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError, NotEstimable
from metastra.explanation.contributions import ExplainedTiles

__all__ = ["FEWEST_ORDERS", "FEWEST_TILES", "Faithfulness", "flip_tiles"]

_Array = NDArray[np.float64]

FEWEST_TILES = 10
"""With fewer tiles an order has nothing to show."""
FEWEST_ORDERS = 20
"""With fewer random orders the best of them would beat 0.05 by chance."""

_LEVEL = 0.05
_STEPS = 50
_LAST = 0.98


@dataclass(frozen=True, kw_only=True, eq=False)
class Faithfulness:
    """How the score falls when tiles are taken away.

    Parameters
    ----------
    shares : ndarray of shape (s,)
        Shares of the tiles that are taken away, from 0.
    raising_first : ndarray of shape (s,)
        Change of the log relative hazard, most raising tiles first.
    lowering_first : ndarray of shape (s,)
        The same, most lowering tiles first.
    random_mean, random_low, random_high : ndarray of shape (s,)
        Mean, lowest and highest over the random orders.
    area : float
        Between the random mean and the map's curve, over the shares: by how much the map's order
        has lowered the log relative hazard more than chance, on average.  Above 0 is better.
    area_lowering : float
        Between the curve of the lowering tiles and the random mean.
    p : float
        Of the test that the map orders no better than chance: the share of orders, the map's own
        among them, that lower the score at least as fast.
    orders : int
        Random orders.
    """

    shares: _Array
    raising_first: _Array
    lowering_first: _Array
    random_mean: _Array
    random_low: _Array
    random_high: _Array
    area: float
    area_lowering: float
    p: float
    orders: int

    @property
    def beats_random(self) -> bool:
        """Whether the map orders the tiles better than chance, at a level of 5%."""
        return self.p <= _LEVEL and self.area > 0.0


def flip_tiles(
    explained: ExplainedTiles,
    contributions: _Array,
    *,
    per_score: float = 1.0,
    orders: int = 40,
    seed: int = 0,
) -> Faithfulness:
    """Take tiles away in the order of a map, and in random orders.

    Parameters
    ----------
    explained : ExplainedTiles
        Of all n tiles of a patient.
    contributions : ndarray of shape (n,)
        The map to be tested; higher raises the risk.
    per_score : float
        Log relative hazard for one unit of the slide score.
    orders : int
        Random orders, at least 20.
    seed : int
        Of the random orders.

    Returns
    -------
    Faithfulness
        In units of log relative hazard.

    Raises
    ------
    NotEstimable
        If there are fewer than 10 tiles.
    ConfigError
        If fewer than 20 random orders are asked for.

    Notes
    -----
    Tiles are taken away in 50 even steps up to 98%: nothing can be said of a slide without tiles.
    Tiles with equal contributions are taken in the order in which they stand.
    """
    n = len(contributions)
    if orders < FEWEST_ORDERS:
        raise ConfigError(f"orders={orders}; expected at least {FEWEST_ORDERS} random orders")
    if n < FEWEST_TILES:
        raise NotEstimable(f"{n} tiles are too few to test a map; at least {FEWEST_TILES}")
    counts = np.unique(np.rint(np.linspace(0.0, _LAST, _STEPS) * n).astype(np.int64))
    counts = counts[counts < n]

    def curve(order: NDArray[np.int64]) -> _Array:
        change: _Array = -per_score * np.asarray(explained.along(order, counts))
        return change

    raising = curve(np.argsort(-contributions, kind="stable"))
    lowering = curve(np.argsort(contributions, kind="stable"))
    drawn = np.array(
        [curve(np.random.default_rng([seed, number]).permutation(n)) for number in range(orders)]
    )
    shares = counts / n
    mean = drawn.mean(axis=0)
    areas = np.array([_mean_height(shares, row) for row in drawn])
    own = _mean_height(shares, raising)
    return Faithfulness(
        shares=shares,
        raising_first=raising,
        lowering_first=lowering,
        random_mean=mean,
        random_low=drawn.min(axis=0),
        random_high=drawn.max(axis=0),
        area=_mean_height(shares, mean) - own,
        area_lowering=_mean_height(shares, lowering) - _mean_height(shares, mean),
        p=(1 + int((areas <= own).sum())) / (1 + orders),
        orders=orders,
    )


def _mean_height(shares: _Array, values: _Array) -> float:
    """Area under a curve over the span of its shares."""
    return float(np.trapezoid(values, shares) / (shares[-1] - shares[0]))
