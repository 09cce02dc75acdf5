"""The slide table and the specimen table: which tissue of which patient each slide shows."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metastra.catalogue import problem
from metastra.cohort.dates import dates
from metastra.cohort.hierarchy import Role, Slide, Specimen
from metastra.cohort.identifiers import normalise_id
from metastra.cohort.tables import Table, require_columns
from metastra.cohort.values import numbers
from metastra.errors import Problem
from metastra.study.sections import SlideSection

__all__ = ["TissueReading", "read_slides", "read_specimens", "rule_problems", "select_slides"]

_ROLE_WORDS: dict[str, Role] = {
    "primary": Role.PRIMARY,
    "primary tumour": Role.PRIMARY,
    "primary tumor": Role.PRIMARY,
    "metastasis": Role.METASTASIS,
    "metastatic": Role.METASTASIS,
    "met": Role.METASTASIS,
    "node": Role.NODE,
    "lymph node": Role.NODE,
}
_YES = {"yes", "y", "true", "1", "1.0"}
_NO = {"no", "n", "false", "0", "0.0"}


@dataclass(frozen=True, kw_only=True)
class TissueReading:
    """What is needed to read one cohort's tissue tables.

    Parameters
    ----------
    table : Table
        The slide or the specimen table.
    actual : callable
        Name that metastra expects → name in this cohort's tables.
    days : callable
        Patient id, and a date or duration cell's position → days since the patient's time origin,
        or None.
    pseudonymise : callable
        Study id → pseudonym.
    """

    table: Table
    actual: Callable[[str], str]
    days: Callable[[str, int], float | None]
    pseudonymise: Callable[[str], str]

    def cell(self, column: str, index: int) -> str | None:
        """Read a cell of an optional column.

        Parameters
        ----------
        column : str
            Name that metastra expects.
        index : int
            Position of the record.

        Returns
        -------
        str or None
            None when the column or the value is missing.
        """
        name = self.actual(column)
        value = self.table.column(name)[index] if self.table.has(name) else None
        return None if value is None else str(value).strip()

    def patients(self) -> Iterable[tuple[int, str]]:
        """Walk over the records that name a patient.

        Yields
        ------
        index : int
            Position of the record.
        id : str
            The patient's id in normal form.
        """
        for index, cell in enumerate(self.table.column(self.actual("PATIENT"))):
            if cell is not None:
                yield index, normalise_id(cell)


def read_specimens(reading: TissueReading) -> tuple[dict[str, list[Specimen]], list[Problem]]:
    """Read the specimen table.

    Parameters
    ----------
    reading : TissueReading
        With the columns PATIENT and SPECIMEN, and where they are there ORGAN, ROLE, PROCEDURE,
        DATE and NEOADJUVANT.

    Returns
    -------
    specimens : dict of str to list of Specimen
        By patient id, in table order.
    problems : list of Problem
        ``CO037`` for unknown words in ROLE or NEOADJUVANT, ``CO020`` for a specimen listed twice.
    """
    table = reading.table
    specimens: dict[str, list[Specimen]] = {}
    unknown: dict[tuple[str, str], list[int]] = {}
    twice: list[int] = []
    for index, patient in reading.patients():
        name = reading.cell("SPECIMEN", index) or ""
        mine = specimens.setdefault(patient, [])
        if any(item.specimen == name for item in mine):
            twice.append(index)
        role_word = (reading.cell("ROLE", index) or "").casefold()
        treated_word = (reading.cell("NEOADJUVANT", index) or "").casefold()
        if role_word and role_word not in _ROLE_WORDS:
            unknown.setdefault(("ROLE", role_word), []).append(index)
        if treated_word and treated_word not in _YES | _NO:
            unknown.setdefault(("NEOADJUVANT", treated_word), []).append(index)
        mine.append(
            Specimen(
                specimen=name,
                role=_ROLE_WORDS.get(role_word),
                organ=reading.cell("ORGAN", index) or "",
                procedure=reading.cell("PROCEDURE", index) or "",
                days=reading.days(patient, index),
                neoadjuvant=_yes_no(treated_word),
                row=int(table.rows[index]),
            )
        )
    problems = [
        problem(
            "CO037",
            f"{word!r} is not known here",
            where=table.where(reading.actual(column), rows),
            expected="primary, metastasis or node" if column == "ROLE" else "yes or no",
        )
        for (column, word), rows in unknown.items()
    ]
    if twice:
        where = table.where(reading.actual("SPECIMEN"), twice)
        problems.append(problem("CO020", "the patient has this specimen twice", where=where))
    return specimens, problems


def read_slides(
    reading: TissueReading,
    *,
    folder: Path | None,
    specimens: Mapping[str, Sequence[Specimen]],
    require_files: bool,
    scanner: str = "SCANNER",
    scan_date: str = "SCAN_DATE",
) -> tuple[dict[str, list[Slide]], list[Problem]]:
    """Read the slide table.

    Parameters
    ----------
    reading : TissueReading
        With the columns PATIENT and FILENAME, and where they are there MPP, STAIN, SPECIMEN,
        BLOCK, ROLE, SCANNER, INDEX and TUMOUR_AREA_MM2.
    folder : Path or None
        Where the files lie.
    specimens : mapping of str to sequence of Specimen
        By patient id; empty without a specimen table.
    require_files : bool
        Whether every file must exist.
    scanner, scan_date : str
        Names of the columns that say how and when slides were scanned.

    Returns
    -------
    slides : dict of str to list of Slide
        By patient id, in table order.  The rows of a patient need not stand together.
    problems : list of Problem
        ``CO020``, ``CO021``, ``CO022``, ``CO030``, ``CO037`` and ``LK002`` within the table.
    """
    table = reading.table
    mpp, problems = _optional_numbers(reading, "MPP")
    area, more = _optional_numbers(reading, "TUMOUR_AREA_MM2")
    problems += more
    years, more = _scan_years(reading, scan_date)
    problems += more
    slides: dict[str, list[Slide]] = {}
    owner: dict[str, tuple[str, int]] = {}
    faults = _SlideFaults(reading)
    for index, patient in reading.patients():
        filename = reading.cell("FILENAME", index)
        if filename is None:
            faults.nameless.append(index)
            continue
        key = posixpath.normpath(filename.replace("\\", "/"))
        if key in owner:
            faults.repeated(patient, index, owner[key])
        owner.setdefault(key, (patient, index))
        path = folder / key if folder is not None else None
        if require_files and path is not None and not path.is_file():
            faults.absent.append((patient, index))
        name = reading.cell("SPECIMEN", index) or ""
        specimen = _find(specimens.get(patient, ()), name)
        if name and specimens and specimen is None:
            faults.unresolved.append((patient, index))
        word = (reading.cell("ROLE", index) or "").casefold()
        if word and word not in _ROLE_WORDS:
            faults.role_words.append(index)
        slides.setdefault(patient, []).append(
            Slide(
                filename=key,
                path=path,
                specimen=name,
                block=reading.cell("BLOCK", index) or "",
                role=_ROLE_WORDS.get(word) or (specimen.role if specimen else None),
                stain=reading.cell("STAIN", index) or "",
                mpp=mpp[index],
                index_block=(reading.cell("INDEX", index) or "").casefold() in _YES,
                tumour_area_mm2=area[index],
                scanner=reading.cell(scanner, index) or "",
                scan_year=years[index],
                row=int(table.rows[index]),
            )
        )
    return slides, problems + faults.problems()


class _SlideFaults:
    """Collects what is wrong with the rows of a slide table."""

    def __init__(self, reading: TissueReading) -> None:
        self.reading = reading
        self.nameless: list[int] = []
        self.absent: list[tuple[str, int]] = []
        self.unresolved: list[tuple[str, int]] = []
        self.role_words: list[int] = []
        self.same_patient: list[tuple[str, int]] = []
        self.other_patient: list[tuple[str, int]] = []

    def repeated(self, patient: str, index: int, first: tuple[str, int]) -> None:
        if first[0] == patient:
            self.same_patient.append((patient, index))
        else:
            self.other_patient += [first, (patient, index)]

    def problems(self) -> list[Problem]:
        table, actual = self.reading.table, self.reading.actual
        found: list[Problem] = []
        if self.nameless:
            where = table.where(actual("FILENAME"), self.nameless)
            found.append(problem("CO021", "no file name", where=where))
        if self.role_words:
            where = table.where(actual("ROLE"), self.role_words)
            expected = "primary, metastasis or node"
            found.append(problem("CO037", "unknown role", where=where, expected=expected))
        for code, text, column, rows in (
            ("CO020", "the same file stands in several rows", "FILENAME", self.same_patient),
            ("LK002", "the same file belongs to two patients", "FILENAME", self.other_patient),
            ("CO021", "no such file in the slide folder", "FILENAME", self.absent),
            ("CO022", "the patient has no such specimen", "SPECIMEN", self.unresolved),
        ):
            if rows:
                unique = list(dict.fromkeys(rows))
                found.append(
                    problem(
                        code,
                        text,
                        where=table.where(actual(column), [index for _, index in unique]),
                        patients=tuple(self.reading.pseudonymise(name) for name, _ in unique),
                    )
                )
        return found


def _yes_no(word: str) -> bool | None:
    return True if word in _YES else False if word in _NO else None


def _find(specimens: Sequence[Specimen], name: str) -> Specimen | None:
    return next((item for item in specimens if item.specimen == name), None)


def _optional_numbers(
    reading: TissueReading, column: str
) -> tuple[list[float | None], list[Problem]]:
    name = reading.actual(column)
    if not reading.table.has(name):
        return [None] * len(reading.table), []
    values, problems = numbers(reading.table, name)
    return [None if np.isnan(value) else float(value) for value in values], problems


def _scan_years(reading: TissueReading, column: str) -> tuple[list[int | None], list[Problem]]:
    name = reading.actual(column)
    if not reading.table.has(name):
        return [None] * len(reading.table), []
    days, problems = dates(reading.table, name, data_cut=None)
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return [None if np.isnat(d) else int(y) for d, y in zip(days, years, strict=True)], problems


def rule_problems(table: Table, actual: Callable[[str], str], rule: SlideSection) -> list[Problem]:
    """Look for the column that the study's rule goes by.

    Parameters
    ----------
    table : Table
        The slide table.
    actual : callable
        Name that metastra expects → name in this cohort's tables.
    rule : SlideSection
        Which slides of a patient are used.

    Returns
    -------
    list of Problem
        ``CO007`` when it is not there: the rule would remove every slide.
    """
    needed = {"index-block": ["INDEX"], "largest-tumour-area": ["TUMOUR_AREA_MM2"]}
    return require_columns(table, map(actual, needed.get(rule.per_patient, [])))


def select_slides(slides: Sequence[Slide], rule: SlideSection) -> tuple[Slide, ...]:
    """Choose which of a patient's slides are used.

    Parameters
    ----------
    slides : sequence of Slide
        All of them, in table order.
    rule : SlideSection
        ``roles`` limits the specimens; ``per_patient`` takes all, those of the index block, or
        the one with the largest tumour area (the first of equals).

    Returns
    -------
    tuple of Slide
        Possibly none.

    Examples
    --------
    >>> a, b = Slide(filename="a", tumour_area_mm2=4.0), Slide(filename="b", tumour_area_mm2=9.0)
    >>> rule = SlideSection(per_patient="largest-tumour-area")
    >>> [slide.filename for slide in select_slides([a, b], rule)]
    ['b']
    """
    chosen = [s for s in slides if not rule.roles or (s.role is not None and s.role in rule.roles)]
    if rule.per_patient == "index-block":
        chosen = [s for s in chosen if s.index_block]
    elif rule.per_patient == "largest-tumour-area" and chosen:
        known = [s for s in chosen if s.tumour_area_mm2 is not None]
        chosen = [max(known, key=lambda s: s.tumour_area_mm2 or 0.0)] if known else []
    return tuple(chosen)
