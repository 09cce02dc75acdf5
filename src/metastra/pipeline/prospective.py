"""The verbs of a prospective study that join the ledger with models, designs and authorities."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from metastra.cohort.identifiers import normalise_id
from metastra.errors import ConfigError, DataError, LockedError, Severity
from metastra.ledger.anchors import anchor
from metastra.ledger.entry import Entry, parse_time
from metastra.ledger.opening import create, opened, writing
from metastra.ledger.predictions import (
    Given,
    record_predictions,
    record_risks,
    refuse_other_bundle,
)
from metastra.ledger.protocol import Protocol
from metastra.ledger.protocol_file import load_protocol
from metastra.ledger.store import Author, Ledger
from metastra.ledger.table_rows import PATIENT, Recorded, Source, TableRows
from metastra.pseudonyms import Pseudonyms, load_or_create_key
from metastra.signing import load_private

if TYPE_CHECKING:
    from metastra.bundle.opened import Bundle
    from metastra.bundle.slide_reading import SlideReadings
    from metastra.evaluation.design import Design
    from metastra.pipeline.given_slides import SlideSource

__all__ = [
    "Begun",
    "Writer",
    "begin_study",
    "centre_source",
    "predict_patients",
    "pseudonym",
    "record_table",
]

Verb = Callable[[Ledger, Source, Author], Recorded]
"""`screen`, `enrol` or `record_outcomes` of `metastra.ledger.recording`."""


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Who writes, as the command line says it.

    Parameters
    ----------
    actor : str
        Empty for the name of the operating system's user.
    sign_key : Path or None
        Ed25519 private key.
    at : str
        A stated time; only in a study that is marked as simulated.
    """

    actor: str = ""
    sign_key: Path | None = None
    at: str = ""

    def author(self, *, simulated: bool) -> Author:
        """Make the author of entries.

        Parameters
        ----------
        simulated : bool
            Whether the study is marked as simulated.

        Returns
        -------
        Author
            At the stated time in a simulated study, else at the time of the clock.

        Raises
        ------
        ConfigError
            If a time is stated for a real study, or cannot be read.
        """
        return Author(
            actor=self.actor or getpass.getuser(),
            moment=self.moment(simulated=simulated),
            key=load_private(self.sign_key) if self.sign_key else None,
        )

    def moment(self, *, simulated: bool) -> datetime:
        """Give the time of what is written.

        Parameters
        ----------
        simulated : bool
            Whether the study is marked as simulated.

        Returns
        -------
        datetime
            Aware of UTC.

        Raises
        ------
        ConfigError
            As `author`.
        """
        if not self.at:
            return datetime.now(UTC)
        if not simulated:
            raise ConfigError(
                "--at states a time, which only a study marked as simulated takes; the entries of "
                "a real study have the time of the clock"
            )
        text = self.at if "T" in self.at else f"{self.at}T12:00:00Z"
        try:
            return parse_time(text)
        except ValueError as error:
            raise ConfigError(
                f"--at {self.at!r} is no time; expected 2026-01-30 or 2026-01-30T09:00:00Z"
            ) from error


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A study that has begun.

    Parameters
    ----------
    protocol : Protocol
        Frozen.
    design : Design
        What the planned number can show.
    entry : Entry
        The first one.
    receipt : Path
        Of the first anchor: for the sponsor.
    """

    protocol: Protocol
    design: Design
    entry: Entry
    receipt: Path


def begin_study(folder: Path, protocol_file: Path, bundle: Path | None, writer: Writer) -> Begun:
    """Freeze a study before its first patient.

    Parameters
    ----------
    folder : Path
        Of the study; made when it is missing.
    protocol_file : Path
        ``protocol.toml``.
    bundle : Path, optional
        Folder of the locked bundle, whose digest is frozen; without it the protocol names one.
    writer : Writer
        Who begins.

    Returns
    -------
    Begun
        With the table of what the planned number can show, which is frozen too.

    Raises
    ------
    ConfigError
        With everything that is wrong with the protocol.
    IntegrityError
        If the bundle does not hold, or the folder has a ledger already.
    """
    from metastra.pipeline.design import plan_study
    from metastra.pipeline.prospective_design import design_of

    protocol = _with_bundle(load_protocol(protocol_file), bundle)
    author = writer.author(simulated=protocol.study.simulated)
    if author.moment.date() > protocol.accrual.first_day:
        raise ConfigError(
            f"accrual starts on {protocol.accrual.first_day} and it is {author.moment.date()}; a "
            "study is frozen before its first patient"
        )
    design, document = plan_study(design_of(protocol))
    content = {"protocol": protocol.model_dump(mode="json"), "design": document}
    create(folder, protocol, content, author)
    with writing(folder) as ledger:
        _, receipt = anchor(ledger, author, occasion="init")
    return Begun(protocol=protocol, design=design, entry=ledger.first, receipt=receipt)


def centre_source(folder: Path, table: Path, centre: str, key: Path | None) -> Source:
    """Name a table of a centre.

    Parameters
    ----------
    folder : Path
        Of the study.
    table : Path
        The table.
    centre : str
        Whose patients.
    key : Path, optional
        Of the centre's pseudonyms; by default ``<study>-<centre>.key`` beside the study's folder,
        made when it is missing.

    Returns
    -------
    Source
        With the centre's pseudonyms.

    Raises
    ------
    ConfigError
        If the study has no such centre, or the key is not private.
    """
    opened(folder).protocol.centre_named(centre)
    return Source(path=table, centre=centre, names=_names(folder, centre, key))


def pseudonym(folder: Path, centre: str, key: Path | None, patient: str) -> str:
    """Name a patient of a centre.

    Parameters
    ----------
    folder, centre, key
        As `centre_source`.
    patient : str
        The centre's id.

    Returns
    -------
    str
        As the ledger has it.
    """
    return _names(folder, centre, key).patient(patient)


def record_table(folder: Path, source: Source, verb: Verb, writer: Writer) -> Recorded:
    """Record a table: all rows or none.

    Parameters
    ----------
    folder : Path
        Of the study.
    source : Source
        The table.
    verb : callable
        `screen`, `enrol` or `record_outcomes`.
    writer : Writer
        Who records.

    Returns
    -------
    Recorded
        What was written.

    Raises
    ------
    DataError
        With every fault of every row.
    BusyError
        If another process writes.
    """
    with writing(folder) as ledger:
        return verb(ledger, source, writer.author(simulated=ledger.first.simulated))


def predict_patients(
    folder: Path,
    source: Source,
    bundle: Path | None,
    writer: Writer,
    *,
    trusted: Sequence[Path] = (),
    slides: SlideSource | None = None,
) -> Recorded:
    """Seal predictions: computed here by the locked bundle, or from a table of risks.

    Parameters
    ----------
    folder : Path
        Of the study.
    source : Source
        With a bundle: the predictors of its contract.  Without: PATIENT, risk, bundle, reason.
    bundle : Path, optional
        Folder of the locked bundle.
    writer : Writer
        Who predicts.
    trusted : sequence of Path
        Public keys of signers whose foreign program may be started.
    slides : SlideSource, optional
        Where the patients' slides are; a bundle that reads slides needs it.

    Returns
    -------
    Recorded
        No risk is among it.

    Raises
    ------
    DataError
        With every fault of every row.
    IntegrityError
        If the bundle is not the frozen one, or does not hold.
    """
    with writing(folder) as ledger:
        author = writer.author(simulated=ledger.first.simulated)
        if bundle is None:
            if slides is not None:
                raise ConfigError("--slide-table belongs to --bundle DIR, which reads the slides")
            return record_predictions(ledger, source, author)
        return _computed(ledger, source, bundle, author, trusted, slides)


def _names(folder: Path, centre: str, key: Path | None) -> Pseudonyms:
    resolved = folder.resolve()
    path = key or resolved.parent / f"{resolved.name}-{centre}.key"
    return Pseudonyms(load_or_create_key(path))


def _with_bundle(protocol: Protocol, bundle: Path | None) -> Protocol:
    if bundle is None:
        if not protocol.bundle.digest:
            raise ConfigError(
                "the study names no model: give --bundle DIR, or [bundle] digest in the protocol"
            )
        return protocol
    from metastra.bundle.verifying import verify_bundle

    opened_bundle = verify_bundle(bundle).require()
    digest = opened_bundle.digest
    if protocol.bundle.digest not in ("", digest):
        raise LockedError(
            f"the protocol names the bundle {protocol.bundle.digest}; {bundle} is {digest}"
        )
    section = protocol.bundle.model_copy(update={"digest": digest, "kind": opened_bundle.kind})
    return protocol.model_copy(update={"bundle": section})


def _computed(
    ledger: Ledger,
    source: Source,
    bundle: Path,
    author: Author,
    trusted: Sequence[Path],
    slides: SlideSource | None,
) -> Recorded:
    """Run the locked bundle over a table of predictors, and over slides where it reads them."""
    from metastra.bundle.predicting import predict
    from metastra.bundle.verifying import verify_bundle
    from metastra.signing import load_trusted

    believed = load_trusted(trusted) if trusted else None
    model = verify_bundle(bundle, trusted=believed).require()
    refuse_other_bundle(ledger, model.digest)
    rows = TableRows(source, ())
    refused = [one for one in rows.problems if one.severity is Severity.REFUSE]
    if refused:
        raise DataError(f"{source.path.name} cannot be predicted", refused)
    readings = _slide_readings(model, rows, slides)
    found = predict(model, rows.table, slides=readings, run_programs=believed is not None)
    horizon = ledger.protocol.endpoint.horizon
    if horizon not in found.horizons:
        raise ConfigError(f"the bundle gives no risk by {horizon:g}; it gives {found.horizons}")
    column = found.risks[:, found.horizons.index(horizon)]
    given = [
        # names of slide files may hold ids: only what kind of reason it is goes into the ledger
        Given(
            row=row,
            patient=patient,
            risk=float(column[row]),
            reason=(found.reasons[row] or "").partition(": ")[0],
        )
        for row, patient in rows
    ]
    rows.problems += found.problems
    return record_risks(ledger, source.centre, rows, given, author)


def _slide_readings(
    model: Bundle, rows: TableRows, slides: SlideSource | None
) -> SlideReadings | None:
    if slides is None:
        return None
    from metastra.bundle.slide_reading import read_patients
    from metastra.pipeline.given_slides import give_slides

    ids = [normalise_id(str(cell)) for cell in rows.table.column(PATIENT)]
    given = give_slides(model, slides, ids)
    rows.problems += given.problems
    return read_patients(model, given.patients)
