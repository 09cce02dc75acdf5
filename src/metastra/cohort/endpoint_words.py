"""An endpoint in words, with the settings of one study: for the report, the protocol, the flow."""

from __future__ import annotations

from metastra.cohort.endpoint_built import NotIncluded
from metastra.study.endpoints import Endpoint
from metastra.study.sections import EndpointSection
from metastra.units import TimeUnit, to_days

__all__ = ["describe", "sentences"]


def describe(definition: Endpoint, settings: EndpointSection) -> str:
    """Write an endpoint out as a protocol would, with this study's choices.

    Parameters
    ----------
    definition : Endpoint
        From the dictionary.
    settings : EndpointSection
        Window, clock, units, horizons, and the rules for day zero and unknown causes of death.

    Returns
    -------
    str
        One paragraph of plain sentences.

    Examples
    --------
    >>> from metastra.study.endpoints import endpoint_named
    >>> settings = EndpointSection(time_unit="months", horizons=(24,), day_zero="half-day")
    >>> text = describe(endpoint_named("overall-survival"), settings)
    >>> print(text.split(". ")[-1])
    Risks are predicted by 24 months (730.5 days).
    """
    title = definition.title
    if definition.abbreviation:
        title += f" ({definition.abbreviation})"
    parts = [f"{title}.", definition.text]
    parts += _window(definition, settings)
    if definition.origin == "metastasis-procedure":
        parts.append(_CLOCKS[settings.clock])
    parts.append(_DAY_ZERO[settings.day_zero])
    if definition.needs_cause_of_death:
        parts.append(_UNKNOWN_CAUSE[settings.unknown_cause_of_death])
    if definition.needs_site:
        parts.append(
            "A metastasis whose site is not recorded does not count as the event; the sensitivity "
            "analysis counts it."
        )
    if settings.no_competing_events and definition.competing:
        parts.append("The study states that no competing event occurred.")
    if settings.horizons:
        shown = ", ".join(f"{horizon:g}" for horizon in settings.horizons)
        days = ", ".join(f"{to_days(h, settings.time_unit):g}" for h in settings.horizons)
        own = "" if settings.time_unit is TimeUnit.DAYS else f" ({days} days)"
        parts.append(f"Risks are predicted by {shown} {settings.time_unit}{own}.")
    return " ".join(parts)


def sentences(definition: Endpoint | None, settings: EndpointSection) -> dict[NotIncluded, str]:
    """Say for each reason why a patient is not part of an endpoint.

    Parameters
    ----------
    definition : Endpoint or None
        From the dictionary; None for an endpoint given by columns alone.
    settings : EndpointSection
        The window stands in the sentences.

    Returns
    -------
    dict of NotIncluded to str
        As the flow diagram prints them.
    """
    months = settings.synchronous_window_months
    zero = "surgery"
    if definition is not None and definition.synchronous_window and months:
        zero = f"surgery + {months:g} months"
    elif definition is not None and definition.origin == "metastasis-procedure":
        zero = "the procedure on the metastasis"
    return {
        NotIncluded.EVENT_BEFORE: f"event by {zero} (synchronous), not at risk",
        NotIncluded.COMPETING_BEFORE: f"competing event by {zero}, not at risk",
        NotIncluded.DEATH_BEFORE: f"died by {zero}, not at risk",
        NotIncluded.LOST_BEFORE: f"follow-up ended by {zero}, not at risk",
        NotIncluded.EVENT_BEFORE_ENTRY: "event before observation began, not at risk",
        NotIncluded.NO_PROCEDURE: "no procedure on a metastasis",
        NotIncluded.DAY_ZERO: "follow-up ended on the day it began",
        NotIncluded.REFUSED: "refused: the endpoint cannot be built from the patient's data",
    }


def _window(definition: Endpoint, settings: EndpointSection) -> list[str]:
    if not definition.synchronous_window:
        return []
    months = settings.synchronous_window_months
    if not months:
        return ["The window is 0 months: metastases known by the day of surgery are synchronous."]
    days = to_days(months, TimeUnit.MONTHS)
    return [
        f"The window is {months:g} months ({days:g} days): time zero is surgery + {days:g} days."
    ]


_CLOCKS = {
    "procedure": "The clock starts at the procedure.",
    "metastasis-diagnosis": (
        "The clock starts at the first distant metastasis recorded at or before the procedure; "
        "patients enter observation at the procedure."
    ),
    "surgery": (
        "The clock starts at surgery of the primary tumour; patients enter observation at the "
        "procedure."
    ),
}

_DAY_ZERO = {
    "refuse": "Follow-up that ends on the day it begins is refused.",
    "half-day": "Follow-up that ends on the day it begins counts as half a day.",
    "exclude": "Follow-up that ends on the day it begins is excluded and counted.",
}

_UNKNOWN_CAUSE = {
    "refuse": "A death without a recorded cause is refused.",
    "competing": "A death without a recorded cause counts as competing.",
    "event": "A death without a recorded cause counts as the event.",
}
