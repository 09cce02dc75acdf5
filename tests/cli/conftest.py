"""What the tests of the command line share: the command as a process, and a small study."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metastra.synthetic.generate import synthetic_study

PYTHON = [sys.executable, "-m", "metastra"]


@pytest.fixture(scope="session")
def metastra() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command as a process of its own; keywords go to `subprocess.run`."""

    def call(*words: object, env: dict[str, str] | None = None, **settings):
        return subprocess.run(
            [*PYTHON, *map(str, words)],
            capture_output=settings.pop("capture_output", True),
            text=True,
            timeout=120,
            env={**os.environ, **(env or {})},
            check=False,
            **settings,
        )

    return call


@pytest.fixture(scope="session")
def _study_files() -> dict[str, bytes]:
    return synthetic_study(n_patients=120, seed=5)


@pytest.fixture
def study(tmp_path, _study_files) -> Path:
    """A folder with a synthetic study of 120 patients, not run."""
    return written(tmp_path / "study", _study_files)


@pytest.fixture
def refused(study) -> Path:
    """The study with one patient twice."""
    table = study / "north" / "clini.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*lines, lines[1]]))
    return study


@pytest.fixture(scope="session")
def _run_once(tmp_path_factory, _study_files, metastra) -> Path:
    folder = written(tmp_path_factory.mktemp("done") / "study", _study_files)
    assert metastra("run", folder).returncode == 0
    return folder


@pytest.fixture
def finished(tmp_path, _run_once) -> Path:
    """The study after a run."""
    return Path(shutil.copytree(_run_once, tmp_path / "finished", symlinks=True))


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder
