"""Train a slide model inside given patients: cross-fitted, nothing chosen on what is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.slide_member import Member
from metastra.bundle.slide_model import SlideModel
from metastra.errors import DataError, NotEstimable
from metastra.survival.outcome import Outcome
from metastra.training.clinical import FEWEST_EVENTS
from metastra.training.patient_bags import PatientBags
from metastra.training.slide_inputs import LIMIT
from metastra.training.slide_linear import fit_linear_paths
from metastra.training.slide_network import fit_network_paths
from metastra.training.slide_objective import objective_of
from metastra.training.slide_parts import InnerParts
from metastra.training.slide_space import against_nuisance, plain_space
from metastra.training.slide_task import SettingTried, SlideChoice, SlideFit, SlideTask

__all__ = ["fit_slide_model"]

_Array = NDArray[np.float64]
_Mask = NDArray[np.bool_]
_Gains = Mapping[tuple[int, int], _Array]

_TYPICAL = (0.005, 0.995)


class _Paths(Protocol):
    """Models along a grid of settings, one path for each set of parts left out."""

    @property
    def centre(self) -> _Array: ...
    @property
    def scale(self) -> _Array: ...
    @property
    def gains(self) -> _Gains: ...
    @property
    def settings(self) -> tuple[str, ...]: ...
    def member(self, model: int, setting: int) -> Member: ...


def fit_slide_model(
    bags: PatientBags,
    outcome: Outcome,
    rows: _Mask,
    groups: NDArray[np.int64],
    task: SlideTask,
) -> SlideFit:
    """Train a slide model on some patients; the others are not looked at.

    Parameters
    ----------
    bags : PatientBags
        Tiles of n patients.
    outcome : Outcome
        Of the same patients, in days.
    rows : ndarray of shape (n,), bool
        The patients to fit on.
    groups : ndarray of shape (n,), int64
        Inner parts, -1 for none; only `rows` matter.
    task : SlideTask
        What to learn.

    Returns
    -------
    SlideFit
        The ensemble, and a score of each patient fitted on by a member that has not seen the
        patient's inner part, neither in fitting nor in choosing.

    Raises
    ------
    NotEstimable
        With fewer than ten events of interest among the patients with tiles, fewer than three
        inner parts, or a horizon past their follow-up.
    DataError
        SL054 for a feature that is not finite, SL059 for features of several encoders.
    MissingExtra
        When an aggregator other than ``linear`` is trained without torch.

    Notes
    -----
    Standardisation and principal components come from `rows` as a whole, without their outcomes.
    The inner scores are what a second model (of clinical predictors and the score) is fitted on;
    the ensemble's scores of its own patients would be too good for that.
    """
    _require_fit(bags, outcome, rows, groups)
    used = rows & (bags.counts > 0)
    at = np.flatnonzero(used)
    mine = outcome.take(used)
    _require_support(mine, int(rows.sum() - at.size), task)
    parts = InnerParts.of(groups[used])
    _require_events(mine, parts)
    paths, limit = _paths(bags, at, mine, parts, task)
    choice, setting, by_part = _choose(paths.gains, parts, paths.settings)
    low, high = np.quantile(bags.moments().means[used], _TYPICAL, axis=0)
    model = SlideModel(
        aggregator=task.aggregator,
        readout=objective_of(mine, task).readout,
        centre=paths.centre,
        scale=paths.scale,
        limit=limit,
        members=tuple(paths.member(part, setting) for part in range(parts.n_parts)),
        typical_low=low,
        typical_high=high,
    )
    inner = np.full(bags.n, np.nan)
    for part, own in enumerate(by_part):
        scorer = model.with_members((paths.member(part, own),))
        for patient in at[parts.label == part]:
            inner[patient] = scorer.score(bags.blocks(int(patient)))
    return SlideFit(
        model=model,
        inner_scores=inner,
        choice=choice,
        n=int(at.size),
        events=mine.n_events(1),
        n_without_tiles=int(rows.sum() - at.size),
    )


def _require_fit(
    bags: PatientBags, outcome: Outcome, rows: _Mask, groups: NDArray[np.int64]
) -> None:
    shapes = {"outcome": (outcome.n,), "rows": rows.shape, "groups": groups.shape}
    wrong = [f"{name} {shape}" for name, shape in shapes.items() if shape != (bags.n,)]
    if wrong:
        raise DataError(f"{', '.join(wrong)} do not fit the bags of {bags.n} patients")


def _require_support(outcome: Outcome, n_without: int, task: SlideTask) -> None:
    """Refuse patients who cannot carry a model."""
    events = outcome.n_events(1)
    without = f" ({n_without} more have no tile)" if n_without else ""
    if events < FEWEST_EVENTS:
        raise NotEstimable(
            f"no slide model: {events} events among {outcome.n} patients with tiles{without}; at "
            f"least {FEWEST_EVENTS} are needed"
        )
    last = float(outcome.time.max())
    if task.horizons_days[-1] > last:
        raise NotEstimable(
            f"no slide model: the horizon at {task.horizons_days[-1]:g} days lies past the last "
            f"follow-up at {last:g} days of the patients to fit on"
        )


def _require_events(outcome: Outcome, parts: InnerParts) -> None:
    """Refuse parts without which nobody has the event."""
    for model, out in enumerate(parts.left_out):
        if not outcome.event[parts.kept(model)].tolist().count(1):
            raise NotEstimable(f"no slide model: without inner parts {out} no event is left")


def _paths(
    bags: PatientBags,
    at: NDArray[np.int64],
    outcome: Outcome,
    parts: InnerParts,
    task: SlideTask,
) -> tuple[_Paths, float]:
    """Fit the models, with the number at which standardised features are cut."""
    if task.aggregator == "linear":
        means = bags.moments().means[at]
        space = against_nuisance(plain_space(means), bags, at)
        return fit_linear_paths(means, outcome, parts, space), float("inf")
    objective = objective_of(outcome, task)
    return fit_network_paths(bags, at, objective, parts, task), LIMIT


def _choose(
    gains: _Gains, parts: InnerParts, settings: Sequence[str]
) -> tuple[SlideChoice, int, list[int]]:
    """Choose the setting of the ensemble, and for each part one that is blind to it."""
    singles = range(parts.n_parts)
    pooled = np.sum([gains[part, part] for part in singles], axis=0)
    setting = _best(pooled)
    by_part = [
        _best(np.sum([gains[pair] for pair in parts.judged_by(part)], axis=0)) for part in singles
    ]
    if pooled[setting] > 0.0:
        why = f"highest likelihood of the patients left out, over {parts.n_parts} inner parts"
    else:
        why = (
            "strongest shrinkage of the grid: no setting predicted the patients left out better "
            "than a model without slides"
        )
    choice = SlideChoice(
        tried=tuple(
            SettingTried(name=name, gain=float(gain))
            for name, gain in zip(settings, pooled, strict=True)
        ),
        chosen=settings[setting],
        why=why,
        by_part=tuple(settings[own] for own in by_part),
    )
    return choice, setting, by_part


def _best(gains: _Array) -> int:
    """Take the setting with the highest gain; the strongest shrinkage where nothing helps."""
    finite = np.where(np.isfinite(gains), gains, -np.inf)
    best = int(finite.argmax())
    return best if finite[best] > 0.0 else 0
