"""Which columns of a table may be a time and its status, and what the status may mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from metastra.cohort.tables import Table

__all__ = ["EndpointGuess", "find_pairs", "guess_codes"]

_TIME_WORDS = frozenset(
    [
        "day",
        "days",
        "month",
        "months",
        "year",
        "years",
        "time",
        "survival",
        "surv",
        "follow",
        "up",
        "followup",
        "tage",
        "monate",
        "jahre",
        "zeit",
    ]
)
_EVENT_WORDS = frozenset(
    [
        "status",
        "stat",
        "event",
        "censor",
        "censored",
        "censoring",
        "censorship",
        "vital",
        "death",
        "dead",
        "died",
        "recur",
        "recurrence",
        "relapse",
        "indicator",
    ]
)
_ENDPOINTS = frozenset(
    ["os", "dss", "css", "pfi", "dfi", "pfs", "dfs", "rfs", "dmfs", "drfs", "mfs", "ttr", "efs"]
)
_PERIOD_ALONE = frozenset(["day", "month", "year"])
"""A column that is called so alone is a calendar value, not a time under observation."""
_OF_DEATH = frozenset(["", "os", "overall", "fu", "d"])
_DEATH_WORDS = frozenset(["vital", "status", "event", "death", "dead", "died"])
_PREFERRED = (("dmfs", "drfs", "mfs", "distant"), ("dss", "css"), ("os", "overall", "", "d", "fu"))
_MAX_CODES = 6
_FILLED = 0.9
_MONTHS_FROM, _DAYS_FROM = 30.0, 600.0
_CENSORED = frozenset(
    [
        "censored",
        "censor",
        "alive",
        "living",
        "lebt",
        "lebend",
        "no event",
        "none",
        "disease free",
        "diseasefree",
        "no",
        "false",
        "nein",
    ]
)
_EVENT = frozenset(
    [
        "event",
        "dead",
        "deceased",
        "died",
        "death",
        "verstorben",
        "tot",
        "relapse",
        "recurrence",
        "recurred",
        "metastasis",
        "progression",
        "progressed",
        "recurred/progressed",
        "yes",
        "true",
        "ja",
        "dead of disease",
        "died of disease",
    ]
)
_COMPETING = frozenset(
    [
        "competing",
        "died of other causes",
        "death from other causes",
        "dead of other cause",
        "died of other cause",
        "other death",
        "non cancer mortality",
    ]
)


@dataclass(frozen=True, kw_only=True)
class EndpointGuess:
    """A column of time and the column of its status.

    Parameters
    ----------
    time, event : str
        The columns.
    values : dict of str to int
        Every value of `event` with its number of rows.
    unit : str
        ``"days"``, ``"months"`` or ``"years"``.
    unit_from : str
        What the unit was guessed from.
    horizons : str
        As TOML; all of them before the largest time.
    """

    time: str
    event: str
    values: dict[str, int]
    unit: str
    unit_from: str
    horizons: str


def find_pairs(table: Table) -> list[EndpointGuess]:
    """Pair columns of time with columns of status.

    Only columns that share a name beside the words for time and status are paired
    (``OSDays`` with ``OSCensor``), and only statuses in which a censored value or an event is
    recognised.

    Parameters
    ----------
    table : Table
        A clinical table.

    Returns
    -------
    list of EndpointGuess
        The likeliest first; empty when nothing is sure enough.
    """
    times = [name for name in table.columns if _is_time(table, name)]
    ranked = []
    for place, event in enumerate(table.columns):
        values = _status_values(table, event)
        if not values:
            continue
        scored = [(_kinship(time, event), -i, time) for i, time in enumerate(times)]
        score, _, time = max(scored, default=(0, 0, ""))
        if score and time != event and _filled(table, time, event):
            ranked.append((_rank(time, score), place, time, event, values))
    ranked.sort(key=lambda item: item[:2])
    return [_pair(table, time, event, values) for _, _, time, event, values in ranked]


def guess_codes(event: str, values: Sequence[str]) -> dict[str, str]:
    """Say what the values of a status column may mean.

    Parameters
    ----------
    event : str
        The column's name; one that speaks of censoring turns 0 and 1 round.
    values : sequence of str
        Its values.

    Returns
    -------
    dict of str to str
        Value → ``"censored"``, ``"event"`` or ``"competing"``; what is not recognised is absent.

    Examples
    --------
    >>> guess_codes("OSCensor", ["0.0", "1.0"])
    {'0.0': 'event', '1.0': 'censored'}
    >>> guess_codes("status", ["1", "2"])
    {'1': 'censored', '2': 'event'}
    >>> guess_codes("OS_STATUS", ["0:LIVING", "1:DECEASED", "lost"])
    {'0:LIVING': 'censored', '1:DECEASED': 'event'}
    """
    numbers = {value: _number(value.split(":")[0]) for value in values}
    turned = "censor" in event.casefold()
    if {number for number in numbers.values() if number is not None} == {1.0, 2.0}:
        by_number = {1.0: "censored", 2.0: "event"}
    else:
        by_number = {0.0: "censored", 1.0: "event", 2.0: "competing", -1.0: "competing"}
        if turned:
            by_number |= {0.0: "event", 1.0: "censored"}
    codes = {}
    for value, number in numbers.items():
        meaning = _word(value, turned=turned) if number is None else by_number.get(number, "")
        if meaning:
            codes[value] = meaning
    return codes


def _word(value: str, *, turned: bool) -> str:
    word = value.strip().casefold()
    if turned and word in {"yes", "true", "ja", "no", "false", "nein"}:
        return "censored" if word in {"yes", "true", "ja"} else "event"
    known = ((_CENSORED, "censored"), (_EVENT, "event"), (_COMPETING, "competing"))
    return next((meaning for words, meaning in known if word in words), "")


def _tokens(name: str) -> list[str]:
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+", name)
    tokens: list[str] = []
    for part in (part.casefold() for part in parts):
        for word in ("time", "stat"):
            if part.endswith(word) and len(part) > len(word):
                tokens += [part[: -len(word)], word]
                break
        else:
            tokens.append(part)
    return tokens


def _stem(name: str) -> str:
    return " ".join(t for t in _tokens(name) if t not in _TIME_WORDS | _EVENT_WORDS)


def _is_time(table: Table, name: str) -> bool:
    tokens = _tokens(name)
    if not _TIME_WORDS & set(tokens) or _EVENT_WORDS & set(tokens):
        return False
    if len(tokens) == 1 and tokens[0] in _PERIOD_ALONE:
        return False
    numbers = [_number(str(cell)) for cell in table.column(name) if cell is not None]
    return bool(numbers) and all(number is not None and number >= 0 for number in numbers)


def _status_values(table: Table, name: str) -> dict[str, int]:
    """Count the values of a column that may be a status; empty for any other column."""
    tokens = set(_tokens(name))
    if not (_EVENT_WORDS & tokens or name.casefold() in _ENDPOINTS):
        return {}
    values = Counter(str(cell) for cell in table.column(name) if cell is not None)
    if not values or len(values) > _MAX_CODES:
        return {}
    meanings = guess_codes(name, list(values))
    sure = set(meanings.values()) >= {"censored", "event"} or len(meanings) == len(values)
    return dict(sorted(values.items())) if sure else {}


def _kinship(time: str, event: str) -> int:
    one, other = _stem(time), _stem(event)
    if one and one == other:
        return 4
    if (len(one) == 1 and event.casefold().startswith(one)) or one == other:
        return 3
    if other == "" and one in _OF_DEATH and set(_tokens(event)) <= _DEATH_WORDS:
        return 2
    return 1 if one == "" and other == "num" else 0


def _filled(table: Table, time: str, event: str) -> bool:
    times = [
        at is not None
        for at, happened in zip(table.column(time), table.column(event), strict=True)
        if happened is not None
    ]
    return bool(times) and sum(times) >= _FILLED * len(times)


def _rank(time: str, score: int) -> tuple[int, int, int]:
    words = _stem(time).split() or [""]
    kind = next((i for i, names in enumerate(_PREFERRED) if words[0] in names), len(_PREFERRED))
    return kind, len(words), -score


def _pair(table: Table, time: str, event: str, values: dict[str, int]) -> EndpointGuess:
    numbers = [_number(str(cell)) for cell in table.column(time) if cell is not None]
    largest = max(number for number in numbers if number is not None)
    unit, unit_from = _unit(time, largest)
    usual = {"days": (365, 730), "months": (12, 24), "years": (1, 2)}[unit]
    horizons = [str(h) for h in usual if h < largest] or [f"{largest / 2:.3g}"]
    return EndpointGuess(
        time=time,
        event=event,
        values=values,
        unit=unit,
        unit_from=unit_from,
        horizons=f"[{', '.join(horizons)}]" if largest > 0 else "[]",
    )


def _unit(time: str, largest: float) -> tuple[str, str]:
    tokens = set(_tokens(time))
    for words, unit in (
        ({"day", "days", "tage"}, "days"),
        ({"month", "months", "monate"}, "months"),
        ({"year", "years", "jahre"}, "years"),
    ):
        if words & tokens:
            return unit, "from the column's name"
    unit = "days" if largest > _DAYS_FROM else "months" if largest > _MONTHS_FROM else "years"
    return unit, f"only from the largest value, {largest:g}"


def _number(text: str) -> float | None:
    if not re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", text):
        return None
    return float(text.replace(",", "."))
