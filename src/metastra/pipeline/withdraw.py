"""``withdraw``: a patient out of every product of a run, for good, and what is to be refitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from metastra.cohort.assemble import read_part
from metastra.cohort.withdrawn import WITHDRAWN_COLUMNS, withdrawn_path, withdrawn_patients
from metastra.errors import ConfigError
from metastra.pipeline.opening import OpenedStudy, key_digest, open_study
from metastra.pipeline.withdraw_products import Removed, ids_of_run, traces_of
from metastra.pipeline.withdraw_refit import Refit, what_to_refit
from metastra.storage import csv_bytes, csv_rows, hold, read_record, write_bytes
from metastra.study.load import load_study

__all__ = ["Withdrawal", "Withdrawn", "open_to_withdraw", "withdraw"]

_UNTOUCHED = (
    "Not touched: the study's own tables and slides, reviews in the run folder, bundles and "
    "predictions that were copied or handed out, slide vectors and feature files in other folders, "
    "backups. A prospective study has a ledger of its own: metastra prospective withdraw."
)


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """Who withdraws.

    Parameters
    ----------
    patient : str
        The id as the clinical table has it, or the pseudonym.
    cohort : str or None
        The one cohort; needed only where several cohorts number their own patients.
    day : date
        Of the withdrawal.
    reason : str
        Free text for the list; it must not name the patient.
    """

    patient: str
    day: date
    cohort: str | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """What became of a patient's traces.

    Parameters
    ----------
    study : str
        Name of the study.
    patients : tuple of (str, str)
        Cohort and pseudonym: one, or one for each cohort that lists the same person.
    listed : bool
        Whether the list was written now; False where the patient stood in it already.
    removed : Removed
        Products that are gone or were written anew.
    refit : tuple of Refit
        What was fitted on the patient, and how to fit it again.
    """

    study: str
    patients: tuple[tuple[str, str], ...]
    listed: bool
    removed: Removed
    refit: tuple[Refit, ...] = field(default_factory=tuple)

    def lines(self) -> list[str]:
        """Say what was done.

        Returns
        -------
        list of str
            For a person; the patient stands under the pseudonym.
        """
        who = " and ".join(f"{name} of {cohort}" for cohort, name in self.patients)
        listed = "now stands in withdrawn.csv" if self.listed else "stood in withdrawn.csv already"
        lines = [f"{who} {listed} and does not come back"]
        lines += [f"deleted    {what}" for what in self.removed.deleted]
        lines += [f"rewritten  {what}" for what in self.removed.rewritten]
        if not (self.removed.deleted or self.removed.rewritten):
            lines.append("no product holds anything of this patient")
        lines += [f"refit      {item.what}: {item.why}; {item.how}" for item in self.refit]
        if not self.refit:
            lines.append("refit      nothing: no model of this run was fitted on the patient")
        lines.append(_UNTOUCHED)
        return lines

    def to_json(self) -> dict[str, Any]:
        """Write the outcome as plain values.

        Returns
        -------
        dict
            Strict JSON, without the study id.
        """
        return {
            "study": self.study,
            "patients": [{"patient": name, "cohort": cohort} for cohort, name in self.patients],
            "listed_now": self.listed,
            "deleted": list(self.removed.deleted),
            "rewritten": list(self.removed.rewritten),
            "refit": [item.to_json() for item in self.refit],
            "not_touched": _UNTOUCHED,
            "research_use": "Research use only. Not for diagnosis or treatment.",
        }


def open_to_withdraw(path: Path, key: Path | None = None) -> OpenedStudy:
    """Open a study under the key that it has; unlike a check or a run, make none.

    Parameters
    ----------
    path : Path
        The study file, or the folder that holds ``study.toml``.
    key : Path, optional
        Of the pseudonyms; by default the study file's name with ``.key``.

    Returns
    -------
    OpenedStudy
        Whose pseudonyms are those of its run.

    Raises
    ------
    ConfigError
        If there is no key, or the run was made under another: under a new key nothing of the
        patient would be found.
    """
    study = load_study(path)
    place = key if key is not None else Path(str(study.path)).with_suffix(".key")
    if not place.exists():
        raise ConfigError(
            f"the pseudonym key {place.name!r} is not there; without the key of its run nothing of "
            "a patient can be found. Put it back from a copy or name it with --key; a study that "
            "was never checked or run gets one by metastra check"
        )
    opened = open_study(path, key)
    record = read_record(opened.run_dir, "cohort")
    made_under = record.recipe.parents.get("pseudonyms") if record is not None else None
    if made_under is not None and made_under.digest != key_digest(opened.pseudonyms):
        raise ConfigError(
            f"the run was made under another pseudonym key than {place.name!r}; name that key with "
            "--key, or nothing of the patient would be found"
        )
    return opened


def withdraw(opened: OpenedStudy, asked: Withdrawal) -> Withdrawn:
    """Take a patient out of a study: first into the list, then out of every product.

    The list comes first, so that a command that is killed leaves nobody who could come back; the
    same command then goes on.  Features of others are not touched and not made again.

    Parameters
    ----------
    opened : OpenedStudy
        The study, under the key that made its pseudonyms.
    asked : Withdrawal
        Who.

    Returns
    -------
    Withdrawn
        With everything that was removed, and what has to be refitted.

    Raises
    ------
    ConfigError
        If the patient is not known, or stands in several cohorts that number their own.
    DataError
        If the list that is there is damaged.
    BusyError
        If a run is at work in the folder.
    ResourceError
        If a product cannot be rewritten; calling again goes on.
    IntegrityError
        If the folds are damaged; all else is removed then.
    """
    known = _Known.of(opened)
    patients = known.find(asked)
    if not opened.run_dir.is_dir():
        listed = _list(opened, patients, asked)
        return Withdrawn(
            study=opened.study.study.name, patients=patients, listed=listed, removed=Removed()
        )
    with hold(opened.run_dir):
        traces = traces_of(
            opened.run_dir,
            patients,
            keys=known.keys_of(patients),
            listed=known.slides_of(patients),
            others=known.slides_of(known.keys.keys() - set(patients)),
        )
        listed = _list(opened, patients, asked)
        refit = what_to_refit(opened, patients, traces)
        removed = traces.remove()
    return Withdrawn(
        study=opened.study.study.name,
        patients=patients,
        listed=listed,
        removed=removed,
        refit=refit,
    )


@dataclass(frozen=True, kw_only=True)
class _Known:
    """Everybody whom the tables, the list of the withdrawn or the run hold."""

    opened: OpenedStudy
    keys: dict[tuple[str, str], str]
    """Ids by cohort and pseudonym, of whom the tables list now."""
    ran: dict[str, str]
    """Ids by pseudonym, of whom products of the run hold, listed or not."""
    cohorts: frozenset[tuple[str, str]]
    """Cohort and pseudonym of whom the run's cohort holds."""
    slides: dict[tuple[str, str], frozenset[str]]
    listed: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, opened: OpenedStudy) -> _Known:
        """Read the tables; whether they would be refused is no question here."""
        keys: dict[tuple[str, str], str] = {}
        slides: dict[tuple[str, str], frozenset[str]] = {}
        name = opened.pseudonyms.slide
        for section in opened.study.cohort:
            for one in read_part(opened.study, section, opened.pseudonyms).patients:
                who = (section.name, one.pseudonym)
                keys[who] = one.key
                slides[who] = frozenset(
                    name(f"{section.name}/{slide.filename}") for slide in one.slides
                )
        ids, cohorts = ids_of_run(opened.run_dir)
        return cls(
            opened=opened,
            keys=keys,
            ran={opened.pseudonyms.patient(key): key for key in ids},
            cohorts=cohorts,
            slides=slides,
            listed=withdrawn_patients(opened.study),
        )

    def find(self, asked: Withdrawal) -> tuple[tuple[str, str], ...]:
        """Name the patient in each cohort that has him."""
        study = self.opened.study
        cohorts = [section.name for section in study.cohort]
        if asked.cohort is not None and asked.cohort not in cohorts:
            raise ConfigError(
                f"there is no cohort {asked.cohort!r}; the study has {', '.join(cohorts)}"
            )
        own_numbers = study.study.patient_ids == "per-cohort"
        found = []
        for cohort in cohorts if asked.cohort is None else [asked.cohort]:
            key = f"{cohort}:{asked.patient.strip()}" if own_numbers else asked.patient
            names = {asked.patient.strip(), self.opened.pseudonyms.patient(key)}
            everybody = {*self.keys, *self.listed, *self.cohorts}
            found += sorted(who for who in everybody if who[0] == cohort and who[1] in names)
        if not found:
            raise ConfigError(
                "no patient of this study has this id; give it as the clinical table has it, or "
                "the pseudonym (P-…, column pseudonym of run/cohort.csv). A pseudonym under "
                "another key is another one (--key)"
            )
        if own_numbers and len({name for _, name in found}) > 1:
            raise ConfigError(
                f"cohorts {' and '.join(cohort for cohort, _ in found)} number their own patients "
                "and each has this id; say which with --cohort"
            )
        return tuple(found)

    def keys_of(self, patients: Iterable[tuple[str, str]]) -> frozenset[str]:
        """Give the ids under which products hold them."""
        mine = set(patients)
        now = {self.keys[who] for who in mine if who in self.keys}
        return frozenset(now | {self.ran[name] for _, name in mine if name in self.ran})

    def slides_of(self, patients: Iterable[tuple[str, str]]) -> frozenset[str]:
        """Give the pseudonyms of the slides that the tables list for them."""
        return frozenset().union(*(self.slides.get(who, frozenset()) for who in patients))


def _list(opened: OpenedStudy, patients: tuple[tuple[str, str], ...], asked: Withdrawal) -> bool:
    """Write the patients into the list; False where they stand there already."""
    path = withdrawn_path(opened.study)
    if path is None:
        raise ConfigError("the study was not loaded from a file, so there is no list to write")
    standing = withdrawn_patients(opened.study)
    rows = _rows(path)
    new = [
        [name, cohort, asked.day.isoformat(), " ".join(asked.reason.split())]
        for cohort, name in patients
        if (cohort, name) not in standing
    ]
    if new:
        write_bytes(path, csv_bytes(list(WITHDRAWN_COLUMNS), [*rows, *new]))
    return bool(new)


def _rows(path: Path) -> list[list[str]]:
    return [list(row) for row in csv_rows(path.read_bytes())[1]] if path.exists() else []
