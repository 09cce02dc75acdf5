"""Options that several verbs share, so that one name has one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "KeyFile", "StudyFile"]

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
