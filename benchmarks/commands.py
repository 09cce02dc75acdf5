"""Commands as a person starts them: wall time, CPU time and peak memory of the child."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.cases import REPOSITORY, STARTS, Check, Start

__all__ = ["Cost", "child_environment", "measure_check", "measure_starts", "run_child"]

_START_ROUNDS = 9
_WRITE_STUDY = """
import sys
from pathlib import Path
from metastra.synthetic.generate import synthetic_study
for name, data in synthetic_study(n_patients=int(sys.argv[2])).items():
    path = Path(sys.argv[1], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
"""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one child cost.

    Parameters
    ----------
    wall_s, cpu_s : float
        Elapsed, and user plus system time.
    peak_mib : float
        Largest resident set.
    exit_code : int
        Of the child.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    exit_code: int

    @classmethod
    def medians(cls, costs: Sequence[Cost]) -> Cost:
        """Take the median of each cost; the exit code is that of the last."""
        return cls(
            wall_s=median(cost.wall_s for cost in costs),
            cpu_s=median(cost.cpu_s for cost in costs),
            peak_mib=median(cost.peak_mib for cost in costs),
            exit_code=costs[-1].exit_code,
        )


def child_environment() -> dict[str, str]:
    """Give every child one thread, and the shared data where they are."""
    one = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR")}
    shared = os.environ.get("METASTRA_SHARED", str(REPOSITORY.parent / "shared"))
    return {**os.environ, **one, "OMP_WAIT_POLICY": "PASSIVE", "METASTRA_SHARED": shared}


def run_child(arguments: Sequence[str]) -> Cost:
    """Run ``python`` with arguments and wait for what it cost.

    Parameters
    ----------
    arguments : sequence of str
        After the interpreter.

    Returns
    -------
    Cost
        From the kernel's account of this child alone.
    """
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=child_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    return Cost(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024.0,
        exit_code=child.returncode,
    )


def measure_starts() -> list[tuple[Start, Cost]]:
    """Time each cold start in turn; the first round, which fills the file cache, is left out."""
    costs: dict[Start, list[Cost]] = {start: [] for start in STARTS}
    for number in range(_START_ROUNDS + 1):
        for start in STARTS:
            cost = run_child(start.arguments)
            if number:
                costs[start].append(cost)
    return [(start, Cost.medians(costs[start])) for start in STARTS]


def measure_check(check: Check, say: Callable[[str], None]) -> Cost | str:
    """Time ``metastra check`` on one study.

    Parameters
    ----------
    check : Check
        Which study.
    say : callable
        For progress.

    Returns
    -------
    Cost or str
        Medians, or the reason why it was left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        study = REPOSITORY / "examples" / check.name
        if check.patients is not None:
            study = Path(folder, "study")
            say(f"{check.name}: writing {check.patients} patients")
            made = run_child(["-c", _WRITE_STUDY, str(study), str(check.patients)])
            if made.exit_code:
                return "the study could not be written"
        elif not Path(child_environment()["METASTRA_SHARED"], "data").is_dir():
            return "no shared data; set METASTRA_SHARED to their folder"
        command = ["-m", "metastra", "check", str(study), "--key", str(Path(folder, "a.key"))]
        return Cost.medians([run_child(command) for _ in range(check.rounds)])
