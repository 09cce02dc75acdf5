"""Several encoders in one command: whose weights are whose, and which of them share tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metastra.encoders.choice import EncoderChoice
from metastra.encoders.registry import encoder_names
from metastra.errors import ConfigError
from metastra.tiles.grid import TileSpec

__all__ = ["TileGroup", "deal_choices", "passes_told", "tile_groups"]


@dataclass(frozen=True, kw_only=True)
class TileGroup:
    """Encoders that see the same tiles, and so share a pass over each slide.

    Parameters
    ----------
    spec : TileSpec
        Scale and size of the tiles.
    choices : tuple of EncoderChoice
        In the order in which they were named.
    """

    spec: TileSpec
    choices: tuple[EncoderChoice, ...]

    @property
    def label(self) -> str:
        """Scale and size in one word, for instance ``"0.5um224px"``."""
        return f"{self.spec.target_mpp:g}um{self.spec.tile_px}px"


def deal_choices(
    names: Sequence[str], weights: Sequence[str] = (), engines: Sequence[str] = ()
) -> tuple[EncoderChoice, ...]:
    """Give each encoder its weights and its engine.

    Folders and engines go in their order to the encoders that take weights; ``NAME=`` before one
    gives it to that encoder.

    Parameters
    ----------
    names : sequence of str
        Of the encoders.
    weights, engines : sequence of str
        As on the command line; none at all for every encoder's own.

    Returns
    -------
    tuple of EncoderChoice
        In the order of `names`, the folders absolute.

    Raises
    ------
    ConfigError
        If an encoder is named twice, or there are more or fewer folders or engines than encoders
        that they could be for.

    Examples
    --------
    >>> [one.engine for one in deal_choices(["uni_v1", "phikon"], engines=["phikon=auto"])]
    ['', 'auto']
    """
    if doubled := sorted({name for name in names if list(names).count(name) > 1}):
        raise ConfigError(
            f"--encoder {', '.join(doubled)} is named twice; each encoder has a folder of its name"
        )
    own = encoder_names()
    takers = [name for name in names if name not in own] if len(names) > 1 else list(names)
    folders = _dealt("--weights", "DIR", weights, names, takers)
    computed_by = _dealt("--engine", "ENGINE", engines, names, takers)
    return tuple(
        EncoderChoice(
            name=name,
            weights=str(Path(folders[name]).absolute()) if name in folders else "",
            engine=computed_by.get(name, ""),
        )
        for name in names
    )


def _dealt(
    option: str, what: str, values: Sequence[str], names: Sequence[str], takers: Sequence[str]
) -> dict[str, str]:
    """Deal values to the encoders they are for."""
    found: dict[str, str] = {}
    loose: list[str] = []
    for value in values:
        name, sign, rest = value.partition("=")
        if not (sign and name in names):
            loose.append(value)
        elif name in found:
            raise ConfigError(f"{option} {name}= is given twice")
        else:
            found[name] = rest
    waiting = [name for name in takers if name not in found]
    if loose and len(loose) != len(waiting):
        told = ", ".join(waiting) or "no encoder"
        raise ConfigError(
            f"number of {option} that were given: {len(loose)}; of encoders that wait for one: "
            f"{len(waiting)} ({told}). Give it once for each of these, in their order, or say "
            f"which is whose: {option} NAME={what}"
        )
    return found | dict(zip(waiting, loose, strict=False))


def tile_groups(cards: Sequence[tuple[EncoderChoice, TileSpec]]) -> list[TileGroup]:
    """Put encoders together that see the same tiles.

    Parameters
    ----------
    cards : sequence of (EncoderChoice, TileSpec)
        Each encoder with its tiling.

    Returns
    -------
    list of TileGroup
        In the order in which the tilings first appear.
    """
    groups: dict[TileSpec, list[EncoderChoice]] = {}
    for choice, spec in cards:
        groups.setdefault(spec, []).append(choice)
    return [TileGroup(spec=spec, choices=tuple(some)) for spec, some in groups.items()]


def passes_told(groups: Sequence[TileGroup]) -> str:
    """Say how often each slide is read.

    Parameters
    ----------
    groups : sequence of TileGroup
        Of all encoders.

    Returns
    -------
    str
        One line.
    """
    told = "; ".join(
        f"{', '.join(one.name for one in group.choices)} on tiles of {group.spec.tile_px} px at "
        f"{group.spec.target_mpp:g} µm per pixel"
        for group in groups
    )
    passes = "one pass" if len(groups) == 1 else f"{len(groups)} passes"
    return f"{passes} over each slide: {told}"
