"""From a folder of wheels to an installation that can be carried in: lock, lists, sums."""

from __future__ import annotations

import csv
import io
import json
import platform
import shutil
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from offline.bill import bill_of
from offline.licences import Licence, Verdict, licence_of
from offline.wheels import Wheel, WheelError, glibc_needed, read_wheels, sha256_of

__all__ = ["CARRIED", "INSTALLER", "fill_folder", "refuse_licences"]

INSTALLER = "pip"
"""Carried along to install the others; not installed itself."""

CARRIED = ("install.sh", "install.py", "Containerfile")
"""Files of this package that go into the folder as they are."""

_HERE = Path(__file__).parent
_WORDS = {
    Verdict.PERMISSIVE: "permissive",
    Verdict.WEAK_COPYLEFT: "weak copyleft",
    Verdict.UNKNOWN: "accepted by who built this folder",
}


def refuse_licences(
    wheels: Sequence[Wheel], licences: Sequence[Licence], accepted: Collection[str]
) -> None:
    """Stop where a licence forbids passing the folder on, or where nobody has read it.

    Parameters
    ----------
    wheels, licences : sequence
        In the same order.
    accepted : collection of str
        Packages whose licence the builder has read; counts for unknown ones, never for the GPL.

    Raises
    ------
    WheelError
        Names all of them at once.
    """
    refused, unread = [], []
    for wheel, licence in zip(wheels, licences, strict=True):
        line = f"  {wheel.name} {wheel.version}: {licence.text}"
        if licence.verdict is Verdict.REFUSED:
            refused.append(line)
        elif licence.verdict is Verdict.UNKNOWN and wheel.name not in accepted:
            unread.append(line)
    told = []
    if refused:
        told += ["under the GPL or AGPL, which no dependency at run time may be:", *refused]
    if unread:
        told += [
            "with a licence that offline/licences.py does not list (read it, then ACCEPT=name,…):",
            *unread,
        ]
    if told:
        raise WheelError("\n".join(["packages", *told]))


def fill_folder(
    folder: Path, extras: Sequence[str], accepted: Collection[str], made_s: int
) -> dict[str, object]:
    """Write everything but the wheels, which lie in ``folder/wheels`` already.

    Parameters
    ----------
    folder : Path
        The offline installation to be.
    extras : sequence of str
        Extras of metastra that its wheels cover.
    accepted : collection of str
        Packages whose unlisted licence was read.
    made_s : int
        Time of the sources, seconds since 1970.

    Returns
    -------
    dict
        What ``about.json`` says.

    Raises
    ------
    WheelError
        Something is missing, or a licence is refused.
    """
    wheels = read_wheels(folder / "wheels")
    names = {wheel.name: wheel for wheel in wheels}
    lost = sorted({"metastra", INSTALLER} - names.keys())
    for wheel in wheels:
        wanted = wheel.needs(extras if wheel.name == "metastra" else ())
        lost += [f"{name} (for {wheel.name})" for name in wanted if name not in names]
    if lost:
        raise WheelError(f"{folder / 'wheels'}: no wheel of {', '.join(lost)}")
    licences = [licence_of(wheel.metadata) for wheel in wheels]
    refuse_licences(wheels, licences, accepted)

    glibc, because = glibc_needed(wheels)
    about: dict[str, object] = {
        "metastra": names["metastra"].version,
        "extras": list(extras),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "machine": platform.machine(),
        "glibc": ".".join(str(part) for part in glibc),
        "glibc_because": because,
        "research_use": "Research use only. Not for diagnosis or treatment.",
    }
    _write(folder / "about.json", _json(about))
    _write(folder / "requirements.lock", _lock(wheels))
    _write(folder / "packages.csv", _packages(wheels, licences))
    _write(folder / "sbom.cdx.json", _json(bill_of(wheels, licences, extras, made_s)))
    for name in CARRIED:
        shutil.copy(_HERE / name, folder / name)
    shutil.copy(_HERE.parent / "LICENSE", folder / "LICENSE")
    _write(folder / "SHA256SUMS", _sums(folder))
    return about


def _lock(wheels: Sequence[Wheel]) -> str:
    lines = [
        f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
        for wheel in wheels
        if wheel.name != INSTALLER
    ]
    return "".join(lines)


def _packages(wheels: Sequence[Wheel], licences: Sequence[Licence]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["package", "version", "licence", "stated_in", "judged", "bytes", "sha256", "file"]
    )
    for wheel, licence in zip(wheels, licences, strict=True):
        table.writerow(
            [
                wheel.name,
                wheel.version,
                licence.text,
                licence.source,
                _WORDS[licence.verdict],
                wheel.path.stat().st_size,
                wheel.sha256,
                f"wheels/{wheel.path.name}",
            ]
        )
    return text.getvalue()


def _sums(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{sha256_of(path)}  {path.relative_to(folder)}\n" for path in files)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
