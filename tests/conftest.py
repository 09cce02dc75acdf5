"""What all tests share: where the real data are, and no deadlines for property tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# a shared machine is slow at times; what a property test may not do is time out.  The same examples
# come every time, so that a run can be repeated; METASTRA_EXPLORE=1 looks for new ones.
settings.register_profile(
    "metastra", deadline=None, derandomize="METASTRA_EXPLORE" not in os.environ
)
settings.load_profile("metastra")

# a suite that is started in the background may have been told to ignore Ctrl-C, and its children
# with it; tests that interrupt a command need the usual answer
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data that is kept beside a checkout, or a skip with the reason."""
    folder = Path(os.environ.get("METASTRA_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}; set METASTRA_SHARED to their folder")
    return folder
