"""Made-up patients with tiles, for tests of slide models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.features.bag import Bag, BagFrame, BagOrigin
from metastra.survival.outcome import Outcome
from metastra.training.patient_bags import PatientBags
from metastra.training.slide_task import SlideTask

__all__ = ["Patients", "a_bag", "a_task", "patients"]


def a_bag(tiles: NDArray[np.floating], name: str = "", **origin: str) -> Bag:
    corners = np.column_stack([448 * np.arange(len(tiles)), np.zeros(len(tiles))])
    return Bag(
        features=np.asarray(tiles, dtype=np.float32),
        coords=corners.astype(np.int64),
        frame=BagFrame(),
        origin=BagOrigin(name=name, **origin),
    )


@dataclass
class Patients:
    tiles: list[NDArray[np.float32]]
    truth: NDArray[np.float64]
    outcome: Outcome
    parts: NDArray[np.int64]

    @property
    def n(self) -> int:
        return len(self.tiles)

    @property
    def all(self) -> NDArray[np.bool_]:
        return np.ones(self.n, dtype=np.bool_)

    def bags(self) -> PatientBags:
        return PatientBags.of_bags([[a_bag(tiles)] for tiles in self.tiles])


def patients(
    n: int = 120,
    *,
    n_tiles: int = 20,
    d: int = 12,
    effect: float = 1.0,
    kind: str = "mean",
    seed: int = 1,
) -> Patients:
    """Tiles of a few latent kinds.

    ``mean``: the hazard depends on the mean of the first latent over all tiles.  ``rare``: half of
    the patients have a tenth of their tiles far out along the second latent, and a higher hazard.
    """
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(6, d)) / np.sqrt(6)
    tiles, truth = [], np.zeros(n)
    for i in range(n):
        level = 0.6 * rng.normal(size=6)
        latent = rng.normal(size=(n_tiles, 6)) + level
        truth[i] = level[0] / 0.6
        if kind == "rare":
            truth[i] = rng.choice([-1.0, 1.0])
            if truth[i] > 0:
                latent[: max(n_tiles // 10, 1), 1] += 5.0
        tiles.append((latent @ mix + 0.3 * rng.normal(size=(n_tiles, d))).astype(np.float32))
    event = rng.exponential(1000 / np.exp(effect * truth))
    other, end = rng.exponential(5000, n), rng.uniform(400, 2500, n)
    time = np.minimum(np.minimum(event, other), end)
    code = np.where(time == event, 1, np.where(time == other, 2, 0))
    outcome = Outcome(time=np.ceil(time), event=code)
    return Patients(tiles=tiles, truth=truth, outcome=outcome, parts=np.arange(n) % 4)


def a_task(aggregator: str = "linear", head: str = "cox", **changes: object) -> SlideTask:
    values: dict[str, object] = {
        "aggregator": aggregator,
        "head": head,
        "primary_days": 730.0,
        "horizons_days": (365.0, 730.0),
        "seed_label": "1/fold-0",
    }
    return SlideTask(**(values | changes))
