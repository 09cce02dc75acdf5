"""``metastra withdraw``: a patient out of every product of a study, for good."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from metastra.cli.console import RESEARCH_USE, print_json, result, say
from metastra.cli.exits import verb
from metastra.cli.options import AsJson, KeyFile

__all__ = ["register"]

_Patient = Annotated[
    str, typer.Argument(metavar="PATIENT", help="Id as the clinical table has it, or pseudonym.")
]
_Study = Annotated[
    Path,
    typer.Argument(metavar="STUDY", help="The study file, or the folder that holds study.toml."),
]
_CohortName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The cohort, where several number their own patients.",
        show_default=False,
    ),
]
_Day = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="Of the withdrawal; today by default."),
]
_Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="For the list; it must not name the patient.")
]


def register(app: typer.Typer) -> None:
    """Add the verb to the command line.

    Parameters
    ----------
    app : typer.Typer
        The command line.
    """

    @app.command(epilog="Example: metastra withdraw N-0042 my-study")
    @verb
    def withdraw(
        patient: _Patient,
        study: _Study = Path(),
        cohort: _CohortName = None,
        date: _Day = None,
        reason: _Reason = "",
        key: KeyFile = None,
        as_json: AsJson = False,
    ) -> None:
        """Take a patient out of a study: never analysed again, out of every product of the run.

        Says what was deleted and what has to be refitted; `metastra run` then does it. Features of
        others are kept.
        """
        from metastra.pipeline.withdraw import Withdrawal, open_to_withdraw
        from metastra.pipeline.withdraw import withdraw as run

        day = (date or datetime.now(UTC)).date()
        asked = Withdrawal(patient=patient, cohort=cohort, day=day, reason=reason)
        done = run(open_to_withdraw(study, key), asked)
        if as_json:
            print_json(done.to_json())
        else:
            for line in done.lines():
                result(line)
            say(RESEARCH_USE)
