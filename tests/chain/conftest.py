"""One finished run of a small study of feature files, and copies of it to be spoiled."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from chain.slide_study import write_study
from metastra.executor import Serial
from metastra.pipeline import evaluation_stage
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import run_study
from metastra.pipeline.run_summary import RunSummary


def run(folder: Path, **options: object) -> RunSummary:
    """Run a study in this process, with fewer draws than a user gets and no validation page."""
    with contextlib.ExitStack() as changed:
        changed.enter_context(patch.object(evaluation_stage, "_BOOTSTRAP", 100))
        changed.enter_context(patch.object(evaluation_stage, "evaluation_pages", _no_page))
        return run_study(open_study(folder), executor=Serial(), **options)


def _no_page(_evaluation: object) -> dict[str, bytes]:
    return {}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose run is complete, its slide model a gated attention; nobody changes it."""
    folder = write_study(tmp_path_factory.mktemp("chain") / "study", aggregator="attention")
    summary = run(folder)
    assert {item.done for item in summary.results} == {"made"}
    return folder


@pytest.fixture
def spoiled(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished study that a test may change."""
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    return folder
