"""Patient › specimen › block › slide, and what is recorded about a patient's course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from metastra.study.vocabulary import EventType, Site

__all__ = ["Course", "Occurrence", "Patient", "Role", "Slide", "Specimen"]


class Role(StrEnum):
    """What a specimen is of."""

    PRIMARY = "primary"
    METASTASIS = "metastasis"
    NODE = "node"


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """Something that happened to a patient, on the clock of the study.

    Parameters
    ----------
    type : EventType
        What.
    site : Site
        Where; ``Site.UNKNOWN`` when it is not recorded or has no meaning.
    days : float
        Days since the patient's time origin (surgery); negative before it.
    last_negative_days : float or None
        Day of the last examination that did not show it.
    source : str
        File that says so, as the study names it.
    row : int
        Its row there.
    """

    type: EventType
    site: Site = Site.UNKNOWN
    days: float
    last_negative_days: float | None = None
    source: str = ""
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is recorded of one patient's course, in days since the time origin.

    Parameters
    ----------
    occurrences : tuple of Occurrence
        In no particular order.
    last_contact_days : float or None
        Last contact, alive or dead.
    entry_days : float
        From when the patient was watched; 0 without delayed entry.
    procedure_days : float or None
        Day of the procedure on the metastasis that made the slide, for endpoints after metastasis.
    row : int
        Of the patient in the clinical table.
    """

    occurrences: tuple[Occurrence, ...] = ()
    last_contact_days: float | None = None
    entry_days: float = 0.0
    procedure_days: float | None = None
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A piece of tissue that was taken out at one procedure.

    Parameters
    ----------
    specimen : str
        Its id, unique within the patient.
    role : Role or None
        Primary tumour, metastasis or node; None when it is not recorded.
    organ : str
        As the table has it.
    procedure : str
        As the table has it.
    days : float or None
        Of the procedure, since the time origin.
    neoadjuvant : bool or None
        Whether treatment came before it; None when it is not recorded.
    row : int
        In the specimen table.
    """

    specimen: str
    role: Role | None = None
    organ: str = ""
    procedure: str = ""
    days: float | None = None
    neoadjuvant: bool | None = None
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class Slide:
    """One slide file, or one feature file made from it.

    Parameters
    ----------
    filename : str
        As the slide table has it.
    path : Path or None
        Where it lies; None in a study of tables only.
    specimen : str
        Id of its specimen; empty when it is not recorded.
    block : str
        Id of its block; empty when it is not recorded.
    role : Role or None
        Of its specimen, or from the slide table.
    stain : str
        As the table has it.
    mpp : float or None
        Micrometres per pixel, where the table gives them.
    index_block : bool
        Whether the table marks it as the index block.
    tumour_area_mm2 : float or None
        Where the table gives it.
    scanner : str
        As the table has it.
    scan_year : int or None
        Year of the scan, where the table gives its date.
    row : int
        In the slide table.
    region : Path or None
        A drawn region that limits its tiles.
    """

    filename: str
    path: Path | None = None
    specimen: str = ""
    block: str = ""
    role: Role | None = None
    stain: str = ""
    mpp: float | None = None
    index_block: bool = False
    tumour_area_mm2: float | None = None
    scanner: str = ""
    scan_year: int | None = None
    row: int = 0
    region: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One patient of one cohort with everything the tables hold.

    Parameters
    ----------
    id : str
        Study id in normal form; stays inside tables that a user asks for.
    pseudonym : str
        What every other surface shows.
    cohort : str
        Name of the cohort.
    key : str
        What joins tables, splits and predictions: the id, or ``cohort:id`` where each cohort
        numbers its own patients.
    row : int
        First row in the clinical table.
    values : mapping of str to (str or None)
        Cells of the clinical table by column, after declared resolutions.
    course : Course
        What is recorded after it.
    temporal : date or None
        Day that a temporal split goes by, where the study declares one.
    specimens : tuple of Specimen
        In table order.
    slides : tuple of Slide
        The ones that the study's rule selects, in table order.
    """

    id: str
    pseudonym: str
    cohort: str
    key: str
    row: int
    values: Mapping[str, str | None]
    temporal: date | None = None
    course: Course = field(default_factory=Course)
    specimens: tuple[Specimen, ...] = ()
    slides: tuple[Slide, ...] = ()
