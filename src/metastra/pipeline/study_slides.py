"""The slides that a study lists, under the names by which a run may call them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metastra.digest import digest_file, digest_value
from metastra.errors import SlideError
from metastra.extraction.digests import known_digest, noted_digest, stands_in_doubt
from metastra.pipeline.workshop import Workshop
from metastra.progress import track
from metastra.slides.slide import MppSource
from metastra.tissue.geojson import RegionOrigin

__all__ = ["StudySlide", "has_slides", "slides_parent_digest", "study_slides"]

_FEATURE_ENDINGS = (".h5", ".hdf5")


@dataclass(frozen=True, kw_only=True)
class StudySlide:
    """One slide of an analysed patient.

    Parameters
    ----------
    name : str
        Its pseudonym: the name of its feature file and all that messages call it.
    patient : str
        Pseudonym of the patient.
    cohort : str
        Of the patient.
    path : Path
        Where it lies; never shown.
    mpp : float or None
        Micrometres per pixel, where the slide table gives them.
    stain : str
        As the slide table has it.
    region : Path or None
        A drawn region that limits its tiles; never shown.
    region_origin : {"qupath", "level0"}
        What its coordinates count from.
    """

    name: str
    patient: str
    cohort: str
    path: Path
    mpp: float | None
    mpp_source: MppSource = "table"
    stain: str = ""
    region: Path | None = None
    region_origin: RegionOrigin = "qupath"

    @property
    def is_features(self) -> bool:
        """Whether it is a feature file already."""
        return self.path.suffix.lower() in _FEATURE_ENDINGS


def has_slides(work: Workshop) -> bool:
    """Whether a study promises slides or feature files.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    bool
        False for a study of tables only, where ``require_slides`` is false or no folder is named.
    """
    return any(
        section.slide_table is not None
        and section.require_slides
        and (section.slide_dir or section.feature_dir)
        for section in work.opened.study.cohort
    )


def study_slides(work: Workshop) -> list[StudySlide]:
    """List the slides of the analysed patients.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    list of StudySlide
        Sorted by pseudonym.
    """
    promised = {
        section.name: section for section in work.opened.study.cohort if section.require_slides
    }
    slide_name = work.opened.pseudonyms.slide
    found = [
        StudySlide(
            name=slide_name(f"{patient.cohort}/{slide.filename}"),
            patient=patient.pseudonym,
            cohort=patient.cohort,
            path=slide.path,
            mpp=slide.mpp,
            stain=slide.stain,
            region=slide.region,
            region_origin=promised[patient.cohort].region_origin,
        )
        for patient in work.cohort.patients
        for slide in patient.slides
        if slide.path is not None and patient.cohort in promised
    ]
    return sorted(found, key=lambda slide: slide.name)


def slides_parent_digest(work: Workshop, slides: Sequence[StudySlide]) -> str:
    """Digest which slides a stage is made from and what is in them, reading only what is in doubt.

    A slide that was read counts by its content; one that was not, by size and time of change.
    Slides that were copied or restored since they were read are read once more.

    Parameters
    ----------
    work : Workshop
        The study at work.
    slides : sequence of StudySlide
        Of the stage.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    run_dir = work.opened.run_dir
    doubtful = [slide for slide in slides if stands_in_doubt(slide.path, slide.name, run_dir)]
    taken: dict[str, str] = {}
    if doubtful:
        for slide in track(doubtful, label="Looking at slides that were touched", unit="slides"):
            with contextlib.suppress(SlideError):
                taken[slide.name] = noted_digest(slide.path, slide.name, run_dir)
    return digest_value(
        {
            slide.name: [
                taken.get(slide.name)
                or known_digest(slide.path, slide.name, run_dir)
                or _marks(slide.path),
                slide.mpp,
                slide.stain,
                *_region_key(slide),
            ]
            for slide in slides
        }
    )


def _region_key(slide: StudySlide) -> list[str]:
    """Name the region by its content; nothing where there is none."""
    if slide.region is None:
        return []
    try:
        return [digest_file(slide.region), slide.region_origin]
    except OSError:
        return ["not to be read"]


def _marks(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
