"""Predictions: bound to the frozen bundle, sealed until the data lock, one for each patient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metastra.cohort.values import numbers
from metastra.digest import digest_bytes
from metastra.errors import IntegrityError, LockedError
from metastra.ledger.entry import Entry, Kind
from metastra.ledger.payloads import commit
from metastra.ledger.recording import refuse_after_lock
from metastra.ledger.sealing import load_custodian_public, open_box, seal
from metastra.ledger.state import Subject, replay
from metastra.ledger.store import Author, Draft, Ledger
from metastra.ledger.table_rows import Recorded, Source, TableRows

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

__all__ = [
    "Given",
    "Opened",
    "open_prediction",
    "record_predictions",
    "record_risks",
    "refuse_other_bundle",
]

HORIZON, RISK, REASON, BUNDLE = "horizon", "risk", "reason", "bundle"


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A prediction after the seal was opened.

    Parameters
    ----------
    risk : float or None
        Probability of the event by the horizon; None for a patient who is not assessable.
    reason : str
        Why there is no risk.
    """

    risk: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Given:
    """A risk that was given for a patient.

    Parameters
    ----------
    row : int
        Position of the patient's record in the table.
    patient : str
        Pseudonym.
    risk : float
        Probability of the event by the horizon; NaN where there is none.
    reason : str
        Why there is none.
    """

    row: int
    patient: str
    risk: float
    reason: str


def refuse_other_bundle(ledger: Ledger, digest: str) -> None:
    """Refuse a model that is not the frozen one.

    Parameters
    ----------
    ledger : Ledger
        Of the study.
    digest : str
        Of the bundle that is to predict.

    Raises
    ------
    LockedError
        If it is another one.
    """
    frozen = ledger.protocol.bundle.digest
    if digest != frozen:
        raise LockedError(
            f"the study is frozen with the bundle {frozen}; this one is {digest or '(none)'}; "
            "a changed model needs a new study"
        )


def record_predictions(ledger: Ledger, source: Source, author: Author) -> Recorded:
    """Seal the risks of enrolled patients from a table of risks.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    source : Source
        Columns PATIENT, risk and bundle (the digest of the frozen bundle in every row); with a
        column horizon only the rows of the protocol's horizon are taken; a patient who is not
        assessable has an empty risk and a reason.
    author : Author
        Who records.

    Returns
    -------
    Recorded
        One entry for each new patient.

    Raises
    ------
    DataError
        With every fault of every row; nothing is written then.
    LockedError
        If a row names another bundle than the frozen one, or the data are locked.
    """
    rows = TableRows(source, (RISK, BUNDLE), unique=False)
    risks, problems = numbers(rows.table, RISK)
    rows.problems += problems
    chosen = _at_horizon(rows, ledger.protocol.endpoint.horizon)
    for digest in sorted({rows.cell(BUNDLE, row) or "" for row, _ in chosen}):
        refuse_other_bundle(ledger, digest)
    given = [
        Given(row=row, patient=patient, risk=float(risks[row]), reason=rows.cell(REASON, row) or "")
        for row, patient in chosen
    ]
    return record_risks(ledger, source.centre, rows, given, author)


def record_risks(
    ledger: Ledger, centre: str, rows: TableRows, given: Sequence[Given], author: Author
) -> Recorded:
    """Seal risks, whoever computed them; the caller has looked at the bundle.

    Parameters
    ----------
    ledger : Ledger
        Open for writing.
    centre : str
        Whose patients.
    rows : TableRows
        The table of the risks, or of what they were computed from.
    given : sequence of Given
        One for each patient.
    author : Author
        Who records.

    Returns
    -------
    Recorded
        One entry for each new patient.

    Raises
    ------
    DataError
        With every fault of every row; nothing is written then.
    LockedError
        If the data are locked.
    """
    state = replay(ledger)
    refuse_after_lock(state)
    known = {one.key: one for one in state.of_centre(centre)}
    table = f"sha256:{rows.table.digest}"
    drafts: dict[str, Draft] = {}
    unchanged = 0
    for one in given:
        mine = known.get(one.patient)
        if mine is None:
            rows.wrong("PR008", one.row, "no such patient is enrolled at this centre")
        elif not _predictable(rows, one.row, mine):
            continue
        elif one.patient in drafts:
            rows.wrong("PR009", one.row, "the table predicts the patient twice at this horizon")
        elif mine.predict is not None:
            if mine.predict.digests.get("table") == table:
                unchanged += 1
                continue
            text = f"the patient is predicted already ({mine.predict.name})"
            rows.wrong("PR009", one.row, text)
        elif fault := _fault(one):
            rows.wrong("PR010", one.row, fault, RISK)
        else:
            content = {"risk": None if math.isnan(one.risk) else one.risk, "reason": one.reason}
            drafts[one.patient] = _sealed(ledger, centre, one.patient, content, table)
    warnings = rows.refuse()
    entries = ledger.append(centre, list(drafts.values()), author)
    return Recorded(entries=tuple(entries), unchanged=unchanged, problems=warnings)


