"""What the entries say together: who was screened, enrolled, predicted, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from metastra.ledger.entry import STUDY_CHAIN, Entry, Kind
from metastra.ledger.store import Ledger

__all__ = ["StudyState", "Subject", "replay"]


_ONCE = (Kind.SCREEN, Kind.ENROL, Kind.PREDICT, Kind.WITHDRAW)
"""What a patient has once; fields of `Subject`."""


@dataclass(kw_only=True)
class Subject:
    """One patient of one centre.

    Attributes
    ----------
    key : str
        Pseudonym.
    centre : str
        Whose chain holds the entries.
    screen, enrol, predict, withdraw : Entry or None
        The first of each kind.
    eligible : bool
        Whether every criterion holds, by the screening and its corrections.
    outcomes : list of Entry
        In the order in which they were recorded.
    """

    key: str
    centre: str
    screen: Entry | None = None
    enrol: Entry | None = None
    predict: Entry | None = None
    withdraw: Entry | None = None
    eligible: bool = False
    outcomes: list[Entry] = field(default_factory=list)

    @property
    def assessable(self) -> bool:
        """Whether the model gave a risk."""
        return self.predict is not None and bool(self.predict.facts.get("assessable"))


@dataclass(kw_only=True)
class StudyState:
    """A study as its entries tell it.

    Attributes
    ----------
    subjects : dict
        By centre and pseudonym, in the order of their first entries.
    corrections : dict of str to list of Entry
        Corrections of each corrected entry, by that entry's name, in order.
    lock : Entry or None
        The data lock.
    anchors, analyses, reports : list of Entry
        In order.
    misplaced : list of (Entry, str, str)
        Entries that the rules of the study do not allow where they stand: code and reason.
    """

    subjects: dict[tuple[str, str], Subject] = field(default_factory=dict)
    corrections: dict[str, list[Entry]] = field(default_factory=dict)
    lock: Entry | None = None
    anchors: list[Entry] = field(default_factory=list)
    analyses: list[Entry] = field(default_factory=list)
    reports: list[Entry] = field(default_factory=list)
    misplaced: list[tuple[Entry, str, str]] = field(default_factory=list)

    def of_centre(self, centre: str) -> list[Subject]:
        """List the patients of a centre.

        Parameters
        ----------
        centre : str
            Its name.

        Returns
        -------
        list of Subject
            In the order of their first entries.
        """
        return [one for one in self.subjects.values() if one.centre == centre]

    def enrolled(self, centre: str | None = None) -> int:
        """Count the patients who were enrolled, the withdrawn included.

        Parameters
        ----------
        centre : str, optional
            One centre only.

        Returns
        -------
        int
            Patients.
        """
        return sum(
            one.enrol is not None and centre in (None, one.centre) for one in self.subjects.values()
        )

    def is_late(self, entry: Entry) -> bool:
        """Whether an entry of a centre was made after the data lock.

        Parameters
        ----------
        entry : Entry
            Of a centre.

        Returns
        -------
        bool
            By its number, not its time: the lock names the last entry of each chain.
        """
        return self.lock is not None and entry.number > int(self.lock.facts.get(entry.chain, 0))

    def current(
        self, ledger: Ledger, entry: Entry, *, late: bool = True
    ) -> Mapping[str, Any] | None:
        """Read what an entry says after its corrections.

        Parameters
        ----------
        ledger : Ledger
            Of this state.
        entry : Entry
            Screening, enrolment or outcome.
        late : bool
            Whether corrections made after the data lock count.

        Returns
        -------
        mapping or None
            None where the payload was deleted.
        """
        made = self.corrections.get(entry.name, [])
        counted = [one for one in made if late or not self.is_late(one)]
        if not counted:
            return ledger.content(entry)
        content = ledger.content(counted[-1])
        return None if content is None else content["content"]

    def report_of(self, begun: Entry) -> Entry | None:
        """Find the report of an analysis that was begun.

        Parameters
        ----------
        begun : Entry
            Of `analyses`.

        Returns
        -------
        Entry or None
            None where the analysis was begun and nothing was reported before it was begun again.
        """
        look = begun.facts.get("look")
        again = [
            one.number
            for one in self.analyses
            if one.facts.get("look") == look and one.number > begun.number
        ]
        for entry in self.reports:
            mine = entry.facts.get("look") == look and entry.number > begun.number
            if mine and (not again or entry.number < min(again)):
                return entry
        return None

    def final_reports(self) -> Iterator[Entry]:
        """Go through the reports of the final analysis.

        Yields
        ------
        Entry
            One at most in a study that holds its rules.
        """
        for entry in self.reports:
            if entry.facts.get("look") == "final":
                yield entry


def replay(ledger: Ledger) -> StudyState:
    """Go through all entries.

    Parameters
    ----------
    ledger : Ledger
        Open.

    Returns
    -------
    StudyState
        With every entry that stands where it may not.
    """
    state = StudyState()
    for centre in ledger.protocol.centre:
        numbers = {Kind.SCREEN: 0, Kind.ENROL: 0}
        for entry in ledger.entries(centre.name):
            if wrong := _take(state, entry, numbers):
                state.misplaced.append((entry, "PR113", wrong))
            if entry.kind is Kind.PREDICT and (wrong := _foreign_bundle(ledger, entry)):
                state.misplaced.append((entry, "PR112", wrong))
    for entry in ledger.entries(STUDY_CHAIN)[1:]:
        if wrong := _take_head(state, entry):
            state.misplaced.append((entry, "PR113", wrong))
    return state


def _take(state: StudyState, entry: Entry, numbers: dict[Kind, int]) -> str:
    """Put an entry of a centre into the state; say what is wrong with its place."""
    if entry.patient is None:
        return f"is a {entry.kind} without a patient"
    if entry.kind is Kind.CORRECT:
        return _take_correction(state, entry)
    place = (entry.chain, entry.patient)
    known = state.subjects.get(place)
    if known is None:
        if entry.kind is not Kind.SCREEN:
            return f"is a {entry.kind} of a patient who was not screened"
        known = state.subjects.setdefault(place, Subject(key=entry.patient, centre=entry.chain))
    wrong = _out_of_order(known, entry)
    if wrong:
        return wrong
    if entry.kind in numbers:
        numbers[entry.kind] += 1
        if entry.facts.get("number") != numbers[entry.kind]:
            wrong = (
                f"has the running number {entry.facts.get('number')}; expected "
                f"{numbers[entry.kind]}"
            )
    if entry.kind is Kind.OUTCOME:
        known.outcomes.append(entry)
    elif entry.kind in _ONCE:
        setattr(known, entry.kind.value, entry)
        if entry.kind is Kind.SCREEN:
            known.eligible = bool(entry.facts.get("eligible"))
    else:
        wrong = f"is a {entry.kind} in the chain of a centre"
    return wrong


def _out_of_order(known: Subject, entry: Entry) -> str:
    if known.withdraw is not None:
        return f"is a {entry.kind} of a patient who has withdrawn"
    if entry.kind is Kind.SCREEN and known.screen is not None:
        return "screens a patient a second time"
    if entry.kind is Kind.ENROL:
        if known.enrol is not None:
            return "enrols a patient a second time"
        if not known.eligible:
            return "enrols a patient who is not eligible"
    if entry.kind in (Kind.PREDICT, Kind.OUTCOME) and known.enrol is None:
        return f"is a {entry.kind} of a patient who is not enrolled"
    if entry.kind is Kind.PREDICT and known.predict is not None:
        return "predicts a patient a second time"
    return ""


def _take_correction(state: StudyState, entry: Entry) -> str:
    target = str(entry.facts.get("corrects", ""))
    mine = state.subjects.get((entry.chain, str(entry.patient)))
    if mine is not None and mine.withdraw is not None:
        return "corrects an entry of a patient who has withdrawn"
    correctable = [] if mine is None else [mine.screen, mine.enrol, *mine.outcomes]
    if target not in [one.name for one in correctable if one is not None]:
        return f"corrects {target!r}, which is no entry of this patient that can be corrected"
    state.corrections.setdefault(target, []).append(entry)
    if mine is not None and mine.screen is not None and target == mine.screen.name:
        mine.eligible = bool(entry.facts.get("eligible"))
    return ""


def _foreign_bundle(ledger: Ledger, entry: Entry) -> str:
    frozen = ledger.protocol.bundle.digest
    used = entry.digests.get("bundle", "")
    return "" if used == frozen else f"was predicted with the bundle {used or '(none)'}"


def _take_head(state: StudyState, entry: Entry) -> str:
    if entry.kind is Kind.LOCK:
        if state.lock is not None:
            return "locks the data a second time"
        state.lock = entry
    elif entry.kind is Kind.ANCHOR:
        state.anchors.append(entry)
    elif entry.kind is Kind.ANALYSE:
        if not {"events", "spent"} <= entry.facts.keys():
            return "begins an analysis without its number of events and the error it spends"
        state.analyses.append(entry)
        final = entry.facts.get("look") == "final"
        if final and state.lock is None:
            return "analyses before the data lock"
        if final and list(state.final_reports()):
            return "analyses a second time"
    elif entry.kind is Kind.REPORT:
        state.reports.append(entry)
    elif entry.kind is not Kind.JOIN:
        return f"is a {entry.kind} in the study's own chain"
    return ""
