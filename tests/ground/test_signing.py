"""Signing: keys stay secret, signatures hold for exact bytes only, others' software agrees."""

from __future__ import annotations

import base64
import os
import pickle
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from metastra.errors import ConfigError
from metastra.signing import (
    PublicKey,
    TrustList,
    canonical_bytes,
    generate_key,
    key_id,
    load_private,
    load_public,
    load_trusted,
    public_path,
    sign,
    verify,
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "sponsor.pem"
    generate_key(path)
    return path


def test_vectors_of_rfc_8032(tmp_path: Path):
    """Keys and signatures of RFC 8032 section 7.1 (tests 1 to 3) come out digit by digit."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from metastra.signing import PrivateKey

    cases = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            (
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            ),
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            (
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            (
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
            ),
        ),
    ]
    for secret, public, message, signature in cases:
        private = PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)))
        assert private.public.raw.hex() == public
        made = sign(private, bytes.fromhex(message))
        assert base64.b64decode(made).hex() == signature
        assert verify(PublicKey(bytes.fromhex(public)), bytes.fromhex(message), made)


def test_a_signature_holds_for_exact_bytes_and_one_key(key: Path, tmp_path: Path):
    """One changed bit of the data or the signature, or another key, and it does not hold."""
    private, data = load_private(key), b"risk 0.25"
    signature = sign(private, data)
    assert signature == sign(private, data)
    assert verify(private.public, data, signature)
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify(private.public, bytes(changed), signature)
    raw = base64.b64decode(signature)
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify(private.public, data, base64.b64encode(changed).decode())
    other = generate_key(tmp_path / "other.pem")
    assert not verify(other, data, signature)


@pytest.mark.parametrize("text", ["", "x", "ä", "AAAA", "A" * 86 + "==", "{}"])
def test_text_that_is_no_signature_does_not_hold(key: Path, text: str):
    """Nonsense is False, never an error."""
    assert not verify(load_private(key).public, b"", text)


def test_a_signature_has_one_spelling(key: Path):
    """Line feeds or spaces that base64 would pass over make another text, which is refused."""
    private = load_private(key)
    signature = sign(private, b"data")
    for other in (signature + "\n", " " + signature, signature.rstrip("=")):
        assert not verify(private.public, b"data", other)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
def test_openssl_agrees(key: Path, tmp_path: Path):
    """Another program reads our keys, holds our signatures true and makes ones that we accept."""
    data = tmp_path / "data"
    data.write_bytes(canonical_bytes({"schema": "test/1", "n": 3}))
    ours = tmp_path / "ours.sig"
    ours.write_bytes(base64.b64decode(sign(load_private(key), data.read_bytes())))
    common = ["-rawin", "-in", str(data)]
    check = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public_path(key))]
    done = subprocess.run(
        [*check, *common, "-sigfile", str(ours)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    theirs = tmp_path / "theirs.sig"
    make = ["openssl", "pkeyutl", "-sign", "-inkey", str(key), *common, "-out", str(theirs)]
    subprocess.run(make, check=True, capture_output=True)
    assert theirs.read_bytes() == ours.read_bytes()
    foreign = tmp_path / "foreign.pem"
    old = os.umask(0o077)
    try:
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(foreign)],
            check=True,
            capture_output=True,
        )
    finally:
        os.umask(old)
    assert key_id(load_private(foreign).public).startswith("ed25519:")


def test_key_files_are_private_and_public(key: Path):
    """The private file is 0600, the public one can be read by all and belongs to it."""
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert "PRIVATE" not in public_path(key).read_text()
    public = load_public(public_path(key))
    assert public == load_private(key).public == load_public(public.pem)
    assert key_id(public) == public.key_id


def test_a_key_is_never_overwritten(key: Path):
    """A second key of the same name is refused, and the first is as it was."""
    before = key.read_bytes(), public_path(key).read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        generate_key(key)
    key.unlink()
    with pytest.raises(ConfigError, match="never overwritten"):
        generate_key(key)
    assert not key.exists()
    assert public_path(key).read_bytes() == before[1]


def test_a_key_that_others_can_read_is_refused(key: Path):
    """The mode is said with the remedy."""
    key.chmod(0o640)
    with pytest.raises(ConfigError, match=r"mode 0640\); chmod 600"):
        load_private(key)


def test_the_private_key_never_shows(key: Path):
    """No repr shows it, and it cannot be pickled."""
    private = load_private(key)
    body = key.read_text().splitlines()[1]
    assert body not in f"{private!r} {private} {private.public!r}"
    assert private.public.key_id in repr(private)
    with pytest.raises(TypeError, match="not written to disk"):
        pickle.dumps(private)


def test_files_that_are_no_key(key: Path, tmp_path: Path):
    """Each wrong file has its own message with the remedy."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def private_file(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    curve = ec.generate_private_key(ec.SECP256R1())
    other = private_file("ec.pem", curve.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    with pytest.raises(ConfigError, match="not of the kind Ed25519"):
        load_private(other)
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    other.with_suffix(".pub").write_bytes(curve.public_key().public_bytes(pem, spki))
    with pytest.raises(ConfigError, match="not of the kind Ed25519"):
        load_public(other.with_suffix(".pub"))
    secret = ed25519.Ed25519PrivateKey.generate().private_bytes(
        pem, pkcs8, serialization.BestAvailableEncryption(b"word")
    )
    with pytest.raises(ConfigError, match="encrypted with a passphrase"):
        load_private(private_file("locked.pem", secret))
    with pytest.raises(ConfigError, match="found no private key"):
        load_private(private_file("text", b"hello"))
    with pytest.raises(ConfigError, match="found a public key"):
        load_private(private_file("pub", public_path(key).read_bytes()))
    with pytest.raises(ConfigError, match="this is a private key"):
        load_public(key)
    with pytest.raises(ConfigError, match=r"cannot be read: No such file.*--new-key"):
        load_private(tmp_path / "none")
    with pytest.raises(ConfigError, match="found 0 public keys"):
        load_public(private_file("empty", b""))
    with pytest.raises(ConfigError, match="no public key"):
        load_public("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(ConfigError, match="32 bytes; this one has 3"):
        PublicKey(b"abc")


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    """A pipe or a folder in place of a key is refused at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="not a file"):
        load_public(pipe)
    with pytest.raises(ConfigError, match="not a file"):
        load_private(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path: Path):
    """The operating system's reason is passed on and nothing is left."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="no key can be written"):
        generate_key(tmp_path / "file" / "key.pem")


def test_trust_lists(tmp_path: Path):
    """Several keys in one file with words between them; each is kept once and found by its id."""
    one, two = generate_key(tmp_path / "1.pem"), generate_key(tmp_path / "2.pem")
    both = tmp_path / "trusted.txt"
    both.write_text(f"# sponsor\n{one.pem}\n# centre 2, since 2026\n{two.pem}")
    trusted = load_trusted([both, tmp_path / "1.pem.pub"])
    assert list(trusted) == [one, two]
    assert trusted.find(two.key_id) == two
    assert trusted.find("ed25519:00") is None
    assert len(TrustList()) == 0
    with pytest.raises(ConfigError, match="found 2 public keys; expected one"):
        load_public(both)
    with pytest.raises(ConfigError, match="found no public key"):
        load_trusted([tmp_path / "1.pem.pub", __file__])
