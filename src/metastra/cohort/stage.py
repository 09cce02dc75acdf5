"""Stage groups: reading them, and what a TNM classification implies.

The colorectal table is that of the AJCC Cancer Staging Manual, 8th edition (2017), chapter 20
(summarised by Weiser, Ann Surg Oncol 2018;25:1454-1455); the 7th edition differs in having no M1c.
The breast table is the *anatomic* stage of the same manual, chapter 48 (Hortobagyi and others;
see also Giuliano and others, CA Cancer J Clin 2017;67:290-303), unchanged from the 7th edition;
prognostic stages, which need grade and receptors, are not computed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Literal

from metastra.cohort.tnm import Tnm
from metastra.errors import DataError

__all__ = [
    "Edition",
    "Site",
    "Stage",
    "implied_stage_group",
    "parse_stage",
    "possible_stages",
    "site_faults",
]

Site = Literal["colorectal", "breast", "other"]
"""The primary tumour whose stage table is used; ``"other"`` has none."""
Edition = Literal["AJCC-7", "AJCC-8"]
"""The edition of the AJCC manual."""

_NUMERALS = ("0", "I", "II", "III", "IV")
_STAGE = re.compile(
    r"(?:(?:stage|stadium|uicc|ajcc)\b[\s:]*)?(?:y?[cp](?=[IV0-4]))?\s*"
    r"(?P<numeral>IV|I{1,3}|[0-4]|X|Tis|is)(?:\.0+)?\s*(?P<sub>is|[A-D][1-3]?)?",
    re.IGNORECASE,
)
_NOT_KNOWN = frozenset(
    {
        *("", "?", "n/a", "na", "none", "missing", "unk", "unknown", "unstaged", "discrepancy"),
        *("not available", "not applicable", "not reported", "not evaluated", "not recorded"),
    }
)
_SUBDIVISIONS: dict[tuple[str, str], tuple[tuple[str, tuple[str, ...]], ...]] = {
    ("colorectal", "AJCC-8"): (("t4", ("a", "b")), ("n2", ("a", "b")), ("m1", ("a", "b", "c"))),
    ("colorectal", "AJCC-7"): (("t4", ("a", "b")), ("n2", ("a", "b")), ("m1", ("a", "b"))),
}
_ABSENT = {"colorectal": ("ta", "n3"), "breast": ("ta",), "other": ()}


def _table(rows: str) -> dict[tuple[str, str], str]:
    """Read ``stage: T… N…; …`` lines, alternatives separated by commas."""
    table = {}
    for line in rows.strip().splitlines():
        stage, _, cases = line.strip().partition(": ")
        for case in cases.split("; "):
            t_part, n_part = case.split()
            for pair in product(t_part.split(","), n_part.split(",")):
                table[pair] = stage
    return table


_COLORECTAL_M0 = _table(
    """
    0: is 0
    I: 1,2 0
    IIA: 3 0
    IIB: 4a 0
    IIC: 4b 0
    IIIA: 1,2 1; 1 2a
    IIIB: 3,4a 1; 2,3 2a; 1,2 2b
    IIIC: 4a 2a; 3,4a 2b; 4b 1,2a,2b
    """
)
_BREAST_M0 = _table(
    """
    0: is 0
    IA: 1 0
    IB: 0,1 1mi
    IIA: 0,1 1; 2 0
    IIB: 2 1,1mi; 3 0
    IIIA: 0,1,2,3 2; 3 1,1mi
    IIIB: 4 0,1,1mi,2
    IIIC: 0,is,1,2,3,4 3
    """
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage group as a table states it.

    Parameters
    ----------
    numeral : str
        ``"0"``, ``"I"`` to ``"IV"``, or ``"X"`` where the stage cannot be assessed.
    sub : str
        ``"A"``, ``"C1"`` …; ``"is"`` for stage 0is; empty where there is none.

    Examples
    --------
    >>> stage = Stage(numeral="III", sub="B")
    >>> str(stage), str(stage.group()), stage.rank
    ('IIIB', 'III', 3)
    """

    numeral: str
    sub: str = ""

    def __str__(self) -> str:
        return self.numeral + self.sub

    def group(self) -> Stage:
        """Collapse the subdivision: IIIA, IIIB and IIIC become III.

        Returns
        -------
        Stage
            Without a subdivision.
        """
        return Stage(numeral=self.numeral)

    @property
    def rank(self) -> int | None:
        """0 for stage 0, 1 to 4 for I to IV; None for X."""
        return _NUMERALS.index(self.numeral) if self.numeral in _NUMERALS else None


def parse_stage(text: str) -> Stage | None:
    """Read a stage group.

    Parameters
    ----------
    text : str
        ``"Stage IIIB"``, ``"IIIB"``, ``"3B"``, ``"pIII B"``, ``"Tis"`` …

    Returns
    -------
    Stage or None
        None where the text says that the stage is not known (``"[Not Available]"``).

    Raises
    ------
    DataError
        If the text is no stage.

    Examples
    --------
    >>> str(parse_stage("Stage IIIB")), str(parse_stage("3b")), str(parse_stage("Tis"))
    ('IIIB', 'IIIB', '0')
    >>> parse_stage("[Not Available]") is None
    True
    """
    key = " ".join(text.strip().strip("[]()").casefold().split())
    if key in _NOT_KNOWN:
        return None
    match = _STAGE.fullmatch(text.strip())
    if match is None:
        raise DataError(f"{text.strip()[:24]!r} is no stage group")
    numeral = match["numeral"].upper()
    if numeral in {"TIS", "IS"}:
        numeral = "0"
    elif numeral.isdigit():
        numeral = _NUMERALS[int(numeral)]
    sub = (match["sub"] or "").upper()
    return Stage(numeral=numeral, sub="is" if sub == "IS" else sub)


