"""Train the networks of a slide model: all sets of inner parts left out, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metastra.bundle.slide_member import Gate, Member
from metastra.errors import MissingExtra
from metastra.progress import track
from metastra.training.patient_bags import PatientBags
from metastra.training.slide_hazards import HazardObjective
from metastra.training.slide_inputs import SlideInputs, seed_of
from metastra.training.slide_objective import ClassObjective, CoxObjective, Objective
from metastra.training.slide_parts import InnerParts
from metastra.training.slide_task import SlideTask

if TYPE_CHECKING:
    import torch

    from metastra.models.bags import PaddedBags
    from metastra.models.members import Members

__all__ = ["NetworkPaths", "fit_network_paths", "require_torch"]

_Array = NDArray[np.float64]

_STEPS_PER_DRAW = 5
"""Steps made on the same tiles before others are drawn: reading costs more than computing."""
_MOST_DRAWS = 8
"""Draws that are held in memory; more steps go through them again."""
_JUDGED_TILES = 256
"""Tiles of a patient by which settings are judged, and whose components are found."""
_JUDGED = 16
"""Patients whose outputs are computed at once."""
_NUMBERS_AT_ONCE = 1 << 20
"""Numbers in one tensor of tokens: so many members are trained side by side as fit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkPaths:
    """Networks along the numbers of training steps, one path for each set of parts left out.

    Parameters
    ----------
    centre, scale : ndarray of shape (d,)
        Of the features.
    members : tuple of tuple of Member
        By model and setting.
    gains : dict of (int, int) to ndarray of shape (s,)
        For a model and a part that it was fitted without: the gain of each setting.
    settings : tuple of str
        Names of the settings, the fewest steps first.
    """

    centre: _Array
    scale: _Array
    members: tuple[tuple[Member, ...], ...]
    gains: dict[tuple[int, int], _Array]
    settings: tuple[str, ...]

    def member(self, model: int, setting: int) -> Member:
        """Take one fitted model.

        Parameters
        ----------
        model, setting : int
            Positions.

        Returns
        -------
        Member
            For `metastra.bundle.slide_model.SlideModel`.
        """
        return self.members[model][setting]


