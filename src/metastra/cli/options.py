"""Options that several verbs share, so that one name has one meaning."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metastra.cohort.tables import TableFormat

__all__ = [
    "AsJson",
    "Decimal",
    "Delimiter",
    "IdColumn",
    "KeyFile",
    "OutDir",
    "ProgramDir",
    "Region",
    "RegionFrom",
    "RegionOrigin",
    "RetryFailed",
    "Review",
    "ShardOf",
    "StudyFile",
    "table_format",
]

AsJson = Annotated[
    bool, typer.Option("--json", help="Write one JSON object to stdout and talk to stderr.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Key of the pseudonyms; by default STUDY's name with .key, made when it is missing.",
        show_default=False,
    ),
]
StudyFile = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="The study file, or the folder that holds study.toml."),
]
IdColumn = Annotated[str, typer.Option("--id", metavar="COL", help="Column of the patients' ids.")]
OutDir = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results.")]
ProgramDir = Annotated[
    Path | None,
    typer.Option(
        "--program-dir",
        metavar="DIR",
        help="Where a foreign model's program lies; by default where it was locked.",
        show_default=False,
    ),
]
Region = Annotated[
    Path | None,
    typer.Option(
        metavar="GEOJSON",
        help="Region drawn in QuPath; for several slides a folder with <slide>.geojson.",
        show_default=False,
    ),
]
Review = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="A reviewer's decisions; by default qc_review.csv beside the results.",
        show_default=False,
    ),
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Do one of N shares of the slides, beside workers that do the others.",
        show_default=False,
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="Try slides again that lost their worker three times."),
]


class RegionOrigin(StrEnum):
    """What the coordinates of a drawn region count from."""

    QUPATH = "qupath"
    LEVEL0 = "level0"


RegionFrom = Annotated[
    RegionOrigin,
    typer.Option(help="Where the region's coordinates begin: QuPath crops to scanned bounds."),
]
Decimal = Annotated[str, typer.Option(help="Decimal mark of the tables.")]
Delimiter = Annotated[
    str | None, typer.Option(help="Field separator; by default from the extension.")
]


def table_format(decimal: str, delimiter: str | None) -> TableFormat:
    """Say how loose tables are written.

    Parameters
    ----------
    decimal : str
        A point or a comma.
    delimiter : str or None
        Between fields; None for what the extension says.

    Returns
    -------
    TableFormat
        For `metastra.cohort.tables.read_table`.

    Raises
    ------
    ConfigError
        When the decimal mark is neither.
    """
    from metastra.cohort.tables import TableFormat
    from metastra.errors import ConfigError

    if decimal == ".":
        return TableFormat(delimiter=delimiter)
    if decimal == ",":
        return TableFormat(delimiter=delimiter, decimal=",")
    raise ConfigError(f"--decimal {decimal!r} is neither a point nor a comma")
