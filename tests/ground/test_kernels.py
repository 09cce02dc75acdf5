"""Compiled kernels find a place where neither the installation nor the home can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from metastra.kernels import VARIABLE, find_room, settle

SOURCE = Path(__file__).resolve().parents[2] / "src" / "metastra"

# a folder below a device can be written by nobody, root included
NOWHERE = Path("/dev/null/nowhere")
LOCKED_HOME = {"HOME": str(NOWHERE), "XDG_CACHE_HOME": str(NOWHERE)}


@pytest.fixture
def temporary(monkeypatch, tmp_path) -> Path:
    """An own folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_the_order_is_named_package_home(tmp_path, temporary):
    """The first that can be written is taken; nothing is made by asking."""
    package, home, named = tmp_path / "package", tmp_path / "home", tmp_path / "a" / "named"
    package.mkdir()
    every = {"XDG_CACHE_HOME": str(home), VARIABLE: str(named)}

    assert find_room(package, every).folder == named
    assert find_room(package, {"XDG_CACHE_HOME": str(home)}).folder == package / "__pycache__"
    assert find_room(NOWHERE, {"XDG_CACHE_HOME": str(home)}).folder == home / "numba"
    assert find_room(NOWHERE, {**every, VARIABLE: str(NOWHERE)}).folder == home / "numba"
    assert not any(path.exists() for path in (home, named, package / "__pycache__"))
    assert list(temporary.iterdir()) == []


def test_a_private_folder_is_made_and_found_again(temporary):
    """Where nothing else is left it is the user's own, and the same one each time."""
    first, second = (find_room(NOWHERE, LOCKED_HOME) for _ in range(2))

    assert first == second
    assert first.passing
    assert first.folder is not None
    assert first.folder.parent == temporary
    assert first.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("planted", ["open to others", "a link", "a file"])
def test_a_planted_folder_is_not_taken(temporary, tmp_path, planted):
    """The cache holds pickles: a folder that another could have filled is left alone."""
    place = temporary / f"metastra-kernels-{os.getuid()}"
    if planted == "open to others":
        place.mkdir()
        place.chmod(0o777)
    elif planted == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.write_text("")

    taken = find_room(NOWHERE, LOCKED_HOME).folder

    assert taken is not None
    assert taken != place
    assert taken.stat().st_mode & 0o077 == 0


def test_with_no_folder_at_all_it_says_so(monkeypatch, caplog):
    """Nothing is set, and the variable that mends it is named."""
    monkeypatch.setattr(tempfile, "tempdir", str(NOWHERE))
    for name, value in LOCKED_HOME.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(VARIABLE, raising=False)

    settle(NOWHERE)

    assert VARIABLE not in os.environ
    assert f"set {VARIABLE}" in caplog.text


@pytest.mark.slow
def test_kernels_run_from_a_read_only_installation_without_a_home(tmp_path):
    """Without the fallback numba refuses; with it a kernel runs, and only the parent speaks."""
    shutil.copytree(SOURCE, tmp_path / "site" / "metastra", ignore=_caches)
    for folder in sorted((tmp_path / "site").rglob("*"), reverse=True):
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    (tmp_path / "temporary").mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if name != VARIABLE},
        **LOCKED_HOME,
        "PYTHONPATH": str(tmp_path / "site"),
        "TMPDIR": str(tmp_path / "temporary"),
    }
    kernel = "import metastra.survival.tally_kernel as k; print(k.__file__)"
    child = f"import subprocess, sys; {kernel}; subprocess.run([sys.executable, '-c', {kernel!r}])"

    forgetful = f"import metastra, os; del os.environ[{VARIABLE!r}]; {kernel}"
    bare = _as_nobody_special(forgetful, environment)
    whole = _as_nobody_special(child, environment)

    assert "no locator available" in bare.stderr
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.count(str(tmp_path / "site")) == 2
    assert whole.stderr.count("compiled kernels are kept in") == 1
    assert list((tmp_path / "temporary").glob("metastra-kernels-*/*"))


def _caches(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def _as_nobody_special(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run code without root's right to write what is read-only."""
    command = [sys.executable, "-c", code]
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root writes everywhere, and setpriv is not there to take that away")
        command = ["setpriv", "--bounding-set=-dac_override", *command]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
