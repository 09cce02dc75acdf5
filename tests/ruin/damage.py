"""Kinds of damage that hospital tables really come with, done to copies of real tables."""

from __future__ import annotations

import csv
import gzip
import io
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class RealTable:
    """A real table, the example study that reads it, and the columns that damage needs."""

    example: str
    path: str
    id: str
    time: str = ""
    event: str = ""
    number: str = ""
    age: str = ""
    word: str = ""
    tnm: str = ""
    stage: str = ""
    spread: str = ""
    site: str = ""
    last_contact: str = ""
    per_slide: bool = False
    external: bool = False
    id_letters: bool = False
    used: tuple[str, str] = ("", "")
    delimiter: str = ","
    header_row: int = 1
    codes: dict[str, str] = field(default_factory=dict)


REAL_TABLES = {
    "orion": RealTable(
        example="orion-crc",
        path="data/orion_crc_cohort/patients.csv",
        id="patient",
        id_letters=True,
        time="PFSDays",
        number="Age",
        age="Age",
        word="Grade",
        tnm="TNMAtDiagnosis",
        stage="Stage",
        spread="DistantMetsAtDiagnosis",
        site="LocationOfRecurrence",
        last_contact="OSDays",
    ),
    "cdr-brca": RealTable(
        example="tcga-brca",
        path="data/tcga/cdr_brca.csv",
        id="case_id",
        id_letters=True,
        time="dss_cr_survival_days",
        event="dss_cr_censorship",
        number="age_at_initial_pathologic_diagnosis",
        stage="ajcc_pathologic_tumor_stage",
        per_slide=True,
        codes={"event": "0.0", "censored": "1.0", "competing": "-1.0"},
    ),
    "cdr-coadread": RealTable(
        example="tcga-coadread",
        path="data/tcga/cdr_coadread.csv",
        id="case_id",
        id_letters=True,
        time="dss_cr_survival_days",
        event="dss_cr_censorship",
        number="age_at_initial_pathologic_diagnosis",
        stage="ajcc_pathologic_tumor_stage",
        per_slide=True,
        codes={"event": "0.0", "censored": "1.0", "competing": "-1.0"},
    ),
    "breast-cr": RealTable(
        example="breast-competing-risks",
        path="data/survival/breast_cr_validation.csv",
        external=True,
        id="id",
        time="time",
        event="status",
        number="size",
        age="age",
        word="ncat",
        codes={"event": "rec", "censored": "censor", "competing": "nmrec"},
    ),
    "rotterdam": RealTable(
        example="breast-relapse",
        path="data/survival/rotterdam.csv",
        id="pid",
        time="rtime",
        event="recur",
        number="nodes",
        age="age",
        word="grade",
        codes={"event": "1", "censored": "0"},
    ),
    "gbsg": RealTable(
        example="breast-relapse",
        path="data/survival/gbsg.csv",
        external=True,
        id="pid",
        time="rfstime",
        event="status",
        number="nodes",
        age="age",
        word="grade",
        codes={"event": "1", "censored": "0"},
    ),
    "brca-epi": RealTable(
        example="breast-distant-metastasis",
        path="data/survival/brca_epi_multistate.csv",
        id="pid",
        time="tom",
        number="nodes",
        age="age",
        word="size",
        last_contact="tox",
    ),
    "msk-met": RealTable(
        example="msk-crc",
        path="data/genomics/msk_met_clinical.csv.gz",
        id="sample",
        id_letters=True,
        event="SAMPLE_TYPE",
        used=("tumor_type", "CRC"),
        number="TMB_NONSYNONYMOUS",
    ),
    "msk-2017": RealTable(
        example="msk-crc",
        path="data/genomics/crc_msk_2017_samples.tsv",
        external=True,
        id="PATIENT_ID",
        id_letters=True,
        number="TMB_NONSYNONYMOUS",
        per_slide=True,
        delimiter="\t",
        header_row=5,
    ),
}
"""Tables of the shared data that an example study reads."""


