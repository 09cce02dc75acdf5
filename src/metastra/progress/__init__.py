"""Say how far a long step is, to the person in front of it and to nobody else.

Nothing is shown unless somebody asks with `use_progress`, so a library call stays silent.  What is
shown goes to standard error; standard output belongs to data.
"""

from __future__ import annotations

from metastra.progress.displays import BarProgress, PlainProgress, automatic_progress
from metastra.progress.steps import Counts, Parts, Progress, Stage, Task
from metastra.progress.tracking import Track, track, use_progress

__all__ = [
    "BarProgress",
    "Counts",
    "Parts",
    "PlainProgress",
    "Progress",
    "Stage",
    "Task",
    "Track",
    "automatic_progress",
    "track",
    "use_progress",
]
