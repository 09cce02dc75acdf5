"""`Cohort`: every analysed patient of a study, with endpoint, flow and digest."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.flow import CohortFlow
from metastra.cohort.hierarchy import Patient
from metastra.cohort.horizon_label import horizon_label
from metastra.digest import digest_value
from metastra.errors import NotEstimable, Problem
from metastra.study.study import Study
from metastra.survival.outcome import Outcome

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cohort"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cohort:
    """The analysed patients of all cohorts of a study.

    Parameters
    ----------
    study : Study
        What was promised.
    patients : tuple of Patient
        In the order of the study file's cohorts and of their tables; only analysed ones.
    time_days : ndarray of shape (n,)
        Follow-up since time zero; empty for endpoints other than survival.
    event : ndarray of shape (n,)
        0 censored, 1 event, 2 competing; empty for endpoints other than survival.
    entry_days : ndarray of shape (n,) or None
        Delayed entry since time zero.
    target : ndarray of shape (n,) or None
        Codes (binary, multiclass, ordinal: position in `levels`) or values (continuous).
    flows : tuple of CohortFlow
        One for each cohort.
    problems : tuple of Problem
        Warnings and notes that remain; refusals never reach a cohort.
    table_digests : dict of str to str
        SHA-256 of every table by ``cohort/kind``.
    """

    study: Study
    patients: tuple[Patient, ...]
    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    entry_days: NDArray[np.float64] | None = None
    target: NDArray[np.float64] | None = None
    flows: tuple[CohortFlow, ...] = ()
    problems: tuple[Problem, ...] = ()
    table_digests: dict[str, str]

    def __len__(self) -> int:
        return len(self.patients)

    @cached_property
    def cohort_names(self) -> NDArray[np.str_]:
        """Name of each patient's cohort, shape (n,)."""
        return np.array([patient.cohort for patient in self.patients], dtype=np.str_)

    @property
    def digest(self) -> str:
        """SHA-256 over the study, the tables and the endpoint that was built."""
        return digest_value(
            {
                "study": self.study.digest,
                "tables": self.table_digests,
                "patients": [[p.cohort, p.pseudonym] for p in self.patients],
                "time_days": self.time_days.tolist(),
                "event": self.event.tolist(),
                "entry_days": None if self.entry_days is None else self.entry_days.tolist(),
                "target": None if self.target is None else self.target.tolist(),
            }
        )

    def outcome(self, cohort: str | None = None) -> Outcome:
        """Take the survival outcome, in days.

        Parameters
        ----------
        cohort : str, optional
            Only this cohort's patients; all when left out.

        Returns
        -------
        Outcome
            In the order of `patients`.
        """
        whole = Outcome(time=self.time_days, event=self.event, entry=self.entry_days)
        return whole if cohort is None else whole.take(self.cohort_names == cohort)

    def frame(self) -> pd.DataFrame:
        """Write the cohort as the table ``cohort.csv``, study ids included.

        Returns
        -------
        DataFrame
            One row per patient: PATIENT, pseudonym, cohort, time_days, event, entry_days, target,
            n_slides, the declared clinical and metadata columns as the tables have them, and for
            survival endpoints ``label_T`` and ``ipcw_T`` for each horizon T (in the study's time
            unit): whether the event came by T, and the weight that makes up for those censored
            before.  Short follow-up drops nobody: the label is empty and the weight 0.  Weights
            are estimated in each cohort by itself; both are empty past a cohort's follow-up.
        """
        import pandas as pd

        columns: dict[str, object] = {
            "PATIENT": [p.id for p in self.patients],
            "pseudonym": [p.pseudonym for p in self.patients],
            "cohort": [p.cohort for p in self.patients],
        }
        if self.target is not None:
            columns["target"] = self.target
        else:
            columns["time_days"], columns["event"] = self.time_days, self.event
            if self.entry_days is not None:
                columns["entry_days"] = self.entry_days
        columns["n_slides"] = [len(p.slides) for p in self.patients]
        meta = self.study.metadata
        declared = [*self.study.clinical, *filter(None, (meta.site, meta.scanner, meta.scan_date))]
        for name in dict.fromkeys(declared):
            columns[name] = [p.values.get(name) for p in self.patients]
        return pd.DataFrame(columns | self._horizon_labels())

    def _horizon_labels(self) -> dict[str, NDArray[np.float64]]:
        """Yes/no labels at the horizons with their weights, cohort by cohort."""
        columns: dict[str, NDArray[np.float64]] = {}
        if self.target is not None:
            return columns
        horizons = zip(self.study.endpoint.horizons, self.study.horizons_days, strict=True)
        for shown, horizon_days in horizons:
            label, weight = np.full(len(self), np.nan), np.full(len(self), np.nan)
            for name in np.unique(self.cohort_names):
                mine = self.cohort_names == name
                with contextlib.suppress(NotEstimable):
                    made = horizon_label(self.outcome(str(name)), horizon_days)
                    label[mine] = np.where(made.label < 0, np.nan, made.label)
                    weight[mine] = made.weight
            columns[f"label_{shown:g}"], columns[f"ipcw_{shown:g}"] = label, weight
        return columns