class Copy:
    """A copy of a real table that can be damaged, cell by cell or as a file."""

    def __init__(self, real: RealTable, source: Path) -> None:
        self.real = real
        raw = source.read_bytes()
        text = (gzip.decompress(raw) if source.suffix == ".gz" else raw).decode()
        lines = text.splitlines(keepends=True)
        self.head = "".join(lines[: real.header_row - 1])
        self.rows = list(
            csv.reader(io.StringIO("".join(lines[real.header_row - 1 :])), delimiter=real.delimiter)
        )
        self.delimiter = real.delimiter
        self.study: list[tuple[str, str]] = []
        self.bytes: bytes | None = None

    def column(self, name: str) -> int:
        return self.rows[0].index(name)

    def cell(self, row: int, name: str) -> str:
        """Cell of an editor's row."""
        return self.rows[self.index(row)][self.column(name)]

    def put(self, row: int, name: str, value: str) -> None:
        self.rows[self.index(row)][self.column(name)] = value

    def index(self, row: int) -> int:
        return row - self.real.header_row

    @property
    def first(self) -> int:
        """Editor's row of the first record that the example study analyses."""
        name, value = self.real.used
        if not name:
            return self.real.header_row + 1
        return self.top + next(
            i for i, record in enumerate(self.rows[1:]) if record[self.column(name)] == value
        )

    @property
    def top(self) -> int:
        """Editor's row of the first record."""
        return self.real.header_row + 1

    @property
    def last(self) -> int:
        return self.real.header_row + len(self.rows) - 1

    def row_where(self, name: str, accept: Callable[[str], bool]) -> int:
        """First editor's row whose cell is accepted."""
        at = self.column(name)
        for offset, record in enumerate(self.rows[1:]):
            if accept(record[at]):
                return self.top + offset
        raise AssertionError(f"no row for {name}")

    def add_row(self, like: int, id_: str) -> int:
        """Append a copy of a row under another id; give its editor's row."""
        record = list(self.rows[self.index(like)])
        record[self.column(self.real.id)] = id_
        self.rows.append(record)
        return self.last

    def text(self) -> str:
        out = io.StringIO()
        csv.writer(out, delimiter=self.delimiter, lineterminator="\n").writerows(self.rows)
        return self.head + out.getvalue()

    def content(self) -> bytes:
        return self.text().encode() if self.bytes is None else self.bytes


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The code that a check must give, and the rows it must name (None: any)."""

    code: str
    rows: tuple[int, ...] | None = ()


Damage = Callable[[Copy], Expected]
"""Damages a copy and says what a check must then find."""

_APPLIES: dict[Damage, Callable[[RealTable], bool]] = {}


def only(accept: Callable[[RealTable], bool]) -> Callable[[Damage], Damage]:
    """Limit a damage to tables that have what it damages."""

    def mark(damage: Damage) -> Damage:
        _APPLIES[damage] = accept
        return damage

    return mark


def applies(damage: Damage, real: RealTable) -> bool:
    return _APPLIES.get(damage, lambda _: True)(real)


def _row_of_number(copy: Copy, name: str) -> int:
    return copy.row_where(name, lambda cell: cell not in ("", "NaN", "NA"))


def file_missing(copy: Copy) -> Expected:
    copy.bytes = None
    copy.rows = []
    return Expected(code="CO001")


def zero_bytes(copy: Copy) -> Expected:
    copy.bytes = b""
    return Expected(code="CO002")


def header_only(copy: Copy) -> Expected:
    copy.rows = copy.rows[:1]
    return Expected(code="CO002")


def byte_of_another_encoding(copy: Copy) -> Expected:
    lines = copy.text().encode().split(b"\n")
    at = copy.top
    lines[at - 1] = lines[at - 1] + b"\xfc"
    copy.bytes = b"\n".join(lines)
    return Expected(code="CO003", rows=(at,))


def sixteen_bit_text(copy: Copy) -> Expected:
    copy.bytes = copy.text().encode("utf-16")
    return Expected(code="CO003", rows=None)


def another_separator(copy: Copy) -> Expected:
    copy.delimiter = "|"
    return Expected(code="CO004", rows=None)


def one_field_too_many(copy: Copy) -> Expected:
    copy.rows[3].append("x")
    return Expected(code="CO005", rows=(copy.top + 2,))


def one_field_too_few(copy: Copy) -> Expected:
    copy.rows[3].pop()
    return Expected(code="CO005", rows=(copy.top + 2,))


def a_column_twice(copy: Copy) -> Expected:
    for number, record in enumerate(copy.rows):
        record.append(copy.real.number if number == 0 else "1")
    return Expected(code="CO006")


def a_column_twice_but_for_case(copy: Copy) -> Expected:
    for number, record in enumerate(copy.rows):
        record.append(copy.real.number.swapcase() if number == 0 else "1")
    return Expected(code="CO006")


def a_column_renamed(copy: Copy) -> Expected:
    copy.rows[0][copy.column(copy.real.number)] += "_x"
    return Expected(code="CO007")


def id_column_renamed(copy: Copy) -> Expected:
    copy.rows[0][copy.column(copy.real.id)] += "_"
    return Expected(code="CO007")


def null_byte(copy: Copy) -> Expected:
    copy.put(copy.first + 4, copy.real.number, "1\0")
    return Expected(code="CO008", rows=(copy.first + 4,))


def id_missing(copy: Copy) -> Expected:
    copy.put(copy.first + 1, copy.real.id, "")
    return Expected(code="CO010", rows=(copy.first + 1,))


@only(lambda real: not real.per_slide)
def patient_twice(copy: Copy) -> Expected:
    new = copy.add_row(copy.first, copy.cell(copy.first, copy.real.id))
    return Expected(code="CO011", rows=(copy.first, new))


@only(lambda real: real.per_slide)
def patient_with_two_values(copy: Copy) -> Expected:
    row = _row_of_number(copy, copy.real.number)
    new = copy.add_row(row, copy.cell(row, copy.real.id))
    copy.put(new, copy.real.number, "1.5")
    return Expected(code="CO023", rows=None)


def _second_id(copy: Copy, code: str, change: Callable[[str], str]) -> Expected:
    """Write one patient's id in another way in a new row."""
    at = copy.column(copy.real.id)
    for offset, record in enumerate(copy.rows[1:]):
        if (other := change(record[at])) != record[at]:
            new = copy.add_row(copy.top + offset, other)
            own = [copy.top + i for i, r in enumerate(copy.rows[1:]) if r[at] == record[at]]
            return Expected(code=code, rows=(*own, new))
    raise AssertionError("no id of the table can be written so")


