"""CPU time of two calls in turn, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Pair", "Samples", "sample_pair"]

_LEAST_S = 0.05
"""A sample repeats its call until it takes about this long."""
_MOST_CALLS = 1000


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two calls on the same data, and what their answers differ by.

    Parameters
    ----------
    ours, theirs : callable
        Without arguments; `theirs` is None where there is no counterpart.
    difference : callable, optional
        From both answers to the largest absolute difference of the numbers they share.
    """

    ours: Callable[[], Any]
    theirs: Callable[[], Any] | None = None
    difference: Callable[[Any, Any], float] | None = None


@dataclass(kw_only=True)
class Samples:
    """CPU seconds a call, one entry for each round."""

    first: float
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    difference: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Write the samples as plain values."""
        return asdict(self)


def sample_pair(pair: Pair, rounds: int) -> Samples:
    """Time both calls in turn: A B A B.

    Parameters
    ----------
    pair : Pair
        What is called.
    rounds : int
        Samples of each.

    Returns
    -------
    Samples
        The first call of `ours` apart: it loads the compiled code.
    """
    first, mine = _timed(pair.ours, 1)
    samples = Samples(first=first)
    our_calls = _enough(pair.ours)
    if pair.theirs is None:
        samples.ours = [_timed(pair.ours, our_calls)[0] for _ in range(rounds)]
        return samples
    other = pair.theirs()
    if pair.difference is not None:
        samples.difference = float(pair.difference(mine, other))
    their_calls = _enough(pair.theirs)
    for _ in range(rounds):
        samples.ours.append(_timed(pair.ours, our_calls)[0])
        samples.theirs.append(_timed(pair.theirs, their_calls)[0])
    return samples


def _timed(call: Callable[[], Any], calls: int) -> tuple[float, Any]:
    answer = None
    start = time.process_time()
    for _ in range(calls):
        answer = call()
    return (time.process_time() - start) / calls, answer


def _enough(call: Callable[[], Any]) -> int:
    seconds = _timed(call, 1)[0]
    return max(1, min(_MOST_CALLS, round(_LEAST_S / max(seconds, 1e-9))))
