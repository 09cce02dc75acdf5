"""Pseudonyms: keyed, stable, silent about key and id."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pickle
import re
import stat
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest

from metastra.errors import ConfigError
from metastra.pseudonyms import Pseudonyms, SecretKey, load_or_create_key


def test_a_pseudonym_is_a_keyed_hash_of_the_id():
    """The name equals the HMAC-SHA256 worked out by hand, in ten base32 letters."""
    key = bytes(range(32))
    for kind, prefix in (("patient", "P-"), ("slide", "S-")):
        digest = hmac.new(key, f"{kind}\0Müller".encode(), hashlib.sha256).digest()
        expected = prefix + base64.b32encode(digest).decode().lower()[:10]
        assert getattr(Pseudonyms(SecretKey(key)), kind)("Müller") == expected


def test_spelling_that_joins_makes_no_difference():
    """Unicode form and space around an id do not change its pseudonym; case does."""
    names = Pseudonyms(SecretKey(bytes(32)))
    assert names.patient("Müller") == names.patient(unicodedata.normalize("NFD", " Müller "))
    assert names.patient("Müller") != names.patient("müller")


def test_keys_kinds_and_ids_are_kept_apart():
    """Another key, a slide of the same name and other ids have other pseudonyms."""
    one, two = Pseudonyms(SecretKey(bytes(32))), Pseudonyms(SecretKey(b"\1" * 32))
    assert one.patient("7") != two.patient("7")
    assert one.patient("7")[2:] != one.slide("7")[2:]
    assert len({one.patient(str(index)) for index in range(100_000)}) == 100_000
    assert all(re.fullmatch(r"P-[a-z2-7]{10}", one.patient(str(index))) for index in range(100))


def test_a_file_name_that_is_no_text_has_a_pseudonym():
    """Undecodable bytes of a file name, as Python holds them, are accepted."""
    assert Pseudonyms(SecretKey(bytes(32))).slide(os.fsdecode(b"\xff.svs")).startswith("S-")


def test_the_key_never_shows(tmp_path: Path):
    """No repr shows the key, and it cannot be pickled."""
    path = tmp_path / "key"
    key = load_or_create_key(path)
    secret = path.read_text().strip()
    assert len(secret) == 64
    shown = f"{key!r} {key} {Pseudonyms(key)!r} {[key]}"
    assert secret not in shown
    assert bytes.fromhex(secret).hex() not in shown
    with pytest.raises(TypeError, match="secret key"):
        pickle.dumps(key)
    with pytest.raises(TypeError, match="secret key"):
        pickle.dumps(Pseudonyms(key))


def test_a_new_key_is_private_and_comes_back(tmp_path: Path):
    """The file has mode 0600 whatever the umask, new folders 0700, and the key is random."""
    before = os.umask(0)
    try:
        first = load_or_create_key(tmp_path / "new" / "key")
        other = load_or_create_key(tmp_path / "other")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new" / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    again = load_or_create_key(tmp_path / "new" / "key")
    assert again.sign(b"x") == first.sign(b"x") != other.sign(b"x")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int):
    """Any right of group or others refuses the key, with the command that mends it."""
    path = tmp_path / "key"
    load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_or_create_key(path)


@pytest.mark.parametrize("content", ["ab" * 31, "ab" * 33, "zz" * 32, "not a key\n", "é" * 64])
def test_what_is_no_key_is_refused(tmp_path: Path, content: str):
    """A short, long or foreign file is never taken, and never overwritten."""
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="64 hexadecimal"):
        load_or_create_key(path)
    assert path.read_text() == content


def test_places_that_cannot_hold_a_key_are_refused(tmp_path: Path):
    """A folder, a pipe, a file as folder and a null byte point to --key."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "pipe", "file/key", "lost", "a\0b"):
        with pytest.raises(ConfigError, match="--key"):
            load_or_create_key(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch):
    """Where the file cannot be made the reason and --key are said."""

    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ConfigError, match=r"Permission denied.*--key"):
        load_or_create_key(tmp_path / "key")


def test_a_key_that_could_not_be_written_leaves_no_file(tmp_path: Path, monkeypatch):
    """A full disk leaves no half key behind."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        load_or_create_key(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_processes_that_start_at_once_share_one_key(tmp_path: Path):
    """Of several starters one makes the key; all sign alike."""
    code = (
        "import sys; from metastra.pseudonyms import *;"
        "print(load_or_create_key(sys.argv[1]).sign(b'x').hex())"
    )
    path = str(tmp_path / "key")
    started = [
        subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert len({process.communicate(timeout=60)[0] for process in started}) == 1


def test_a_key_made_in_between_is_never_overwritten(tmp_path: Path, monkeypatch):
    """A starter that saw no key and then finds one takes it as it is."""
    first = load_or_create_key(tmp_path / "key")
    monkeypatch.setattr(os.path, "lexists", lambda _: False)
    assert load_or_create_key(tmp_path / "key").sign(b"x") == first.sign(b"x")


def test_a_key_that_is_being_written_is_waited_for(tmp_path: Path):
    """An empty key file is another starter's; it is read once it is filled."""
    path = tmp_path / "key"
    path.touch(mode=0o600)
    writer = threading.Timer(0.2, lambda: path.write_text("ab" * 32))
    writer.start()
    try:
        signed = load_or_create_key(path).sign(b"x")
    finally:
        writer.join()
    assert signed == SecretKey(b"\xab" * 32).sign(b"x")


def test_a_key_of_another_length_is_refused():
    """A key object of another length than 32 bytes does not exist."""
    with pytest.raises(ConfigError, match="32 bytes"):
        SecretKey(bytes(16))
