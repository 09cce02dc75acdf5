"""What this machine can do, what is missing, and the command that installs it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from metastra.kernels import VARIABLE, find_room
from metastra.version import VERSION

__all__ = ["Finding", "State", "examine"]

_EXTRAS: dict[str, dict[str, str]] = {
    "formats": {"imagecodecs": "TIFF compressed as JPEG 2000, JPEG XL, Zstandard or LZMA"},
    "hub": {"huggingface-hub": "weights of encoders from the hub"},
    "learn": {"torch": "training and foundation-model encoders"},
    "onnx": {"onnxruntime": "encoders on ONNX Runtime", "onnx": "encoders as ONNX files"},
    "openvino": {"openvino": "encoders on OpenVINO"},
    "ray": {"ray": "slides on a Ray cluster (--ray)"},
    "parquet": {"pyarrow": "tables in Parquet"},
    "pdf": {"weasyprint": "reports as PDF"},
    "xlsx": {"openpyxl": "tables in XLSX"},
}
_IMPORT_NAME = {
    "openslide-python": "openslide",
    "openslide-bin": "openslide_bin",
    "pillow": "PIL",
}
_LOW_DISK_GB = 5.0


class State(StrEnum):
    """How a finding is judged."""

    OK = "ok"
    MISSING = "missing"
    """Optional, and not there."""
    PROBLEM = "problem"
    """Has to be mended before metastra can work."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    name : str
        What.
    state : State
        How it is.
    found : str
        The figure or version.
    remedy : str
        The exact command or step; empty when nothing has to be done.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


def examine(folder: Path) -> list[Finding]:
    """Look at this machine.

    Parameters
    ----------
    folder : Path
        Where the study is or will be.

    Returns
    -------
    list of Finding
        Core first, then extras, then the machine.
    """
    return [
        Finding(name="Python", state=State.OK, found=platform.python_version()),
        Finding(name="metastra", state=State.OK, found=VERSION),
        *_core(),
        *_extras(),
        *_machine(folder),
    ]


def _core() -> list[Finding]:
    """Check that what the package requires is installed and can be found."""
    missing: list[str] = []
    present: list[str] = []
    for line in requires("metastra") or []:
        if "extra ==" in line:
            continue
        name = line.split(">")[0].split("=")[0].split("<")[0].split("[")[0].strip()
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        spec = find_spec(_IMPORT_NAME.get(name, name).replace("-", "_"))
        (present if spec is not None else missing).append(name)
    if missing:
        return [
            Finding(
                name="core packages",
                state=State.PROBLEM,
                found="missing: " + ", ".join(missing),
                remedy="python -m pip install --force-reinstall metastra",
            )
        ]
    return [Finding(name="core packages", state=State.OK, found=f"{len(present)} installed")]


def _extras() -> list[Finding]:
    findings = []
    for extra, packages in _EXTRAS.items():
        for package, what_for in packages.items():
            try:
                findings.append(
                    Finding(name=f"{what_for} ({package})", state=State.OK, found=version(package))
                )
            except PackageNotFoundError:
                findings.append(
                    Finding(
                        name=f"{what_for} ({package})",
                        state=State.MISSING,
                        found="not installed",
                        remedy=_way_to(extra),
                    )
                )
    return findings


def _way_to(extra: str) -> str:
    """Say how an extra is installed; an installation from an offline folder has no pip."""
    if find_spec("pip") is None:
        return f"install from an offline folder built with `make wheelhouse EXTRAS={extra},…`"
    constraint = " -c constraints-cpu.txt" if extra == "learn" else ""
    return f"python -m pip install{constraint} 'metastra[{extra}]'"


def _machine(folder: Path) -> list[Finding]:
    findings = [
        Finding(name="processors", state=State.OK, found=str(len(os.sched_getaffinity(0)))),
        Finding(name="memory", state=State.OK, found=f"{_memory_gb():.1f} GB"),
    ]
    existing = next((p for p in (folder, *folder.resolve().parents) if p.exists()), Path("/"))
    free_gb = shutil.disk_usage(existing).free / 1e9
    findings.append(
        Finding(
            name="free disk",
            state=State.OK if free_gb > _LOW_DISK_GB else State.PROBLEM,
            found=f"{free_gb:.1f} GB",
            remedy="" if free_gb > _LOW_DISK_GB else "free some space; a run needs at least 5 GB",
        )
    )
    findings.append(_writable(existing))
    findings.append(_kernels())
    return findings


def _kernels() -> Finding:
    """Say where compiled kernels are kept, which numba has to write once."""
    room = find_room(Path(__file__).parents[1], os.environ)
    return Finding(
        name="compiled kernels",
        state=State.OK if room.folder else State.PROBLEM,
        found=f"kept in {room.folder}" if room.folder else "no folder for them can be written",
        remedy="" if room.folder else f"set {VARIABLE} to a folder that only you may write",
    )


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _writable(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding(
            name="study folder",
            state=State.PROBLEM,
            found=f"cannot be written: {error.strerror}",
            remedy="choose a folder you may write, or ask its owner",
        )
    return Finding(name="study folder", state=State.OK, found="can be written")
