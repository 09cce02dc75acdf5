"""`install.sh`: a damaged folder is refused, a whole one installs without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from offline.wheels import sha256_of

from wheelhouse.small_wheels import make_folder, make_wheel


@pytest.fixture
def folder(tmp_path) -> Path:
    """A whole offline folder."""
    return make_folder(tmp_path / "carried in")


def install(folder: Path, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "install.sh", *map(str, words)],
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def again(folder: Path) -> None:
    """Write SHA256SUMS anew, as somebody would who changed a file."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    lines = [f"{sha256_of(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_a_whole_folder_installs(folder, tmp_path):
    """The command runs, the next one is said, pip stays outside, nothing else is written."""
    home = tmp_path / "home"
    home.mkdir()
    done = install(
        folder,
        tmp_path / "env",
        HOME=str(home),
        # what would lead pip elsewhere is not heard
        PIP_INDEX_URL="https://index.invalid/simple",
        PIP_TARGET=str(home / "elsewhere"),
        PYTHONPATH=str(home),
    )

    assert done.returncode == 0, done.stderr
    assert f"next: {tmp_path / 'env'}/bin/metastra doctor" in done.stdout
    assert f"then: {tmp_path / 'env'}/bin/metastra demo demo" in done.stdout
    command = tmp_path / "env" / "bin" / "metastra"
    ran = subprocess.run([command], env={"HOME": str(home)}, capture_output=True, check=True)
    assert ran.stdout == b"metastra 1.0\n"
    packages = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    assert {path.name for path in packages.glob("*.dist-info")} == {
        *("helper-1.0.dist-info", "metastra-1.0.dist-info", "sheets-1.0.dist-info")
    }
    assert list(home.iterdir()) == []
    assert install(folder, "--verify").returncode == 0


def test_every_damage_is_named_at_once(folder, tmp_path):
    """Changed, missing and added files; exit 5 and nothing made."""
    (changed,) = (folder / "wheels").glob("helper-*.whl")
    changed.write_bytes(changed.read_bytes() + b"\0")
    (lost,) = (folder / "wheels").glob("sheets-*.whl")
    lost.unlink()
    added = make_wheel(folder / "wheels", "planted")

    done = install(folder, tmp_path / "env")

    assert done.returncode == 5
    assert f"wheels/{changed.name}: changed" in done.stderr
    assert f"wheels/{lost.name}: missing" in done.stderr
    assert f"wheels/{added.name}: not listed in SHA256SUMS" in done.stderr
    assert not (tmp_path / "env").exists()
    assert install(folder, "--verify").returncode == 5


def test_a_changed_wheel_with_new_sums_is_stopped_by_the_lock(folder, tmp_path):
    """The lock holds digests of its own; nothing is left of the attempt."""
    make_wheel(folder / "wheels", "helper", "Summary: planted")
    again(folder)

    done = install(folder, tmp_path / "env")

    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "env").exists()


def test_a_folder_without_sums_is_refused(folder, tmp_path):
    """Half a copy is no installation."""
    (folder / "SHA256SUMS").unlink()
    done = install(folder, tmp_path / "env")
    assert (done.returncode, "was not copied whole" in done.stderr) == (5, True)


def test_an_unfit_machine_is_told_everything(folder, tmp_path):
    """Python, processor, C library and target in one answer; exit 2."""
    about = json.loads((folder / "about.json").read_text())
    about |= {"python": "3.99", "machine": "vax", "glibc": "9.9", "glibc_because": "helper"}
    (folder / "about.json").write_text(json.dumps(about))
    again(folder)
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "mine").write_text("kept")

    done = install(folder, tmp_path / "env")

    assert done.returncode == 2
    assert "the wheels are for 3.99: PYTHON=python3.99 ./install.sh" in done.stderr
    assert "the wheels are for vax" in done.stderr
    assert "helper needs 9.9" in done.stderr
    assert "is there and not empty" in done.stderr
    assert (tmp_path / "env" / "mine").read_text() == "kept"


def test_the_target_lies_outside(folder):
    """An environment among the wheels would spoil their sums."""
    done = install(folder, folder / "env")
    assert done.returncode == 2
    assert "name one outside" in done.stderr
    assert not (folder / "env").exists()


def test_no_target_is_a_usage_error(folder):
    """It says what to name."""
    done = install(folder)
    assert done.returncode == 2
    assert "for instance metastra-env" in done.stderr
