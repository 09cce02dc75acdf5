"""A small prospective study to break: two centres, a sealed model, stated times."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from metastra.ledger.anchors import anchor
from metastra.ledger.opening import create, writing
from metastra.ledger.predictions import record_predictions
from metastra.ledger.protocol import Protocol
from metastra.ledger.protocol_file import parse_protocol
from metastra.ledger.recording import enrol, record_outcomes, screen
from metastra.ledger.sealing import make_custodian_key
from metastra.ledger.store import Author
from metastra.ledger.table_rows import Source
from metastra.pseudonyms import Pseudonyms, SecretKey

BUNDLE = "sha256:" + "ab" * 32
PROTOCOL = """
[study]
name = "small"
planned_n = 6
simulated = true
[accrual]
first_day = 2026-01-30
last_day = 2027-01-30
[bundle]
digest = "{bundle}"
[seal]
custodian = "trial office"
public_key = "custodian.pub"
[endpoint]
name = "liver metastasis"
horizon = 24
grace = 3
visits = [6, 12, 18, 24]
[[centre]]
name = "north"
[[centre]]
name = "south"
[[criterion]]
name = "age"
column = "age"
minimum = 18
maximum = 75
[[criterion]]
name = "stage"
column = "stage"
one_of = ["I", "II", "III"]
[analysis]
bound = 0.6
not_before = 2029-01-30
[design]
risk = 0.3
auc = 0.8
replicates = 100
"""
KEYS = {name: Pseudonyms(SecretKey(name.encode().ljust(32, b"."))) for name in ("north", "south")}


def at(text: str, key=None, actor: str = "nurse") -> Author:
    """An author at a stated day."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return Author(actor=actor, moment=moment, key=key)


def repeated_salt(payload: bytes) -> bytes:
    """A salt that is the same from run to run."""
    return hashlib.sha256(b"salt" + payload).digest()


def protocol_in(folder: Path, text: str = PROTOCOL, bundle: str = BUNDLE) -> Protocol:
    """A protocol with a fresh custodian's key beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "custodian.pub").exists():
        make_custodian_key(folder / "custodian.pem", folder / "custodian.pub")
    return parse_protocol(text.format(bundle=bundle), folder=folder)


def begin(folder: Path, protocol: Protocol, **rest) -> Path:
    """Begin a study in `folder`/study."""
    study = folder / "study"
    create(
        study, protocol, {"protocol": protocol.model_dump(mode="json")}, at("2026-01-20"), **rest
    )
    return study


def source(folder: Path, centre: str, name: str, text: str) -> Source:
    """A table of a centre."""
    path = folder / name
    path.write_text(text)
    return Source(path=path, centre=centre, names=KEYS[centre])


SCREENED = """PATIENT,DATE,age,stage
{c}1,2026-02-01,61,II
{c}2,2026-02-01,76,II
{c}3,2026-02-02,55,III
{c}4,2026-02-03,70,I
"""
ENROLLED = "PATIENT,DATE\n{c}1,2026-02-05\n{c}3,2026-02-06\n{c}4,2026-02-07\n"
PREDICTED = """PATIENT,risk,reason,bundle
{c}1,0.10,,{b}
{c}3,0.60,,{b}
{c}4,,no tumour on the slide,{b}
"""
OUTCOMES = """PATIENT,DATE,EVENT,LAST_NEGATIVE
{c}1,2028-02-10,0,
{c}3,2027-02-10,1,2026-08-10
{c}4,2027-03-10,2,
"""


def played(
    folder: Path, *, outcomes: bool = True, bundle: str = BUNDLE, text: str = PROTOCOL
) -> Path:
    """A study with both centres, two anchors and outcomes."""
    protocol = protocol_in(folder, text, bundle)
    study = begin(folder, protocol)
    with writing(study) as ledger:
        anchor(ledger, at("2026-01-20"), occasion="init")
    for centre in ("north", "south"):
        texts = [t.format(c=centre[0], b=bundle) for t in (SCREENED, ENROLLED, PREDICTED)]
        with writing(study) as ledger:
            for verb, text, day in zip(
                (screen, enrol, record_predictions),
                texts,
                ("2026-02-04", "2026-02-08", "2026-02-09"),
                strict=True,
            ):
                verb(ledger, source(folder, centre, f"{centre}.csv", text), at(day))
    with writing(study) as ledger:
        anchor(ledger, at("2026-05-01"), occasion="schedule")
        if outcomes:
            for centre in ("north", "south"):
                text = OUTCOMES.format(c=centre[0])
                record_outcomes(ledger, source(folder, centre, "out.csv", text), at("2028-03-01"))
    return study
