"""A small locked bundle and the keys around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundle.hand_made import lock_files, make_files
from metastra.bundle.writing import write_bundle
from metastra.signing import PrivateKey, generate_key, load_private


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    path = tmp_path_factory.mktemp("keys") / "sponsor.pem"
    generate_key(path)
    return load_private(path)


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    path = tmp_path_factory.mktemp("other") / "stranger.pem"
    generate_key(path)
    return load_private(path)


@pytest.fixture(scope="session")
def locked_files(signer: PrivateKey, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return lock_files(make_files(), tmp_path_factory.mktemp("draft") / "draft", signer)


@pytest.fixture
def locked(locked_files: dict[str, bytes], tmp_path: Path) -> Path:
    folder = tmp_path / "locked"
    write_bundle(folder, locked_files)
    return folder
