"""The answer of a study in one sentence, worded by its interval and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metastra.report.report_models import JudgedGroup, number_at
from metastra.report.wording import interval, joined, number, plural

__all__ = ["Answer", "answer_of", "deciding_groups"]

_FEW_EVENTS = 100


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study says to its question.

    Parameters
    ----------
    kind : {"yes", "open", "no", "none"}
        The interval lies above no difference, holds it, lies below it, or there is no number.
    head : str
        Two or three words.
    text : str
        One sentence with patients, events, horizon and interval.
    more : tuple of str
        What has to be said beside it.
    """

    kind: str
    head: str
    text: str
    more: tuple[str, ...] = ()


def deciding_groups(groups: Sequence[JudgedGroup]) -> list[JudgedGroup]:
    """Choose in whom the question is answered.

    Parameters
    ----------
    groups : sequence of JudgedGroup
        All.

    Returns
    -------
    list of JudgedGroup
        The cohorts that the models never saw, most events first; without any, the development
        patients, all together.
    """
    outside = [group for group in groups if group.outside]
    if outside:
        return sorted(outside, key=lambda group: -int(group.document["events"]))
    return list(groups[-1:])


def answer_of(
    groups: Sequence[JudgedGroup],
    *,
    primary: str,
    event: str,
    horizon: float,
    time_unit: str,
) -> Answer:
    """Answer whether the model with slides adds to the clinical baseline.

    Parameters
    ----------
    groups : sequence of JudgedGroup
        From `metastra.report.report_models.judged_groups`.
    primary : str
        The model that was declared beforehand.
    event : str
        In words.
    horizon : float
        The primary one.
    time_unit : str
        Of the horizon.

    Returns
    -------
    Answer
        Of the first deciding group; differences in the others stand in ``more``.
    """
    deciding = deciding_groups(groups)
    by = f"by {horizon:g} {time_unit[:-1] if horizon == 1 else time_unit}"
    first = deciding[0]
    if primary == "clinical" or "clinical" not in first.models:
        return _alone(first, primary, event, by, horizon)
    found = _compared(first, primary, event, by, horizon)
    others = [_briefly(group, horizon) for group in deciding[1:]]
    return Answer(
        kind=found.kind,
        head=found.head,
        text=found.text,
        more=(*found.more, *(f"In {joined(others)}." for _ in others[:1])),
    )


def _whom(group: JudgedGroup, counted: Mapping[str, Any], event: str, by: str) -> str:
    how = "" if group.outside else " (each predicted by models that had not seen the patient)"
    kind = group.name if group.name.startswith("all ") else f"the {group.role} cohort {group.name}"
    patients = plural(int(counted["n"]), "patient")
    events = plural(int(counted["events"]), "event")
    return f"in the {patients} of {kind}{how}, with {events} ({event}) {by}"


def _compared(group: JudgedGroup, primary: str, event: str, by: str, horizon: float) -> Answer:
    pair = _difference(group, horizon)
    added = "adding the slides to the clinical columns"
    if primary == "slides":
        added = "taking the slides in place of the clinical columns"
    if pair is None or pair["estimate"] is None:
        why = (pair or {}).get("reason") or group.document["added_value"].get("reason", "")
        text = f"Whether the slides add anything cannot be said: {why or 'there is no number'}."
        return Answer(kind="none", head="No answer.", text=text)
    whom = _whom(group, pair, event, by)
    limits = interval(pair["lower"], pair["upper"], 2)
    moved = f"from {number(pair['baseline'], 2)} to {number(pair['model'], 2)}"
    change = f"{_signed(pair['estimate'])} (95% interval {limits})"
    if pair["lower"] is None:
        text = (
            f"{_first(whom)}, {added} moved the AUC {moved}, by {_signed(pair['estimate'])}, "
            "without an interval: that is no answer."
        )
        return Answer(kind="none", head="No answer.", text=text)
    if pair["lower"] > 0.0:
        text = f"{_first(whom)}, {added} raised the AUC {moved}: by {change}."
        return Answer(kind="yes", head="Yes, in these patients.", text=text, more=_few(pair))
    if pair["upper"] < 0.0:
        text = f"{_first(whom)}, {added} lowered the AUC {moved}: by {change}."
        return Answer(kind="no", head="No, worse in these patients.", text=text, more=_few(pair))
    text = (
        f"{_first(whom)}, {added} moved the AUC {moved}: by {change}. The interval holds no "
        "difference, so these patients show neither that the slides add something nor that they "
        "add nothing."
    )
    return Answer(kind="open", head="Not shown.", text=text, more=_few(pair))


def _alone(group: JudgedGroup, primary: str, event: str, by: str, horizon: float) -> Answer:
    """Answer how well one model orders the patients."""
    words = {"clinical": "the clinical columns", "slides": "the slides"}.get(primary, primary)
    found = number_at(group.document["discrimination"]["auc"], horizon)
    note = (
        ("No slide model was fitted: nothing is said about slides.",)
        if primary == "clinical"
        else ("There is no clinical baseline, so it cannot be said what the slides add.",)
    )
    if found is None or found["estimate"] is None or found["lower"] is None:
        why = (found or {}).get("reason", "there is no number")
        text = f"How well {words} order the patients cannot be said: {why}."
        return Answer(kind="none", head="No answer.", text=text, more=note)
    limits = interval(found["lower"], found["upper"], 2)
    value = f"with an AUC of {number(found['estimate'], 2)} (95% interval {limits}; 0.5 is chance)"
    start = f"{_first(_whom(group, found, event, by))}, {words} ordered the patients {value}"
    more = (*note, *_few(found))
    if found["lower"] > 0.5:
        return Answer(kind="yes", head="Better than chance.", text=f"{start}.", more=more)
    if found["upper"] < 0.5:
        return Answer(kind="no", head="Worse than chance.", text=f"{start}.", more=more)
    text = f"{start}: the interval holds chance, so an order is not shown."
    return Answer(kind="open", head="Not shown.", text=text, more=more)


def _few(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Say how little few events can show."""
    if found["events"] >= _FEW_EVENTS or found["lower"] is None:
        return ()
    half = number((found["upper"] - found["lower"]) / 2.0, 2)
    events = plural(found["events"], "event")
    return (f"With {events} nothing finer than about ±{half} could be seen.",)


def _difference(group: JudgedGroup, horizon: float) -> Mapping[str, Any] | None:
    rows = group.document["added_value"]["differences"]
    return number_at([row for row in rows if row["measure"] == "auc"], horizon)


def _briefly(group: JudgedGroup, horizon: float) -> str:
    pair = _difference(group, horizon)
    if pair is None or pair["estimate"] is None:
        return f"{group.name}: not estimable"
    limits = interval(pair["lower"], pair["upper"], 2)
    return f"{group.name} the difference is {_signed(pair['estimate'])} ({limits})"


def _signed(value: float) -> str:
    text = number(value, 2)
    return text if value < 0.0 else f"+{text}"


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]
