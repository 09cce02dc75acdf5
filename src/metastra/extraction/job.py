"""What is to be done for one slide, as plain values that reach another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from metastra.cohort.drawn_regions import slide_stem
from metastra.encoders.choice import EncoderChoice
from metastra.encoders.encoder import EncoderCard
from metastra.errors import ConfigError
from metastra.slides.slide import MppSource
from metastra.tiles.grid import TileSpec
from metastra.tissue.geojson import RegionOrigin

__all__ = ["SlideJob", "spec_for"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SlideJob:
    """One slide on its way to a feature file.

    Parameters
    ----------
    path : str
        The slide.
    name : str
        Of the feature file, without its ending; the only name that is stored.
    folder, prefix : str
        The store: its folder, and the folder inside it.
    encoder : str
        Name of the encoder.
    weights, engine : str
        Folder of its weights, engine and precision; empty for its own.
    target_mpp : float
        Micrometres per pixel of the tiles.
    tile_px : int
        Side of a tile in pixels.
    mpp : float or None
        Micrometres per level-0 pixel where the user states them.
    mpp_source : {"option", "table"}
        Where the user states them.
    region : str or None
        A GeoJSON file that limits the tiles.
    region_origin : {"qupath", "level0"}
        What its coordinates count from.
    batch : int
        Tiles in memory at a time.
    readers : int
        Threads that read tiles ahead of the encoder.
    is_features : bool
        Whether `path` is a feature file, to be brought into the store.
    shown : str
        What messages call the slide; its file name where nothing else is given.
    stain : str
        As the slide table has it; empty where it says nothing.
    overridden : tuple of str
        Slides whose verdict of quality a reviewer turned round, named by their content as in the
        review table; this one is affected only if it is among them.
    also : tuple of SlideJob
        The same tiles of the same slide for other encoders, to be read in the same pass.
    task : str
        Key of the task, where a slide has several; empty for its name.

    Examples
    --------
    >>> job = SlideJob(path="a.svs", name="a", folder="out", encoder="morphology")
    >>> SlideJob.from_plain(job.to_plain()) == job
    True
    """

    path: str
    name: str
    folder: str
    encoder: str
    prefix: str = ""
    weights: str = ""
    engine: str = ""
    target_mpp: float = 0.5
    tile_px: int = 224
    mpp: float | None = None
    mpp_source: MppSource = "option"
    region: str | None = None
    region_origin: RegionOrigin = "qupath"
    batch: int = 64
    readers: int = 1
    is_features: bool = False
    shown: str = ""
    stain: str = ""
    overridden: tuple[str, ...] = ()
    also: tuple[SlideJob, ...] = ()
    task: str = ""

    def __post_init__(self) -> None:
        # a job that comes from another process has lists here
        object.__setattr__(self, "overridden", tuple(self.overridden))
        others = (one if isinstance(one, SlideJob) else SlideJob(**one) for one in self.also)
        object.__setattr__(self, "also", tuple(others))
        if not self.shown:
            object.__setattr__(self, "shown", Path(self.path).name)

    @property
    def key(self) -> str:
        """Of the task."""
        return self.task or self.name

    @property
    def spec(self) -> TileSpec:
        """How the slide is tiled."""
        return TileSpec(target_mpp=self.target_mpp, tile_px=self.tile_px)

    @property
    def choice(self) -> EncoderChoice:
        """The encoder with its weights and engine."""
        return EncoderChoice(name=self.encoder, weights=self.weights, engine=self.engine)

    @property
    def region_shown(self) -> str:
        """What messages call the region's file: as the slide, whatever that is called."""
        return f"{slide_stem(self.shown)}.geojson"

    @property
    def source(self) -> str:
        """The slide's file name, without its folder."""
        return Path(self.path).name

    def to_plain(self) -> dict[str, Any]:
        """Write the job as plain values.

        Returns
        -------
        dict
            What `from_plain` reads; without what is as by default, since a cohort has thousands
            of jobs.
        """
        plain: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.default is MISSING or value != item.default:
                plain[item.name] = value
        if self.also:
            plain["also"] = tuple(one.to_plain() for one in self.also)
        return plain

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> SlideJob:
        """Read a job.

        Parameters
        ----------
        values : mapping
            What `to_plain` wrote.

        Returns
        -------
        SlideJob
            Equal to the one that was written.
        """
        return cls(**values)


def spec_for(card: EncoderCard, target_mpp: float | None, tile_px: int | None) -> TileSpec:
    """Choose the tiling for an encoder: its own, unless something else is asked for.

    Parameters
    ----------
    card : EncoderCard
        Of the encoder.
    target_mpp : float or None
        Micrometres per pixel that are asked for.
    tile_px : int or None
        Side of a tile that is asked for.

    Returns
    -------
    TileSpec
        That of the card.

    Raises
    ------
    ConfigError
        If something is asked for that the encoder was not made for.
    """
    asked = (card.mpp if target_mpp is None else target_mpp, tile_px or card.tile_px)
    if asked != (card.mpp, card.tile_px):
        raise ConfigError(
            f"encoder {card.name!r} was made for tiles of {card.tile_px} px at {card.mpp:g} µm per "
            f"pixel, not {asked[1]} px at {asked[0]:g}; leave out --target-mpp and --tile-px, or "
            "take another encoder"
        )
    return TileSpec(target_mpp=card.mpp, tile_px=card.tile_px)
