"""The slides that a study lists, under the names by which a run may call them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from metastra.digest import digest_value
from metastra.extraction.digests import known_digest
from metastra.pipeline.workshop import Workshop
from metastra.slides.slide import MppSource

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
    """

    name: str
    patient: str
    cohort: str
    path: Path
    mpp: float | None
    mpp_source: MppSource = "table"
    stain: str = ""

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
    promised = {section.name for section in work.opened.study.cohort if section.require_slides}
    slide_name = work.opened.pseudonyms.slide
    found = [
        StudySlide(
            name=slide_name(f"{patient.cohort}/{slide.filename}"),
            patient=patient.pseudonym,
            cohort=patient.cohort,
            path=slide.path,
            mpp=slide.mpp,
            stain=slide.stain,
        )
        for patient in work.cohort.patients
        for slide in patient.slides
        if slide.path is not None and patient.cohort in promised
    ]
    return sorted(found, key=lambda slide: slide.name)


def slides_parent_digest(work: Workshop, slides: Iterable[StudySlide]) -> str:
    """Digest which slides a stage is made from and what is in them, without reading one.

    A slide that was read counts by its content; one that was not, by size and time of change.

    Parameters
    ----------
    work : Workshop
        The study at work.
    slides : iterable of StudySlide
        Of the stage.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    run_dir = work.opened.run_dir
    return digest_value(
        {
            slide.name: [
                known_digest(slide.path, slide.name, run_dir) or _marks(slide.path),
                slide.mpp,
                slide.stain,
            ]
            for slide in slides
        }
    )


def _marks(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
