"""Time stamps of a real local authority, made with ``openssl ts``."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger.ledger_study import PROTOCOL, at, begin, protocol_in
from metastra.errors import ConfigError, IntegrityError
from metastra.ledger.anchors import anchor, read_receipt, record_token
from metastra.ledger.chain import LEDGER
from metastra.ledger.entry import Entry, entry_time
from metastra.ledger.opening import writing
from metastra.ledger.timestamps import ask, check_token, request_bytes
from metastra.ledger.verifying import verify_ledger

pytest.importorskip("rfc3161_client", reason="the extra `timestamp` is not installed")
OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="there is no openssl to be an authority")

# No `certs`: openssl would write two certificates in an order that strict DER does not allow.
CONFIG = """
[ tsa ]
default_tsa = tsa_config
[ tsa_config ]
dir = {folder}
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.crt
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[ req ]
distinguished_name = dn
prompt = no
[ dn ]
CN = Local authority
[ tsa_cert ]
basicConstraints = CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
"""


class Authority:
    """A time-stamping authority in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.config = folder, folder / "tsa.cnf"
        folder.mkdir(parents=True)
        self.config.write_text(CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self.root = folder / "ca.crt"
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out",
                 "ca.crt", "-days", "3650", "-subj", "/CN=Local root")  # fmt: skip
        self.run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr",
                 "-config", "tsa.cnf")  # fmt: skip
        self.run("x509", "-req", "-in", "tsa.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                 "-CAcreateserial", "-out", "tsa.crt", "-days", "3650", "-extfile", "tsa.cnf",
                 "-extensions", "tsa_cert")  # fmt: skip

    def run(self, *words: str) -> None:
        subprocess.run([str(OPENSSL), *words], cwd=self.folder, check=True, capture_output=True)

    def answer(self, request: bytes) -> bytes:
        (self.folder / "q.tsq").write_bytes(request)
        self.run("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "q.tsq", "-out", "a.tsr")
        return (self.folder / "a.tsr").read_bytes()


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa") / "a")


@pytest.fixture
def real(tmp_path) -> Path:
    """A study that is not simulated, begun today by the clock."""
    today = datetime.now(UTC).date()
    text = PROTOCOL.replace("simulated = true", "simulated = false")
    for old, days in (("2026-01-30", 10), ("2027-01-30", 300), ("2029-01-30", 1100)):
        text = text.replace(old, (today + timedelta(days=days)).isoformat())
    return begin(tmp_path, protocol_in(tmp_path, text))


def now(seconds: int = 0):
    return replace(at("2026-01-20"), moment=datetime.now(UTC) + timedelta(seconds=seconds))


def stamped(study: Path, authority: Authority) -> Path:
    with writing(study) as ledger:
        _, path = anchor(ledger, now(), occasion="init")
        token = authority.answer(request_bytes(path.read_bytes()))
        record_token(ledger, read_receipt(path), token, now())
    return path


def test_a_stamped_receipt_is_an_anchor_from_outside(real, authority):
    """Under the authority's root the study's own copy proves what a sponsor's copy would."""
    stamped(real, authority)

    without = verify_ledger(real)
    trusted = verify_ledger(real, roots=[authority.root])

    assert without.holds
    assert without.chains["study"]["anchored"] == 0
    assert trusted.holds
    assert trusted.chains["study"]["anchored"] == 1
    assert trusted.anchors[0].stamp is not None


def test_a_stamp_of_another_authority_or_file_is_refused(real, authority, tmp_path):
    """Foreign root, foreign receipt, damaged answer: each with its reason."""
    path = stamped(real, authority)
    token, data = path.with_suffix(".tsr").read_bytes(), path.read_bytes()
    other = Authority(tmp_path / "other")

    check_token(token, data, roots=[authority.root])
    with pytest.raises(IntegrityError, match="does not hold under"):
        check_token(token, data, roots=[other.root])
    with pytest.raises(IntegrityError, match="another file"):
        check_token(token, data + b" ", roots=[authority.root])
    for damaged in (token[:40], b"", token.replace(token[-60:-50], bytes(10))):
        with pytest.raises(IntegrityError):
            check_token(damaged, data, roots=[authority.root])


def test_a_swapped_stamp_is_found_by_verify(real, authority, tmp_path):
    """The stamp of another receipt beside this one."""
    path = stamped(real, authority)
    token = authority.answer(request_bytes(b"something else"))
    path.with_suffix(".tsr").write_bytes(token)

    problems = verify_ledger(real, roots=[authority.root]).problems

    assert [p.code for p in problems] == ["PR110"]


def test_a_clock_that_was_ahead_contradicts_the_stamp(real, authority):
    """An entry dated after the moment at which the authority saw it cannot be right."""
    path = stamped(real, authority)
    lines = (real / LEDGER).read_bytes().splitlines()
    first = Entry.from_line(lines[0])
    later = entry_time(datetime.now(UTC) + timedelta(days=2))
    forged = replace(first, time=later)
    value = json.loads(path.read_text())
    value["chains"]["study"][1] = forged.hash
    path.write_text(json.dumps(value))
    path.with_suffix(".tsr").write_bytes(authority.answer(request_bytes(path.read_bytes())))
    (real / LEDGER).write_bytes(forged.to_line() + b"\n")

    problems = verify_ledger(real, roots=[authority.root]).problems

    assert any(p.code == "PR119" and "study:1" in p.found for p in problems), problems


def test_an_authority_is_asked_over_http(authority):
    """The request of RFC 3161 and its answer, as any authority speaks it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/timestamp-query"
            data = authority.answer(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        token = ask(f"http://127.0.0.1:{server.server_port}/", request_bytes(b"receipt"))
        thread.join()

    stamp = check_token(token, b"receipt", roots=[authority.root])
    assert abs(stamp.time - datetime.now(UTC)) < timedelta(minutes=5)


def test_an_authority_that_does_not_answer_is_a_clear_error():
    """Nothing listens there; the receipt is made all the same."""
    with pytest.raises(ConfigError, match="did not answer"):
        ask("http://127.0.0.1:9/", b"")
    with pytest.raises(ConfigError, match="no address"):
        ask("file:///etc/passwd", b"")
