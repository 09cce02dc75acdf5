"""A moment of an encoder's training in one file, so that a kill costs a minute.

Weights, the optimiser's two averages and the loss so far are tensors; which training it belongs to
and how far it is stand in the header as JSON.  The file is written whole or not at all, and reading
it runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import IntegrityError
from metastra.storage import write_bytes

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

__all__ = ["Moment", "read_moment", "write_moment"]

_HEADER = "metastra"
_CURVE = "curve"


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """How far a training is.

    Parameters
    ----------
    plan : str
        Of `EncoderTask.plan`.
    step : int
        Steps that are done.
    steps : int
        Steps in all.
    spent_s : float
        Seconds they took.
    curve : ndarray of float64, shape (step, 3)
        Invariance, variance and covariance of each step.
    """

    plan: str
    step: int
    steps: int
    spent_s: float
    curve: NDArray[np.float64]


def write_moment(
    path: Path, moment: Moment, modules: Mapping[str, nn.Module], optimiser: Optimizer
) -> None:
    """Write a moment over the one before.

    Parameters
    ----------
    path : Path
        The file.
    moment : Moment
        How far it is.
    modules : mapping of str to nn.Module
        What is trained, by name.
    optimiser : Optimizer
        Of their weights.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch
        As `metastra.storage.write_bytes`.
    """
    import torch
    from safetensors.torch import save

    tensors = {
        f"{name}/{key}": value.contiguous()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{key}": value.contiguous() for key, value in state.items()}
    tensors[_CURVE] = torch.from_numpy(np.ascontiguousarray(moment.curve))
    header = {
        "plan": moment.plan,
        "step": moment.step,
        "steps": moment.steps,
        "spent_s": moment.spent_s,
    }
    write_bytes(path, save(tensors, metadata={_HEADER: json.dumps(header)}))


def read_moment(
    path: Path, plan: str, modules: Mapping[str, nn.Module], optimiser: Optimizer
) -> Moment | None:
    """Go back to a moment: the modules and the optimiser are as they were then.

    Parameters
    ----------
    path : Path
        The file.
    plan : str
        The training that shall go on.
    modules : mapping of str to nn.Module
        Changed in place.
    optimiser : Optimizer
        Changed in place.

    Returns
    -------
    Moment or None
        None where there is no file, or it belongs to another training.

    Raises
    ------
    IntegrityError
        If the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as opened:
            header = json.loads((opened.metadata() or {})[_HEADER])
            if header["plan"] != plan:
                return None
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, f"{name}/"))
        _restore(optimiser, _below(tensors, "optimiser/"))
        return Moment(
            plan=plan,
            step=int(header["step"]),
            steps=int(header["steps"]),
            spent_s=float(header["spent_s"]),
            curve=tensors[_CURVE].numpy(),
        )
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise IntegrityError(
            f"checkpoint {path.name} is damaged ({error}); remove it to begin again"
        ) from error


def _below(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }


def _restore(optimiser: Optimizer, tensors: Mapping[str, Any]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition("/")
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
