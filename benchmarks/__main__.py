"""`python -m benchmarks`: measure, print the tables, and with `--write` put them into the page."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from benchmarks.cases import CASES, CHECKS, REPOSITORY, Case
from benchmarks.commands import child_environment, measure_check, measure_starts
from benchmarks.machine import cpu_model, load, today, versions
from benchmarks.page import calls_table, checks_table, replace_table, starts_table

_PAGE = REPOSITORY / "docs" / "benchmarks.md"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _measure(case: Case) -> dict[str, Any]:
    _say(f"{case.name}: {case.rounds} rounds")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", case.key, str(case.n), str(case.rounds)],
        cwd=REPOSITORY,
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _everything() -> str:
    before = load()
    calls = calls_table([(case, _measure(case)) for case in CASES])
    checks = checks_table([(check, measure_check(check, _say)) for check in CHECKS])
    starts = starts_table(measure_starts())
    return f"""### Measured on {today()}

- Machine: {cpu_model()}; shared with other work, load {before} at the start, {load()} at the end.
- Versions: {versions()}.
- Command: `python -m benchmarks --write`.

Calls, CPU time on one core:

{calls}

`metastra check`:

{checks}

Cold start:

{starts}
"""


def main(arguments: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="rewrite the table in the page")
    what.add_argument("--only", metavar="WORD", help="only calls whose name holds this word")
    options = parser.parse_args(arguments)
    if options.only:
        chosen = [case for case in CASES if options.only in case.name]
        if not chosen:
            parser.error(f"no call holds {options.only!r}: {', '.join(c.name for c in CASES)}")
        print(calls_table([(case, _measure(case)) for case in chosen]))
        return
    table = _everything()
    print(table)
    if options.write:
        page = _PAGE.read_text(encoding="utf-8")
        _PAGE.write_text(replace_table(page, table), encoding="utf-8")
        _say(f"written: {_PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main(sys.argv[1:])
