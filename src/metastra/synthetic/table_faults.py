"""Planted faults in the cells and rows of tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from metastra.synthetic.planting import (
    MAIN,
    SURVIVAL,
    Fault,
    Planted,
    cohort_file,
    find_rows,
    table_of,
)
from metastra.synthetic.writing import Cell, Parts, Table

__all__ = ["TABLE_FAULTS"]

_Put = Callable[[Parts], Planted]
_Accept = Callable[[Cell], bool]


def _eligible(tnm: Cell) -> bool:
    return str(tnm).startswith("p") and str(tnm).endswith("M0")


def _given(cell: Cell) -> bool:
    return cell is not None


def _put(parts: Parts, file: str, table: Table, *rows: int) -> Planted:
    """Put a changed table back; `rows` are positions from 0."""
    return Planted(parts={**parts, file: table}, file=file, rows=tuple(row + 2 for row in rows))


def _clini_cell(column: str, value: Cell, **conditions: _Accept) -> _Put:
    """Make a fault that changes one clinical cell of the first eligible patient that suits."""

    def put(parts: Parts) -> Planted:
        file = cohort_file(parts, "clini")
        table = table_of(parts, file)
        row = find_rows(table, **{"TNM": _eligible, **conditions})[0]
        return _put(parts, file, table.with_cell(row, column, value), row)

    return put


def _event_cell(column: str, value: Cell, **conditions: _Accept) -> _Put:
    """Make a fault that changes one cell of the first metachronous liver metastasis."""

    def put(parts: Parts) -> Planted:
        file = cohort_file(parts, "events")
        table = table_of(parts, file)
        wanted: dict[str, _Accept] = {
            "SITE": lambda site: site == "liver",
            "TYPE": lambda kind: kind == "metastasis",
            "LAST_NEGATIVE": _given,
        }
        row = find_rows(table, **{**wanted, **conditions})[0]
        return _put(parts, file, table.with_cell(row, column, value), row)

    return put


def _second_id(change: Callable[[str], str]) -> _Put:
    """Make a fault that lists a patient again under a slightly different id."""

    def put(parts: Parts) -> Planted:
        file = cohort_file(parts, "clini")
        table = table_of(parts, file)
        row = find_rows(table, TNM=_eligible)[0]
        cells = dict(zip(table.columns, table.rows[row], strict=True))
        cells["PATIENT"] = change(str(cells["PATIENT"]))
        # another patient in everything but the id
        cells["age"], cells["CEA"] = 55.5, 1.5
        return _put(parts, file, table.with_row(**cells), row, len(table))

    return put


def _wide(text: str) -> str:
    """Write the letters as a Japanese keyboard does: the same in compatibility form."""
    return "".join(chr(ord(c) + 0xFEE0) if c.isalnum() and c.isascii() else c for c in text)


def _without_zeros(text: str) -> str:
    letters, _, digits = text.rpartition("-")
    return f"{letters}-{int(digits)}"


def _last_contact_before_surgery(parts: Parts) -> Planted:
    file = cohort_file(parts, "clini")
    table = table_of(parts, file)
    events = table_of(parts, cohort_file(parts, "events")).column("PATIENT")
    row = find_rows(table, TNM=_eligible, PATIENT=lambda patient: patient not in events)[0]
    surgery = _date(table, row, "SURGERY_DATE")
    return _put(parts, file, table.with_cell(row, "LAST_CONTACT", surgery - timedelta(40)), row)


def _event_after_last_contact(parts: Parts) -> Planted:
    clini = table_of(parts, cohort_file(parts, "clini"))
    early = date(2021, 6, 30)
    alive = find_rows(
        clini,
        TNM=_eligible,
        OS_STATUS=lambda status: status == "alive",
        LAST_CONTACT=lambda day: isinstance(day, date) and day < early,
    )
    contact = {clini.cell(row, "PATIENT"): _date(clini, row, "LAST_CONTACT") for row in alive}
    file = cohort_file(parts, "events")
    table = table_of(parts, file)
    row = find_rows(table, PATIENT=lambda patient: patient in contact, LAST_NEGATIVE=_given)[0]
    late = contact[table.cell(row, "PATIENT")] + timedelta(120)
    return _put(parts, file, table.with_cell(row, "DATE", late), row)


def _last_negative_after_event(parts: Parts) -> Planted:
    file = cohort_file(parts, "events")
    table = table_of(parts, file)
    row = find_rows(table, LAST_NEGATIVE=_given, SITE=lambda site: site == "liver")[0]
    late = _date(table, row, "DATE") + timedelta(30)
    return _put(parts, file, table.with_cell(row, "LAST_NEGATIVE", late), row)


def _date(table: Table, row: int, column: str) -> date:
    cell = table.cell(row, column)
    if not isinstance(cell, date):
        raise ValueError(f"{column} holds no date in row {row + 2}")
    return cell


def _patient_twice(parts: Parts) -> Planted:
    file = cohort_file(parts, "clini")
    table = table_of(parts, file)
    cells = dict(zip(table.columns, table.rows[4], strict=True))
    return _put(parts, file, table.with_row(**cells), 4, len(table))


def _orphan(parts: Parts) -> Planted:
    file = cohort_file(parts, "events")
    table = table_of(parts, file)
    more = table.with_row(PATIENT="ZZ-7777", DATE=date(2018, 5, 4), TYPE="death-of-other-cause")
    return _put(parts, file, more, len(table))


def _slide_twice(parts: Parts) -> Planted:
    file = cohort_file(parts, "slides")
    table = table_of(parts, file)
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    return _put(parts, file, table.with_row(**cells), 0, len(table))


def _specimen_not_listed(parts: Parts) -> Planted:
    file = cohort_file(parts, "slides")
    return _put(parts, file, table_of(parts, file).with_cell(2, "SPECIMEN", "P9"), 2)


def _decimal_comma(parts: Parts) -> Planted:
    file = cohort_file(parts, "clini")
    table = table_of(parts, file)
    cells: list[Cell] = [
        None if cell is None else f"{cell}".replace(".", ",") for cell in table.column("CEA")
    ]
    rows = find_rows(table, CEA=_given)
    return _put(parts, file, table.with_column("CEA", cells), *rows)


def _times_in_months(parts: Parts) -> Planted:
    changed: Parts = dict(parts)
    for name, part in parts.items():
        if isinstance(part, Table) and "OS_DAYS" in part.columns:
            months: list[Cell] = [
                round(days / 30.4375, 1) if isinstance(days, int) else None
                for days in part.column("OS_DAYS")
            ]
            changed[name] = part.with_column("OS_DAYS", months)
    return Planted(parts=changed)


def _constant_predictor(parts: Parts) -> Planted:
    changed: Parts = dict(parts)
    for name, part in parts.items():
        if isinstance(part, Table) and "sex" in part.columns:
            changed[name] = part.with_column("sex", ["F"] * len(part))
    return Planted(parts=changed)


def _fault(code: str, name: str, what: str, put: _Put, study_file: str = MAIN) -> Fault:
    return Fault(name=name, code=code, what=what, put=put, study_file=study_file)


TABLE_FAULTS: tuple[Fault, ...] = (
    _fault("CO010", "id-missing", "A clinical row has no id.", _clini_cell("PATIENT", None)),
    _fault("CO011", "patient-twice", "A patient has two clinical rows.", _patient_twice),
    _fault(
        "CO012",
        "ids-differ-in-case",
        "An id is also there in small letters.",
        _second_id(str.lower),
    ),
    _fault(
        "CO013",
        "ids-differ-in-space",
        "An id is also there with a space.",
        _second_id(lambda i: f"{i[:3]} {i[3:]}"),
    ),
    _fault(
        "CO014", "ids-differ-in-unicode", "An id is also there in wide letters.", _second_id(_wide)
    ),
    _fault(
        "CO015",
        "id-without-zeros",
        "An id is also there without its zeros.",
        _second_id(_without_zeros),
    ),
    _fault(
        "CO016",
        "id-as-number",
        "A spreadsheet made an id a number.",
        _clini_cell("PATIENT", "1.23E+11"),
    ),
    _fault(
        "CO017", "id-as-date", "A spreadsheet made an id a date.", _clini_cell("PATIENT", "2-Mar")
    ),
    _fault(
        "CO019",
        "unlisted-patient",
        "An event belongs to a patient without a clinical row.",
        _orphan,
    ),
    _fault("CO020", "slide-twice", "A slide is listed twice.", _slide_twice),
    _fault(
        "CO022",
        "specimen-not-listed",
        "A slide names a specimen that is not there.",
        _specimen_not_listed,
    ),
    _fault("CO030", "text-in-number", "A CEA is text.", _clini_cell("CEA", ">200")),
    _fault("CO031", "decimal-comma", "CEA is written with decimal commas.", _decimal_comma),
    _fault(
        "CO032", "not-a-date", "A date of surgery is a word.", _clini_cell("SURGERY_DATE", "autumn")
    ),
    _fault(
        "CO034",
        "future-date",
        "A last contact lies after the data cut.",
        _clini_cell("LAST_CONTACT", date(2029, 9, 9)),
    ),
    _fault(
        "CO035",
        "spreadsheet-day",
        "A date of surgery is a spreadsheet's number.",
        _clini_cell("SURGERY_DATE", "42810"),
    ),
    _fault("CO036", "impossible-age", "A patient is 168 years old.", _clini_cell("age", 168.0)),
    _fault(
        "CO037", "unknown-category", "A grade is not in the coding.", _clini_cell("grade", "G7")
    ),
    _fault("CO038", "constant-predictor", "Every patient is a woman.", _constant_predictor),
    _fault(
        "CO040", "unreadable-tnm", "A TNM string cannot be read.", _clini_cell("TNM", "pT3 Nb?")
    ),
    _fault(
        "CO041",
        "stage-contradicts-tnm",
        "A node-negative tumour has stage IIIB.",
        _clini_cell("stage", "IIIB", TNM=lambda t: str(t) == "pT3 N0 cM0"),
    ),
    _fault(
        "CO042",
        "metastasis-contradicts-tnm",
        "M0 stands beside a metastasis.",
        _clini_cell("mets_at_diagnosis", "yes"),
    ),
    _fault(
        "EP001",
        "unknown-status",
        "A status is not in the code map.",
        _clini_cell("OS_STATUS", "moved"),
        SURVIVAL,
    ),
    _fault(
        "EP002", "missing-status", "A status is missing.", _clini_cell("OS_STATUS", None), SURVIVAL
    ),
    _fault("EP004", "missing-time", "A time is missing.", _clini_cell("OS_DAYS", None), SURVIVAL),
    _fault(
        "EP005",
        "last-contact-before-surgery",
        "Follow-up ends before it begins.",
        _last_contact_before_surgery,
    ),
    _fault(
        "EP006",
        "day-zero",
        "Follow-up ends on the day of surgery.",
        _clini_cell("OS_DAYS", 0),
        SURVIVAL,
    ),
    _fault(
        "EP008",
        "times-in-months",
        "Times in months are declared as days.",
        _times_in_months,
        SURVIVAL,
    ),
    _fault(
        "EP009",
        "event-after-last-contact",
        "A metastasis is dated after the last contact.",
        _event_after_last_contact,
    ),
    _fault(
        "EP010",
        "status-disagrees",
        "A death is coded as alive.",
        _clini_cell("OS_STATUS", "alive", OS_STATUS=lambda s: s == "dead"),
    ),
    _fault("EP012", "unknown-site", "A site is misspelled.", _event_cell("SITE", "lver")),
    _fault(
        "EP013",
        "site-missing",
        "The site of a metastasis is not recorded.",
        _event_cell("SITE", None),
    ),
    _fault(
        "EP019",
        "last-negative-after-event",
        "The last negative finding is later than the event.",
        _last_negative_after_event,
    ),
)
"""Every fault of cells and rows that can be planted, in the order of the codes."""