@only(lambda real: real.id_letters)
def id_in_another_case(copy: Copy) -> Expected:
    return _second_id(copy, "CO012", str.swapcase)


def id_with_a_space(copy: Copy) -> Expected:
    return _second_id(copy, "CO013", lambda id_: id_[:1] + " " + id_[1:])


def id_with_an_invisible_space(copy: Copy) -> Expected:
    return _second_id(copy, "CO013", lambda id_: id_[:1] + "\u200b" + id_[1:])


def id_in_another_unicode_form(copy: Copy) -> Expected:
    wide = {**{str(d): chr(0xFF10 + d) for d in range(10)}}
    return _second_id(copy, "CO014", lambda id_: "".join(wide.get(c, c) for c in id_))


@only(lambda real: not real.per_slide)
def id_decomposed(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.id, "Mü-77")
    new = copy.add_row(copy.first, unicodedata.normalize("NFD", "Mü-77"))
    return Expected(code="CO011", rows=(copy.first, new))


def id_without_leading_zeros(copy: Copy) -> Expected:
    def with_zeros(id_: str) -> str:
        digits = "".join(c for c in id_ if c.isdigit())
        return id_.replace(digits, "00" + digits, 1) if digits and digits in id_ else id_

    return _second_id(copy, "CO015", with_zeros)


def id_in_scientific_notation(copy: Copy) -> Expected:
    copy.put(copy.first + 2, copy.real.id, "1.23E+11")
    return Expected(code="CO016", rows=(copy.first + 2,))


def id_as_a_float(copy: Copy) -> Expected:
    copy.put(copy.first + 2, copy.real.id, "99123.0")
    return Expected(code="CO016", rows=(copy.first + 2,))


def id_as_a_date(copy: Copy) -> Expected:
    copy.put(copy.first + 2, copy.real.id, "2-Mar")
    return Expected(code="CO017", rows=(copy.first + 2,))


