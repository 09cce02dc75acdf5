"""What a folder of wheels holds: names, versions, statements of licence, digests, needs."""

from __future__ import annotations

import email.parser
import hashlib
import itertools
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

__all__ = ["Wheel", "WheelError", "glibc_needed", "read_wheels", "sha256_of"]


class WheelError(Exception):
    """The folder cannot become an offline installation; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """One wheel of the folder.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Canonical name of the package.
    version : str
        As the wheel states it, a local part like ``+cpu`` included.
    metadata : Message
        The wheel's METADATA.
    sha256 : str
        Of the file, hexadecimal.
    """

    path: Path
    name: str
    version: str
    metadata: Message
    sha256: str

    def needs(self, extras: Iterable[str] = ()) -> list[str]:
        """Name the packages that this one requires here, canonical and sorted.

        Parameters
        ----------
        extras : iterable of str
            Extras of this package that are wanted.
        """
        found = set()
        for line in self.metadata.get_all("Requires-Dist") or []:
            wanted = Requirement(line)
            places = [{**default_environment(), "extra": extra} for extra in ("", *extras)]
            if wanted.marker is None or any(wanted.marker.evaluate(place) for place in places):
                found.add(canonicalize_name(wanted.name))
        return sorted(found)


def read_wheels(folder: Path) -> list[Wheel]:
    """Read every wheel of a folder.

    Parameters
    ----------
    folder : Path
        Holds wheels and nothing else.

    Returns
    -------
    list of Wheel
        Sorted by name.

    Raises
    ------
    WheelError
        Something else lies there, or a package is there twice.
    """
    others = sorted(p.name for p in folder.iterdir() if p.suffix != ".whl")
    if others:
        raise WheelError(f"{folder}: not wheels: {', '.join(others)}")
    wheels = sorted((_read(path) for path in folder.iterdir()), key=lambda wheel: wheel.name)
    twice = sorted({a.name for a, b in itertools.pairwise(wheels) if a.name == b.name})
    if twice:
        raise WheelError(f"{folder}: more than one wheel of {', '.join(twice)}")
    return wheels


def _read(path: Path) -> Wheel:
    name, version, _, _ = parse_wheel_filename(path.name)
    with zipfile.ZipFile(path) as archive:
        (inside,) = (
            entry
            for entry in archive.namelist()
            if entry.endswith(".dist-info/METADATA") and entry.count("/") == 1
        )
        metadata = email.parser.HeaderParser().parsestr(archive.read(inside).decode("utf-8"))
    return Wheel(
        path=path, name=name, version=str(version), metadata=metadata, sha256=sha256_of(path)
    )


def sha256_of(path: Path) -> str:
    """Digest a file without holding it in memory.

    Parameters
    ----------
    path : Path
        Any file.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def glibc_needed(wheels: Iterable[Wheel]) -> tuple[tuple[int, int], str]:
    """Find the oldest GNU C library on which all the wheels install.

    Parameters
    ----------
    wheels : iterable of Wheel
        Each may carry several platform tags; the least demanding counts.

    Returns
    -------
    tuple
        Version, and the name of a package that needs it; ``(0, 0)`` when none needs any.
    """
    worst = ((0, 0), "")
    for wheel in wheels:
        platforms = {tag.platform for tag in parse_wheel_filename(wheel.path.name)[3]}
        wanted = [
            (int(parts[1]), int(parts[2]))
            for parts in (platform.split("_") for platform in platforms)
            if parts[0] == "manylinux" and len(parts) > 3 and parts[1].isdigit()
        ]
        if wanted:
            worst = max(worst, (min(wanted), wheel.name))
    return worst
