"""Weights in several safetensors files, as the index beside them says.

``model.safetensors.index.json`` maps the name of each tensor to the file that holds it.  The digest
of such weights is the SHA-256 of the bytes of all files, one after the other in the order of their
names, so it does not depend on how the index is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metastra.errors import ConfigError

__all__ = ["INDEX", "ShardIndex", "digest_of_all", "parse_index", "read_index", "require_keys"]

INDEX = "model.safetensors.index.json"
_ENDING = ".safetensors"
_SHOWN = 3
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """Which tensor lies in which file.

    Parameters
    ----------
    path : Path
        The index.
    names : dict of str to tuple of str
        From each file's name to the tensors that it holds, in the order of the files' names.
    """

    path: Path
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order of their names."""
        return tuple(self.path.parent / name for name in self.names)


def read_index(path: Path) -> ShardIndex:
    """Read an index, and see that its files are there.

    Parameters
    ----------
    path : Path
        ``model.safetensors.index.json``.

    Returns
    -------
    ShardIndex
        With at least one tensor.

    Raises
    ------
    ConfigError
        As `parse_index`, or if files are missing: all of them at once.
    """
    index = parse_index(path)
    missing = [file.name for file in index.files if not file.is_file()]
    if missing:
        raise ConfigError(
            f"{path.parent} lacks {len(missing)} of {len(index.files)} weight files that "
            f"{path.name} names: {', '.join(missing)}. Fetch them from where the others are from"
        )
    return index


def parse_index(path: Path) -> ShardIndex:
    """Read an index whose files may not be here yet.

    Parameters
    ----------
    path : Path
        ``model.safetensors.index.json``.

    Returns
    -------
    ShardIndex
        With at least one tensor.

    Raises
    ------
    ConfigError
        If it cannot be read, or names a file outside its folder or of another kind.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error
    found = values.get("weight_map") if isinstance(values, dict) else None
    if not isinstance(found, dict) or not found:
        raise ConfigError(f"{path} has no weight_map; expected the file of each tensor")
    by_file: dict[str, list[str]] = {}
    for tensor, name in found.items():
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(_ENDING):
            raise ConfigError(
                f"{path}: tensor {tensor!r} is said to be in {name!r}; expected the name of a "
                f"{_ENDING} file beside the index"
            )
        by_file.setdefault(name, []).append(tensor)
    return ShardIndex(path=path, names={name: tuple(by_file[name]) for name in sorted(by_file)})


def require_keys(index: ShardIndex, file: Path, keys: Sequence[str]) -> None:
    """Refuse a file that does not hold just what the index says.

    Parameters
    ----------
    index : ShardIndex
        Of the weights.
    file : Path
        One of its files.
    keys : sequence of str
        Tensors that it holds.

    Raises
    ------
    ConfigError
        With the tensors that are missing, and those that the index does not place there.
    """
    wanted, held = set(index.names[file.name]), set(keys)
    told = _told(f"tensors that {index.path.name} places there are missing", wanted - held)
    told += _told(f"tensors are there that {index.path.name} does not place there", held - wanted)
    if told:
        raise ConfigError(f"{file}: {'; '.join(told)}. The files are not of one set of weights")


def digest_of_all(files: Sequence[Path]) -> str:
    """SHA-256 of the bytes of files, one after the other.

    Parameters
    ----------
    files : sequence of Path
        In their order.

    Returns
    -------
    str
        64 hexadecimal digits; of one file its own digest.
    """
    hasher = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                hasher.update(chunk)
    return hasher.hexdigest()


def _told(what: str, names: set[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(sorted(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return [f"{len(names)} {what} ({shown})"]
