"""Gradient descent of members side by side, the same on every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from metastra.models.bags import PaddedBags
from metastra.models.members import Dropped, Members

__all__ = ["descend", "same_on_every_run"]

_FREE = ("head_bias",)
"""Parameters that are not shrunk: intercepts say how often something happens, not why."""


@contextmanager
def same_on_every_run() -> Iterator[None]:
    """Compute with one thread and deterministic kernels, then as before.

    Yields
    ------
    None
        While the settings hold for the whole process.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=deterministic)
        torch.set_num_threads(threads)


def descend(
    members: Members,
    loss: Callable[[torch.Tensor], torch.Tensor],
    batches: Iterator[PaddedBags],
    dropped: Dropped,
    *,
    stops: Sequence[int],
    learning_rate: float,
    weight_decay: float,
) -> Iterator[int]:
    """Train, and stand still at given numbers of steps.

    Parameters
    ----------
    members : Members
        Changed in place.
    loss : callable
        From outputs (m, p, o) to m losses; their sum is lowered, which trains every member by its
        own loss alone.
    batches : iterator of PaddedBags
        All patients, with tiles drawn anew; one for each step.
    dropped : Dropped
        What is left out in each step.
    stops : sequence of int
        Ascending.
    learning_rate, weight_decay : float
        Of AdamW (Loshchilov and Hutter 2019).

    Yields
    ------
    int
        Each of `stops`, when so many steps have been made.
    """
    free = [p for name, p in members.named_parameters() if name in _FREE]
    shrunk = [p for name, p in members.named_parameters() if name not in _FREE]
    groups: list[dict[str, Any]] = [{"params": shrunk}, {"params": free, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay)
    done = 0
    for stop in stops:
        for _ in range(stop - done):
            optimiser.zero_grad()
            total = loss(members(next(batches), dropped)).sum()
            torch.autograd.backward(total)
            optimiser.step()
        done = stop
        yield stop
