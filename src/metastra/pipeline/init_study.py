"""Write a commented study file from what lies in a folder; every guess is marked as one."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metastra.errors import ConfigError
from metastra.pipeline.folder_scan import FoundTable, find_tables, pick

__all__ = ["DraftStudy", "draft_study"]

_TIME = re.compile(r"(days|months|years|time|survival|follow)", re.IGNORECASE)
_EVENT = re.compile(r"(status|event|censor|death|dead|vital)", re.IGNORECASE)
_MAX_CODES = 6


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
        Tables that were found and not used.
    n_slides : int
        Slides and feature files that were found.
    guesses : int
        Lines marked as guesses.
    """

    text: str
    tables: tuple[str, ...]
    left_out: tuple[str, ...]
    n_slides: int
    guesses: int


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
    found, slides = find_tables(folder)
    clinical = _one_per_folder([item for item in found if item.kind == "clini"])
    if not clinical:
        raise ConfigError(
            f"no clinical table was found in {folder}: a table needs a column of patients, "
            "called PATIENT, patient_id, case_id or alike"
        )
    used = {item.path for item in clinical}
    lines = [*_head(folder), *_endpoint(clinical[0])]
    for number, table in enumerate(clinical):
        beside = {
            kind: next((t for t in found if t.kind == kind and _beside(table, t)), None)
            for kind in ("slide", "specimen", "event")
        }
        used |= {item.path for item in beside.values() if item is not None}
        lines += _cohort(table, beside, number, slides)
    lines += _clinical(clinical[0])
    lines += ["[validation]", "folds = 5", 'group = ["PATIENT"]', ""]
    return DraftStudy(
        text="\n".join(lines),
        tables=tuple(sorted(map(str, used))),
        left_out=tuple(sorted(str(item.path) for item in found if item.path not in used)),
        n_slides=len(slides),
        guesses=sum("# guess" in line for line in lines),
    )


def _one_per_folder(tables: Sequence[FoundTable]) -> list[FoundTable]:
    """Keep the clinical table with the most columns of each folder."""
    best: dict[Path, FoundTable] = {}
    for item in tables:
        kept = best.get(item.path.parent)
        if kept is None or len(item.table.columns) > len(kept.table.columns):
            best[item.path.parent] = item
    return list(best.values())


def _beside(clinical: FoundTable, other: FoundTable) -> bool:
    return other.path.parent == clinical.path.parent


def _head(folder: Path) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._") or "study"
    return [
        "# A draft made from the tables in this folder. Lines marked `guess` are guesses: look at",
        "# each, correct it and take the mark away. Then run:  metastra check study.toml",
        "# Every key is described in docs/reference/study-file.md.",
        "",
        "[study]",
        f"name = {_toml(name)}",
        "seed = 20260101",
        'primary_tumour = "other"        # colorectal, breast or other',
        "",
    ]


def _endpoint(clinical: FoundTable) -> list[str]:
    columns = clinical.table.columns
    pair = next(iter(_time_event_pairs(columns)), None)
    if pair is None:
        return [
            "[endpoint]",
            'name = "overall-survival"       # guess: no columns of time and status were found',
            'time_unit = "days"',
            "# horizons = [365, 730]",
            "[clock]",
            'last_contact = "LAST_CONTACT"   # guess: no such column was recognised',
            "",
        ]
    time, event = pair
    unit, horizons = _unit(clinical, time)
    lines = [
        "[endpoint]",
        "# Better: name an endpoint of the dictionary (`metastra endpoints`): its rules are",
        "# written out and checked.",
        f"time = {_toml(time)}            # guess",
        f"event = {_toml(event)}          # guess",
        f"time_unit = {_toml(unit)}       # guess, from the name and the largest value",
        f"horizons = {horizons}           # guess",
        "",
        "[endpoint.codes]                # every value that occurs, and what it means",
    ]
    cells = [cell for cell in clinical.table.column(event) if cell is not None]
    censoring = "censor" in event.casefold()
    for value, n in sorted(Counter(cells).items())[:_MAX_CODES]:
        meaning = _code(str(value), censoring=censoring)
        lines.append(f"{_toml(str(value))} = {_toml(meaning)}    # guess ({n} patients)")
    return [*lines, ""]


