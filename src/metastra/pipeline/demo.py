"""The demo: a synthetic study whose truth is known, written, checked and run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.errors import ConfigError
from metastra.pipeline.opening import open_study
from metastra.pipeline.run import RunSummary, run_study
from metastra.storage import write_bytes
from metastra.synthetic.generate import synthetic_study

__all__ = ["DemoSummary", "run_demo"]


@dataclass(frozen=True, kw_only=True)
class DemoSummary:
    """What the demo made.

    Parameters
    ----------
    folder : Path
        Of the study.
    checked : str
        The check's summary.
    run : RunSummary
        What the run did.
    """

    folder: Path
    checked: str
    run: RunSummary

    @property
    def report(self) -> Path:
        """The report's page."""
        return self.run.run_dir / "report" / "index.html"

    def lines(self) -> list[str]:
        """Say what was made and what to do next.

        Returns
        -------
        list of str
            For a person.
        """
        return [
            f"synthetic study: {self.folder / 'study.toml'}",
            *self.checked.splitlines(),
            *self.run.lines(),
            "open it in any browser; it needs no network and no server",
        ]

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "study_file": "study.toml",
            "checked": self.checked.splitlines(),
            "run": self.run.to_json(),
        }


def run_demo(folder: Path, *, patients: int, seed: int) -> DemoSummary:
    """Write the synthetic study, check it and run it.

    Parameters
    ----------
    folder : Path
        Made when it is missing; an earlier demo in it is brought up to date.
    patients : int
        In all cohorts together.
    seed : int
        Of the synthetic truth.

    Returns
    -------
    DemoSummary
        With the place of the report.

    Raises
    ------
    ConfigError
        If the folder holds something else than a demo.
    """
    files = synthetic_study(n_patients=patients, seed=seed)
    strangers = _strangers(folder, set(files))
    if strangers:
        raise ConfigError(
            f"{folder} holds {strangers[0]!r}, which is no part of a demo; choose an empty folder"
        )
    for name, content in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:
            write_bytes(path, content)
    opened = open_study(folder)
    checked = opened.check().summary()
    return DemoSummary(folder=folder, checked=checked, run=run_study(opened))


def _strangers(folder: Path, own: set[str]) -> list[str]:
    """List files that a demo does not write."""
    if not folder.exists():
        return []
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    own = own | {"study.key"}
    return [name for name in names if name not in own and not name.startswith("run/")]