@only(lambda real: real.per_slide)
def rows_of_a_patient_apart(copy: Copy) -> Expected:
    new = copy.add_row(copy.first, copy.cell(copy.first, copy.real.id))
    return Expected(code="CO018", rows=(new,))


def text_in_numbers(copy: Copy) -> Expected:
    row = _row_of_number(copy, copy.real.number)
    copy.put(row, copy.real.number, "unknown")
    return Expected(code="CO030", rows=(row,))


def a_spreadsheet_error(copy: Copy) -> Expected:
    row = _row_of_number(copy, copy.real.number)
    copy.put(row, copy.real.number, "#REF!")
    return Expected(code="CO030", rows=(row,))


def a_thousands_separator(copy: Copy) -> Expected:
    row = _row_of_number(copy, copy.real.number)
    copy.put(row, copy.real.number, "1,234.5")
    return Expected(code="CO030", rows=(row,))


def a_decimal_comma(copy: Copy) -> Expected:
    row = _row_of_number(copy, copy.real.number)
    copy.put(row, copy.real.number, "12,5")
    return Expected(code="CO031", rows=(row,))


def infinity(copy: Copy) -> Expected:
    row = _row_of_number(copy, copy.real.number)
    copy.put(row, copy.real.number, "inf")
    return Expected(code="CO036", rows=(row,))


@only(lambda real: bool(real.age))
def impossible_age(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.age, "168")
    return Expected(code="CO036", rows=(copy.first,))


@only(lambda real: bool(real.word))
def unknown_word(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.word, "moderat")
    return Expected(code="CO037", rows=(copy.first,))


def constant_predictor(copy: Copy) -> Expected:
    for record in copy.rows[1:]:
        record[copy.column(copy.real.number)] = "1"
    return Expected(code="CO038", rows=None)


def missing_values(copy: Copy) -> Expected:
    row = _row_of_number(copy, copy.real.number)
    copy.put(row, copy.real.number, "")
    return Expected(code="CO039", rows=None)


@only(lambda real: bool(real.tnm))
def unreadable_tnm(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.tnm, "pT5 N0 cM0")
    return Expected(code="CO040", rows=(copy.first,))


@only(lambda real: bool(real.tnm))
def tnm_with_a_letter_o(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.tnm, "pT3 NO cM0")
    return Expected(code="CO040", rows=(copy.first,))


@only(lambda real: bool(real.tnm))
def stage_against_tnm(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.tnm, "pT3 N0 cM0")
    copy.put(copy.first, copy.real.stage, "III")
    return Expected(code="CO041", rows=(copy.first,))


@only(lambda real: bool(real.spread))
def metastasis_against_tnm(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.spread, "1.0")
    return Expected(code="CO042", rows=(copy.first,))


@only(lambda real: bool(real.stage))
def unknown_stage(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.stage, "Stage VII")
    return Expected(code="CO037", rows=(copy.first,))


@only(lambda real: bool(real.event))
def unknown_code(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.event, "9")
    return Expected(code="EP001", rows=(copy.first,))


@only(lambda real: bool(real.codes))
def code_written_differently(copy: Copy) -> Expected:
    code = copy.real.codes["event"]
    copy.put(copy.first, copy.real.event, code.removesuffix(".0") if "." in code else code + ".0")
    return Expected(code="EP001", rows=(copy.first,))


@only(lambda real: bool(real.event))
def missing_status(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.event, "")
    return Expected(code="EP002", rows=(copy.first,))


@only(lambda real: bool(real.codes))
def missing_time(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.time, "")
    return Expected(code="EP004", rows=(copy.first,))


@only(lambda real: bool(real.codes))
def negative_time(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.time, "-12")
    return Expected(code="EP005", rows=(copy.first,))


@only(lambda real: bool(real.codes))
def time_zero(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.time, "0")
    return Expected(code="EP006", rows=(copy.first,))


@only(lambda real: bool(real.codes))
def times_in_another_unit(copy: Copy) -> Expected:
    at = copy.column(copy.real.time)
    factor = 365.25 if copy.real.path.endswith("breast_cr_validation.csv") else 1 / 365.25
    for record in copy.rows[1:]:
        record[at] = f"{float(record[at]) * factor:.3f}" if record[at] else ""
    return Expected(code="EP008", rows=None)


