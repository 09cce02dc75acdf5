"""The entry point of the command line."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; the process exits with the code that the contract names."""
    from metastra.cli.app import app
    from metastra.cli.console import close_stdout
    from metastra.cli.exits import run_app

    code = run_app(app)
    close_stdout()
    sys.exit(code)
