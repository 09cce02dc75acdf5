"""The demo: a synthetic study whose truth is known, written, checked and run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.errors import ConfigError, DataError, ResourceError, Severity
from metastra.pipeline.opening import OpenedStudy, open_study
from metastra.pipeline.run import run_study
from metastra.pipeline.run_summary import RunSummary
from metastra.storage import write_bytes
from metastra.synthetic.faults import plant
from metastra.synthetic.generate import SyntheticStudy, generate, study_files
from metastra.synthetic.leaks import LEAKS
from metastra.synthetic.painted_study import (
    PAINTED_COHORTS,
    PAINTED_PATIENTS,
    PAINTED_SLIDE_MM2,
    PAINTED_TRUTH,
)
from metastra.synthetic.painting.study_slides import PlannedSlide, paint_slides, plan_slides
from metastra.synthetic.writing import Parts

__all__ = [
    "LEAK_NAMES",
    "TABLE_PATIENTS",
    "DemoSummary",
    "PreparedDemo",
    "prepare_demo",
    "run_demo",
]

LEAK_NAMES = tuple(leak.name for leak in LEAKS)
"""What can be planted, in the order of the codes."""
TABLE_PATIENTS = 600
"""Of the demo without slides."""
_PART = ".part-"
"""How `metastra.storage` begins the name of a half-written file."""


@dataclass(frozen=True, kw_only=True)
class DemoSummary:
    """What the demo made.

    Parameters
    ----------
    folder : Path
        Of the study.
    checked : str
        The check's summary.
    run : RunSummary
        What the run did.
    slides : int
        How many painted slides there are.
    """

    folder: Path
    checked: str
    run: RunSummary
    slides: int = 0

    @property
    def report(self) -> Path:
        """The report's page."""
        return self.run.run_dir / "report" / "index.html"

    def lines(self) -> list[str]:
        """Say what was made and what to do next.

        Returns
        -------
        list of str
            For a person.
        """
        return [
            f"synthetic study: {self.folder / 'study.toml'}",
            *([f"painted slides: {self.slides}"] if self.slides else []),
            *self.checked.splitlines(),
            *self.run.lines(),
            "open it in any browser; it needs no network and no server",
        ]

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "study_file": "study.toml",
            "slides": self.slides,
            "checked": self.checked.splitlines(),
            "run": self.run.to_json(),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedDemo:
    """A demo that is written and painted, and not run.

    Parameters
    ----------
    opened : OpenedStudy
        The study.
    checked : str
        The check's summary.
    slides : int
        How many painted slides there are.
    """

    opened: OpenedStudy
    checked: str
    slides: int


def run_demo(
    folder: Path,
    *,
    patients: int | None = None,
    seed: int = 1,
    slide_mm2: float | None = PAINTED_SLIDE_MM2,
    leaks: Sequence[str] = (),
    workers: int = 1,
) -> DemoSummary:
    """Write the synthetic study, paint its slides, check it and run it.

    Parameters
    ----------
    folder, patients, seed, slide_mm2, leaks, workers
        As `prepare_demo`.

    Returns
    -------
    DemoSummary
        With the place of the report.

    Raises
    ------
    ConfigError, DataError, ResourceError, KeyboardInterrupt
        As `prepare_demo` and `metastra.pipeline.run.run_study`.
    """
    made = prepare_demo(
        folder, patients=patients, seed=seed, slide_mm2=slide_mm2, leaks=leaks, workers=workers
    )
    return DemoSummary(
        folder=folder,
        checked=made.checked,
        run=run_study(made.opened, workers=workers),
        slides=made.slides,
    )


def prepare_demo(
    folder: Path,
    *,
    patients: int | None = None,
    seed: int = 1,
    slide_mm2: float | None = PAINTED_SLIDE_MM2,
    leaks: Sequence[str] = (),
    workers: int = 1,
) -> PreparedDemo:
    """Write the synthetic study, paint its slides and check it.

    Parameters
    ----------
    folder : Path
        Made when it is missing; an earlier demo in it is brought up to date.
    patients : int, optional
        In all cohorts together; by default 440 with slides and 600 without.
    seed : int
        Of the synthetic truth.
    slide_mm2 : float or None
        Area of the slide of each patient, glass included; None for a study of tables only.
    leaks : sequence of str
        Names of leaks to plant (`metastra.synthetic.leaks.LEAKS`); the check then refuses the study
        or warns.
    workers : int
        How many slides are worked on at a time.

    Returns
    -------
    PreparedDemo
        Ready to be run.

    Raises
    ------
    ConfigError
        If the folder holds something else than a demo, or a leak is not known.
    DataError
        If a planted leak made the check refuse the study; nothing is run then.
    ResourceError
        If slides could not be painted.
    KeyboardInterrupt
        After Ctrl-C; what was painted stays, and the same command goes on.
    """
    study, parts = _drawn(patients, seed, slides=slide_mm2 is not None)
    for name in leaks:
        if name not in LEAK_NAMES:
            raise ConfigError(f"there is no leak {name!r}; the leaks are {', '.join(LEAK_NAMES)}")
        parts = plant(parts, name).parts
    files = study_files(study, parts)
    planned = () if slide_mm2 is None else plan_slides(study, parts, slide_mm2=slide_mm2)
    paintings = {name for slide in planned for name in (slide.file, slide.truth)}
    strangers = _strangers(folder, set(files) | paintings)
    if strangers:
        raise ConfigError(
            f"{folder} holds {strangers[0]!r}, which is no part of a demo; choose an empty folder"
        )
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            write_bytes(path, content)
    _paint(planned, folder, workers)
    opened = open_study(folder)
    report = opened.check()
    if report.refused:
        refused = [one for one in report.problems if one.severity is Severity.REFUSE]
        raise DataError("the check refuses the study; nothing was run", refused)
    return PreparedDemo(opened=opened, checked=report.summary(), slides=len(planned))


def _drawn(patients: int | None, seed: int, *, slides: bool) -> tuple[SyntheticStudy, Parts]:
    """Draw the study; with slides fewer patients, of whom more have events."""
    if not slides:
        study = generate(n_patients=patients or TABLE_PATIENTS, seed=seed)
    else:
        study = generate(
            n_patients=patients or PAINTED_PATIENTS,
            seed=seed,
            model=PAINTED_TRUTH,
            plans=PAINTED_COHORTS,
        )
    return study, study.parts(slides=slides)


def _paint(planned: Sequence[PlannedSlide], folder: Path, workers: int) -> None:
    if not planned:
        return
    done = paint_slides(planned, folder, workers=workers)
    if done.failures:
        file, failure = next(iter(done.failures.items()))
        raise ResourceError(
            f"{len(done.failures)} of {len(planned)} slides could not be painted; {file}: {failure}"
        )


def _strangers(folder: Path, own: set[str]) -> list[str]:
    """List files that a demo does not write."""
    if not folder.exists():
        return []
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    own = own | {"study.key"}
    # what a killed painting left half-written is the demo's own
    return [
        name
        for name in names
        if name not in own
        and not name.startswith("run/")
        and not name.rpartition("/")[2].startswith(_PART)
    ]
