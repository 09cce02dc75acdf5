"""The dictionary of endpoints: time zero, events, competing events and censoring, written out.

An endpoint is data, not code: `metastra.cohort.endpoint` builds every one of them by the same
rules from the recorded events of a patient.  The definitions follow DATECAN (Bonnetain and
colleagues, Eur J Cancer 2014, colorectal; Gourgou-Bourgade and colleagues, Ann Oncol 2015, breast)
where these define the endpoint, and say where they do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from metastra.study.vocabulary import EventType, Site

__all__ = ["ENDPOINTS", "Endpoint", "Rule", "endpoint_named", "nearest_endpoint"]

_DEATHS = frozenset({EventType.DEATH, EventType.DEATH_OF_DISEASE, EventType.DEATH_OF_OTHER_CAUSE})
_RETURNS = frozenset({EventType.RECURRENCE, EventType.METASTASIS})
_GROWTH = _RETURNS | {EventType.PROGRESSION}
_DISTANT = frozenset(site for site in Site if site.distant)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which recorded events count.

    Parameters
    ----------
    types : frozenset of EventType
        Kinds of events.
    sites : frozenset of Site or None
        Only at these sites; None means wherever.  Never looked at for deaths.
    """

    types: frozenset[EventType]
    sites: frozenset[Site] | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One endpoint of the dictionary.

    Parameters
    ----------
    name : str
        As the study file gives it.
    title : str
        For people.
    abbreviation : str
        The field's; may be empty.
    origin : {"surgery", "metastasis-procedure"}
        Where the clock starts, or whose procedure made the slide.
    event : tuple of Rule
        An event is anything that one of them matches; the first in time counts.
    competing : tuple of Rule
        What makes the event impossible, or ends the question, if it comes first.
    synchronous_window : bool
        Whether a window of k months moves time zero to surgery + k.
    predicts_spread : bool
        Whether it starts from a primary tumour that has not spread in the way that is predicted:
        patients with the event by time zero are not at risk, and a slide of a metastasis would
        give the outcome away.
    text : str
        The definition in words, as a protocol would have it.
    """

    name: str
    title: str
    abbreviation: str = ""
    origin: Literal["surgery", "metastasis-procedure"] = "surgery"
    event: tuple[Rule, ...]
    competing: tuple[Rule, ...] = ()
    synchronous_window: bool = False
    predicts_spread: bool = False
    text: str

    @property
    def needs_cause_of_death(self) -> bool:
        """Whether deaths of the disease and other deaths are told apart."""
        groups = [rule.types & _DEATHS for rule in (*self.event, *self.competing)]
        return any(group and group != _DEATHS for group in groups)

    @property
    def needs_site(self) -> bool:
        """Whether the site of a recurrence decides."""
        return any(rule.sites is not None for rule in (*self.event, *self.competing))


_ANY_DEATH = Rule(types=_DEATHS)
_CENSORED = "Patients without either are censored at their last contact."


def _site_endpoint(site: Site, words: str) -> tuple[Endpoint, Endpoint]:
    """Make the two endpoints of metastasis to one organ."""
    there = Rule(types=_GROWTH, sites=frozenset({site}))
    elsewhere = Rule(types=_GROWTH, sites=_DISTANT - {site})
    window = (
        "With a synchronous window of k months time zero is surgery + k months; patients with the "
        "event, dead or lost by then are not at risk and are counted. Without one, patients who "
        "have it by the day of surgery are not at risk."
    )
    return (
        Endpoint(
            name=f"metachronous-{words}-metastasis",
            title=f"Time to metachronous {words} metastasis",
            event=(there,),
            competing=(_ANY_DEATH,),
            synchronous_window=True,
            predicts_spread=True,
            text=(
                f"Time zero is surgery of the primary tumour. The event is any {words} metastasis, "
                "whether or not another site relapsed before: a relapse elsewhere does not end "
                f"follow-up. Death without it competes. {_CENSORED} {window}"
            ),
        ),
        Endpoint(
            name=f"{words}-metastasis-as-first-site",
            title=f"Time to {words} metastasis as first distant site",
            event=(there,),
            competing=(elsewhere, _ANY_DEATH),
            synchronous_window=True,
            predicts_spread=True,
            text=(
                f"Time zero is surgery of the primary tumour. The event is {words} metastasis "
                "among the first distant sites (found on the same day counts). A first distant "
                f"metastasis elsewhere and death compete. {_CENSORED} {window}"
            ),
        ),
    )


_DICTIONARY = (
    Endpoint(
        name="overall-survival",
        title="Overall survival",
        abbreviation="OS",
        event=(_ANY_DEATH,),
        text=(
            "Time zero is surgery. The event is death of any cause; nothing competes. Patients "
            "alive are censored at their last contact."
        ),
    ),
    Endpoint(
        name="cancer-specific-survival",
        title="Cancer-specific survival",
        abbreviation="CSS",
        event=(Rule(types=frozenset({EventType.DEATH_OF_DISEASE})),),
        competing=(Rule(types=frozenset({EventType.DEATH_OF_OTHER_CAUSE})),),
        text=(
            "Time zero is surgery. The event is death of the tumour of this study (also called "
            "disease-specific survival); death of another cause competes. A death without a "
            "recorded cause is refused unless the study file says how it counts. Patients alive "
            "are censored at their last contact."
        ),
    ),
    Endpoint(
        name="recurrence-free-survival",
        title="Recurrence-free survival",
        abbreviation="RFS",
        event=(Rule(types=_RETURNS), _ANY_DEATH),
        text=(
            "Time zero is surgery. The event is the first of local, regional or distant "
            "recurrence and death of any cause; second primary tumours do not count; nothing "
            "competes. Patients without either are censored at their last contact."
        ),
    ),
    Endpoint(
        name="disease-free-survival",
        title="Disease-free survival",
        abbreviation="DFS",
        event=(Rule(types=_RETURNS | {EventType.SECOND_PRIMARY}), _ANY_DEATH),
        text=(
            "Time zero is surgery. The event is the first of local, regional or distant "
            "recurrence, second primary tumour and death of any cause; nothing competes. Patients "
            "without are censored at their last contact."
        ),
    ),
    Endpoint(
        name="progression-free-survival",
        title="Progression-free survival",
        abbreviation="PFS",
        event=(Rule(types=_GROWTH), _ANY_DEATH),
        text=(
            "Time zero is surgery. The event is the first of progression, recurrence and death of "
            "any cause; nothing competes. Patients without are censored at their last contact."
        ),
    ),
    Endpoint(
        name="time-to-recurrence",
        title="Time to recurrence",
        abbreviation="TTR",
        event=(Rule(types=_RETURNS),),
        competing=(_ANY_DEATH,),
        predicts_spread=False,
        text=(
            "Time zero is surgery. The event is the first local, regional or distant recurrence; "
            f"death without recurrence competes. {_CENSORED}"
        ),
    ),
    *_site_endpoint(Site.LIVER, "liver"),
    *_site_endpoint(Site.PERITONEUM, "peritoneal"),
    Endpoint(
        name="distant-metastasis-free-survival",
        title="Distant-metastasis-free survival",
        abbreviation="DMFS",
        event=(Rule(types=_GROWTH, sites=_DISTANT), _ANY_DEATH),
        predicts_spread=True,
        text=(
            "Time zero is surgery. The event is the first of distant recurrence and death of any "
            "cause; nothing competes. It is not the time to distant metastasis, in which death "
            "competes, and the two are never mixed. Patients without are censored at their last "
            "contact. Patients with a distant metastasis by the day of surgery are not at risk."
        ),
    ),
    Endpoint(
        name="time-to-distant-metastasis",
        title="Time to distant metastasis",
        abbreviation="TTDM",
        event=(Rule(types=_GROWTH, sites=_DISTANT),),
        competing=(_ANY_DEATH,),
        predicts_spread=True,
        text=(
            "Time zero is surgery. The event is the first distant metastasis; local and regional "
            f"recurrence does not end follow-up; death without it competes. {_CENSORED} "
            "Patients with a distant metastasis by the day of surgery are not at risk."
        ),
    ),
    Endpoint(
        name="relapse-after-metastasis-treatment",
        title="Relapse after treatment of a metastasis",
        origin="metastasis-procedure",
        event=(Rule(types=_GROWTH),),
        competing=(_ANY_DEATH,),
        text=(
            "Time zero is the procedure on the metastasis whose slide is used. The event is the "
            "first recurrence, metastasis or progression after it; death without one competes. "
            f"{_CENSORED}"
        ),
    ),
    Endpoint(
        name="survival-after-metastasis",
        title="Survival after metastasis",
        origin="metastasis-procedure",
        event=(_ANY_DEATH,),
        text=(
            "The clock starts at the procedure on the metastasis that made the slide. Where the "
            "study keeps the clock at the diagnosis of the metastasis or at surgery of the "
            "primary, patients enter observation at the procedure (delayed entry): the time "
            "before it could not have held a death. The event is death of any cause; nothing "
            "competes. Patients alive are censored at their last contact."
        ),
    ),
)

ENDPOINTS: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in _DICTIONARY}
"""Every endpoint by its name."""


def endpoint_named(name: str) -> Endpoint:
    """Look an endpoint up in the dictionary.

    Parameters
    ----------
    name : str
        For instance ``"metachronous-liver-metastasis"``.

    Returns
    -------
    Endpoint
        Its definition.

    Raises
    ------
    KeyError
        If the dictionary has no such endpoint.

    Examples
    --------
    >>> endpoint_named("time-to-distant-metastasis").competing != ()
    True
    """
    return ENDPOINTS[name]


def nearest_endpoint(name: str) -> str | None:
    """Find the endpoint whose name or abbreviation is most similar.

    Parameters
    ----------
    name : str
        A name that the dictionary does not have.

    Returns
    -------
    str or None
        A name of the dictionary.

    Examples
    --------
    >>> nearest_endpoint("DMFS"), nearest_endpoint("overal-survival")
    ('distant-metastasis-free-survival', 'overall-survival')
    """
    for endpoint in _DICTIONARY:
        if endpoint.abbreviation and endpoint.abbreviation.casefold() == name.casefold():
            return endpoint.name
    near = get_close_matches(name.casefold().replace("_", "-"), list(ENDPOINTS), n=1, cutoff=0.4)
    return near[0] if near else None
