"""The dictionary of endpoints as data: what each definition says, and what holds for all."""

from __future__ import annotations

from itertools import pairwise

import pytest

from metastra.study.endpoints import ENDPOINTS, Endpoint, endpoint_named, nearest_endpoint
from metastra.study.vocabulary import EventType, Site

DEATHS = {EventType.DEATH, EventType.DEATH_OF_DISEASE, EventType.DEATH_OF_OTHER_CAUSE}
DISTANT = {site for site in Site if site.distant}
ALL = sorted(ENDPOINTS)


def dies(rules: tuple[object, ...]) -> set[EventType]:
    """Kinds of death among rules."""
    return {kind for rule in rules for kind in rule.types if kind in DEATHS}  # type: ignore[attr-defined]


def test_the_dictionary_holds_every_promised_endpoint() -> None:
    """By name; a name that disappears breaks studies."""
    assert set(ENDPOINTS) == {
        "overall-survival",
        "cancer-specific-survival",
        "recurrence-free-survival",
        "disease-free-survival",
        "progression-free-survival",
        "time-to-recurrence",
        "metachronous-liver-metastasis",
        "liver-metastasis-as-first-site",
        "metachronous-peritoneal-metastasis",
        "peritoneal-metastasis-as-first-site",
        "distant-metastasis-free-survival",
        "time-to-distant-metastasis",
        "relapse-after-metastasis-treatment",
        "survival-after-metastasis",
    }


@pytest.mark.parametrize("name", ALL)
def test_every_death_is_somewhere(name: str) -> None:
    """A death ends every follow-up: it is an event or competes, never both, never nothing."""
    endpoint = endpoint_named(name)
    event, competing = dies(endpoint.event), dies(endpoint.competing)
    assert not event & competing
    if endpoint.needs_cause_of_death:
        assert event | competing == DEATHS - {EventType.DEATH}
    else:
        assert DEATHS in (event, competing)


@pytest.mark.parametrize("name", ALL)
def test_survival_counts_deaths_and_time_to_lets_them_compete(name: str) -> None:
    """The name says which estimand it is."""
    endpoint = endpoint_named(name)
    survival = "survival" in name
    assert bool(dies(endpoint.event)) == survival
    if name != "cancer-specific-survival":
        assert bool(endpoint.competing) != survival


@pytest.mark.parametrize("name", ALL)
def test_text_says_time_zero_event_competing_and_censoring(name: str) -> None:
    """Each definition is complete in words."""
    text = endpoint_named(name).text.casefold()
    assert "time zero" in text or "the clock starts" in text
    assert "the event is" in text
    assert "compete" in text
    assert "censored at their last contact" in text


def test_only_the_organ_endpoints_have_a_synchronous_window() -> None:
    """And only endpoints from the primary tumour predict spread."""
    window = {name for name, endpoint in ENDPOINTS.items() if endpoint.synchronous_window}
    assert window == {name for name in ALL if "metachronous" in name or "first-site" in name}
    spread = {name for name, endpoint in ENDPOINTS.items() if endpoint.predicts_spread}
    assert spread == window | {"distant-metastasis-free-survival", "time-to-distant-metastasis"}
    assert all(ENDPOINTS[name].origin == "surgery" for name in spread)


def test_first_site_variant_differs_only_in_what_competes() -> None:
    """Any first distant site elsewhere competes; the event is the same."""
    for words, site in (("liver", Site.LIVER), ("peritoneal", Site.PERITONEUM)):
        anyway = endpoint_named(f"metachronous-{words}-metastasis")
        first = endpoint_named(f"{words}-metastasis-as-first-site")
        assert anyway.event == first.event
        [more] = set(first.competing) - set(anyway.competing)
        assert more.sites == DISTANT - {site}


def test_distant_metastasis_endpoints_are_two() -> None:
    """Same sites, but death is the event in one and competes in the other."""
    dmfs = endpoint_named("distant-metastasis-free-survival")
    time = endpoint_named("time-to-distant-metastasis")
    assert dmfs.event[0] == time.event[0]
    assert dmfs.event[0].sites == DISTANT
    assert dies(dmfs.event) == DEATHS == dies(time.competing)
    assert not dmfs.competing


def test_what_needs_site_or_cause() -> None:
    """So that missing ones are asked for where they matter and only there."""
    needs_cause = {name for name in ALL if ENDPOINTS[name].needs_cause_of_death}
    assert needs_cause == {"cancer-specific-survival"}
    needs_site = {name for name in ALL if ENDPOINTS[name].needs_site}
    assert needs_site == {name for name in ALL if ENDPOINTS[name].predicts_spread}


def test_names_titles_and_abbreviations_are_unique() -> None:
    """An abbreviation leads to one endpoint."""
    values = list(ENDPOINTS.values())
    for attribute in ("name", "title", "text"):
        assert len({getattr(one, attribute) for one in values}) == len(values)
    short = [one.abbreviation for one in values if one.abbreviation]
    assert len(set(short)) == len(short)
    assert all(nearest_endpoint(one) == find(one).name for one in short)


def find(abbreviation: str) -> Endpoint:
    """The endpoint with an abbreviation."""
    return next(one for one in ENDPOINTS.values() if one.abbreviation == abbreviation)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("os", "overall-survival"),
        ("metachronous_liver_metastases", "metachronous-liver-metastasis"),
        ("progresion-free-survival", "progression-free-survival"),
        ("qqqq", None),
    ],
)
def test_nearest_endpoint(written: str, meant: str | None) -> None:
    """A slip of the pen finds its endpoint, nonsense finds none."""
    assert nearest_endpoint(written) == meant


def test_unknown_endpoint_is_a_key_error() -> None:
    """Nothing is guessed."""
    with pytest.raises(KeyError):
        endpoint_named("survival")


def test_order_of_the_dictionary_is_the_order_of_the_list() -> None:
    """`metastra endpoints` prints survival first and endpoints after metastasis last."""
    names = list(ENDPOINTS)
    assert names[0] == "overall-survival"
    assert names[-1] == "survival-after-metastasis"
    after = [ENDPOINTS[name].origin == "metastasis-procedure" for name in names]
    assert all(a <= b for a, b in pairwise(after))