def _time_event_pairs(columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pair columns of time and status: those with the longest common start first."""
    times = [name for name in columns if _TIME.search(name) and not _EVENT.search(name)]
    events = [name for name in columns if _EVENT.search(name)]
    scored = [
        (_common(time, event), -columns.index(time), time, event)
        for time in times
        for event in events
    ]
    yield from ((time, event) for _, _, time, event in sorted(scored, reverse=True))


def _common(one: str, other: str) -> int:
    size = 0
    for a, b in zip(one.casefold(), other.casefold(), strict=False):
        if a != b:
            break
        size += 1
    return size


def _unit(clinical: FoundTable, time: str) -> tuple[str, str]:
    name = time.casefold()
    for unit in ("day", "month", "year"):
        if unit in name:
            break
    else:
        values = [_number(cell) for cell in clinical.table.column(time) if cell is not None]
        largest = max((value for value in values if value is not None), default=0.0)
        unit = "day" if largest > 400 else "month" if largest > 30 else "year"
    return f"{unit}s", {"day": "[365, 730]", "month": "[12, 24]", "year": "[1, 2]"}[unit]


def _number(cell: object) -> float | None:
    try:
        return float(str(cell).replace(",", "."))
    except ValueError:
        return None


def _code(value: str, *, censoring: bool) -> str:
    word = value.casefold()
    if word in {"0", "0.0", "no", "alive", "censored", "false", "living", "0:living"}:
        return "event" if censoring and word in {"0", "0.0", "no", "false"} else "censored"
    if word in {"2", "2.0", "-1", "-1.0"}:
        return "competing"
    if word in {"1", "1.0", "yes", "true"}:
        return "censored" if censoring else "event"
    return "event"


def _cohort(
    clinical: FoundTable,
    beside: dict[str, FoundTable | None],
    number: int,
    slides: Sequence[Path],
) -> list[str]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(clinical.path.parent)).strip("-.") or "cohort"
    role = "development" if number == 0 else "external"
    lines = [
        "[[cohort]]",
        f"name = {_toml(name if name != '.' else 'cohort')}",
        f"role = {_toml(role)}            # guess: development, external or temporal",
        f"clini_table = {_toml(str(clinical.path))}",
    ]
    if clinical.repeated:
        lines.append('clini_rows = "per-slide"        # guess: patients stand in several rows')
    renames = {"PATIENT": clinical.patient}
    for kind, table in beside.items():
        if table is not None:
            lines.append(f"{kind}_table = {_toml(str(table.path))}")
            if kind == "slide" and table.filename:
                renames["FILENAME"] = table.filename
    lines += _slide_folder(beside.get("slide"), slides)
    for kind, table in (("clini", clinical), *beside.items()):
        if table is not None and table.layout:
            inner = ", ".join(f"{key} = {_toml(value)}" for key, value in table.layout.items())
            lines.append(f"{kind}_format = {{ {inner} }}    # guess")
    inner = ", ".join(f"{key} = {_toml(value)}" for key, value in renames.items() if key != value)
    if inner:
        lines.append(f"columns = {{ {inner} }}    # guess")
    return [*lines, ""]


def _slide_folder(table: FoundTable | None, slides: Sequence[Path]) -> list[str]:
    if table is None:
        return []
    wanted = {str(cell).strip() for cell in table.table.column(table.filename) if cell}
    homes = Counter(str(path.parent) for path in slides if path.name in wanted)
    if homes:
        return [f"slide_dir = {_toml(homes.most_common(1)[0][0])}    # guess"]
    return ["require_slides = false          # guess: none of the slide files was found here"]


def _clinical(clinical: FoundTable) -> list[str]:
    columns = clinical.table.columns
    lines = ["[clinical]                      # predictors known at the time of prediction"]
    if age := pick(columns, ("age", "Age", "AGE", "age_at_diagnosis", "AGE_AT_SEQUENCING")):
        lines.append(f'{_toml(age)} = "continuous"    # guess')
    if sex := pick(columns, ("sex", "gender", "SEX", "Gender", "is_female")):
        levels = sorted({str(cell) for cell in clinical.table.column(sex) if cell is not None})
        if 2 <= len(levels) <= 3:
            listed = ", ".join(map(_toml, levels))
            lines.append(f'{_toml(sex)} = {{ kind = "categorical", levels = [{listed}] }}  # guess')
    staging = {
        "tnm": pick(columns, ("TNM", "TNMAtDiagnosis", "tnm_stage")),
        "stage": pick(columns, ("stage", "Stage", "ajcc_pathologic_tumor_stage", "AJCC_STAGE")),
    }
    lines += ["", "[staging]"]
    lines += [f"{key} = {_toml(value)}    # guess" for key, value in staging.items() if value]
    site = pick(columns, ("site", "SITE", "centre", "center", "hospital", "tissue_source_site"))
    scanner = pick(columns, ("SCANNER", "scanner"))
    lines += ["", "[metadata]"]
    lines += [
        f"{key} = {_toml(value)}    # guess"
        for key, value in (("site", site), ("scanner", scanner))
        if value
    ]
    return [*lines, ""]


def _toml(text: str) -> str:
    """Quote a TOML string; JSON's basic strings are TOML's."""
    return json.dumps(text, ensure_ascii=False)