def possible_stages(
    tnm: Tnm, site: Site = "colorectal", edition: Edition = "AJCC-8"
) -> frozenset[str]:
    """List the stage groups that a classification allows.

    Parameters
    ----------
    tnm : Tnm
        The classification; X and absent categories are open, and so is a missing subdivision
        that the stage depends on (T4 without a or b).
    site : {"colorectal", "breast", "other"}
        The primary tumour.
    edition : {"AJCC-7", "AJCC-8"}
        The edition of the manual.

    Returns
    -------
    frozenset of str
        Empty where the site has no table, or the table has no row (T0 N0 after neoadjuvant
        treatment, N3 of a colorectal tumour).

    Examples
    --------
    >>> from metastra.cohort.tnm import parse_tnm
    >>> sorted(possible_stages(parse_tnm("pT4 N1 M0")))
    ['IIIB', 'IIIC']
    """
    if site == "other":
        return frozenset()
    distant = _distant_stages(tnm, site, edition)
    if tnm.metastasis:
        return distant
    if site == "breast":
        table, nodes = _BREAST_M0, _open(tnm.n, ("0", "1mi", "1", "2", "3"))
        tumours = _open(tnm.t, ("0", "is", "1", "2", "3", "4"))
        if tnm.n == "1" and tnm.n_sub == "mi":
            nodes = ("1mi",)
    else:
        table = _COLORECTAL_M0
        tumours = _open(tnm.t, ("0", "is", "1", "2", "3", "4a", "4b"))
        nodes = _open(tnm.n, ("0", "1", "2a", "2b"))
        if tnm.t == "4":
            tumours = (f"4{tnm.t_sub}",) if tnm.t_sub else ("4a", "4b")
        if tnm.n == "2":
            nodes = (f"2{tnm.n_sub}",) if tnm.n_sub else ("2a", "2b")
    local = {table[pair] for pair in product(tumours, nodes) if pair in table}
    return frozenset(local) if tnm.m == "0" or not local else frozenset(local) | distant


def implied_stage_group(
    tnm: Tnm, site: Site = "colorectal", edition: Edition = "AJCC-8"
) -> str | None:
    """Give the stage group that a classification implies.

    Parameters
    ----------
    tnm, site, edition
        As in `possible_stages`.

    Returns
    -------
    str or None
        The group with its subdivision where that is decided (``"IIIB"``), without where only the
        group is (``"III"``); None where the classification leaves the group open.

    Examples
    --------
    >>> from metastra.cohort.tnm import parse_tnm
    >>> [implied_stage_group(parse_tnm(text)) for text in ("pT3 N1b M1a", "T4 N1 M0", "T3 N0")]
    ['IVA', 'III', None]
    """
    stages = possible_stages(tnm, site, edition)
    if len(stages) == 1:
        return next(iter(stages))
    groups = {str(_as_stage(name).group()) for name in stages}
    return groups.pop() if len(groups) == 1 else None


def site_faults(tnm: Tnm, site: Site, edition: Edition = "AJCC-8") -> list[str]:
    """Name the categories that do not exist for a primary tumour.

    Parameters
    ----------
    tnm, site, edition
        As in `possible_stages`.

    Returns
    -------
    list of str
        For instance ``["N3"]`` for a colorectal tumour; empty where all exist.

    Examples
    --------
    >>> from metastra.cohort.tnm import parse_tnm
    >>> site_faults(parse_tnm("pT4c N3 M0"), "colorectal")
    ['T4c', 'N3']
    """
    faults = []
    for axis, category, sub in (
        ("t", tnm.t, tnm.t_sub),
        ("n", tnm.n, tnm.n_sub),
        ("m", tnm.m, tnm.m_sub),
    ):
        limits = dict(_SUBDIVISIONS.get((site, edition), ()))
        allowed = limits.get(axis + category)
        if axis + category in _ABSENT[site] or (sub and allowed is not None and sub not in allowed):
            faults.append(axis.upper() + category + sub)
    return faults


def _as_stage(name: str) -> Stage:
    numeral = name.rstrip("ABCD")
    return Stage(numeral=numeral, sub=name[len(numeral) :])


def _open(category: str, every: tuple[str, ...]) -> tuple[str, ...]:
    """Every category the letter can stand for."""
    return every if category in {"", "X"} else (category,)


def _distant_stages(tnm: Tnm, site: Site, edition: Edition) -> frozenset[str]:
    if site == "breast":
        return frozenset({"IV"})
    letters = "AB" if edition == "AJCC-7" else "ABC"
    known = tnm.m_sub.upper() if tnm.metastasis else ""
    return frozenset(f"IV{letter}" for letter in letters if known in {"", letter})
