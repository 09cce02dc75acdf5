"""The tables of calls, checks and starts in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.cases import Case, Check, Start
from benchmarks.commands import Cost

__all__ = ["calls_table", "checks_table", "starts_table"]


def calls_table(rows: Sequence[tuple[Case, dict[str, Any]]]) -> str:
    """Write the table of calls: medians of CPU time on one core.

    Parameters
    ----------
    rows : sequence of (Case, dict)
        What the workers said.

    Returns
    -------
    str
        Markdown.
    """
    head = ("call", "n", "metastra", "other", "ratio", "difference", "first call", "rounds")
    return _table(head, [_call(case, said) for case, said in rows])


def checks_table(rows: Sequence[tuple[Check, Cost | str]]) -> str:
    """Write the table of ``metastra check``: medians of wall time.

    Parameters
    ----------
    rows : sequence of (Check, Cost or str)
        Costs, or why a row was left out.

    Returns
    -------
    str
        Markdown.
    """
    body = []
    for check, cost in rows:
        name = f"`{check.name}`" if check.patients is None else check.name
        if check.patients is not None:
            name += f", {_thousands(check.patients)} patients"
        if isinstance(cost, str):
            body.append((name, f"left out: {cost}", "", "", "", str(check.rounds)))
        else:
            body.append(
                (
                    name,
                    _seconds(cost.wall_s),
                    _seconds(cost.cpu_s),
                    f"{cost.peak_mib:.0f} MiB",
                    str(cost.exit_code),
                    str(check.rounds),
                )
            )
    return _table(("study", "wall", "CPU", "peak memory", "exit code", "rounds"), body)


def starts_table(rows: Sequence[tuple[Start, Cost]]) -> str:
    """Write the table of cold starts; the first row is what the others are compared with.

    Parameters
    ----------
    rows : sequence of (Start, Cost)
        Medians.

    Returns
    -------
    str
        Markdown.
    """
    base = rows[0][1]
    return _table(
        ("command", "wall", "CPU", "CPU against the first"),
        [
            (
                start.what,
                _seconds(cost.wall_s),
                _seconds(cost.cpu_s),
                f"{cost.cpu_s / base.cpu_s:.1f}×",
            )
            for start, cost in rows
        ],
    )


def _call(case: Case, said: dict[str, Any]) -> tuple[str, ...]:
    what = f"{case.what} against {case.against}" if case.against else case.what
    n = _thousands(case.n)
    if "skipped" in said:
        return (what, n, f"left out: {said['skipped']}", "", "", "", "", str(case.rounds))
    ours = median(said["ours"])
    other, ratio = "–", "–"
    if said["theirs"]:
        theirs = median(said["theirs"])
        other, ratio = _seconds(theirs), _ratio(theirs / ours)
    elif case.limit_s is not None:
        other = f"limit {case.limit_s:g} s"
        ratio = "kept" if ours <= case.limit_s else "**not kept**"
    gap = said["difference"]
    difference = "–" if gap is None else "0" if gap == 0.0 else f"{gap:.0e}"
    first = _seconds(said["first"])
    return (what, n, _seconds(ours), other, ratio, difference, first, str(case.rounds))


def _ratio(value: float) -> str:
    digits = 0 if value >= 10.0 else 1 if value >= 1.0 else 2
    return f"{value:.{digits}f}×"


def _seconds(value: float) -> str:
    if value < 1e-3:
        return f"{value * 1e6:.0f} µs"
    if value < 1.0:
        return f"{value * 1e3:.3g} ms"
    return f"{value:.2f} s"


def _thousands(value: int) -> str:
    return f"{value:,}".replace(",", " ")


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = ["---" if k == 0 else "--:" for k in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))
