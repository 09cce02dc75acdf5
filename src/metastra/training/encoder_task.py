"""What is asked of the training of an encoder, as values that make up its identity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from metastra.digest import digest_value
from metastra.errors import ConfigError

__all__ = ["METHOD", "EncoderTask"]

METHOD = "vicreg-1"
"""Changes whenever the same tiles, seed and steps would give other weights."""


@dataclass(frozen=True, kw_only=True)
class EncoderTask:
    """How long and from which seed; exactly one of `minutes`, `epochs` and `steps` is given.

    Parameters
    ----------
    minutes : float or None
        How long the training shall take here; turned into a number of steps by timing the first.
    epochs : int or None
        How often every tile is seen.
    steps : int or None
        How many batches are seen.
    seed : int
        Of the first weights, the order of the tiles and their views.
    workers : int
        Cores.
    tiles_per_step : int
        Tiles of a batch, each in two views.
    learning_rate, weight_decay : float
        Of AdamW (Loshchilov and Hutter 2019) at its highest; warmed up over a tenth of the steps,
        then lowered to 0 along a cosine.

    Raises
    ------
    ConfigError
        When not exactly one length is given, or a number is impossible.

    Examples
    --------
    >>> EncoderTask(epochs=3).steps_for(640)
    30
    """

    minutes: float | None = None
    epochs: int | None = None
    steps: int | None = None
    seed: int = 0
    workers: int = 1
    tiles_per_step: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        lengths = (self.minutes, self.epochs, self.steps)
        if sum(length is not None for length in lengths) != 1:
            raise ConfigError("give one of --minutes, --epochs and --steps")
        length = next(length for length in lengths if length is not None)
        if not (math.isfinite(length) and length > 0):
            raise ConfigError(f"the training is {length:g} long; expected above 0")
        if self.seed < 0 or self.workers < 1 or self.tiles_per_step < 2:
            raise ConfigError(
                f"seed {self.seed}, {self.workers} workers and {self.tiles_per_step} tiles a step; "
                "expected at least 0, 1 and 2"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the weights beside the tiles; cores are left out."""
        return {
            "method": METHOD,
            "minutes": self.minutes,
            "epochs": self.epochs,
            "steps": self.steps,
            "seed": self.seed,
            "tiles_per_step": self.tiles_per_step,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
        }

    def plan(self, tiles_digest: str) -> str:
        """Name this training on these tiles.

        Parameters
        ----------
        tiles_digest : str
            Of the tiles.

        Returns
        -------
        str
            64 hexadecimal digits; a checkpoint of another plan is not gone on with.
        """
        return digest_value({"tiles": tiles_digest, **self.settings})

    def batch(self, n_tiles: int) -> int:
        """Say how many tiles a batch has: all of them where there are fewer than asked for.

        Parameters
        ----------
        n_tiles : int
            In all.

        Returns
        -------
        int
            At most `tiles_per_step`.
        """
        return min(self.tiles_per_step, n_tiles)

    def steps_for(self, n_tiles: int, *, step_s: float | None = None) -> int:
        """Turn the length into steps.

        Parameters
        ----------
        n_tiles : int
            In all.
        step_s : float, optional
            Seconds of one step; needed for `minutes`.

        Returns
        -------
        int
            At least 1.

        Raises
        ------
        ValueError
            For `minutes` without `step_s`.
        """
        if self.steps is not None:
            return self.steps
        if self.epochs is not None:
            return max(self.epochs * (n_tiles // self.batch(n_tiles)), 1)
        if self.minutes is None or step_s is None:
            raise ValueError("minutes become steps by the seconds of one step")
        return max(int(60.0 * self.minutes / step_s), 1)

    def rate(self, step: int, steps: int) -> float:
        """Give the learning rate of a step.

        Parameters
        ----------
        step : int
            From 0.
        steps : int
            In all.

        Returns
        -------
        float
            Rises over the first tenth, then falls along a cosine.
        """
        warm = max(steps // 10, 1)
        rising = min((step + 1) / warm, 1.0)
        return self.learning_rate * rising * 0.5 * (1.0 + math.cos(math.pi * step / steps))
