"""`python -m benchmarks.calls`: single calls, `metastra check` and cold start, beside others."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

from benchmarks.cases import CASES, CHECKS, REPOSITORY, Case
from benchmarks.commands import child_environment, measure_check, measure_starts
from benchmarks.page import calls_table, checks_table, starts_table

__all__ = ["main"]

_QUICK_N = 1_000


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


def main(arguments: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("--only", metavar="WORD", help="only calls whose name holds this word")
    parser.add_argument("--quick", action="store_true", help="small calls, once")
    options = parser.parse_args(arguments)
    cases = [case for case in CASES if not options.only or options.only in case.name]
    if not cases:
        parser.error(f"no call holds {options.only!r}: {', '.join(c.name for c in CASES)}")
    if options.quick:
        cases = [replace(case, rounds=1) for case in cases if case.n <= _QUICK_N]
    print("Calls, CPU time on one core:\n")
    print(calls_table([(case, _measure(case)) for case in cases]), flush=True)
    if options.only:
        return
    checks = [] if options.quick else CHECKS
    if checks:
        print("\n`metastra check`:\n")
        print(checks_table([(check, measure_check(check, _say)) for check in checks]), flush=True)
    print("\nCold start:\n")
    print(starts_table(measure_starts()))


if __name__ == "__main__":
    main(sys.argv[1:])
