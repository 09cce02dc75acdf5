"""Help is quick, complete and has examples that parse."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from typer.main import get_command

from metastra.cli.app import app


def verbs(group, above: str = "") -> dict:
    """Every command by its words; a group stands for its commands."""
    found = {}
    for name, command in group.commands.items():
        words = f"{above}{name}"
        if hasattr(command, "commands"):
            found |= verbs(command, f"{words} ")
        else:
            found[words] = command
    return found


COMMANDS = verbs(get_command(app))
HEAVY = ["numpy", "pandas", "scipy", "torch", "matplotlib", "numba"]


@pytest.mark.parametrize("verb", ["", *sorted(COMMANDS)])
def test_help_loads_nothing_heavy(verb):
    """`--help` answers before anything that takes a second to import."""
    # Typer itself loads pydantic as soon as it reads the parameters of a verb
    heavy = HEAVY if verb else [*HEAVY, "pydantic"]
    program = (
        "import sys\n"
        "from metastra.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        f"    heavy = [name for name in {heavy} if name in sys.modules]\n"
        "    print('HEAVY', heavy, 'CODE', end.code)\n"
    )
    words = [sys.executable, "-c", program, *verb.split(), "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "HEAVY [] CODE 0" in done.stdout
    assert "Usage:" in done.stdout


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_verb_has_an_example_that_parses(verb):
    """The line under the help is a command that the parser takes."""
    command = COMMANDS[verb]
    assert command.help
    program, *words = shlex.split(command.epilog.removeprefix("Example:"))
    names = verb.split()
    assert [program, *words[: len(names)]] == ["metastra", *names]
    command.make_context(names[-1], words[len(names) :]).close()


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_verb_takes_json_and_describes_its_options(verb):
    """The contract's `--json`, and no option without a word."""
    options = {name: item for item in COMMANDS[verb].params for name in item.opts}
    assert "--json" in options
    assert [name for name, item in options.items() if not getattr(item, "help", "x")] == []


def test_the_version_is_one_line(metastra):
    """For scripts that ask."""
    done = metastra("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("metastra ")
    assert done.stdout.count("\n") == 1
