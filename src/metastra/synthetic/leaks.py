"""Planted leaks: ways in which the outcome, or the same patient, reaches both sides."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from metastra.synthetic.planting import MAIN, Fault, Planted, cohort_file, find_rows, table_of
from metastra.synthetic.writing import Cell, Parts, Table

__all__ = ["LEAKS"]

_COHORTS = ("north", "rhine", "south")


def _eligible(tnm: Cell) -> bool:
    return str(tnm).startswith("p") and str(tnm).endswith("M0")


def _with_liver_metastasis(parts: Parts, cohort: str) -> set[Cell]:
    """Patients with a recorded metachronous liver metastasis: one with a last negative finding."""
    events = table_of(parts, cohort_file(parts, "events", cohort))
    sites, before = events.column("SITE"), events.column("LAST_NEGATIVE")
    return {
        patient
        for patient, site, negative in zip(events.column("PATIENT"), sites, before, strict=True)
        if site == "liver" and negative is not None
    }


def _metastasis_slides(parts: Parts) -> Planted:
    """Add the slides of resected metastases."""
    file = cohort_file(parts, "slides")
    slides = table_of(parts, file)
    specimens = table_of(parts, cohort_file(parts, "specimens"))
    clini = table_of(parts, cohort_file(parts, "clini"))
    kept = {clini.cell(row, "PATIENT") for row in find_rows(clini, TNM=_eligible)}
    first = len(slides)
    for row in find_rows(specimens, ROLE=lambda role: role == "metastasis"):
        patient = specimens.cell(row, "PATIENT")
        if patient in kept:
            slides = slides.with_row(
                PATIENT=patient,
                FILENAME=f"{patient}_M1_HE.tiff",
                MPP=0.25,
                STAIN="H&E",
                SPECIMEN="M1",
                BLOCK="M1",
                SCANNER="Aurora S60",
                SCAN_DATE=date(2020, 3, 2),
                INDEX="no",
            )
    rows = tuple(range(first + 2, len(slides) + 2))
    return Planted(parts={**parts, file: slides}, file=file, rows=rows)


def _scanner_follows_outcome(parts: Parts) -> Planted:
    """Scan patients with metastases on another machine; every eighth patient is an exception."""
    changed: Parts = dict(parts)
    for cohort in _COHORTS:
        file = cohort_file(parts, "slides", cohort)
        slides = table_of(parts, file)
        cases = _with_liver_metastasis(parts, cohort)
        order = {patient: k for k, patient in enumerate(dict.fromkeys(slides.column("PATIENT")))}
        scanners: list[Cell] = [
            "Nova X" if (patient in cases) != (order[patient] % 8 == 0) else "Vega 1"
            for patient in slides.column("PATIENT")
        ]
        changed[file] = slides.with_column("SCANNER", scanners)
    return Planted(parts=changed)


def _patient_in_two_cohorts(parts: Parts) -> Planted:
    """List a patient of the first cohort in the last one too."""
    source = table_of(parts, cohort_file(parts, "clini"))
    file = cohort_file(parts, "clini", _COHORTS[-1])
    target = table_of(parts, file)
    row = find_rows(source, TNM=_eligible)[0]
    cells = dict(zip(source.columns, source.rows[row], strict=True))
    cells["site"] = target.cell(0, "site")
    target = target.with_row(**cells)
    return Planted(parts={**parts, file: target}, file=file, rows=(len(target) + 1,))


def _two_ids(parts: Parts) -> Planted:
    """Give one patient a second id, under which everything is recorded again."""
    file = cohort_file(parts, "clini")
    clini = table_of(parts, file)
    row = find_rows(clini, TNM=_eligible, CEA=lambda cell: cell is not None)[0]
    patient = clini.cell(row, "PATIENT")
    second = "EXT-9001"
    changed: Parts = dict(parts)
    for kind in ("clini", "events", "specimens"):
        name = cohort_file(parts, kind)
        table = table_of(parts, name)
        place = table.columns.index("PATIENT")
        copies = tuple(
            (*cells[:place], second, *cells[place + 1 :])
            for cells in table.rows
            if cells[place] == patient
        )
        changed[name] = replace(table, rows=(*table.rows, *copies))
    return Planted(parts=changed, file=file, rows=(row + 2, len(clini) + 2))


def _late_specimen(parts: Parts) -> Planted:
    """Date the specimen of a primary tumour half a year after surgery."""
    file = cohort_file(parts, "specimens")
    specimens = table_of(parts, file)
    clini = table_of(parts, cohort_file(parts, "clini"))
    kept = find_rows(
        clini, TNM=_eligible, OS_DAYS=lambda days: isinstance(days, int) and days > 900
    )
    patient = clini.cell(kept[0], "PATIENT")
    row = find_rows(
        specimens, PATIENT=lambda cell: cell == patient, ROLE=lambda role: role == "primary"
    )[0]
    day = specimens.cell(row, "DATE")
    if not isinstance(day, date):
        raise ValueError("the specimen has no date that could be moved")
    specimens = specimens.with_cell(row, "DATE", day + timedelta(days=180))
    return Planted(parts={**parts, file: specimens}, file=file, rows=(row + 2,))


def _slide_of_two_patients(parts: Parts) -> Planted:
    """Give one patient the slide of another."""
    file = cohort_file(parts, "slides")
    slides = table_of(parts, file)
    first = slides.cell(0, "PATIENT")
    row = find_rows(slides, PATIENT=lambda cell: cell != first)[0]
    slides = slides.with_cell(row, "FILENAME", slides.cell(0, "FILENAME"))
    return Planted(parts={**parts, file: slides}, file=file, rows=(2, row + 2))


def _predictor_repeats_outcome(parts: Parts) -> Planted:
    """Declare as a predictor whether the patient was ever treated for liver metastases."""
    changed: Parts = dict(parts)
    for cohort in _COHORTS:
        file = cohort_file(parts, "clini", cohort)
        clini = table_of(parts, file)
        cases = _with_liver_metastasis(parts, cohort)
        treated: list[Cell] = ["yes" if p in cases else "no" for p in clini.column("PATIENT")]
        changed[file] = clini.with_column("liver_treatment", treated)
    text = parts[MAIN]
    if isinstance(text, Table):
        raise ValueError(f"{MAIN} is no table")
    entry = b'[clinical]\nliver_treatment = { kind = "binary", levels = ["no", "yes"] }\n'
    changed[MAIN] = text.replace(b"[clinical]\n", entry)
    return Planted(parts=changed)


LEAKS: tuple[Fault, ...] = (
    Fault(
        name="patient-in-two-cohorts",
        code="LK001",
        what="A patient of the development data is listed in the external cohort too.",
        put=_patient_in_two_cohorts,
    ),
    Fault(
        name="slide-of-two-patients",
        code="LK002",
        what="One slide file is listed under two patients.",
        put=_slide_of_two_patients,
    ),
    Fault(
        name="two-ids-of-one-patient",
        code="LK003",
        what="One patient stands under two ids with the same values.",
        put=_two_ids,
    ),
    Fault(
        name="specimen-after-prediction",
        code="LK004",
        what="The specimen whose slides are used was taken half a year after surgery.",
        put=_late_specimen,
    ),
    Fault(
        name="metastasis-slides",
        code="LK005",
        what="Slides of resected liver metastases are among the inputs.",
        put=_metastasis_slides,
    ),
    Fault(
        name="scanner-follows-outcome",
        code="LK006",
        what="Patients with liver metastases were scanned on another machine.",
        put=_scanner_follows_outcome,
    ),
    Fault(
        name="predictor-repeats-outcome",
        code="LK007",
        what="A declared predictor says who was treated for liver metastases.",
        put=_predictor_repeats_outcome,
    ),
)
"""Every leak that can be planted, in the order of the codes."""
