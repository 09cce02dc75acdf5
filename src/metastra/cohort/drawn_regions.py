"""Regions drawn on slides: which file belongs to which slide of a cohort."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from metastra.catalogue import problem
from metastra.cohort.hierarchy import Patient, Slide
from metastra.cohort.tables import Table
from metastra.errors import Problem, Severity, Where

__all__ = ["region_name", "slide_stem", "with_regions"]

_ENDING = ".geojson"
_DOUBLE_ENDINGS = (".ome.tif", ".ome.tiff")
_FEATURE_ENDINGS = (".h5", ".hdf5")


def slide_stem(name: str) -> str:
    """Take the ending from a slide's name.

    Parameters
    ----------
    name : str
        Of the file, without its folder.

    Returns
    -------
    str
        Endings of two parts, as OME-TIFF has them, are one ending.

    Examples
    --------
    >>> slide_stem("a.svs"), slide_stem("b.2.ome.tif")
    ('a', 'b.2')
    """
    for ending in _DOUBLE_ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return PurePosixPath(name).stem


def region_name(filename: str) -> str:
    """Name the file that holds a slide's drawn region.

    Parameters
    ----------
    filename : str
        Of the slide, as a slide table has it, with forward slashes.

    Returns
    -------
    str
        Relative to the folder of regions, in Unicode NFC.

    Examples
    --------
    >>> region_name("batch 1/a.svs")
    'batch 1/a.geojson'
    """
    path = PurePosixPath(unicodedata.normalize("NFC", filename))
    return path.with_name(f"{slide_stem(path.name)}{_ENDING}").as_posix()


def with_regions(
    patients: Sequence[Patient], table: Table, column: str, folder: Path
) -> tuple[list[Patient], list[Problem]]:
    """Give each slide the file of its region.

    Parameters
    ----------
    patients : sequence of Patient
        Of one cohort, with the slides that the study uses.
    table : Table
        The slide table.
    column : str
        The table's column of file names.
    folder : Path
        With one GeoJSON for each slide, named as the slide.

    Returns
    -------
    patients : list of Patient
        In the same order; slides that are feature files have no region.
    problems : list of Problem
        ``QC025`` for slides without a file.  ``QC026`` for files of two slides, and, as a warning,
        for those of none; they are counted and not named, since a slide's name can hold a
        patient's.
    """
    there = {
        unicodedata.normalize("NFC", path.relative_to(folder).as_posix()): path
        for path in sorted(folder.rglob(f"*{_ENDING}"))
        if path.is_file()
    }
    owners: dict[str, list[tuple[Patient, Slide]]] = defaultdict(list)
    for patient in patients:
        for slide in patient.slides:
            if not slide.filename.lower().endswith(_FEATURE_ENDINGS):
                owners[region_name(slide.filename)].append((patient, slide))
    given = [
        replace(
            patient,
            slides=tuple(
                replace(slide, region=there.get(region_name(slide.filename)))
                if not slide.filename.lower().endswith(_FEATURE_ENDINGS)
                else slide
                for slide in patient.slides
            ),
        )
        for patient in patients
    ]
    problems = []
    absent = [owner for name, mine in owners.items() if name not in there for owner in mine]
    shared = [owner for mine in owners.values() if len(mine) > 1 for owner in mine]
    for code, found, those in (
        ("QC025", "no region file of the slide's name in region_dir", absent),
        ("QC026", "slides would share one region file", shared),
    ):
        if those:
            problems.append(
                problem(
                    code,
                    f"{len(those)} {'slide' if len(those) == 1 else 'slides'}: {found}",
                    where=Where(
                        file=table.name,
                        rows=tuple(slide.row for _, slide in those),
                        column=column,
                        cohort=table.cohort,
                    ),
                    patients=tuple(dict.fromkeys(patient.pseudonym for patient, _ in those)),
                )
            )
    foreign = sum(name not in owners for name in there)
    if foreign:
        found = f"{foreign} of {len(there)} region files belong to no slide that is used"
        where = Where(file=folder.name, cohort=table.cohort)
        problems.append(problem("QC026", found, where=where, severity=Severity.WARN))
    return given, problems
