"""Write a commented study file from what lies in a folder; every guess is marked as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from metastra.cohort.identifiers import normalise_id
from metastra.errors import ConfigError
from metastra.pipeline.draft_cohort import CohortTablesFound, cohort_lines, quoted
from metastra.pipeline.endpoint_guess import EndpointGuess, find_pairs, guess_codes
from metastra.pipeline.folder_scan import FoundTable, find_tables, pick

__all__ = ["DraftStudy", "draft_study"]

_AGE = ("age", "age_at_diagnosis", "age_at_initial_pathologic_diagnosis", "Alter")
_SEX = ("sex", "gender", "is_female", "Geschlecht")
_TNM = ("TNM", "TNMAtDiagnosis", "tnm_stage")
_STAGE = ("stage", "ajcc_pathologic_tumor_stage", "ajcc_stage", "stage_at_diagnosis", "UICC")
_SITE = ("site", "centre", "center", "hospital", "tissue_source_site", "Standort")
_SCANNER = ("scanner",)
_ORIGIN = ("surgery_date", "date_of_surgery", "resection_date", "OP_Datum")
_LAST_CONTACT = ("last_contact", "date_of_last_contact", "last_contact_date", "Letzter_Kontakt")
_GUESS = "    # guess"


_MODEL = [
    "# Of the models that are fitted with slides, the one that is judged and locked is declared",
    "# before anything is seen; by default it is the one of clinical predictors and slides.",
    "# [model]",
    '# primary = "combined"   # or "slides", or "clinical"',
    "",
]


@dataclass(frozen=True, kw_only=True)
class DraftStudy:
    """A study file that was drafted, with what it rests on.

    Parameters
    ----------
    text : str
        Of ``study.toml``.
    tables : tuple of str
        Tables that were used.
    left_out : tuple of str
        Tables that were found and not used, each with the reason.
    n_slides : int
        Slides and feature files that were found.
    guesses : int
        Lines marked as guesses.
    endpoint : str
        The columns that were taken for the endpoint, in words; empty when none was recognised.
    """

    text: str
    tables: tuple[str, ...]
    left_out: tuple[str, ...]
    n_slides: int
    guesses: int
    endpoint: str = ""


def draft_study(folder: Path) -> DraftStudy:
    """Draft a study file.

    Parameters
    ----------
    folder : Path
        With tables, in one folder for each cohort or all together.

    Returns
    -------
    DraftStudy
        Its text loads as it is; what could not be guessed stands in it as a comment.

    Raises
    ------
    ConfigError
        If the folder is missing or holds no table with patients.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}")
    found = find_tables(folder)
    passed_over = [f"{_shown(path)} ({reason})" for path, reason in found.passed_over]
    clinical = _one_per_folder([item for item in found.tables if item.kind == "clini"])
    if not clinical:
        seen = f"; found: {', '.join(passed_over[:5])}" if passed_over else ""
        raise ConfigError(
            f"no clinical table was found in {folder}: a table needs a column of patients, "
            f"called PATIENT, patient_id, case_id or alike{seen}"
        )
    cohorts = [_with_neighbours(table, found.tables, len(clinical)) for table in clinical]
    used = {path for cohort in cohorts for path in cohort.paths}
    unused = [item.path for item in found.tables if item.path not in used]
    left_out = [*(f"{_shown(p)} (another table was taken)" for p in unused), *passed_over]
    pairs = find_pairs(cohorts[0].clinical.table)
    lines = [*_head(folder, left_out), *_endpoint(cohorts, pairs), *_clock(cohorts)]
    predictors = _clinical(cohorts)
    names = _names(clinical)
    for number, (cohort, name) in enumerate(zip(cohorts, names, strict=True)):
        role = "development" if number == 0 else "external"
        lines += cohort_lines(cohort, name, role, found.slides)
    lines += predictors
    lines += ["[validation]", "folds = 5", 'group = ["PATIENT"]', ""]
    lines += _MODEL if found.slides else []
    return DraftStudy(
        text="\n".join(lines),
        tables=tuple(sorted(map(str, used))),
        left_out=tuple(left_out),
        n_slides=len(found.slides),
        guesses=sum("# guess" in line for line in lines),
        endpoint=_in_words(pairs),
    )


