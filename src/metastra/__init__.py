"""metastra: from routine hospital data to a locked, validated, explained model of metastasis risk.

Research use only: not for diagnosis or treatment.

The names below are loaded when they are first used, so that ``import metastra`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from metastra.kernels import settle
from metastra.version import VERSION

__version__ = VERSION

# before any kernel is loaded: numba refuses them where it finds no folder that it may write
settle(Path(__file__).parent)

_HOME = {
    "Cohort": "metastra.cohort.cohort",
    "Outcome": "metastra.survival.outcome",
    "Study": "metastra.study.study",
    "check_study": "metastra.cohort.check",
    "load_cohort": "metastra.cohort.check",
    "load_study": "metastra.study.load",
    "split_cohort": "metastra.cohort.check",
}

if TYPE_CHECKING:
    from metastra.cohort.check import check_study, load_cohort, split_cohort
    from metastra.cohort.cohort import Cohort
    from metastra.study.load import load_study
    from metastra.study.study import Study
    from metastra.survival.outcome import Outcome

__all__ = [
    "Cohort",
    "Outcome",
    "Study",
    "__version__",
    "check_study",
    "load_cohort",
    "load_study",
    "split_cohort",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'metastra' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
