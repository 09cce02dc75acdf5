"""Time stamps of an authority (RFC 3161) over a receipt; the extra ``timestamp`` is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from metastra.digest import digest_bytes
from metastra.errors import ConfigError, IntegrityError, MissingExtra
from metastra.storage.failures import explained

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["Stamp", "ask", "check_token", "request_bytes"]

_PATIENCE_S = 60
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What an authority said.

    Parameters
    ----------
    time : datetime
        When it saw the receipt's digest, UTC.
    trusted : bool
        Whether its signature was checked up to a root that the caller trusts.
    """

    time: datetime
    trusted: bool


def request_bytes(receipt: bytes) -> bytes:
    """Make the request for an authority.

    Parameters
    ----------
    receipt : bytes
        Content of the receipt's file; only its SHA-256 goes into the request.

    Returns
    -------
    bytes
        DER, ``application/timestamp-query``; the content of a ``.tsq`` file.

    Raises
    ------
    MissingExtra
        If rfc3161-client is not installed.
    """
    try:
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder
    except ImportError as error:
        raise _missing() from error
    builder = TimestampRequestBuilder().data(receipt).hash_algorithm(HashAlgorithm.SHA256)
    made: bytes = builder.cert_request(cert_request=True).build().as_bytes()
    return made


def ask(url: str, request: bytes) -> bytes:
    """Send a request to an authority.

    Parameters
    ----------
    url : str
        http or https.
    request : bytes
        From `request_bytes`.

    Returns
    -------
    bytes
        Its answer, not looked at.

    Raises
    ------
    ConfigError
        If it cannot be reached or does not answer with a time stamp.
    """
    import urllib.error
    import urllib.request

    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url!r} is no address of a time-stamping authority (http or https)")
    query = urllib.request.Request(  # noqa: S310 - the scheme was looked at
        url, data=request, headers={"Content-Type": "application/timestamp-query"}
    )
    try:
        with urllib.request.urlopen(query, timeout=_PATIENCE_S) as answer:  # noqa: S310
            data: bytes = answer.read(_MOST_BYTES)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise ConfigError(
            f"the time-stamping authority did not answer ({error}); the receipt is made; stamp it "
            "later with --timestamp"
        ) from error
    return data


def check_token(token: bytes, receipt: bytes, *, roots: Sequence[Path] = ()) -> Stamp:
    """Look at an authority's answer.

    Parameters
    ----------
    token : bytes
        The answer, DER.
    receipt : bytes
        Content of the receipt's file.
    roots : sequence of Path
        Certificates (PEM) that the caller trusts; without any the signature is not checked.

    Returns
    -------
    Stamp
        Its time.

    Raises
    ------
    IntegrityError
        If it is no time stamp, stamps something else, or its signature does not hold.
    MissingExtra
        If rfc3161-client is not installed.
    """
    try:
        from rfc3161_client import (
            PKIStatus,
            VerificationError,
            VerifierBuilder,
            decode_timestamp_response,
        )
    except ImportError as error:
        raise _missing() from error
    try:
        answer = decode_timestamp_response(token)
        granted = PKIStatus(answer.status) in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS)
        stamped = answer.tst_info.message_imprint.message.hex() if granted else ""
        time = answer.tst_info.gen_time if granted else None
    except (ValueError, TypeError, AttributeError) as error:
        raise IntegrityError("it is not the answer of a time-stamping authority") from error
    if time is None:
        raise IntegrityError("the time-stamping authority refused")
    if stamped != digest_bytes(receipt):
        raise IntegrityError("it stamps another file than this receipt")
    if roots:
        builder = VerifierBuilder()
        for certificate in _certificates(roots):
            builder = builder.add_root_certificate(certificate)
        try:
            builder.build().verify_message(answer, receipt)
        except VerificationError as error:
            raise IntegrityError(
                f"its signature does not hold under the trusted certificates ({error})"
            ) from error
    return Stamp(time=time.replace(tzinfo=time.tzinfo or UTC), trusted=bool(roots))


def _certificates(paths: Sequence[Path]) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    found: list[Certificate] = []
    for path in paths:
        with explained(path):
            data = path.read_bytes()
        try:
            found += load_pem_x509_certificates(data)
        except ValueError as error:
            raise ConfigError(f"{path.name} holds no certificate in PEM") from error
    return found


def _missing() -> MissingExtra:
    return MissingExtra(
        "rfc3161_client", extra="timestamp", what_for="a time stamp of an authority"
    )
