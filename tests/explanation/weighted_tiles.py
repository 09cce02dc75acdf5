"""A model of weighted means whose explanation is worked out by scoring again, tile by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Rescored:
    """Every answer by scoring what is left: the referee of closed forms."""

    values: np.ndarray
    weights: np.ndarray

    def _of(self, kept: np.ndarray) -> float:
        if not kept.any():
            return float("nan")
        return float(np.average(self.values[kept], weights=self.weights[kept]))

    @property
    def score(self) -> float:
        """Of all tiles."""
        return self._of(np.ones(len(self.values), dtype=bool))

    @property
    def attention(self) -> np.ndarray:
        """Shares of the weight."""
        return self.weights / self.weights.sum()

    @property
    def leave_one_out(self) -> np.ndarray:
        """Each tile by itself."""
        return self.without(np.arange(len(self.values)))

    def without(self, groups: np.ndarray) -> np.ndarray:
        """Each group by itself."""
        return np.array([self.score - self._of(groups != g) for g in range(groups.max() + 1)])

    def along(self, order: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Each step by itself."""
        rank = np.argsort(order)
        return np.array([self.score - self._of(rank >= k) for k in counts])


@dataclass
class WeightedModel:
    """The value of a tile is its first feature, its weight the exponential of its second."""

    def explain(self, tiles: np.ndarray) -> Rescored:
        """Explain all tiles of a patient."""
        return Rescored(tiles[:, 0].astype(float), np.exp(tiles[:, 1].astype(float)))
