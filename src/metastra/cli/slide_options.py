"""Options that name the slides of new patients, for verbs that predict."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metastra.cli.console import say
from metastra.cli.options import RegionOrigin
from metastra.errors import ConfigError

if TYPE_CHECKING:
    from metastra.cohort.tables import TableFormat
    from metastra.pipeline.given_slides import SlideSource

__all__ = ["Features", "SlideDir", "SlideTable", "Workers", "limited", "slide_source"]

SlideTable = Annotated[
    Path | None,
    typer.Option(
        "--slide-table",
        metavar="CSV",
        help="PATIENT, FILENAME, and where known MPP, STAIN, SCANNER: for bundles of slides.",
        show_default=False,
    ),
]
SlideDir = Annotated[
    Path | None,
    typer.Option(
        "--slide-dir",
        metavar="DIR",
        help="Folder of the slides or feature files (.h5); by default the slide table's.",
        show_default=False,
    ),
]
Features = Annotated[
    Path | None,
    typer.Option(
        "--features",
        metavar="DIR",
        help="Folder of the features that are made or reused; by default beside the output.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Slides at a time; one a core by default.")
]


def slide_source(
    table: Path | None,
    folder: Path | None,
    store: Path | None,
    *,
    beside: Path,
    workers: int | None = None,
    written: TableFormat | None = None,
    weights: Path | None = None,
) -> SlideSource | None:
    """Say where slides are, as the command line has it.

    Parameters
    ----------
    table : Path or None
        The slide table; None where no slides are given.
    folder : Path or None
        Of the files; by default that of the table.
    store : Path or None
        Of the features; by default beside `beside`.
    beside : Path
        The file that names the default folder of the features.
    workers : int or None
        Slides at a time; by default one a core.
    written : TableFormat, optional
        How the slide table is written.
    weights : Path or None
        Folder of the encoder's weights.

    Returns
    -------
    SlideSource or None
        None without a slide table.

    Raises
    ------
    ConfigError
        If a folder is given without a slide table.
    """
    if table is None:
        if any(one is not None for one in (folder, store, weights)):
            raise ConfigError("--slide-dir, --features and --weights belong to --slide-table CSV")
        return None
    from metastra.cohort.tables import TableFormat as Written
    from metastra.pipeline.given_slides import SlideSource

    return SlideSource(
        table=table,
        folder=table.parent if folder is None else folder,
        store=beside.with_name(f"{beside.stem}-features") if store is None else store,
        written=written or Written(),
        weights=weights,
        workers=workers or len(os.sched_getaffinity(0)),
        tell=say,
    )


def limited(
    source: SlideSource | None,
    region: Path | None,
    region_origin: RegionOrigin,
    review: Path | None,
) -> SlideSource | None:
    """Say what limits the slides, as the command line has it.

    Parameters
    ----------
    source : SlideSource or None
        From `slide_source`.
    region : Path or None
        Drawn regions.
    region_origin : RegionOrigin
        What their coordinates count from.
    review : Path or None
        A reviewer's decisions.

    Returns
    -------
    SlideSource or None
        None without slides.

    Raises
    ------
    ConfigError
        If a limit is given without slides.
    """
    if source is None:
        if region is not None or review is not None:
            raise ConfigError("--region and --review belong to --slide-table CSV")
        return None
    return replace(source, region=region, region_origin=region_origin.value, review=review)
