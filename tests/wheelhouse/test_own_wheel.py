"""metastra's own wheel outside the source tree, with every way to a network closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = REPOSITORY / "src"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

# every process of this Python reads it first, workers included; pairs of local sockets stay
CLOSED = """
import os, sys
def closed(event, args):
    local = event in ("socket.connect", "socket.bind") and isinstance(args[1], (str, bytes))
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname",
                 "socket.sendto", "urllib.Request") and not local:
        with open(os.environ["METASTRA_TEST_CALLS"], "a") as stream:
            stream.write(event + " " + repr(args[1:]) + "\\n")
        raise PermissionError("the test has no network: " + event)
sys.addaudithook(closed)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel that `make wheelhouse` builds."""
    folder = tmp_path_factory.mktemp("own")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder]
    done = subprocess.run([*build, REPOSITORY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("metastra-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> dict[str, str]:
    """The environment of a process in which the wheel is installed and the network closed."""
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*install, "--target", site, wheel], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (site / "sitecustomize.py").write_text(CLOSED)
    (site / "calls.txt").write_text("")
    return {
        **os.environ,
        "PYTHONPATH": str(site),
        "METASTRA_TEST_CALLS": str(site / "calls.txt"),
        "HOME": str(tmp_path_factory.mktemp("home")),
    }


def called(environment: dict[str, str]) -> str:
    return Path(environment["METASTRA_TEST_CALLS"]).read_text()


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    """Templates, catalogues and the mark of types are not left behind."""
    there = {
        path.relative_to(SOURCE).as_posix()
        for path in (SOURCE / "metastra").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == there


def test_the_hook_closes_the_network(installed):
    """A test of the test: the same hook refuses a connection, and writes it down."""
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    environment = installed | {"METASTRA_TEST_CALLS": installed["METASTRA_TEST_CALLS"] + ".tried"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "the test has no network" in done.stderr
    assert "socket.getaddrinfo" in called(environment)


def test_no_module_reaches_for_the_network_when_imported(installed, tmp_path):
    """Every module of the package is imported; none looks a name up, connects or listens."""
    code = (
        "import importlib, pkgutil, metastra\n"
        "names = [m.name for m in pkgutil.walk_packages(metastra.__path__, 'metastra.')]\n"
        "names = [n for n in names if not n.endswith('__main__')]\n"
        "for name in names: importlib.import_module(name)\n"
        "print(len(names), metastra.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=installed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, _, place = done.stdout.partition(" ")
    assert int(count) > 600
    assert place.startswith(installed["PYTHONPATH"])
    assert called(installed) == ""


def test_the_command_works_without_a_network(installed, tmp_path):
    """Help, doctor and the demo without slides, report and all, from the wheel alone."""

    def metastra(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "metastra", *map(str, words)],
            cwd=tmp_path,
            env=installed,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "check" in metastra("--help").stdout
    told = json.loads(metastra("doctor", "--json").stdout)
    assert told["ok"] is True, told
    done = metastra("demo", "demo", "--no-slides", "--patients", 300)
    assert done.returncode == 0, done.stderr
    assert "report: demo/run/report/index.html" in done.stdout
    assert metastra("check", "demo", "--json").returncode == 0
    assert "Research use only" in (tmp_path / "demo/run/report/index.html").read_text()
    assert called(installed) == ""
