"""The words for what happens to a patient and where: event types and metastatic sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

__all__ = ["EventType", "Site", "Vocabulary", "WordNotKnown"]


M = TypeVar("M", bound=StrEnum)


class EventType(StrEnum):
    """Kinds of recorded events."""

    RECURRENCE = "recurrence"
    """The tumour came back; SITE says where (local, regional or distant)."""
    METASTASIS = "metastasis"
    """A distant metastasis was found."""
    PROGRESSION = "progression"
    """A known tumour grew."""
    SECOND_PRIMARY = "second-primary"
    """Another tumour, not a recurrence."""
    DEATH = "death"
    """Death; the cause is not said."""
    DEATH_OF_DISEASE = "death-of-disease"
    """Death of the tumour of this study."""
    DEATH_OF_OTHER_CAUSE = "death-of-other-cause"
    """Death of anything else."""
    METASTASIS_PROCEDURE = "metastasis-procedure"
    """Resection, ablation or biopsy of a metastasis; makes the slide of a metastasis."""


class Site(StrEnum):
    """Where a recurrence or metastasis sits."""

    LOCAL = "local"
    """At the primary site or the anastomosis."""
    REGIONAL = "regional"
    """Regional lymph nodes."""
    LIVER = "liver"
    PERITONEUM = "peritoneum"
    LUNG = "lung"
    BONE = "bone"
    BRAIN = "brain"
    OVARY = "ovary"
    DISTANT_NODES = "distant-nodes"
    SKIN = "skin"
    ADRENAL = "adrenal"
    CONTRALATERAL_BREAST = "contralateral-breast"
    OTHER_DISTANT = "other-distant"
    UNKNOWN = "unknown"
    """Not recorded."""

    @property
    def distant(self) -> bool | None:
        """Whether the site is a distant metastasis; None when the site is not recorded."""
        if self is Site.UNKNOWN:
            return None
        return self not in (Site.LOCAL, Site.REGIONAL, Site.CONTRALATERAL_BREAST)


_TYPE_SYNONYMS: dict[str, EventType] = {
    "relapse": EventType.RECURRENCE,
    "recurrent disease": EventType.RECURRENCE,
    "distant metastasis": EventType.METASTASIS,
    "distant recurrence": EventType.METASTASIS,
    "metastatic": EventType.METASTASIS,
    "dead": EventType.DEATH,
    "deceased": EventType.DEATH,
    "died": EventType.DEATH,
    "cancer death": EventType.DEATH_OF_DISEASE,
    "dod": EventType.DEATH_OF_DISEASE,
    "new primary": EventType.SECOND_PRIMARY,
    "second primary tumour": EventType.SECOND_PRIMARY,
    "metastasectomy": EventType.METASTASIS_PROCEDURE,
}

_SITE_SYNONYMS: dict[str, Site] = {
    "hepatic": Site.LIVER,
    "liver metastasis": Site.LIVER,
    "peritoneal": Site.PERITONEUM,
    "peritoneal carcinomatosis": Site.PERITONEUM,
    "omentum": Site.PERITONEUM,
    "peritoneum, omentum, abdomen": Site.PERITONEUM,
    "pulmonary": Site.LUNG,
    "lungs": Site.LUNG,
    "osseous": Site.BONE,
    "bones": Site.BONE,
    "cns": Site.BRAIN,
    "cerebral": Site.BRAIN,
    "ovaries": Site.OVARY,
    "gynecological": Site.OTHER_DISTANT,
    "anastomosis": Site.LOCAL,
    "primary site": Site.LOCAL,
    "locoregional": Site.REGIONAL,
    "regional nodes": Site.REGIONAL,
    "regional lymph nodes": Site.REGIONAL,
    "retroperitoneal nodes": Site.DISTANT_NODES,
    "rp ln": Site.DISTANT_NODES,
    "distant lymph nodes": Site.DISTANT_NODES,
    "adrenal gland": Site.ADRENAL,
    "contralateral": Site.CONTRALATERAL_BREAST,
}


class WordNotKnown(LookupError):
    """A word that is neither of the vocabulary nor declared.

    Parameters
    ----------
    word : str
        As the table has it.
    nearest : str or None
        The most similar known word.
    """

    def __init__(self, word: str, nearest: str | None) -> None:
        self.word, self.nearest = word, nearest
        super().__init__(word)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The words of one study: metastra's own, common synonyms and the study's declarations.

    Parameters
    ----------
    types : mapping of str to str
        Declared words for event types.
    sites : mapping of str to str
        Declared words for sites.
    synonyms : bool
        Whether the common synonyms are known.

    Examples
    --------
    >>> words = Vocabulary(types={}, sites={"Bowel (Primary Site)": "local"}, synonyms=True)
    >>> words.site("Hepatic"), words.site("bowel (primary site)")
    (<Site.LIVER: 'liver'>, <Site.LOCAL: 'local'>)
    """

    types: Mapping[str, str]
    sites: Mapping[str, str]
    synonyms: bool = True

    def event_type(self, word: str) -> EventType:
        """Read a word for an event.

        Parameters
        ----------
        word : str
            As the table has it; case and outer white space do not matter.

        Returns
        -------
        EventType
            What it means.

        Raises
        ------
        WordNotKnown
            With the nearest known word.
        """
        known = {member.value: member for member in EventType}
        if self.synonyms:
            known |= _TYPE_SYNONYMS
        return _read(word, self.types, known)

    def site(self, word: str) -> Site:
        """Read a word for a site.

        Parameters
        ----------
        word : str
            As the table has it; case and outer white space do not matter.

        Returns
        -------
        Site
            What it means.

        Raises
        ------
        WordNotKnown
            With the nearest known word.
        """
        known = {member.value: member for member in Site}
        if self.synonyms:
            known |= _SITE_SYNONYMS
        return _read(word, self.sites, known)


def _read(word: str, declared: Mapping[str, str], known: Mapping[str, M]) -> M:
    key = _fold(word)
    folded = {_fold(name): value for name, value in declared.items()}
    target = _fold(folded[key]) if key in folded else key
    for name, member in known.items():
        if _fold(name) == target:
            return member
    near = get_close_matches(key, [*map(_fold, known), *folded], n=1, cutoff=0.6)
    raise WordNotKnown(word, near[0] if near else None)


def _fold(word: str) -> str:
    return " ".join(word.replace("_", "-").casefold().split())
