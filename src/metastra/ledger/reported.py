"""A report held against the ledger: its files, its signature, and who signed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.catalogue import problem
from metastra.digest import canonical_json, digest_file
from metastra.errors import ConfigError, Problem, Where
from metastra.ledger.chain import LEDGER
from metastra.ledger.entry import STUDY_CHAIN, Entry, Kind
from metastra.ledger.protocol import Protocol
from metastra.ledger.store import Ledger
from metastra.signing import PublicKey, TrustList, load_public, verify
from metastra.storage import parse_json

__all__ = ["SIGNATURE", "ReportSignature", "hold_report", "signed_message"]

SIGNATURE = "signature.json"
_SIGNED = b"metastra.prospective.report/1\n"
_TEXTS = ("study", "key", "public_key", "signature")


@dataclass(frozen=True, kw_only=True)
class ReportSignature:
    """Whose signature a report has.

    Parameters
    ----------
    key : str
        Id of the key that signed.
    compared : str
        What the key was found equal to; empty where there was nothing to compare it with.
    """

    key: str
    compared: str

    def to_json(self) -> dict[str, Any]:
        """Write it as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {"key": self.key, "compared": self.compared or None}


def signed_message(study: str, files: Mapping[str, str]) -> bytes:
    r"""Give the bytes that the signature of a report is made over.

    Parameters
    ----------
    study : str
        Id of the study.
    files : mapping of str to str
        SHA-256 by name.

    Returns
    -------
    bytes
        A heading, then canonical JSON.

    Examples
    --------
    >>> signed_message("a", {"b": "c"})
    b'metastra.prospective.report/1\n{"files":{"b":"c"},"study":"a"}'
    """
    return _SIGNED + canonical_json({"files": dict(files), "study": study}).encode()


def hold_report(
    ledger: Ledger, protocol: Protocol | None, folder: Path, trusted: TrustList
) -> tuple[ReportSignature | None, list[Problem]]:
    """Hold a report against the ledger and its signature against keys.

    Parameters
    ----------
    ledger : Ledger
        Of the study.
    protocol : Protocol or None
        With the study's public key, where it names one; None where it cannot be read.
    folder : Path
        Of the report.
    trusted : TrustList
        Keys that the reader trusts.

    Returns
    -------
    signature : ReportSignature or None
        None where the report has no sound signature; an interim look has none.
    problems : list of Problem
        Files that are missing, changed or unlisted, and what is wrong with the signature.
    """
    reports = [e for e in ledger.entries(STUDY_CHAIN) if e.kind is Kind.REPORT]
    if not reports:
        where = Where(file=LEDGER)
        return None, [problem("PR118", "the ledger records no report", where=where)]
    entry = reports[-1]
    problems = [*_files(entry, folder), *_unlisted(reports, folder)]
    if SIGNATURE not in entry.digests or not (folder / SIGNATURE).is_file():
        return None, problems
    public, wrong = _signature(ledger, entry, folder)
    if public is None:
        return None, [*problems, _refused(wrong)]
    compared, wrong = _compared(public, protocol, trusted)
    if wrong:
        problems.append(_refused(wrong))
    return ReportSignature(key=public.key_id, compared=compared), problems


def _refused(wrong: str) -> Problem:
    return problem("PR123", wrong, where=Where(file=SIGNATURE))


def _files(entry: Entry, folder: Path) -> Iterator[Problem]:
    for name, digest in entry.digests.items():
        path = folder / name
        if not path.is_file():
            yield problem("PR118", f"{name} of {entry.name} is missing", where=Where(file=name))
        elif digest_file(path) != digest:
            text = f"{name} is not the file whose digest stands in entry {entry.name}"
            yield problem("PR118", text, where=Where(file=name))


def _unlisted(reports: Sequence[Entry], folder: Path) -> Iterator[Problem]:
    """Name the files of the folder that are of no report; an earlier look may lie there."""
    for path in sorted(one for one in folder.rglob("*") if not one.is_dir()):
        name = path.relative_to(folder).as_posix()
        earlier = [one.digests[name] for one in reports[:-1] if name in one.digests]
        if name in reports[-1].digests or (earlier and digest_file(path) in earlier):
            continue
        text = f"{name} lies in the folder and is no file of entry {reports[-1].name}"
        yield problem("PR124", text, where=Where(file=name))


def _signature(ledger: Ledger, entry: Entry, folder: Path) -> tuple[PublicKey | None, str]:
    """Check the signature with the key that it names; say what is wrong."""
    try:
        signed = parse_json((folder / SIGNATURE).read_bytes())
    except (OSError, ValueError):
        return None, f"{SIGNATURE} cannot be read"
    texts = isinstance(signed, dict) and all(isinstance(signed.get(name), str) for name in _TEXTS)
    if not texts or not isinstance(signed.get("files"), dict):
        return None, f"{SIGNATURE} is no signature of a report"
    listed = {name: digest for name, digest in entry.digests.items() if name != SIGNATURE}
    if signed["files"] != listed or signed["study"] != ledger.first.study:
        return None, f"what {SIGNATURE} signs is not what entry {entry.name} holds"
    if "-----BEGIN" not in signed["public_key"]:
        return None, f"{SIGNATURE} holds no public key"
    try:
        public = load_public(signed["public_key"])
    except ConfigError as error:
        return None, f"the public key in {SIGNATURE} cannot be read: {error}"
    message = signed_message(signed["study"], signed["files"])
    if signed["key"] != public.key_id or not verify(public, message, signed["signature"]):
        return None, f"the signature is not one of the key {public.key_id} over these digests"
    return public, ""


def _compared(public: PublicKey, protocol: Protocol | None, trusted: TrustList) -> tuple[str, str]:
    """Say what the key equals, or what it should have equalled."""
    frozen = protocol.study.public_key if protocol is not None else ""
    known = [("the study's public key", load_public(frozen))] if frozen else []
    known += [("a trusted key", key) for key in trusted]
    equal = next((what for what, key in known if key.raw == public.raw), "")
    if equal or not known:
        return equal, ""
    names = ", ".join(key.key_id for _, key in known)
    return "", f"the report is signed with the key {public.key_id}; expected {names}"
