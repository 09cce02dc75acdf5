"""TNM strings: one strict reader, one normal form.

The grammar is that of the UICC TNM Classification of Malignant Tumours (8th edition, 2017) and of
the AJCC Cancer Staging Manual (8th edition, 2017): descriptors y, r, a; c or p before a category;
T, N, M in this order; (m) or a number for several primary tumours; (sn), (f), (i-), (i+), (mol-),
(mol+) after N; L, V, Pn, R, G and S anywhere.  Sites limit the subdivisions further; this reader
takes the union over sites, so that it refuses only what exists nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metastra.errors import DataError

__all__ = ["Tnm", "parse_tnm"]

_SEPARATORS = re.compile(r"[\s,;]+")
_HEAD = re.compile(r"(?P<flags>[yra]*)(?P<prefix>[cp]?)(?P<axis>[TNM])\s*", re.IGNORECASE)
_CATEGORY = re.compile(r"is|[0-9]+|X|a", re.IGNORECASE)
_SUB = {
    "T": re.compile(r"mi|[a-d][1-3]?", re.IGNORECASE),
    "N": re.compile(r"mi|[a-c]", re.IGNORECASE),
    "M": re.compile(r"[a-d]", re.IGNORECASE),
}
_NOTES = re.compile(r"(?:\s*\([^()]*\))*")
_NOTE = re.compile(r"\(\s*([^()]*?)\s*\)")
# Pn is perineural invasion, pN and PN are regional nodes: only here does case decide
_OTHER = re.compile(r"(Pn|[LVRGSlvrgs])\s*([0-9Xx])")
_COUNTED = re.compile(r"([0-9]{1,3})\s*/\s*([0-9]{1,3})")

_CATEGORIES = {
    "T": ("X", "0", "is", "a", "1", "2", "3", "4"),
    "N": ("X", "0", "1", "2", "3"),
    "M": ("X", "0", "1"),
}
_OTHER_VALUES = {"L": "01X", "V": "012X", "Pn": "01X", "R": "012X", "G": "1234X", "S": "0123X"}
_TUMOUR_CELLS = ("i-", "i+", "mol-", "mol+")
_METHODS = ("sn", "f")
_IN_SITU = {"dcis": "DCIS", "lcis": "LCIS", "paget": "Paget"}
_SITES = frozenset({"PUL", "OSS", "HEP", "BRA", "LYM", "MAR", "PLE", "PER", "ADR", "SKI", "OTH"})


@dataclass(frozen=True, kw_only=True)
class Tnm:
    """A classification; ``str()`` gives its normal form.

    Parameters
    ----------
    t, n, m : str
        The categories without their letter: ``"X"``, ``"0"``, ``"is"``, ``"a"`` (Ta), ``"1"`` …;
        empty where the string does not say.
    t_sub, n_sub, m_sub : str
        Subdivisions: ``"a"``, ``"b1"``, ``"mi"``; ``"i-"``, ``"i+"``, ``"mol-"``, ``"mol+"`` for
        N0 and M0; ``"DCIS"`` and the like for Tis.
    t_prefix, n_prefix, m_prefix : str
        ``"c"`` clinical, ``"p"`` pathological, or empty.
    y, r, a : bool
        After neoadjuvant treatment; recurrence; autopsy.
    multiple : bool
        Several primary tumours.
    tumours : int or None
        Their number, where it is given.
    n_method : str
        ``"sn"`` sentinel node, ``"f"`` needle or core biopsy, or empty.
    nodes : tuple of int or None
        Nodes with metastasis and nodes examined, where given as ``(2/14)``.
    m_sites : tuple of str
        UICC abbreviations of the sites of metastasis, for instance ``("HEP", "PUL")``.
    others : tuple of str
        L, V, Pn, R, G and S as given, for instance ``("L0", "R0")``.
    """

    t: str = ""
    t_sub: str = ""
    n: str = ""
    n_sub: str = ""
    m: str = ""
    m_sub: str = ""
    t_prefix: str = ""
    n_prefix: str = ""
    m_prefix: str = ""
    y: bool = False
    r: bool = False
    a: bool = False
    multiple: bool = False
    tumours: int | None = None
    n_method: str = ""
    nodes: tuple[int, int] | None = None
    m_sites: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def metastasis(self) -> bool | None:
        """Whether distant metastasis is stated; None where M is absent or X."""
        return {"0": False, "1": True}.get(self.m)

    def __str__(self) -> str:
        flags = "".join(letter for letter in "yra" if getattr(self, letter))
        parts = []
        if self.t:
            number = "m" if self.tumours is None else str(self.tumours)
            in_situ = self.t == "is" and self.t_sub
            sub = f"({self.t_sub})" if in_situ else self.t_sub
            parts.append(f"{self.t_prefix}T{self.t}{sub}{f'({number})' if self.multiple else ''}")
        if self.n:
            counted = f"({self.nodes[0]}/{self.nodes[1]})" if self.nodes else ""
            method = f"({self.n_method})" if self.n_method else ""
            parts.append(f"{self.n_prefix}N{self.n}{_sub_text(self.n_sub)}{method}{counted}")
        if self.m:
            sites = f"({','.join(self.m_sites)})" if self.m_sites else ""
            parts.append(f"{self.m_prefix}M{self.m}{_sub_text(self.m_sub)}{sites}")
        parts += self.others
        return flags + " ".join(parts)


def parse_tnm(text: str) -> Tnm:
    """Read a TNM string.

    Parameters
    ----------
    text : str
        For instance ``"ypT4a N1b cM1c"``, ``"pT3N1aM0"`` or ``"pT2(m) N0(i-) M0 L0 V0 R0"``.

    Returns
    -------
    Tnm
        At least one of T, N and M.

    Raises
    ------
    DataError
        With what is wrong: a category that does not exist, one that stands twice or in the wrong
        order, a letter O for a zero, or a string with two readings such as ``"T1cN0"``.

    Examples
    --------
    >>> tnm = parse_tnm("ypT4a N1b cM1c")
    >>> tnm.y, tnm.t, tnm.t_sub, tnm.n + tnm.n_sub, tnm.m_prefix, tnm.metastasis
    (True, '4', 'a', '1b', 'c', True)
    >>> str(parse_tnm("pt3n1AM0"))
    'pT3 N1a M0'
    >>> parse_tnm("T3 N7 M0")
    Traceback (most recent call last):
        ...
    metastra.errors.DataError: N7 does not exist
    """
    values: dict[str, Any] = {}
    others: list[str] = []
    at = 0
    while at < len(text):
        if gap := _SEPARATORS.match(text, at):
            at = gap.end()
        elif other := _OTHER.match(text, at):
            others.append(_other(other, others))
            at = other.end()
        elif head := _HEAD.match(text, at):
            at = _read_field(text, head, values)
        else:
            raise DataError(f"cannot read {text[at : at + 12]!r}")
    if not values:
        raise DataError("there is no T, N or M")
    return Tnm(**values, others=tuple(others))


def _sub_text(sub: str) -> str:
    return f"({sub})" if sub in _TUMOUR_CELLS else sub


def _read_field(text: str, head: re.Match[str], values: dict[str, Any]) -> int:
    """Read one of T, N and M into `values`; give back where it ends."""
    axis, flags = head["axis"].upper(), head["flags"].lower()
    category, at = _read_category(text, axis, head.end())
    _check_order(axis, category, flags, values)
    sub, at = _read_sub(text, axis, category, at)
    values[axis.lower()] = category
    values[f"{axis.lower()}_sub"] = sub
    values[f"{axis.lower()}_prefix"] = head["prefix"].lower()
    values.update(dict.fromkeys(flags, True))
    notes = _NOTES.match(text, at)
    if notes is None:
        return at
    for note in _NOTE.findall(notes[0]):
        _TAKE_NOTE[axis](note, category, values)
    return notes.end()


def _read_category(text: str, axis: str, at: int) -> tuple[str, int]:
    match = _CATEGORY.match(text, at)
    if match is None:
        if text[at : at + 1] in {"O", "o"}:
            raise DataError(f"{axis} is followed by the letter O; a digit is expected")
        raise DataError(f"{axis} is followed by {text[at : at + 4]!r}; a category is expected")
    found = match[0].casefold()
    category = "X" if found == "x" else found
    if category not in _CATEGORIES[axis]:
        raise DataError(f"{axis}{category} does not exist")
    return category, match.end()


def _check_order(axis: str, category: str, flags: str, values: dict[str, Any]) -> None:
    if axis.lower() in values:
        raise DataError(f"{axis} stands twice ({axis}{values[axis.lower()]} and {axis}{category})")
    for later in "TNM"["TNM".index(axis) + 1 :]:
        if later.lower() in values:
            raise DataError(f"{later} stands before {axis}")
    if "a" in flags and values:
        raise DataError(
            f"the descriptor a stands before {axis}; it belongs before the first category"
        )


def _read_sub(text: str, axis: str, category: str, at: int) -> tuple[str, int]:
    """Read a subdivision such as the b of T4b; 0, X, is and a have none."""
    match = _SUB[axis].match(text, at) if category.isdigit() and category != "0" else None
    if match is None:
        return "", at
    sub, end = match[0].lower(), match.end()
    if sub == "mi" and category != "1":
        raise DataError(f"{axis}{category}mi does not exist")
    following = text[end : end + 1].upper()
    if sub == "c" and following in {"N", "M"}:
        raise DataError(
            f"{axis}{category}c{following} has two readings, {axis}{category}c {following} and "
            f"{axis}{category} c{following}; put a space"
        )
    return sub, end


def _other(match: re.Match[str], others: list[str]) -> str:
    name = match[1] if match[1] == "Pn" else match[1].upper()
    value = match[2].upper()
    if value not in _OTHER_VALUES[name]:
        raise DataError(f"{name}{value} does not exist")
    if any(other.startswith(name) for other in others):
        raise DataError(f"{name} stands twice")
    return name + value


def _take_t_note(note: str, category: str, values: dict[str, Any]) -> None:
    if category == "is" and note.casefold() in _IN_SITU:
        values["t_sub"] = _IN_SITU[note.casefold()]
    elif note.casefold() == "m" or (note.isascii() and note.isdigit() and 2 <= int(note) <= 99):
        values["multiple"] = True
        values["tumours"] = None if note.casefold() == "m" else int(note)
    else:
        raise DataError(f"({note}) after T{category} cannot be read")


def _take_n_note(note: str, category: str, values: dict[str, Any]) -> None:
    key = note.casefold().replace("−", "-").replace("–", "-")
    counted = _COUNTED.fullmatch(note)
    if key in _TUMOUR_CELLS and category == "0":
        values["n_sub"] = key
    elif key in _METHODS:
        values["n_method"] = key
    elif counted and int(counted[1]) <= int(counted[2]):
        values["nodes"] = (int(counted[1]), int(counted[2]))
    else:
        raise DataError(f"({note}) after N{category} cannot be read")


def _take_m_note(note: str, category: str, values: dict[str, Any]) -> None:
    sites = tuple(site.strip().upper() for site in note.split(","))
    if note.casefold() == "i+" and category == "0":
        values["m_sub"] = "i+"
    elif category == "1" and set(sites) <= _SITES:
        values["m_sites"] = sites
    else:
        raise DataError(f"({note}) after M{category} cannot be read")


_TAKE_NOTE: dict[str, Callable[[str, str, dict[str, Any]], None]] = {
    "T": _take_t_note,
    "N": _take_n_note,
    "M": _take_m_note,
}
