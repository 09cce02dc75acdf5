"""What a package states of its licence, and whether it may be handed on with metastra."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message
from enum import IntEnum

__all__ = ["Licence", "Verdict", "judge", "licence_of"]


class Verdict(IntEnum):
    """How free a licence leaves who passes the software on; the larger the less."""

    PERMISSIVE = 0
    WEAK_COPYLEFT = 1
    """Changes of that library stay under its licence; what uses it does not (LGPL, MPL)."""
    UNKNOWN = 2
    """Not on the list, proprietary or not stated: a person has to read it."""
    REFUSED = 3
    """GPL or AGPL without a choice or an exception."""


@dataclass(frozen=True, kw_only=True)
class Licence:
    """What was found.

    Parameters
    ----------
    text : str
        An SPDX expression where the package gives one, else its own words.
    source : str
        Field of the metadata that says so.
    verdict : Verdict
        How it is judged.
    """

    text: str
    source: str
    verdict: Verdict


_PERMISSIVE = frozenset(
    (
        *("0bsd", "apache-2.0", "blessing", "bsd", "bsd-1-clause", "bsd-2-clause", "bsd-3-clause"),
        *("bsd-4.3tahoe", "bsl-1.0", "cc0-1.0", "hpnd", "ijg", "isc", "libpng-2.0", "libtiff"),
        *("licenseref-public-domain", "mit", "mit-0", "mit-cmu", "ncsa", "ofl-1.1", "psf-2.0"),
        *("psfl", "python-2.0", "unlicense", "zlib"),
    )
)
_WEAK = re.compile(r"(lgpl|mpl)-\d.*")
_STRONG = re.compile(r"(gpl|agpl)-\d.*")
_NAMED_STRONG = re.compile(r"\b(gnu )?a?gpl|(affero|gnu) general public", re.IGNORECASE)
"""However a package spells it where no list of spellings is kept."""
# with these a program that merely links the library is free of the GPL
_LINKING = re.compile(r"(gcc|classpath|bootloader|font)-exception.*")

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
}
_PLAIN = {"apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0", "mit license": "MIT"}
_LONGEST_NAME = 120
"""Longer than that the field ``License`` holds a licence's text, not its name."""


def licence_of(metadata: Message) -> Licence:
    """Read what a package states, the most exact statement first.

    Parameters
    ----------
    metadata : Message
        METADATA of a wheel.

    Returns
    -------
    Licence
        From ``License-Expression``, else the classifiers, else the field ``License``.
    """
    expression = metadata.get("License-Expression")
    if expression:
        return Licence(text=expression, source="License-Expression", verdict=judge(expression))
    classifiers = [
        line.rpartition("::")[2].strip()
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    if classifiers:
        return Licence(
            text=" AND ".join(_CLASSIFIERS.get(name, name) for name in classifiers),
            source="classifier",
            verdict=max(_judge_classifier(name) for name in classifiers),
        )
    field = " ".join((metadata.get("License") or "").split())
    if not field or len(field) > _LONGEST_NAME:
        return Licence(text="not stated", source="", verdict=Verdict.UNKNOWN)
    name = _PLAIN.get(field.lower(), field)
    verdict = judge(name)
    if verdict is Verdict.UNKNOWN and _NAMED_STRONG.search(name):
        verdict = Verdict.REFUSED
    return Licence(text=name, source="License", verdict=verdict)


def _judge_classifier(name: str) -> Verdict:
    if "Lesser General Public" in name:
        return Verdict.WEAK_COPYLEFT
    if "General Public License" in name or "Affero" in name:
        return Verdict.REFUSED
    return judge(_CLASSIFIERS.get(name, "?"))


def judge(expression: str) -> Verdict:
    """Judge an SPDX expression: AND takes the strictest part, OR the freest.

    Parameters
    ----------
    expression : str
        For instance ``"MIT AND (BSD-3-Clause OR GPL-2.0-only)"``.

    Returns
    -------
    Verdict
        UNKNOWN when it cannot be read.
    """
    words = re.findall(r"[()]|[^\s()]+", expression)
    try:
        verdict, rest = _either(words)
    except IndexError:
        return Verdict.UNKNOWN
    return Verdict.UNKNOWN if rest else verdict


def _either(words: list[str]) -> tuple[Verdict, list[str]]:
    verdict, words = _both(words)
    while words and words[0].upper() == "OR":
        other, words = _both(words[1:])
        verdict = min(verdict, other)
    return verdict, words


def _both(words: list[str]) -> tuple[Verdict, list[str]]:
    verdict, words = _one(words)
    while words and words[0].upper() == "AND":
        other, words = _one(words[1:])
        verdict = max(verdict, other)
    return verdict, words


def _one(words: list[str]) -> tuple[Verdict, list[str]]:
    if words[0] == "(":
        verdict, words = _either(words[1:])
        if words[0] != ")":
            raise IndexError("a bracket is not closed")
        return verdict, words[1:]
    name, words = words[0].lower(), words[1:]
    verdict = Verdict.UNKNOWN
    if name in _PERMISSIVE:
        verdict = Verdict.PERMISSIVE
    elif _WEAK.fullmatch(name):
        verdict = Verdict.WEAK_COPYLEFT
    elif _STRONG.fullmatch(name):
        verdict = Verdict.REFUSED
    if words and words[0].upper() == "WITH":
        if verdict is Verdict.REFUSED and _LINKING.fullmatch(words[1].lower()):
            verdict = Verdict.WEAK_COPYLEFT
        words = words[2:]
    return verdict, words
