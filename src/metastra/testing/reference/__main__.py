"""``python -m metastra.testing.reference CASES.json --data DIR``: compare with other software.

Prints one line for each case and, alone on the last line, ``N passed, N failed``.  Exit status 0
only when none failed, 1 when one did, 3 when the cases cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from metastra.errors import DataError
from metastra.testing.reference.data import load_cases
from metastra.testing.reference.runner import all_handlers, read_tables, run_case

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases of one or more files.

    Parameters
    ----------
    arguments : sequence of str, optional
        Command line without the program's name; that of the process when left out.

    Returns
    -------
    int
        Exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m metastra.testing.reference", description=__doc__
    )
    parser.add_argument("cases", nargs="+", type=Path, help="JSON files of reference cases")
    parser.add_argument("--data", type=Path, help="folder of the tables (that of the cases file)")
    parser.add_argument("--only", default="", help="run the cases whose id contains this text")
    options = parser.parse_args(arguments)
    passed = failed = 0
    handlers = all_handlers()
    for file in options.cases:
        try:
            cases = [case for case in load_cases(file) if options.only in case.id]
        except (DataError, OSError) as error:
            sys.stderr.write(f"{file.name}: {error}\n")
            return 3
        frames = read_tables(cases, options.data or file.parent)
        for case in cases:
            verdict = run_case(case, frames, handlers)
            passed, failed = passed + verdict.passed, failed + (not verdict.passed)
            sys.stdout.write(f"{verdict}\n")
    sys.stdout.write(f"{passed} passed, {failed} failed\n")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
