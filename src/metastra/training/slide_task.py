"""What a slide model shall learn, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.slide_head import HeadKind
from metastra.bundle.slide_model import SlideModel
from metastra.bundle.slide_tensors import Aggregator
from metastra.errors import ConfigError

__all__ = ["SettingTried", "SlideChoice", "SlideFit", "SlideTask"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SlideTask:
    """What a slide model shall learn, and how.

    Parameters
    ----------
    aggregator : {"attention", "mean", "linear"}
        See `metastra.bundle.slide_model.SlideModel`.
    head : {"cox", "discrete-hazard", "classification"}
        ``linear`` goes with ``cox`` only.
    primary_days : float
        Horizon at which the score of the two other heads is read.
    horizons_days : tuple of float
        Ascending, the primary one among them; intervals of ``discrete-hazard`` end there too.
    seed_label : str
        Names the draws: the study's seed and the fold.  Equal labels give equal models.
    steps_grid : tuple of int
        Ascending numbers of training steps to choose from.
    tiles_per_step : int
        Tiles of each patient in a step; all of a patient with fewer.
    embedding, attention : int
        Widths of the tile embedding and of the gate.
    components : int
        Principal components of the tile features that the embedding starts from.
    learning_rate, weight_decay : float
        Of AdamW.
    dropout : float
        Share of the features of a patient, and of the embedding's, that is left out in a step.
    shift : float
        Standard deviation of a shift of each component that is put on all tiles of a patient in a
        step, in standard deviations of the first component: what another scanner does.

    Raises
    ------
    ConfigError
        If it contradicts itself.
    """

    aggregator: Aggregator
    head: HeadKind = "cox"
    primary_days: float
    horizons_days: tuple[float, ...]
    seed_label: str
    steps_grid: tuple[int, ...] = (5, 10, 20, 40)
    tiles_per_step: int = 48
    embedding: int = 16
    attention: int = 8
    components: int = 32
    learning_rate: float = 0.01
    weight_decay: float = 0.1
    dropout: float = 0.25
    shift: float = 0.25

    def __post_init__(self) -> None:
        found = []
        if self.aggregator == "linear" and self.head != "cox":
            found.append(f"the aggregator 'linear' goes with the head 'cox', not {self.head!r}")
        if self.primary_days not in self.horizons_days:
            found.append(f"the primary horizon {self.primary_days:g} is not among the horizons")
        for name, values in (
            ("horizons_days", self.horizons_days),
            ("steps_grid", self.steps_grid),
        ):
            if not values or list(values) != sorted(set(values)) or values[0] <= 0:
                found.append(f"{name} = {values}; expected ascending numbers above 0")
        counts = {
            "tiles_per_step": self.tiles_per_step,
            "embedding": self.embedding,
            "attention": self.attention,
            "components": self.components,
        }
        found += [f"{name} = {k}; expected at least 1" for name, k in counts.items() if k < 1]
        if not 0.0 <= self.dropout < 1.0:
            found.append(f"dropout = {self.dropout:g}; expected 0 up to 1")
        if found:
            raise ConfigError("the slide model cannot be trained: " + "; ".join(found))


@dataclass(frozen=True, kw_only=True)
class SettingTried:
    """One setting of the grid and how it did.

    Parameters
    ----------
    name : str
        For instance ``"40 steps"``.
    gain : float
        Log-likelihood of the patients left out above that of a model without slides, summed over
        the inner parts.
    """

    name: str
    gain: float


@dataclass(frozen=True, kw_only=True)
class SlideChoice:
    """What was tried, what was taken, and why.

    Parameters
    ----------
    tried : tuple of SettingTried
        From the strongest shrinkage to the weakest.
    chosen : str
        Name of the setting of the ensemble.
    why : str
        In words.
    by_part : tuple of str
        Setting behind the inner scores of each inner part, chosen without that part's outcomes.
    """

    tried: tuple[SettingTried, ...]
    chosen: str
    why: str
    by_part: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class SlideFit:
    """A trained slide model with the scores that a second model may be fitted on.

    Parameters
    ----------
    model : SlideModel
        An ensemble of one member for each inner part, fitted without that part.
    inner_scores : ndarray of shape (n,)
        Scores of the patients fitted on, each by the one member that has not seen the patient's
        part; NaN for all others, for patients of no part, and for those without tiles.
    choice : SlideChoice
        Settings tried and taken.
    n, events : int
        Patients and events of interest it was fitted on.
    n_without_tiles : int
        Patients left out because no tile of theirs is there.
    """

    model: SlideModel
    inner_scores: _Array
    choice: SlideChoice
    n: int
    events: int
    n_without_tiles: int
