"""What became of one slide whose features are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SlideOutcome"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SlideOutcome:
    """What became of a slide whose features are there.

    Parameters
    ----------
    name : str
        Of the feature file.
    made : bool
        False where the file was up to date.
    n_tiles, n_grid : int
        Tiles in the file, and on the whole grid.
    dropped : dict of str to int
        Tiles that fell out, by code.
    excluded : str
        Why the slide has no tile; empty where it has some.
    digest : str
        Of the product.
    slide_digest : str
        Of the slide.
    mpp : tuple of float
        Micrometres per level-0 pixel along x and y; empty where a feature file does not say.
    mpp_source : str
        Who states them.
    codes : tuple of dict
        Findings on the slide, as `metastra.errors.Problem.to_json` writes them; empty where the
        file was up to date.
    seconds : dict of str to float
        Time for each step.
    reading : str
        By what the tiles' pixels were read, and why.
    also : tuple of SlideOutcome
        What became of the slide for the other encoders of the same pass.
    """

    name: str
    made: bool
    n_tiles: int
    n_grid: int
    dropped: dict[str, int]
    excluded: str
    digest: str
    slide_digest: str
    mpp: tuple[float, ...]
    mpp_source: str
    codes: tuple[dict[str, Any], ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    reading: str = ""
    also: tuple[SlideOutcome, ...] = ()

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> SlideOutcome:
        """Read an outcome.

        Parameters
        ----------
        values : mapping
            What `dataclasses.asdict` gives.

        Returns
        -------
        SlideOutcome
            Equal to the one that was written.
        """
        plain = dict(values)
        plain["mpp"] = tuple(plain["mpp"])
        plain["codes"] = tuple(plain["codes"])
        plain["also"] = tuple(map(cls.from_plain, plain["also"]))
        return cls(**plain)