@only(lambda real: bool(real.codes))
def swapped_codes(copy: Copy) -> Expected:
    swap = {
        copy.real.codes["event"]: copy.real.codes["censored"],
        copy.real.codes["censored"]: copy.real.codes["event"],
    }
    at = copy.column(copy.real.event)
    for record in copy.rows[1:]:
        record[at] = swap.get(record[at], record[at])
    return Expected(code="EP003", rows=None)


@only(lambda real: "competing" in real.codes)
def competing_events_dropped(copy: Copy) -> Expected:
    at = copy.column(copy.real.event)
    for record in copy.rows[1:]:
        if record[at] == copy.real.codes["competing"]:
            record[at] = copy.real.codes["censored"]
    return Expected(code="EP011", rows=None)


@only(lambda real: bool(real.last_contact))
def event_after_last_contact(copy: Copy) -> Expected:
    row = _row_of_number(copy, copy.real.time)
    late = float(copy.cell(row, copy.real.last_contact)) + 1000
    copy.put(row, copy.real.time, str(late))
    return Expected(code="EP009", rows=(row,))


@only(lambda real: bool(real.last_contact))
def last_contact_missing(copy: Copy) -> Expected:
    row = copy.first
    if copy.real.path.endswith("multistate.csv"):
        row = copy.row_where("xst", lambda cell: cell == "Alive")
    else:
        row = copy.row_where("Recurrence", lambda cell: cell == "0.0")
    copy.put(row, copy.real.last_contact, "")
    return Expected(code="EP004", rows=(row,))


@only(lambda real: bool(real.site))
def unknown_site(copy: Copy) -> Expected:
    copy.put(copy.first, copy.real.site, "Lver")
    return Expected(code="EP012", rows=(copy.first,))


@only(lambda real: bool(real.codes) and not real.external)
def all_censored(copy: Copy) -> Expected:
    at = copy.column(copy.real.event)
    for record in copy.rows[1:]:
        if record[at] == copy.real.codes["event"]:
            record[at] = copy.real.codes["censored"]
    return Expected(code="EP014", rows=None)


@only(lambda real: bool(real.codes))
def follow_up_cut_short(copy: Copy) -> Expected:
    at = copy.column(copy.real.time)
    horizon = 2.5 if copy.real.path.endswith("breast_cr_validation.csv") else 600.0
    for record in copy.rows[1:]:
        record[at] = str(min(float(record[at]), horizon)) if record[at] else ""
    return Expected(code="EP016", rows=None)


@only(lambda real: bool(real.tnm))
def one_patient_under_two_ids(copy: Copy) -> Expected:
    # the longest follow-up with an event: values that two patients do not share by chance
    at = copy.column(copy.real.time)
    times = [(float(r[at]), i) for i, r in enumerate(copy.rows[1:]) if r[at]]
    row = copy.top + sorted(times)[len(times) // 2][1]
    new = copy.add_row(row, "ZZ-4711x")
    return Expected(code="LK003", rows=(row, new))


@only(lambda real: real.example == "msk-crc")
def patient_in_two_cohorts(copy: Copy) -> Expected:
    copy.study.append(('overlap = "keep-in-development"', 'overlap = "refuse"'))
    return Expected(code="LK001", rows=None)


@only(lambda real: bool(real.codes) and real.example != "breast-relapse")
def predictor_is_the_outcome(copy: Copy) -> Expected:
    entry = f'[clinical]\n{copy.real.time} = "continuous"\n'
    name = "time" if copy.real.path.endswith("validation.csv") else copy.real.time
    copy.study.append(("[clinical]\n", entry.replace(copy.real.time, name)))
    return Expected(code="LK007", rows=None)


DAMAGES: tuple[Damage, ...] = tuple(
    value
    for name, value in list(globals().items())
    if callable(value)
    and not name.startswith("_")
    and name not in {"only", "applies"}
    and getattr(value, "__module__", "") == __name__
    and not isinstance(value, type)
)
"""Every kind of damage."""
