"""Options that the verbs of a prospective study share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Actor",
    "At",
    "Centre",
    "CustodianKey",
    "PatientKey",
    "Roots",
    "SignKey",
    "StudyFolder",
    "TableFile",
]

StudyFolder = Annotated[
    Path, typer.Argument(metavar="STUDY", help="Folder of the prospective study.")
]
TableFile = Annotated[Path, typer.Argument(metavar="TABLE", help="CSV with a column PATIENT.")]
Centre = Annotated[str, typer.Option(help="Whose patients; a centre of the protocol.")]
PatientKey = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Key of the centre's pseudonyms; by default STUDY-CENTRE.key beside STUDY, made when "
        "it is missing.",
        show_default=False,
    ),
]
Actor = Annotated[
    str, typer.Option(help="Who does it: a name or a role.", show_default="name of the user")
]
SignKey = Annotated[
    Path | None,
    typer.Option(
        "--sign-key", help="Ed25519 private key (PEM) that signs the entries.", show_default=False
    ),
]
At = Annotated[
    str,
    typer.Option(
        help="State the time (2026-01-30 or 2026-01-30T09:00:00Z); only for a study that its "
        "protocol marks as simulated.",
        show_default=False,
    ),
]
CustodianKey = Annotated[
    Path, typer.Option("--custodian-key", help="The custodian's private key (X25519, PEM).")
]
Roots = Annotated[
    list[Path] | None,
    typer.Option(
        "--tsa-root", help="Certificate (PEM) of a trusted time-stamping authority; repeat."
    ),
]
