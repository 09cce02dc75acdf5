"""A fixed share of the slides, for machines that work side by side without talking."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from metastra.errors import ConfigError

__all__ = ["Shard"]

_FORM = re.compile(r"(\d{1,6})/(\d{1,6})")
_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The share that one of several workers takes.

    Shares are cut by rank in a list that every worker sorts alike: no two have a slide in common,
    and together they are all.  Which worker takes a slide decides nothing about its features.

    Parameters
    ----------
    number : int
        Of this share, from 1.
    of : int
        How many shares there are.

    Raises
    ------
    ConfigError
        If there is no such share.

    Examples
    --------
    >>> Shard.parse("2/3").part(["a", "b", "c", "d", "e"])
    ['b', 'e']
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ConfigError(
                f"there is no shard {self.number} of {self.of}; expected i/n with 1 ≤ i ≤ n"
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read a share as a person writes it.

        Parameters
        ----------
        text : str
            ``"i/n"``, for instance ``"3/8"``.

        Returns
        -------
        Shard
            The share.

        Raises
        ------
        ConfigError
            If the text has another form.
        """
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ConfigError(
                f"--shard {text!r} is no share; expected i/n with 1 ≤ i ≤ n, for instance 3/8 "
                "(in a SLURM array: $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT, "
                "with --array=1-n)"
            )
        return cls(number=int(match[1]), of=int(match[2]))

    def part(self, items: Sequence[_Item]) -> list[_Item]:
        """Take this share of a list.

        Parameters
        ----------
        items : sequence
            In the same order for every worker.

        Returns
        -------
        list
            Every `of`-th item, from the `number`-th on; empty where there are fewer items.
        """
        return list(items[self.number - 1 :: self.of])

    @property
    def label(self) -> str:
        """As it stands in file names, for instance ``"3-of-8"``."""
        return f"{self.number}-of-{self.of}"

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
