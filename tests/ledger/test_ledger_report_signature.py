"""A report is held against its signature and its key, not only against its digests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger.ledger_study import PROTOCOL, at, played
from metastra.cli.app import app
from metastra.digest import digest_bytes
from metastra.ledger.entry import STUDY_CHAIN, Kind
from metastra.ledger.opening import opened, writing
from metastra.ledger.reported import signed_message
from metastra.ledger.store import Draft
from metastra.ledger.verifying import verify_ledger
from metastra.signing import TrustList, generate_key, load_private, load_public, sign

RUNNER = CliRunner()


class Made:
    """A study whose ledger records a report of one page with a signature that a test chooses."""

    def __init__(self, folder: Path, *, own_key: bool = False) -> None:
        for name in ("sponsor", "other"):
            generate_key(folder / f"{name}.pem")
        self.folder, self.report = folder, folder / "report"
        self.keys = {n: load_private(folder / f"{n}.pem") for n in ("sponsor", "other")}
        text = PROTOCOL
        if own_key:
            text = text.replace("[accrual]", 'public_key = "sponsor.pem.pub"\n[accrual]', 1)
        self.own_key = own_key
        self.study = played(folder, text=text) if not own_key else self._signed_study(text)

    def _signed_study(self, text: str) -> Path:
        from ledger.ledger_study import protocol_in
        from metastra.ledger.opening import create

        protocol = protocol_in(self.folder, text)
        content = {"protocol": protocol.model_dump(mode="json")}
        create(self.folder / "study", protocol, content, at("2026-01-20", self.keys["sponsor"]))
        return self.folder / "study"

    def record(self, signer: str, **changes) -> None:
        """Write the report, its signature with changes, and the entry with their digests."""
        self.report.mkdir()
        page = b"the AUC is 0.81"
        files = {"report.html": digest_bytes(page)}
        study, key = opened(self.study).first.study, self.keys[signer]
        signed = {
            "files": files,
            "study": study,
            "key": key.public.key_id,
            "public_key": key.public.pem,
            "signature": sign(key, signed_message(study, files)),
        } | changes
        (self.report / "report.html").write_bytes(page)
        data = json.dumps(signed).encode()
        (self.report / "signature.json").write_bytes(data)
        digests = files | {"signature.json": digest_bytes(data)}
        draft = Draft(kind=Kind.REPORT, facts={"look": "final", "reached": True}, digests=digests)
        author = at("2029-03-20", self.keys["sponsor"] if self.own_key else None)
        with writing(self.study) as ledger:
            ledger.append(STUDY_CHAIN, [draft], author)

    def verify(self, *trusted: str):
        """Verify with some keys trusted."""
        keys = tuple(load_public(self.folder / f"{name}.pem.pub") for name in trusted)
        return verify_ledger(self.study, report=self.report, trusted=TrustList(keys))


@pytest.fixture
def made(tmp_path) -> Made:
    return Made(tmp_path)


def test_a_signature_is_compared_with_a_trusted_key(made):
    """The trusted key signed; another trusted key did not."""
    made.record("sponsor")

    good, bad = made.verify("sponsor"), made.verify("other")

    assert good.problems == ()
    assert good.signature.compared == "a trusted key"
    assert [one.code for one in bad.problems] == ["PR123"]
    assert made.keys["sponsor"].public.key_id in bad.problems[0].found
    assert made.keys["other"].public.key_id in bad.problems[0].found
    assert not bad.holds


def test_without_a_key_it_says_that_nothing_was_compared(made):
    """Sound, but by somebody whom nobody vouches for."""
    made.record("other")
    done = RUNNER.invoke(
        app, ["prospective", "verify", str(made.study), "--report", str(made.report)]
    )

    assert done.exit_code == 0, done.output
    key = made.keys["other"].public.key_id
    assert f"report signed by {key}, not compared with any key" in done.output


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"signature": "A" * 86 + "=="}, "not one of the key"),
        ({"signature": "none"}, "not one of the key"),
        ({"key": "ed25519:" + "0" * 32}, "not one of the key"),
        ({"files": {"report.html": "0" * 64}}, "is not what entry"),
        ({"study": "another"}, "is not what entry"),
        ({"public_key": "/etc/hostname"}, "no public key"),
        ({"public_key": "-----BEGIN PUBLIC KEY-----\nxx\n-----END PUBLIC KEY-----\n"}, "cannot be"),
        ({"signature": None}, "is no signature"),
    ],
)
def test_a_wrong_signature_is_refused_although_its_digest_is_recorded(made, changes, says):
    """What the ledger holds is the digest of a file whose signature nobody had checked."""
    made.record("sponsor", **changes)

    found = made.verify("sponsor")

    assert [one.code for one in found.problems] == ["PR123"]
    assert says in found.problems[0].found
    assert found.signature is None


def test_the_studys_own_key_is_enough(tmp_path):
    """A protocol that names a public key wants its report signed with it."""
    made = Made(tmp_path, own_key=True)
    made.record("sponsor")

    assert made.verify().problems == ()
    assert made.verify().signature.compared == "the study's public key"


def test_another_key_than_the_studys_is_refused(tmp_path):
    """Unless the reader trusts it by name."""
    made = Made(tmp_path, own_key=True)
    made.record("other")

    assert [one.code for one in made.verify().problems] == ["PR123"]
    assert made.verify("other").problems == ()


def test_a_file_beside_the_report_is_named(made):
    """A second page in the folder looks signed and is not."""
    made.record("sponsor")
    (made.report / "figures").mkdir()
    (made.report / "figures" / "better.png").write_bytes(b"x")

    found = made.verify("sponsor")

    assert [(p.code, p.where.file) for p in found.problems] == [("PR124", "figures/better.png")]
    assert found.holds
