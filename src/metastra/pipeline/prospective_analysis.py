"""The analysis of a prospective study: when the plan says so, once, from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.digest import digest_bytes
from metastra.errors import ConfigError, IntegrityError, LockedError
from metastra.ledger.anchors import anchor
from metastra.ledger.entry import STUDY_CHAIN, Entry, Kind
from metastra.ledger.opening import writing
from metastra.ledger.sealing import load_custodian_private
from metastra.ledger.state import StudyState, replay
from metastra.ledger.store import Author, Draft, Ledger
from metastra.ledger.verifying import verify_ledger
from metastra.pipeline.prospective import Writer
from metastra.pipeline.prospective_cases import cases_of
from metastra.pipeline.prospective_document import (
    RESEARCH_USE,
    final_document,
    opened_table,
    primary_patients,
)
from metastra.pipeline.prospective_looks import past_looks, sealed_events
from metastra.pipeline.prospective_primary import error_spent, primary_test

__all__ = ["Analysed", "analyse_study", "look_at_study"]


@dataclass(frozen=True, kw_only=True)
class Analysed:
    """An analysis that was made.

    Parameters
    ----------
    document : dict
        The content of ``prospective.json``.
    files : tuple of str
        Relative to the folder of the report.
    entry : Entry
        That holds their digests.
    receipt : Path
        Of the anchor after it.
    """

    document: dict[str, Any]
    files: tuple[str, ...]
    entry: Entry
    receipt: Path


def analyse_study(folder: Path, out: Path, custodian_key: Path, writer: Writer) -> Analysed:
    """Open the predictions and make the final analysis and its signed report.

    Parameters
    ----------
    folder : Path
        Of the study.
    out : Path
        Folder of the report; made when it is missing.
    custodian_key : Path
        The custodian's private key.
    writer : Writer
        Who analyses; its key signs the report.

    Returns
    -------
    Analysed
        With the digests of all files in the ledger.

    Raises
    ------
    LockedError
        If the data are not locked, it is too early, or the study is analysed already.
    IntegrityError
        If the ledger does not hold.
    ConfigError
        If no key signs the report.
    """
    from metastra.pipeline.prospective_report import write_report

    if writer.sign_key is None:
        raise ConfigError("a report is signed: name an Ed25519 private key with --sign-key")
    key = load_custodian_private(custodian_key)
    with writing(folder) as ledger:
        author = writer.author(simulated=ledger.first.simulated)
        state = _sound_state(folder, ledger)
        _refuse_final(ledger, state, author)
        begun = _begin(ledger, state, author, None)
        cases = cases_of(ledger, state, key)
        document, evaluation = final_document(ledger, state, cases, begun)
        tables = {"predictions.csv": opened_table(cases)}
        files = write_report(document, evaluation, tables, out, author)
        draft = Draft(
            kind=Kind.REPORT,
            facts={"look": "final", "reached": bool(document["primary"]["reached"])},
            digests=files,
        )
        entry = ledger.append(STUDY_CHAIN, [draft], author)[0]
        _, receipt = anchor(ledger, author, occasion="report")
    return Analysed(document=document, files=tuple(files), entry=entry, receipt=receipt)


def look_at_study(
    folder: Path, out: Path, custodian_key: Path, writer: Writer, *, look: int
) -> Analysed:
    """Take a planned interim look: the primary quantity alone, for the monitoring committee.

    The number of events and the error spent are recorded before a prediction is opened, and the
    file is written after the entry of its report: a look that was interrupted has still spent.

    Parameters
    ----------
    folder : Path
        Of the study.
    out : Path
        Folder for ``look-N.json``, which only the monitoring committee may read.
    custodian_key : Path
        The custodian's private key.
    writer : Writer
        Who analyses.
    look : int
        From 1, in the order of the plan.

    Returns
    -------
    Analysed
        The ledger holds the number of events, the error spent and the file's digest, no estimate.

    Raises
    ------
    LockedError
        If the look is not planned, not due, or taken already.
    IntegrityError
        If the ledger does not hold.
    """
    from metastra.storage import json_bytes, write_bytes
    from metastra.storage.atomic import make_folders

    key = load_custodian_private(custodian_key)
    with writing(folder) as ledger:
        author = writer.author(simulated=ledger.first.simulated)
        state = _sound_state(folder, ledger)
        _refuse_look(ledger, state, author, look)
        make_folders(out)
        begun = _begin(ledger, state, author, look)
        plan = ledger.protocol.analysis
        patients = primary_patients(ledger.protocol, cases_of(ledger, state, key))
        result = primary_test(patients, plan, past=past_looks(state, before=look), final=False)
        name = plan.interim[look - 1].name
        document = {
            "schema": "metastra.look/1",
            "research_use": RESEARCH_USE,
            "look": look,
            "name": name,
            "entry": begun.name,
            "simulated": ledger.first.simulated,
            "primary": result,
        }
        file = f"look-{look}.json"
        data = json_bytes(document)
        facts: dict[str, str | int | bool] = {
            "look": str(look),
            "name": name,
            "events": begun.facts["events"],
            "spent": begun.facts["spent"],
            "reached": bool(result["reached"]),
        }
        draft = Draft(kind=Kind.REPORT, facts=facts, digests={file: digest_bytes(data)})
        entry = ledger.append(STUDY_CHAIN, [draft], author)[0]
        write_bytes(out / file, data)
        _, receipt = anchor(ledger, author, occasion="look")
    return Analysed(document=document, files=(file,), entry=entry, receipt=receipt)


def _sound_state(folder: Path, ledger: Ledger) -> StudyState:
    found = verify_ledger(folder)
    if not found.holds:
        listed = "\n  ".join(str(item) for item in found.problems)
        raise IntegrityError(f"the ledger does not hold; nothing was analysed\n  {listed}")
    return replay(ledger)


def _refuse_final(ledger: Ledger, state: StudyState, author: Author) -> None:
    done = next(state.final_reports(), None)
    if done is not None:
        raise LockedError(
            f"the study is analysed already ({done.name}, {done.time}); the plan has one analysis"
        )
    first = ledger.protocol.analysis.not_before
    if author.moment.date() < first:
        raise LockedError(f"the plan has the analysis from {first} on, not today")
    if state.lock is None:
        raise LockedError(
            "the data are not locked, so the predictions stay sealed; "
            "`metastra prospective lock-data` closes them"
        )


def _refuse_look(ledger: Ledger, state: StudyState, author: Author, look: int) -> None:
    plan = ledger.protocol.analysis
    if not 1 <= look <= len(plan.interim):
        planned = len(plan.interim)
        raise LockedError(f"the plan has {planned or 'no'} interim looks; there is no look {look}")
    begun = past_looks(state)
    last = begun[-1].look if begun else 0
    again = bool(begun) and look == last and not begun[-1].reported
    if look != last + 1 and not again:
        what = "was taken already" if look <= last else f"comes after look {last + 1}"
        raise LockedError(f"look {look} {what}; each look is taken once, in order")
    if state.lock is not None:
        raise LockedError("the data are locked; the time for interim looks is over")
    first = plan.interim[look - 1].not_before
    if author.moment.date() < first:
        raise LockedError(f"the plan has look {look} from {first} on, not today")


def _begin(ledger: Ledger, state: StudyState, author: Author, look: int | None) -> Entry:
    """Write that an analysis begins and what it spends, before anything is opened.

    Outcomes are not sealed, so the number of events is known; a look that ends here has spent.
    """
    plan = ledger.protocol.analysis
    events = sealed_events(ledger, state)
    spent = error_spent(plan, past_looks(state, before=look), events, final=look is None)
    word = "final" if look is None else str(look)
    tries = sum(entry.facts.get("look") == word for entry in state.analyses)
    facts: dict[str, str | int | bool] = {
        "look": word,
        "attempt": tries + 1,
        "events": events,
        "spent": repr(spent),
    }
    if look is not None:
        facts["name"] = plan.interim[look - 1].name
    return ledger.append(STUDY_CHAIN, [Draft(kind=Kind.ANALYSE, facts=facts)], author)[0]
