"""The manifest of a run: what ran, with what, on which machine, how long, and what came of it.

``run.json`` says what was decided and is the same for the same study; this is about one evening on
one machine, so each run leaves a file of its own, also one that was stopped.  No path and no name
of a patient stands in it.  Beside it lies the summary, as it was shown to the person at the
terminal.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from metastra.errors import ConfigError, ResourceError
from metastra.storage import json_bytes, parse_json, write_bytes
from metastra.version import VERSION

__all__ = ["RUNS", "RunLog", "machine", "past_runs", "run_kept"]

RUNS = "runs"
"""Folder of the manifests, beside the products."""

_PACKAGES = (
    *("numpy", "scipy", "numba", "pandas", "h5py"),
    *("openslide-bin", "tifffile", "simplejpeg", "torch", "openvino", "onnxruntime"),
)


class RunLog:
    """What a run notes while it is at work.

    Parameters
    ----------
    command : str
        For instance ``"run"``.
    arguments : mapping
        Plain values, without paths.

    Attributes
    ----------
    seconds : dict of str to float
        Elapsed time of each stage.
    found : dict
        What came of it: counts, digests.
    said : sequence of str
        The summary as the person at the terminal reads it.
    place : Path or None
        Where the manifest lies, once the run has ended.
    """

    def __init__(self, command: str, arguments: Mapping[str, Any]) -> None:
        self.command, self.arguments = command, dict(arguments)
        self.seconds: dict[str, float] = {}
        self.found: dict[str, Any] = {}
        self.said: Sequence[str] = ()
        self.place: Path | None = None
        self._begun, self._begun_s = datetime.now(UTC), time.monotonic()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of a stage.

        Parameters
        ----------
        name : str
            Of the stage.
        """
        begun_s = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - begun_s, 3)

    def to_json(self, ended: str) -> dict[str, Any]:
        """Write the manifest as plain values.

        Parameters
        ----------
        ended : str
            ``"finished"``, or what stopped the run.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "command": self.command,
            "arguments": self.arguments,
            "metastra": VERSION,
            "python": platform.python_version(),
            "packages": _packages(),
            "machine": machine(),
            "began_at": self._begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ended_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ended": ended,
            "seconds": round(time.monotonic() - self._begun_s, 3),
            "stage_seconds": self.seconds,
            **self.found,
            "research_use": "Research use only. Not for diagnosis or treatment.",
        }

    def keep(self, folder: Path, ended: str) -> None:
        """Leave the manifest and the summary; a disk that is full is told by what must be written.

        Parameters
        ----------
        folder : Path
            Of the products.
        ended : str
            As `to_json`.
        """
        name = self._begun.strftime("%Y%m%dT%H%M%S.%fZ")
        place = folder / RUNS / f"{name}.json"
        with contextlib.suppress(ConfigError, ResourceError):
            write_bytes(place, json_bytes(self.to_json(ended)))
            if self.said:
                text = "".join(f"{line}\n" for line in self.said)
                write_bytes(place.with_suffix(".txt"), text.encode())
            self.place = place


@contextlib.contextmanager
def run_kept(folder: Path, command: str, arguments: Mapping[str, Any]) -> Iterator[RunLog]:
    """Leave a manifest of what is done in the block, however that ends.

    Parameters
    ----------
    folder : Path
        Of the products.
    command, arguments
        As `RunLog`.

    Yields
    ------
    RunLog
        Filled by whoever works.
    """
    log = RunLog(command, arguments)
    try:
        yield log
    except BaseException as error:
        log.keep(folder, f"stopped by {type(error).__name__}")
        raise
    log.keep(folder, "finished")


def past_runs(folder: Path) -> list[dict[str, Any]]:
    """Read the manifests of a folder.

    Parameters
    ----------
    folder : Path
        Of the products.

    Returns
    -------
    list of dict
        The oldest first; files that are no manifests are passed over.
    """
    found = []
    for path in sorted((folder / RUNS).glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.append(dict(parse_json(path.read_bytes())))
    return found


def machine() -> dict[str, Any]:
    """Say what a run had at its disposal, without the machine's name.

    Returns
    -------
    dict
        Processor, cores, memory and system.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
