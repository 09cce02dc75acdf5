"""Where and with what something was measured, without the machine's name."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["cpu_model", "load", "today", "versions"]

_PACKAGES = (
    *("metastra", "numpy", "scipy", "pandas", "numba"),
    *("lifelines", "scikit-survival", "torch", "torchsurv"),
)


def cpu_model() -> str:
    """Name the processor and how many cores this process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores usable"


def versions(*more: str) -> str:
    """List Python and the packages that are measured or measured with, and others by name."""
    found = [f"Python {platform.python_version()}"]
    for package in (*_PACKAGES, *more):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


def today() -> str:
    """Give the date in UTC."""
    return datetime.now(UTC).date().isoformat()


def load() -> str:
    """Give the load of the last minute: processes that wanted a core, others' included."""
    return f"{os.getloadavg()[0]:.1f}"