def _in_words(pairs: Sequence[EndpointGuess]) -> str:
    if not pairs:
        return ""
    more = f", one of {len(pairs)} that were found" if len(pairs) > 1 else ""
    return f"time {pairs[0].time!r} with status {pairs[0].event!r}{more}"


def _one_per_folder(tables: Sequence[FoundTable]) -> list[FoundTable]:
    """Keep one clinical table of each folder: with an endpoint, then with most columns."""
    best: dict[Path, tuple[tuple[bool, int], FoundTable]] = {}
    for item in tables:
        worth = (bool(find_pairs(item.table)), len(item.table.columns))
        kept = best.get(item.path.parent)
        if kept is None or worth > kept[0]:
            best[item.path.parent] = (worth, item)
    return [item for _, item in best.values()]


def _with_neighbours(
    clinical: FoundTable, tables: Sequence[FoundTable], n_clinical: int
) -> CohortTablesFound:
    """Add the tables of the same folder, or of any folder where there is one cohort."""
    own = _ids(clinical)
    beside: dict[str, FoundTable] = {}
    for kind in ("slide", "specimen", "event"):
        near = [
            item
            for item in tables
            if item.kind == kind
            and (item.path.parent == clinical.path.parent or n_clinical == 1)
            and own & _ids(item)
        ]
        near.sort(key=lambda item: item.path.parent != clinical.path.parent)
        if near:
            beside[kind] = near[0]
    if "slide" not in beside and clinical.filename:
        beside["slide"] = clinical
    return CohortTablesFound(clinical=clinical, beside=beside)


def _ids(table: FoundTable) -> set[str]:
    cells = table.table.column(table.patient)
    return {normalise_id(cell) for cell in cells if cell is not None}


def _names(tables: Sequence[FoundTable]) -> list[str]:
    """Name the cohorts after their folders, each differently."""
    names: list[str] = []
    for table in tables:
        home = str(table.path.parent)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", home).strip("-._") or "cohort"
        while name in names:
            name += "-2"
        names.append(name)
    return names


def _head(folder: Path, left_out: Sequence[str]) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._") or "study"
    listed = [f"#   {note}" for note in left_out[:20]]
    if len(left_out) > len(listed):
        listed.append(f"#   and {len(left_out) - len(listed)} more")
    return [
        "# A draft made from the tables in this folder. Lines marked `guess` are guesses: look at",
        "# each, correct it and take the mark away. Then run:  metastra check study.toml",
        "# Every key is described in docs/reference/study-file.md.",
        *(["# Not used:", *listed] if listed else []),
        "",
        "[study]",
        f"name = {quoted(name)}",
        "seed = 20260101",
        'primary_tumour = "other"    # guess: colorectal, breast or other; decides the staging',
        "",
    ]


def _endpoint(cohorts: Sequence[CohortTablesFound], pairs: Sequence[EndpointGuess]) -> list[str]:
    if not pairs:
        return _no_endpoint(cohorts)
    chosen, others = pairs[0], pairs[1:]
    values = Counter(chosen.values)
    for cohort in cohorts[1:]:
        values.update(_same_endpoint(cohort, chosen))
    lines = ["[endpoint]"]
    if others:
        lines.append("# Several endpoints were found. Choose the one of the protocol; the others:")
        lines += [f"#   time = {quoted(p.time)}, event = {quoted(p.event)}" for p in others]
    lines += [
        "# Better: name an endpoint of the dictionary (`metastra endpoints`): its rules are",
        "# written out and checked.",
        f"time = {quoted(chosen.time)}{_GUESS}",
        f"event = {quoted(chosen.event)}{_GUESS}",
        f"time_unit = {quoted(chosen.unit)}{_GUESS}, {chosen.unit_from}",
        f"horizons = {chosen.horizons}{_GUESS}",
        "",
        "[endpoint.codes]    # every value that occurs, and what it means",
    ]
    if "censor" in chosen.event.casefold():
        lines.append("# The column is called after censoring, so 1 was taken as censored.")
    codes = guess_codes(chosen.event, list(values))
    for value, n in sorted(values.items()):
        if value in codes:
            lines.append(f"{quoted(value)} = {quoted(codes[value])}{_GUESS} ({n} rows)")
        else:
            lines.append(
                f'# {quoted(value)} = "…"    # not recognised ({n} rows): say what it means'
            )
    return [*lines, ""]


