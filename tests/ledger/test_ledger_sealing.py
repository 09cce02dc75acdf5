"""Sealed predictions open with one key, for one patient, and only as they were sealed."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.ledger_study import played
from metastra.errors import ConfigError, IntegrityError
from metastra.ledger.opening import opened
from metastra.ledger.payloads import Payload
from metastra.ledger.predictions import open_prediction
from metastra.ledger.sealing import (
    load_custodian_private,
    load_custodian_public,
    make_custodian_key,
    open_box,
    seal,
)
from metastra.ledger.state import replay

KEY = X25519PrivateKey.generate()


def test_every_byte_of_a_box_counts():
    """One flipped bit anywhere, and it does not open."""
    box = base64.b64decode(seal({"risk": 0.1}, to=KEY.public_key(), context="a"))
    for position in range(len(box)):
        changed = bytearray(box)
        changed[position] ^= 1
        with pytest.raises(IntegrityError, match="does not open"):
            open_box(base64.b64encode(bytes(changed)).decode(), KEY, context="a")


def test_a_box_is_bound_to_its_patient_and_its_key():
    """Moved to another patient, or tried with another key, it stays shut."""
    box = seal({"risk": 0.1}, to=KEY.public_key(), context="study/north/P-a")

    assert open_box(box, KEY, context="study/north/P-a") == {"risk": 0.1}
    with pytest.raises(IntegrityError):
        open_box(box, KEY, context="study/north/P-b")
    with pytest.raises(IntegrityError):
        open_box(box, X25519PrivateKey.generate(), context="study/north/P-a")


def test_equal_risks_give_different_boxes_of_equal_length():
    """Nothing can be told from a box, not even the number of digits."""
    boxes = [seal({"risk": r}, to=KEY.public_key(), context="a") for r in (0.1, 0.12345)]

    assert boxes[0] != boxes[1]
    assert len(boxes[0]) == len(boxes[1])


def test_the_seal_agrees_with_its_written_recipe():
    """Opened with the primitives alone, as docs/reference/ledger.md describes it."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    data = base64.b64decode(seal({"risk": 0.1}, to=KEY.public_key(), context="c"))
    ephemeral, nonce, text = data[:32], data[32:44], data[44:]
    shared = KEY.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    info = b"metastra.ledger.box/1" + ephemeral + KEY.public_key().public_bytes_raw()
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(shared)

    inside = ChaCha20Poly1305(key).decrypt(nonce, text, b"c")
    assert (inside.strip(), len(inside)) == (b'{"risk":0.1}', 512)


def test_the_custodian_opens_what_was_sealed(tmp_path):
    """Every prediction of a study, held against its commitment."""
    study = played(tmp_path, outcomes=False)
    key = load_custodian_private(tmp_path / "custodian.pem")
    ledger = opened(study)

    found = [open_prediction(ledger, one, key) for one in replay(ledger).of_centre("north")]

    risks = [one.risk for one in found if one is not None]
    assert risks == [0.1, 0.6, None]
    assert [one.reason for one in found if one][-1] == "no tumour on the slide"


def test_a_seal_that_holds_another_risk_than_committed_is_found(tmp_path):
    """Even somebody who can seal cannot change a risk: the commitment is in the chain."""
    study = played(tmp_path, outcomes=False)
    key = load_custodian_private(tmp_path / "custodian.pem")
    ledger = opened(study)
    one = next(s for s in replay(ledger).of_centre("north") if s.predict)
    public = load_custodian_public(ledger.protocol.seal.public_key)
    context = f"{ledger.first.study}/north/{one.key}"
    inside = {"payload": {"risk": 0.9, "reason": ""}, "salt": "00" * 32}
    path = ledger.payloads.path(one.predict.commitment)
    path.write_bytes(Payload(box=seal(inside, to=public, context=context)).to_bytes())

    with pytest.raises(IntegrityError, match="not the prediction that was committed to"):
        open_prediction(opened(study), one, key)


def test_keys_are_private_and_never_overwritten(tmp_path):
    """A lost key cannot be made again, so an old one is not replaced; others may not read it."""
    private, public = tmp_path / "c.pem", tmp_path / "c.pem.pub"
    make_custodian_key(private, public)

    with pytest.raises(ConfigError, match="not overwritten"):
        make_custodian_key(private, tmp_path / "d.pub")
    private.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_custodian_private(private)
    with pytest.raises(ConfigError, match="X25519"):
        load_custodian_public("nonsense")
