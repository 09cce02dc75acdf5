"""Play the console blocks of a page: real commands in a folder, their output held or filled in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from metastra.cli.app import app

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_RANDOM = (
    (re.compile(r"\bP-[a-z2-7]{10}\b"), "P-xxxxxxxxxx"),
    # the digest of the played model is stated by the page itself, so it is held
    (re.compile(r"\b(?!(?:5e){32}\b)[0-9a-f]{64}\b"), "0" * 64),
    (re.compile(r"\bed25519:[0-9a-f]{32}\b"), "ed25519:" + "0" * 32),
)
_SHELL = """
metastra() { printf '%s\\0' "$@" >> "$CALLS"; printf '\\n\\0' >> "$CALLS"; }
python() { "$PYTHON" "$@"; }
"""


@dataclass(frozen=True)
class Step:
    """One command of a page, what the page shows below it, and what came."""

    command: str
    shown: str
    came: str


def steps_of(text: str) -> Iterator[tuple[str, str]]:
    """Give the commands of a page, each with the output that the page shows."""
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            n = 1
            while n < len(lines) and lines[n].startswith("> "):
                n += 1
            command = "\n".join([lines[0], *(line[2:] for line in lines[1:n])])
            yield command, "\n".join(lines[n:])


def play(text: str, folder: Path) -> list[Step]:
    """Run every command of a page in a folder, in order.

    A shell expands loops and variables; `metastra` itself runs in this process, which spares its
    start for each of a hundred calls.
    """
    return [
        Step(command, settled(shown), settled(_run(command, folder)))
        for command, shown in steps_of(text)
    ]


def settled(text: str) -> str:
    """Text without what differs from run to run."""
    for pattern, word in _RANDOM:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def filled(text: str, steps: list[Step]) -> str:
    """Put what came into the page, for whoever writes it; silent blocks stay silent."""
    remaining = iter(steps)

    def block(match: re.Match[str]) -> str:
        made = []
        for part in re.split(r"^\$ ", match[1], flags=re.MULTILINE)[1:]:
            step = next(remaining)
            lines = step.command.splitlines()
            made += [f"$ {lines[0]}", *(f"> {line}" for line in lines[1:])]
            quiet = not part.strip("\n").splitlines()[len(lines) :]
            made += [] if quiet or not step.came else step.came.splitlines()
        return "```console\n" + "\n".join(made) + "\n```"

    return _BLOCK.sub(block, text)


def _run(command: str, folder: Path) -> str:
    calls = folder / ".calls"
    calls.unlink(missing_ok=True)
    environment = {**os.environ, "CALLS": str(calls), "PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", "-euc", _SHELL + textwrap.dedent(command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [done.stdout]
    recorded = calls.read_text() if calls.exists() else ""
    calls.unlink(missing_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for call in recorded.split("\n\0")[:-1]:
            result = CliRunner().invoke(app, call.rstrip("\0").split("\0"))
            said.append(result.output)
            if result.exit_code:
                said.append(f"(exit {result.exit_code})\n")
    finally:
        os.chdir(before)
    return "".join(said)