def _no_endpoint(cohorts: Sequence[CohortTablesFound]) -> list[str]:
    """Write an endpoint that the check accepts only when its events are declared."""
    watched = pick(cohorts[0].clinical.table.columns, _LAST_CONTACT)
    lines = [
        "[endpoint]",
        "# No columns of time and status were recognised: name an endpoint of the dictionary",
        "# (`metastra endpoints`) and where its events stand, or time, event and codes.",
        f'name = "overall-survival"{_GUESS}',
        f'time_unit = "days"{_GUESS}',
        "# horizons = [365, 730]",
        "",
    ]
    if watched is None:
        lines += ["[clock]", f'last_contact = "LAST_CONTACT"{_GUESS}: no such column was found', ""]
    return lines


def _same_endpoint(cohort: CohortTablesFound, chosen: EndpointGuess) -> dict[str, int]:
    """Find the endpoint in another cohort's table, renaming its columns where they differ."""
    table = cohort.clinical.table
    own = next((p for p in find_pairs(table) if p.time == chosen.time), None)
    own = own or next(iter(find_pairs(table)), None)
    if table.has(chosen.time) and table.has(chosen.event):
        cells = (str(cell) for cell in table.column(chosen.event) if cell is not None)
        return dict(Counter(cells).most_common(20))
    if own is None:
        return {}
    cohort.renames |= {chosen.time: own.time, chosen.event: own.event}
    return own.values


def _clock(cohorts: Sequence[CohortTablesFound]) -> list[str]:
    lines = []
    for key, names in (("origin", _ORIGIN), ("last_contact", _LAST_CONTACT)):
        if name := _shared_column(cohorts, names):
            lines.append(f"{key} = {quoted(name)}{_GUESS}")
    return ["[clock]", *lines, ""] if lines else []


def _shared_column(cohorts: Sequence[CohortTablesFound], names: Sequence[str]) -> str | None:
    """Find a column in every cohort and rename where it differs; None when one has none."""
    found = [pick(cohort.clinical.table.columns, names) for cohort in cohorts]
    first = found[0]
    if first is None or None in found:
        return None
    for cohort, name in zip(cohorts, found, strict=True):
        if name is not None and name != first:
            cohort.renames[first] = name
    return first


def _clinical(cohorts: Sequence[CohortTablesFound]) -> list[str]:
    lines = ["[clinical]    # predictors known at the time of prediction"]
    if age := _shared_column(cohorts, _AGE):
        lines.append(f'{quoted(age)} = "continuous"{_GUESS}')
    if sex := _shared_column(cohorts, _SEX):
        levels = _levels(cohorts, sex)
        if 2 <= len(levels) <= 3:
            listed = ", ".join(map(quoted, levels))
            kind = f'{{ kind = "categorical", levels = [{listed}] }}'
            lines.append(f"{quoted(sex)} = {kind}{_GUESS}")
    for section, keys in (
        ("staging", {"tnm": _TNM, "stage": _STAGE}),
        ("metadata", {"site": _SITE, "scanner": _SCANNER}),
    ):
        found = {key: _shared_column(cohorts, names) for key, names in keys.items()}
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {quoted(name)}{_GUESS}" for key, name in found.items() if name]
    return [*lines, ""]


def _levels(cohorts: Sequence[CohortTablesFound], name: str) -> list[str]:
    tables = [(cohort, cohort.clinical) for cohort in cohorts]
    return sorted(
        {
            str(cell)
            for cohort, item in tables
            for cell in item.table.column(cohort.renames.get(name, name))
            if cell is not None and str(cell) not in item.layout.get("missing", ())
        }
    )


def _shown(path: Path) -> str:
    """Write a path so that it fits into a comment of one line."""
    return quoted(str(path))[1:-1]
