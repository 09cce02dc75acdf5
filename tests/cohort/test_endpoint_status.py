"""Endpoints from finished columns: codes, times, units, and codes that look swapped."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metastra.cohort.endpoint_built import BuiltEndpoint, NotIncluded
from metastra.cohort.endpoint_plausible import swapped_by_shape, unit_problems
from metastra.cohort.endpoint_status import status_endpoint
from metastra.cohort.tables import Table, TableFormat, read_table
from metastra.errors import DataError, Severity, Where
from metastra.study.endpoints import endpoint_named
from metastra.study.sections import EndpointSection
from metastra.survival.aalen_johansen import aalen_johansen
from metastra.survival.kaplan_meier import kaplan_meier
from metastra.units import TimeUnit

DAYS, MONTHS, YEARS = TimeUnit.DAYS, TimeUnit.MONTHS, TimeUnit.YEARS
PLAIN = {"0": "censored", "1": "event"}


def table_of(folder: Path, rows: Sequence[Sequence[object]], header: str = "PATIENT,T,S") -> Table:
    """A clinical table from its cells."""
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path = folder / "clini.csv"
    path.write_text("\n".join(lines) + "\n")
    table, problems = read_table(path, cohort="north")
    assert table is not None
    assert not problems
    return table


def status(table: Table, codes: dict[str, str] = PLAIN, **more: object) -> BuiltEndpoint:
    """The endpoint of the columns T and S."""
    arguments = {"time": "T", "event": "S", "unit": DAYS, "names": names(table)} | more
    return status_endpoint(table, codes=codes, **arguments)  # type: ignore[arg-type]


def names(table: Table) -> list[str]:
    """Pseudonyms that can be told from ids."""
    return [f"P-{index}" for index in range(len(table))]


def found(built: BuiltEndpoint) -> dict[str, tuple[tuple[int, ...], tuple[str, ...], str]]:
    """Rows, patients and column by code."""
    return {p.code: (p.where.rows, p.patients, p.where.column) for p in built.problems}


class TestCells:
    """What is wrong with single cells."""

    def test_every_fault_is_found_at_once_with_its_row(self, tmp_path: Path) -> None:
        """Unknown code, missing status, missing, negative and zero time."""
        rows = [("a", 400, 0), ("b", 90, 7), ("c", 90, ""), ("d", "", 1), ("e", -4, 1), ("f", 0, 1)]
        built = status(table_of(tmp_path, rows))
        assert found(built) == {
            "EP001": ((3,), ("P-1",), "S"),
            "EP002": ((4,), ("P-2",), "S"),
            "EP004": ((5,), ("P-3",), "T"),
            "EP005": ((6,), ("P-4",), "T"),
            "EP006": ((7,), ("P-5",), "T"),
        }
        assert built.event.tolist() == [0, -1, -1, -1, -1, -1]
        with pytest.raises(DataError) as caught:
            built.outcome()
        assert len(caught.value.problems) == 5

    def test_missing_status_is_never_censored(self, tmp_path: Path) -> None:
        """Not with any word for missing, and not with a code for it either."""
        for cell in ("", "NA", "NaN", " "):
            built = status(table_of(tmp_path, [("a", 400, 0), ("b", 90, cell)]))
            assert built.not_included == (None, NotIncluded.REFUSED)
            assert list(found(built)) == ["EP002"]

    def test_codes_are_compared_as_written_and_the_hint_says_so(self, tmp_path: Path) -> None:
        """1.0 is not 1: a spreadsheet wrote it, and the user decides."""
        built = status(table_of(tmp_path, [("a", 400, 0), ("b", 90, "1.0"), ("c", 80, "1.0")]))
        [problem] = built.problems
        assert (problem.code, problem.where.rows) == ("EP001", (3, 4))
        assert "'1.0' is not declared" in problem.found
        assert "compared as written" in problem.hint
        assert '"1.0" = "event"' in problem.hint

    def test_nearest_declared_code_is_named(self, tmp_path: Path) -> None:
        """A misspelled word leads to the right one; each unknown word is its own problem."""
        codes = {"censored": "censored", "relapsed": "event"}
        built = status(
            table_of(tmp_path, [("a", 9, "relapsd"), ("b", 8, "Censored"), ("c", 9, "x")]), codes
        )
        hints = {item.found.split("'")[1]: item.hint for item in built.problems}
        assert "'relapsed'" in hints["relapsd"]
        assert "'censored'" in hints["Censored"]
        assert "codes" in hints["x"]

    def test_text_in_the_time_column_names_the_patient(self, tmp_path: Path) -> None:
        """So that the study file can exclude him."""
        built = status(table_of(tmp_path, [("a", "n.k.", 0), ("b", 90, 1)]))
        assert found(built) == {"CO030": ((2,), ("P-0",), "T")}

    def test_day_zero_follows_the_declared_rule(self, tmp_path: Path) -> None:
        """Half a day, or left out and counted."""
        table = table_of(tmp_path, [("a", 0, 1), ("b", 90, 1)])
        half = status(table, settings=EndpointSection(day_zero="half-day"))
        assert half.time_days.tolist() == [0.5, 90.0]
        out = status(table, settings=EndpointSection(day_zero="exclude"))
        assert out.not_included == (NotIncluded.DAY_ZERO, None)
        assert out.outcome().n == 1

    def test_delayed_entry_must_come_before_the_end(self, tmp_path: Path) -> None:
        """Entry after the end and a missing entry are refused; the others keep theirs."""
        table = table_of(tmp_path, [("a", 300, 1), ("b", 90, 1), ("c", 80, 0)])
        built = status(table, entry_days=np.array([100.0, 100.0, np.nan]))
        assert found(built) == {"EP007": ((3,), ("P-1",), "T"), "EP004": ((4,), ("P-2",), "T")}
        fine = status(table, entry_days=np.array([100.0, 0.0, 0.0]))
        assert fine.entry_days is not None
        assert fine.entry_days.tolist() == [100.0, 0.0, 0.0]
        at_once = status(table_of(tmp_path, [("a", 0, 1)]), entry_days=np.array([-9.0]))
        assert list(found(at_once)) == ["EP006"]

    def test_synchronous_window_moves_time_zero(self, tmp_path: Path) -> None:
        """Finished times count from surgery; the window takes its part."""
        table = table_of(tmp_path, [("a", 300, 1), ("b", 90, 1), ("c", 90, 0), ("d", 90, 2)])
        built = status(
            table,
            {**PLAIN, "2": "competing"},
            definition=endpoint_named("metachronous-liver-metastasis"),
            settings=EndpointSection(synchronous_window_months=6, no_competing_events=True),
        )
        assert built.time_days[0] == 300 - 182.625
        assert built.not_included[1:] == (
            NotIncluded.EVENT_BEFORE,
            NotIncluded.LOST_BEFORE,
            NotIncluded.COMPETING_BEFORE,
        )
        assert [p.severity for p in built.problems] == [Severity.NOTE] * 3

    def test_never_coded_competing_event_is_a_warning(self, tmp_path: Path) -> None:
        """Only for an endpoint that has one, and only when nobody stated otherwise."""
        table = table_of(tmp_path, [("a", 300, 1), ("b", 90, 0)])
        liver = endpoint_named("metachronous-liver-metastasis")
        assert list(found(status(table, definition=liver))) == ["EP011"]
        assert found(status(table, definition=endpoint_named("overall-survival"))) == {}
        stated = EndpointSection(no_competing_events=True)
        assert found(status(table, definition=liver, settings=stated)) == {}


class TestUnits:
    """Whether times are in the declared unit."""

    @pytest.mark.parametrize(
        ("values", "unit", "severity"),
        [
            (np.linspace(30, 4000, 30).round(), DAYS, None),
            (np.linspace(30, 4000, 30).round(), MONTHS, Severity.REFUSE),
            (np.linspace(30, 4000, 30).round(), YEARS, Severity.REFUSE),
            (np.linspace(1, 150, 30), MONTHS, None),
            (np.linspace(1, 150, 30), DAYS, Severity.REFUSE),
            (np.linspace(1, 283, 30), DAYS, Severity.WARN),
            (np.linspace(1, 150, 30), YEARS, Severity.REFUSE),
            (np.linspace(0.1, 19, 30), YEARS, None),
            (np.linspace(0.1, 19, 30), DAYS, Severity.REFUSE),
            (np.linspace(0.1, 5, 30), MONTHS, Severity.REFUSE),
            (np.linspace(1, 9, 9), DAYS, None),
            (np.array([np.nan]), DAYS, None),
        ],
    )
    def test_wrong_unit(
        self, values: np.ndarray, unit: TimeUnit, severity: Severity | None
    ) -> None:
        """Too long for a life, too short for a study, or fractions of days."""
        problems = unit_problems(values, unit, Where(column="T"))
        assert [p.severity for p in problems] == ([] if severity is None else [severity])
        assert all(p.code == "EP008" for p in problems)


class TestSwapped:
    """Codes that mean the opposite."""

    def test_patients_alive_longer_than_the_dead_are_right(self) -> None:
        """The ordinary picture raises nothing, its mirror image does."""
        rng = np.random.default_rng(1)
        time = rng.exponential(900, 200)
        end = rng.uniform(700, 1500, 200)
        event = (time < end).astype(np.int64)
        observed = np.minimum(time, end)
        assert swapped_by_shape(observed, event, Where()) == []
        assert [p.code for p in swapped_by_shape(observed, 1 - event, Where())] == ["EP003"]

    def test_mature_metastatic_cohort_is_right(self) -> None:
        """Nearly everybody died; the survivors are censored late."""
        rng = np.random.default_rng(2)
        time = rng.exponential(500, 200)
        event = (time < 1200).astype(np.int64)
        assert event.mean() > 0.85
        assert swapped_by_shape(np.minimum(time, 1200), event, Where()) == []

    def test_other_columns_of_the_table_speak_first(self, tmp_path: Path) -> None:
        """Deaths stand in the table: their patients must not be the censored ones."""
        rows = [(i, 300 + i, int(i < 10), "Dead" if i < 10 else "Alive") for i in range(40)]
        header = "PATIENT,T,S,vital_status"
        assert found(status(table_of(tmp_path, rows, header))) == {}
        swapped = [(i, t, 1 - s, vital) for i, t, s, vital in rows]
        assert list(found(status(table_of(tmp_path, swapped, header)))) == ["EP003"]

    def test_facts_that_agree_overrule_the_shape_of_follow_up(self, tmp_path: Path) -> None:
        """Nearly all died, after longer follow-up than the few alive: odd, but recorded twice."""
        rows = [(i, 300 + 20 * i, int(i >= 8), "Dead" if i >= 8 else "Alive") for i in range(40)]
        plain = table_of(tmp_path, [row[:3] for row in rows])
        assert list(found(status(plain))) == ["EP003"]
        told = table_of(tmp_path, rows, "PATIENT,T,S,vital_status")
        assert found(status(told)) == {}

    def test_nothing_is_guessed_where_recorded_events_decide(self, tmp_path: Path) -> None:
        """The comparison with the recorded events does it better."""
        rows = [(i, 300 + i, int(i >= 10), "Dead" if i < 10 else "Alive") for i in range(40)]
        table = table_of(tmp_path, rows, "PATIENT,T,S,vital_status")
        assert found(status(table, has_events=True)) == {}


# ── Real tables: no false alarm with the right codes, and the swapped ones are found ────────────


def first_rows(table: Table, column: str) -> Table:
    """One record per patient of a table with one per slide."""
    _, index = np.unique(table.column(column).astype(str), return_index=True)
    index = np.sort(index)
    return replace(
        table, rows=table.rows[index], cells=tuple(cells[index] for cells in table.cells)
    )


def complete(table: Table, *columns: str) -> Table:
    """The records that have a value in each column."""
    keep = np.ones(len(table), dtype=bool)
    for column in columns:
        keep &= np.array([cell is not None for cell in table.column(column)])
    return replace(table, rows=table.rows[keep], cells=tuple(c[keep] for c in table.cells))


CENSORED_IS_ONE = {"0.0": "event", "1.0": "censored"}


def real_tables(data: Path) -> Iterator[tuple[str, Table, str, str, dict[str, str], TimeUnit]]:
    """Every table of the shared data with a follow-up: name, table, columns, codes, unit."""

    def load(name: str, **layout: object) -> Table:
        table, problems = read_table(data / name, format=TableFormat(**layout))  # type: ignore[arg-type]
        assert table is not None, problems
        return table

    orion = load("orion_crc_cohort/patients.csv")
    for kind in ("PFS", "OS"):
        yield f"orion {kind}", orion, f"{kind}Days", f"{kind}Censor", CENSORED_IS_ONE, DAYS
    for organ in ("brca", "coadread"):
        cdr = first_rows(load(f"tcga/cdr_{organ}.csv"), "case_id")
        for kind in ("os", "dss", "dfi", "pfi"):
            time, event = f"{kind}_survival_days", f"{kind}_censorship"
            yield (
                f"cdr_{organ} {kind}",
                complete(cdr, time, event),
                time,
                event,
                CENSORED_IS_ONE,
                DAYS,
            )
        path = first_rows(load(f"tcga/survpath_{organ}_metadata.csv"), "case_id")
        for kind in ("", "_dss", "_pfi"):
            time, event = f"survival_months{kind}", f"censorship{kind}"
            codes = {"0": "event", "1": "censored"}
            yield f"survpath_{organ}{kind}", complete(path, time, event), time, event, codes, MONTHS
    yield "gbsg", load("survival/gbsg.csv"), "rfstime", "status", PLAIN, DAYS
    rotterdam = load("survival/rotterdam.csv")
    yield "rotterdam recurrence", rotterdam, "rtime", "recur", PLAIN, DAYS
    yield "rotterdam death", rotterdam, "dtime", "death", PLAIN, DAYS
    colon = load("survival/colon.csv")
    for kind in ("1", "2"):
        keep = colon.column("etype") == kind
        part = replace(colon, rows=colon.rows[keep], cells=tuple(c[keep] for c in colon.cells))
        yield f"colon {kind}", part, "time", "status", PLAIN, DAYS
    three = {"0": "censored", "1": "event", "2": "competing"}
    yield "colon competing", load("survival/colon_competing.csv"), "ct", "cs", three, DAYS
    yield "melanoma", load("survival/melanoma.csv"), "time", "status", three, DAYS
    for part in ("development", "validation"):
        table = load(f"survival/breast_cr_{part}.csv")
        codes = {"censor": "censored", "rec": "event", "nmrec": "competing"}
        yield f"breast_cr {part}", table, "time", "status", codes, YEARS
    yield "gbsg2", load("reference_stats/gbsg2.csv"), "years", "rfs", PLAIN, YEARS
    yield "mgus2", load("reference_stats/mgus2.csv"), "cr_time", "cr_status", three, MONTHS
    federated = load("federated/fed_tcga_brca/brca.csv")
    yield "federated brca", federated, "T", "E", {"0": "censored", "1": "event"}, DAYS


NOT_TO_BE_SEEN = {
    "federated brca",
    "survpath_brca",
    "survpath_brca_dss",
    "survpath_brca_pfi",
    "survpath_coadread_pfi",
}
"""Swapped, these could be a mature cohort, and no other column says who died."""


def test_right_codes_and_units_of_real_tables_raise_nothing(shared: Path) -> None:
    """No false EP003 and EP008 anywhere, and every cell is read."""
    n = 0
    for name, table, time, event, codes, unit in real_tables(shared / "data"):
        written = {cell for cell in table.column(event) if cell is not None}
        codes = {cell: codes.get(cell) or codes[cell.removesuffix(".0")] for cell in written}
        built = status_endpoint(
            table, time=time, event=event, codes=codes, unit=unit, names=names(table)
        )
        wrong = [item for item in built.problems if item.code not in ("EP006", "EP005")]
        assert wrong == [], name
        n += 1
    assert n == 28


def test_swapped_codes_of_real_tables_are_found(shared: Path) -> None:
    """By deaths and recurrences of the same table, else by the shape of follow-up."""
    missed = set()
    for name, table, time, event, codes, unit in real_tables(shared / "data"):
        written = {cell for cell in table.column(event) if cell is not None}
        mirror = {"event": "censored", "competing": "censored", "censored": "event"}
        codes = {
            cell: mirror[codes.get(cell) or codes[cell.removesuffix(".0")]] for cell in written
        }
        built = status_endpoint(
            table, time=time, event=event, codes=codes, unit=unit, names=names(table)
        )
        if "EP003" not in [item.code for item in built.problems]:
            missed.add(name)
    assert missed == NOT_TO_BE_SEEN


def test_wrong_units_of_real_tables_are_found(shared: Path) -> None:
    """Days read as months or years, months as days or years, years as days."""
    silent = set()
    for name, table, time, _, _, unit in real_tables(shared / "data"):
        values = np.array([float(cell) for cell in table.column(time) if cell is not None])
        for wrong in set(TimeUnit) - {unit}:
            if not unit_problems(values, wrong, Where()):
                silent.add((name, wrong))
    # seven years read as seven months, and whole months read as days, are possible follow-up
    assert silent == {("gbsg2", MONTHS), ("mgus2", DAYS)}


def test_metastatic_cohorts_with_most_patients_dead_raise_nothing(shared: Path) -> None:
    """Every tumour type and metastatic site of MSK-MET, the right way round."""
    path = shared / "data" / "genomics" / "msk_met_clinical.csv.gz"
    with gzip.open(path, "rt") as lines:
        rows = list(csv.DictReader(lines))
    groups: dict[tuple[str, ...], list[tuple[float, int]]] = {}
    for row in rows:
        if row["OS_MONTHS"] not in ("", "NA") and row["OS_STATUS"] not in ("", "NA"):
            value = (float(row["OS_MONTHS"]), int(float(row["OS_STATUS"])))
            for key in (
                (row["tumor_type"],),
                (row["tumor_type"], row["SAMPLE_TYPE"]),
                (row["tumor_type"], row["SAMPLE_TYPE"], row["METASTATIC_SITE"]),
            ):
                groups.setdefault(key, []).append(value)
    judged = 0
    for key, pairs in groups.items():
        time, event = (np.array(column) for column in zip(*pairs, strict=True))
        assert swapped_by_shape(time, event.astype(np.int64), Where()) == [], key
        judged += time.size >= 20 and event.mean() > 0.7
    assert judged >= 10


def test_melanoma_and_colon_give_the_incidences_of_r(shared: Path) -> None:
    """Cumulative incidence from the status columns, against R (survival, cmprsk)."""
    data = shared / "data" / "survival"
    expected = json.loads((data / "expected_results_r.json").read_text())
    three = {"0": "censored", "1": "event", "2": "competing"}
    for name, key, columns, wanted in (
        ("melanoma.csv", "melanoma", ("time", "status"), ("cif_melanoma_death", "cif_other_death")),
        (
            "colon_competing.csv",
            "colon_competing",
            ("ct", "cs"),
            ("cif_recurrence", "cif_death_without_recurrence"),
        ),
    ):
        table, _ = read_table(data / name)
        assert table is not None
        built = status_endpoint(
            table, time=columns[0], event=columns[1], codes=three, unit=DAYS, names=names(table)
        )
        risks = aalen_johansen(built.outcome())
        for cause, word in enumerate(wanted, start=1):
            curve = risks[cause].curve()
            for time, value in zip(expected[key]["times"], expected[key][word], strict=True):
                assert float(curve(time)) == pytest.approx(value, abs=2e-6)


def test_gbsg_in_years_gives_the_survival_of_its_days(shared: Path) -> None:
    """The unit only changes the unit."""
    table, _ = read_table(shared / "data" / "reference_stats" / "gbsg2.csv")
    assert table is not None
    years = status(table, time="years", event="rfs", unit=YEARS)
    days = status(table, time="rfs_days", event="rfs", unit=DAYS)
    assert np.allclose(years.time_days, days.time_days, rtol=2e-3)
    curves = [kaplan_meier(one.outcome()).curve() for one in (years, days)]
    assert float(curves[0](1500)) == pytest.approx(float(curves[1](1500)), abs=2e-3)