def fit_network_paths(
    bags: PatientBags,
    at: NDArray[np.int64],
    objective: Objective,
    parts: InnerParts,
    task: SlideTask,
) -> NetworkPaths:
    """Train networks without each set of inner parts.

    Parameters
    ----------
    bags : PatientBags
        Tiles of all patients.
    at : ndarray of shape (n,), int64
        The patients to fit on, each with tiles.
    objective : Objective
        Of these patients.
    parts : InnerParts
        Of these patients.
    task : SlideTask
        Sizes, steps, shrinkage.

    Returns
    -------
    NetworkPaths
        Of all models and numbers of steps.

    Raises
    ------
    MissingExtra
        Without torch.
    NotEstimable
        When a model would have no event, or all tiles are the same.

    Notes
    -----
    All patients take part in every step, each with tiles drawn anew every five steps (all of its
    tiles if it has few).  The tile features are standardised, cut, and turned to their principal
    components, none of which looks at an outcome; the turn is part of the exported embedding.
    """
    require_torch()
    from metastra.models.bags import PaddedBags
    from metastra.models.descent import same_on_every_run

    inputs = SlideInputs.of(
        bags,
        at,
        n_components=task.components,
        most_tiles=_JUDGED_TILES,
        seed_label=task.seed_label,
    )
    kept = np.array([parts.kept(model) for model in range(len(parts.left_out))])
    trainer = _Trainer(
        inputs=inputs,
        judged=PaddedBags.of(inputs.draw("judged", _JUDGED_TILES)),
        objective=objective,
        task=task,
        batches=_batches(inputs, task),
    )
    side_by_side = max(_NUMBERS_AT_ONCE // (at.size * task.tiles_per_step * task.embedding), 1)
    groups = [
        list(range(first, min(first + side_by_side, len(kept))))
        for first in range(0, len(kept), side_by_side)
    ]
    trained: list[_Trained] = []
    with same_on_every_run():
        for group in track(groups, label="slide models", unit="group"):
            trained += trainer.train(group, kept[group])
    gains = {
        (model, part): np.array(
            [objective.gain(out, kept[model], parts.label == part) for out in one.outputs]
        )
        for model, one in enumerate(trained)
        for part in parts.left_out[model]
    }
    return NetworkPaths(
        centre=inputs.centre,
        scale=inputs.scale,
        members=tuple(tuple(one.members) for one in trained),
        gains=gains,
        settings=tuple(f"{steps} steps" for steps in task.steps_grid),
    )


def require_torch() -> None:
    """Ask for torch before anything is read.

    Raises
    ------
    MissingExtra
        With the command that installs it.
    """
    if find_spec("torch") is None:
        raise MissingExtra("torch", extra="learn", what_for="training a slide model")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trained:
    """One model at each number of steps, and its outputs for all patients there."""

    members: list[Member]
    outputs: list[_Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Trainer:
    """Trains models on patients of their own, and exports them at each number of steps."""

    inputs: SlideInputs
    judged: PaddedBags
    objective: Objective
    task: SlideTask
    batches: list[PaddedBags]

    def train(self, models: list[int], kept: NDArray[np.bool_]) -> list[_Trained]:
        import torch

        from metastra.models.descent import descend
        from metastra.models.members import Dropped, Members

        task = self.task
        loss = _loss(self.objective, kept)
        start = np.array([self.objective.start(mine) for mine in kept])
        members = Members(
            len(models),
            self.inputs.basis.shape[1],
            embedding=task.embedding,
            attention=task.attention if task.aggregator == "attention" else 0,
            start=torch.from_numpy(start.astype(np.float32)),
            n_effects=self.objective.n_effects,
            seeds=tuple(seed_of(f"{task.seed_label}/model-{model}") for model in models),
        )
        noise = torch.Generator().manual_seed(seed_of(f"{task.seed_label}/noise-{models[0]}"))
        trained = [_Trained(members=[], outputs=[]) for _ in models]
        for _ in descend(
            members,
            loss,
            (self.batches[step // _STEPS_PER_DRAW % len(self.batches)] for step in count()),
            Dropped(noise, dropout=task.dropout, shift=task.shift),
            stops=task.steps_grid,
            learning_rate=task.learning_rate,
            weight_decay=task.weight_decay,
        ):
            for one, member, out, mine in zip(
                trained, self._exported(members), self._outputs(members), kept, strict=True
            ):
                if self.objective.readout.kind == "cox":
                    level = out[mine].mean(axis=0)
                    member = replace(member, head_bias=member.head_bias - level)
                    out = out - level
                one.members.append(member)
                one.outputs.append(out)
        return trained

    def _outputs(self, members: Members) -> _Array:
        """Compute outputs of each member for all patients, of shape (m, n, o)."""
        import torch

        from metastra.models.bags import PaddedBags

        tiles, mask = self.judged.tiles, self.judged.mask
        with torch.no_grad():
            blocks = [
                members(PaddedBags(tiles=tiles[at : at + _JUDGED], mask=mask[at : at + _JUDGED]))
                for at in range(0, len(tiles), _JUDGED)
            ]
        return np.asarray(torch.cat(blocks, dim=1).numpy(), dtype=np.float64)

    def _exported(self, members: Members) -> list[Member]:
        """Take the members as numbers, the turn to components made part of the embedding."""
        values = {
            name: tensor.numpy().astype(np.float64) for name, tensor in members.state_dict().items()
        }
        n_effects = self.objective.n_effects
        exported = []
        for k in range(len(values["head_bias"])):
            gate = None
            if members.attends:
                gate = Gate(
                    value_weight=values["value_weight"][k],
                    value_bias=values["value_bias"][k],
                    gate_weight=values["gate_weight"][k],
                    gate_bias=values["gate_bias"][k],
                    weight=values["gate_join"][k],
                )
            repeats = values["head_bias"].shape[1] // n_effects
            exported.append(
                Member(
                    head_weight=np.tile(values["head_weight"][k], (1, repeats)),
                    head_bias=values["head_bias"][k],
                    embed_weight=self.inputs.basis @ values["embed_weight"][k],
                    embed_bias=values["embed_bias"][k],
                    gate=gate,
                )
            )
        return exported


def _batches(inputs: SlideInputs, task: SlideTask) -> list[PaddedBags]:
    """All patients, with tiles drawn anew where somebody has more than a step takes."""
    from metastra.models.bags import PaddedBags

    fixed = bool((inputs.bags.counts[inputs.at] <= task.tiles_per_step).all())
    n_draws = 1 if fixed else -(-task.steps_grid[-1] // _STEPS_PER_DRAW)
    names = [f"draw-{number}" for number in range(min(n_draws, _MOST_DRAWS))]
    return [PaddedBags.of(drawn) for drawn in inputs.draws(names, task.tiles_per_step)]


def _loss(objective: Objective, kept: NDArray[np.bool_]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Make the loss that belongs to an objective."""
    import torch

    from metastra.models.losses import ClassLoss, CoxLoss, HazardLoss

    if isinstance(objective, CoxObjective):
        own = objective.outcome
        return CoxLoss.of(own.time, own.event == 1, kept, own.entry)
    if isinstance(objective, HazardObjective):
        return HazardLoss(
            kept=torch.from_numpy(kept.astype(np.float64)),
            target=torch.from_numpy(objective.target),
            at_risk=torch.from_numpy(objective.at_risk),
        )
    if isinstance(objective, ClassObjective):
        weights = np.array([objective.weight(mine) * mine for mine in kept])
        return ClassLoss(kept=torch.from_numpy(weights), target=torch.from_numpy(objective.target))
    raise TypeError(f"no loss belongs to {type(objective).__name__}")
