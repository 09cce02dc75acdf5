"""Open a study: its file, its pseudonyms, its run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metastra.cohort.check import CheckReport, check_study, study_pseudonyms
from metastra.digest import digest_value
from metastra.pseudonyms import Pseudonyms
from metastra.study.load import load_study
from metastra.study.study import Study

__all__ = ["OpenedStudy", "key_digest", "open_study"]


@dataclass(frozen=True, kw_only=True)
class OpenedStudy:
    """A study with what is needed to work on it.

    Parameters
    ----------
    study : Study
        As loaded.
    pseudonyms : Pseudonyms
        Under the study's own key.
    """

    study: Study
    pseudonyms: Pseudonyms

    @property
    def run_dir(self) -> Path:
        """The folder ``run`` beside the study file."""
        return self.study.folder / "run"

    def check(self) -> CheckReport:
        """Check the study's tables.

        Returns
        -------
        CheckReport
            With every problem.
        """
        return check_study(self.study, self.pseudonyms)


def key_digest(pseudonyms: Pseudonyms) -> str:
    """Tell one key of pseudonyms from another, without giving it away.

    Parameters
    ----------
    pseudonyms : Pseudonyms
        Of a study.

    Returns
    -------
    str
        64 hexadecimal digits, of the pseudonym of a made-up patient.
    """
    return digest_value(pseudonyms.patient("metastra"))


def open_study(path: Path, key: Path | None = None) -> OpenedStudy:
    """Load a study file and the key of its pseudonyms.

    Parameters
    ----------
    path : Path
        The study file, or the folder that holds ``study.toml``.
    key : Path, optional
        Of the pseudonyms; by default the study file's name with ``.key``, made when it is missing.

    Returns
    -------
    OpenedStudy
        Ready to be checked or run.

    Raises
    ------
    ConfigError
        If the study file cannot be used or the key is not private.
    """
    study = load_study(path)
    return OpenedStudy(study=study, pseudonyms=study_pseudonyms(study, key))
