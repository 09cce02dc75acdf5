"""The endpoint and the question of a study, in words, from the study file alone."""

from __future__ import annotations

from dataclasses import dataclass

from metastra.cohort.endpoint_words import describe
from metastra.report.wording import joined
from metastra.study.sections import EndpointSection
from metastra.study.study import Study

__all__ = ["EndpointWords", "Fact", "endpoint_words", "event_in_words", "question_of"]

_CLOCKS = {
    "procedure": "the procedure on the metastasis",
    "metastasis-diagnosis": "diagnosis of the metastasis; observation begins at the procedure",
    "surgery": "surgery of the primary tumour; observation begins at the procedure",
}
_EVENTS = {
    "overall-survival": "death of any cause",
    "cancer-specific-survival": "death of the tumour",
    "recurrence-free-survival": "recurrence or death",
    "disease-free-survival": "recurrence, second primary tumour or death",
    "progression-free-survival": "progression or death",
    "liver-metastasis-as-first-site": "liver metastasis as first distant site",
    "peritoneal-metastasis-as-first-site": "peritoneal metastasis as first distant site",
    "distant-metastasis-free-survival": "distant metastasis or death",
    "survival-after-metastasis": "death of any cause",
}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of a definition.

    Parameters
    ----------
    label : str
        What it is about.
    text : str
        What holds.
    """

    label: str
    text: str


@dataclass(frozen=True, kw_only=True)
class EndpointWords:
    """The endpoint as a protocol would have it.

    Parameters
    ----------
    name : str
        In the dictionary; empty for a target given by columns alone.
    title : str
        For people.
    abbreviation : str
        The field's; may be empty.
    kind : str
        survival, binary, multiclass, ordinal or continuous.
    definition : str
        The dictionary's text with this study's choices; empty for a target given by columns alone.
    facts : tuple of Fact
        The main points, each on a line.
    codes : tuple of Fact
        Every status code and its meaning.
    """

    name: str
    title: str
    abbreviation: str
    kind: str
    definition: str
    facts: tuple[Fact, ...]
    codes: tuple[Fact, ...]


def endpoint_words(study: Study) -> EndpointWords:
    """Write a study's endpoint out.

    Parameters
    ----------
    study : Study
        As it was promised.

    Returns
    -------
    EndpointWords
        With time zero, window, horizons and rules.

    Examples
    --------
    >>> study = Study.model_validate(
    ...     {
    ...         "study": {"name": "x"},
    ...         "endpoint": {"name": "overall-survival", "horizons": [730]},
    ...         "cohort": [{"name": "north", "role": "development", "clini_table": "n.csv"}],
    ...     }
    ... )
    >>> [(fact.label, fact.text) for fact in endpoint_words(study).facts][1]
    ('Horizons', '730 days')
    """
    section, definition = study.endpoint, study.endpoint_definition
    return EndpointWords(
        name=section.name or "",
        title=_title(study),
        abbreviation=definition.abbreviation if definition else "",
        kind=section.kind,
        definition=_without_title(describe(definition, section)) if definition else "",
        facts=tuple(_facts(study)),
        codes=tuple(Fact(label=code, text=meaning) for code, meaning in section.codes.items()),
    )


def event_in_words(study: Study) -> str:
    """Name the event as it continues "cumulative incidence of".

    Parameters
    ----------
    study : Study
        Of a survival endpoint.

    Returns
    -------
    str
        For instance ``"metachronous liver metastasis"``.

    Examples
    --------
    >>> study = Study.model_validate(
    ...     {
    ...         "study": {"name": "x"},
    ...         "endpoint": {"name": "time-to-recurrence", "horizons": [24]},
    ...         "cohort": [{"name": "north", "role": "development", "clini_table": "n.csv"}],
    ...     }
    ... )
    >>> event_in_words(study)
    'recurrence'
    """
    known = _EVENTS.get(study.endpoint.name or "")
    if known:
        return known
    if study.endpoint_definition is None and study.endpoint.name is None:
        return f"the event of column {study.endpoint.event}"
    title = _title(study).removeprefix("Time to ")
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def question_of(study: Study) -> str:
    """Put a study's question into one sentence.

    Parameters
    ----------
    study : Study
        As it was promised.

    Returns
    -------
    str
        What is predicted from what, by when, and where it is tested.

    Examples
    --------
    >>> study = Study.model_validate(
    ...     {
    ...         "study": {"name": "x"},
    ...         "endpoint": {"name": "overall-survival", "horizons": [730]},
    ...         "clinical": {"age": {"kind": "continuous"}},
    ...         "cohort": [{"name": "north", "role": "development", "clini_table": "n.csv"}],
    ...     }
    ... )
    >>> print(question_of(study)[:70])
    How well does the clinical column age predict the risk of death of any
    """
    section = study.endpoint
    inputs = []
    if study.primary_model != "clinical":
        inputs.append("tissue slides")
    if study.clinical:
        columns = "columns" if len(study.clinical) > 1 else "column"
        inputs.append(f"the clinical {columns} {joined(list(study.clinical))}")
    verb = "does" if len(inputs) == 1 and len(study.clinical) == 1 else "do"
    sources = joined(inputs) or "the data"
    if section.kind == "survival":
        horizon = _primary(section)
        by = f" by {horizon:g} {section.time_unit}" if horizon is not None else ""
        target = f"the risk of {event_in_words(study)}{by}"
    else:
        target = _title(study)
    names = {
        role: [cohort.name for cohort in study.cohort if cohort.role == role]
        for role in ("development", "external", "temporal")
    }
    where = f"developed in {joined(names['development'])}"
    tests = [
        f"{joined(names[role])} ({role} validation)"
        for role in ("external", "temporal")
        if names[role]
    ]
    where += f" and tested in {joined(tests)}" if tests else " and tested within it"
    return f"How well {verb} {sources} predict {target}, {where}?"


def _without_title(text: str) -> str:
    """Leave the title out, which stands in bold before the definition."""
    return text.partition(". ")[2]


def _title(study: Study) -> str:
    definition = study.endpoint_definition
    if definition:
        return definition.title
    section = study.endpoint
    return section.column or section.event or section.name or "target"


def _primary(section: EndpointSection) -> float | None:
    return section.primary_horizon or (section.horizons[0] if section.horizons else None)


def _facts(study: Study) -> list[Fact]:
    section = study.endpoint
    facts = []
    if section.kind != "survival":
        facts.append(Fact(label="Target column", text=section.column or ""))
        if section.levels:
            facts.append(Fact(label="Levels", text=joined(section.levels)))
        return facts
    facts.append(Fact(label="Time zero", text=_time_zero(study)))
    if section.synchronous_window_months:
        window = f"{section.synchronous_window_months:g} months after surgery"
        text = f"{window}; events, deaths and losses before count as not at risk"
        facts.append(Fact(label="Synchronous window", text=text))
    if section.horizons:
        shown = [f"{horizon:g}" for horizon in section.horizons]
        text = f"{joined(shown)} {section.time_unit}"
        if section.primary_horizon is not None and len(shown) > 1:
            text += f"; {section.primary_horizon:g} {section.time_unit} decides"
        facts.append(Fact(label="Horizons", text=text))
    if section.time is not None:
        text = f"time from column {section.time}, status from column {section.event}"
    else:
        text = "built from the recorded events of each patient"
    facts.append(Fact(label="Source", text=text))
    if study.clock.entry:
        facts.append(Fact(label="Delayed entry", text=f"from column {study.clock.entry}"))
    return facts


def _time_zero(study: Study) -> str:
    section, definition = study.endpoint, study.endpoint_definition
    if definition and definition.origin == "metastasis-procedure":
        return _CLOCKS[section.clock]
    if section.time is not None and definition is None:
        return f"as the table has it (column {section.time})"
    where = f" (column {study.clock.origin})" if study.clock.origin else ""
    if section.synchronous_window_months:
        return f"{section.synchronous_window_months:g} months after surgery{where}"
    return f"surgery{where}"