def open_prediction(ledger: Ledger, subject: Subject, key: X25519PrivateKey) -> Opened | None:
    """Open the sealed prediction of a patient and hold it against its commitment.

    Parameters
    ----------
    ledger : Ledger
        Of the study.
    subject : Subject
        Whose.
    key : X25519PrivateKey
        The custodian's.

    Returns
    -------
    Opened or None
        None where there is no prediction, or it was deleted on withdrawal.

    Raises
    ------
    IntegrityError
        If the box does not open, or what is in it is not what was committed to.
    """
    entry = subject.predict
    if entry is None or entry.commitment is None:
        return None
    payload = ledger.payloads.read(entry.commitment)
    if payload is None:
        return None
    if payload.box is None:
        raise IntegrityError(f"the prediction of entry {entry.name} is not sealed")
    try:
        inside = open_box(payload.box, key, context=_context(entry))
        content, salt = inside["payload"], bytes.fromhex(inside["salt"])
        sound = commit(content, salt) == entry.commitment
    except (IntegrityError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"entry {entry.name}: {error}") from error
    if not sound:
        raise IntegrityError(
            f"entry {entry.name}: what is in the seal is not the prediction that was committed to"
        )
    return Opened(risk=content["risk"], reason=str(content["reason"]))


def _sealed(
    ledger: Ledger, centre: str, patient: str, content: Mapping[str, Any], table: str
) -> Draft:
    protocol = ledger.protocol
    commitment, salt = ledger.payloads.salted(content)
    box = seal(
        {"payload": dict(content), "salt": salt.hex()},
        to=load_custodian_public(protocol.seal.public_key),
        context=_words(ledger.first.study, centre, patient),
    )
    return Draft(
        kind=Kind.PREDICT,
        patient=patient,
        facts={"assessable": content["risk"] is not None},
        digests={
            "bundle": protocol.bundle.digest,
            "table": table,
            "sealed": digest_bytes(box.encode()),
        },
        sealed=(commitment, box),
    )


def _context(entry: Entry) -> str:
    return _words(entry.study, entry.chain, str(entry.patient))


def _words(study: str, centre: str, patient: str) -> str:
    return f"{study}/{centre}/{patient}"


def _at_horizon(rows: TableRows, horizon: float) -> list[tuple[int, str]]:
    if not rows.table.has(HORIZON):
        return list(rows)
    values, problems = numbers(rows.table, HORIZON)
    rows.problems += problems
    chosen = [(row, patient) for row, patient in rows if values[row] == horizon]
    at_all = {patient for _, patient in chosen}
    for row, patient in rows:
        if patient not in at_all:
            rows.wrong("PR010", row, f"there is no risk by {horizon:g}", HORIZON)
    return chosen


def _predictable(rows: TableRows, row: int, mine: Subject) -> bool:
    if mine.withdraw is not None:
        rows.wrong("PR014", row, "the patient has withdrawn")
        return False
    if mine.enrol is None:
        rows.wrong("PR008", row, "the patient is screened but not enrolled")
        return False
    return True


def _fault(one: Given) -> str:
    if math.isnan(one.risk):
        return "" if one.reason else "neither a risk nor a reason why there is none"
    if one.reason:
        return "both a risk and a reason why there is none"
    return "" if 0.0 <= one.risk <= 1.0 else "a risk outside 0 and 1"
