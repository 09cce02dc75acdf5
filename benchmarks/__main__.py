"""`python -m benchmarks`: measure all groups or some; with `--write` their sections of the page.

Each part of a group is a process of its own, and so is each pair in it.  A section is written as
soon as its group is measured, so that a run that is stopped keeps what it has.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cases import REPOSITORY
from benchmarks.commands import child_environment
from benchmarks.groups import GROUPS, Group
from benchmarks.history import earlier_page, replace_section, section_of
from benchmarks.machine import cpu_model, load, today, versions

__all__ = ["joined", "main", "measure", "write"]


def measure(group: Group, *, quick: bool) -> str:
    """Measure a group.

    Parameters
    ----------
    group : Group
        What is measured.
    quick : bool
        Small and once, to see that it works.

    Returns
    -------
    str
        Markdown: the section of the page.
    """
    before, said, failed = load(), [], []
    for part in group.parts:
        if quick and not part.is_quick:
            continue
        print(f"{group.name}: {' '.join(part.arguments)}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, *part.arguments, *(("--quick",) if quick else ())],
            cwd=REPOSITORY,
            env=child_environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        said.append(done.stdout)
        if done.returncode:
            failed.append(f"`{' '.join(part.arguments)}` ended with {done.returncode}")
    lines = [
        f"### Measured on {today()}",
        "",
        f"- Machine: {cpu_model()}; load {before} at the start, {load()} at the end.",
        f"- Versions: {versions(*group.packages)}.",
        f"- Command: `python -m benchmarks {group.name}{' --quick' if quick else ''} --write`.",
        *(f"- **Not measured:** {one}." for one in failed),
        "",
        joined(said),
    ]
    return "\n".join(lines).strip()


def joined(texts: Sequence[str]) -> str:
    """Put texts one below the other; a table that goes on with the same head is one table.

    Parameters
    ----------
    texts : sequence of str
        Markdown.

    Returns
    -------
    str
        Markdown.
    """
    whole: list[str] = []
    head: list[str] = []
    for text in texts:
        lines = text.strip().splitlines()
        if not lines:
            continue
        if lines[:2] == head and whole[-1].startswith("|"):
            whole += lines[2:]
        else:
            whole += [*([""] if whole else []), *lines]
        head = lines[:2] if lines[0].startswith("|") else []
    return "\n".join(whole)


def write(group: Group, text: str, docs: Path, *, why: str = "") -> None:
    """Rewrite the section of a group; what stood there goes to its record.

    Parameters
    ----------
    group : Group
        Whose section it is.
    text : str
        The section.
    docs : Path
        Folder with ``benchmarks.md`` and ``records``.
    why : str
        What changed since the section that stood there.

    Raises
    ------
    ValueError
        If the page has no markers of the group.
    """
    path, record = docs / "benchmarks.md", docs / "records" / f"benchmarks-{group.name}.md"
    page = path.read_text(encoding="utf-8")
    known = record.read_text(encoding="utf-8") if record.is_file() else ""
    old = section_of(page, group.name)
    history = earlier_page(known, group.title, old, text, date=today(), why=why)
    if history != known:
        record.parent.mkdir(exist_ok=True)
        record.write_text(history, encoding="utf-8")
    path.write_text(replace_section(page, group.name, text), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Measure and print.

    Parameters
    ----------
    arguments : list of str
        From the command line.

    Returns
    -------
    int
        1 where a part of a group failed.
    """
    names = [group.name for group in GROUPS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(names)}; or all")
    parser.add_argument("--write", action="store_true", help="rewrite the sections of the page")
    parser.add_argument("--why", default="", help="what changed, for the record")
    parser.add_argument("--quick", action="store_true", help="small and once: does it work")
    parser.add_argument("--docs", type=Path, default=REPOSITORY / "docs", help="folder of the page")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.groups) - set(names)):
        parser.error(f"no group is named {', '.join(unknown)}; there are {', '.join(names)}")
    if options.quick and options.write and options.docs == REPOSITORY / "docs":
        parser.error("small numbers do not belong into the page; give --docs of a copy")
    failed = False
    for group in GROUPS:
        if options.groups and group.name not in options.groups:
            continue
        text = measure(group, quick=options.quick)
        lacks = "**Not measured:**" in text
        failed = failed or lacks
        print(f"## {group.title}\n\n{text}\n", flush=True)
        if options.write and lacks:
            print(f"not written, a part failed: {group.name}", file=sys.stderr, flush=True)
        elif options.write:
            write(group, text, options.docs, why=options.why)
            print(f"written: {group.name}", file=sys.stderr, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
