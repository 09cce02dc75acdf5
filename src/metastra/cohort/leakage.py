"""Leakage that tables can show: patients, slides and dates on the wrong side of a line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metastra.catalogue import problem
from metastra.cohort.hierarchy import Patient, Role
from metastra.cohort.identifiers import normalise_id
from metastra.digest import digest_file
from metastra.errors import Problem, Where
from metastra.study.study import Study

__all__ = [
    "dated_after_prediction",
    "metastasis_slides",
    "patients_elsewhere",
    "patients_in_two_cohorts",
    "shared_slides",
    "twins",
]

_CHANCE = 0.1
"""Pairs that agree by chance are reported less often than this in a study, however large."""


def _folded(id_: str) -> str:
    return "".join(normalise_id(id_).casefold().split())


def patients_in_two_cohorts(
    patients: Sequence[Patient], clini_names: Mapping[str, str]
) -> list[Problem]:
    """Find patients who occur in several cohorts.

    Parameters
    ----------
    patients : sequence of Patient
        Of all cohorts.
    clini_names : mapping of str to str
        Cohort → name of its clinical table.

    Returns
    -------
    list of Problem
        ``LK001``, one for each pair of cohorts; rows and patients are those of the second.
    """
    first: dict[str, list[Patient]] = defaultdict(list)
    for patient in patients:
        first[_folded(patient.id)].append(patient)
    pairs: dict[tuple[str, str], list[tuple[Patient, Patient]]] = defaultdict(list)
    for same in first.values():
        for index, one in enumerate(same):
            for other in same[index + 1 :]:
                if one.cohort != other.cohort:
                    pairs[one.cohort, other.cohort].append((one, other))
    return [
        problem(
            "LK001",
            f"{len(found)} patient{'s' if len(found) > 1 else ''} of cohort {there!r} "
            f"{'are' if len(found) > 1 else 'is'} also in cohort {here!r}",
            where=Where(
                file=clini_names[there], cohort=there, rows=tuple(other.row for _, other in found)
            ),
            patients=tuple(other.pseudonym for _, other in found),
        )
        for (here, there), found in pairs.items()
    ]


def patients_elsewhere(
    study: Study, cohorts: Sequence[Sequence[Patient]]
) -> dict[tuple[str, str], str]:
    """Say who leaves a cohort because another one keeps them.

    Parameters
    ----------
    study : Study
        Whose ``overlap`` rule decides; nobody leaves when it refuses.
    cohorts : sequence of sequence of Patient
        In the order of the study file.

    Returns
    -------
    dict of (str, str) to str
        Cohort and pseudonym of those who leave → the cohort that keeps them.  Among cohorts of
        one role the first of the study file keeps.
    """
    if study.overlap == "refuse" or study.study.patient_ids == "per-cohort":
        return {}
    keeps_development = study.overlap == "keep-in-development"
    ranked = sorted(
        range(len(cohorts)),
        key=lambda i: (study.cohort[i].role == "development") is not keeps_development,
    )
    keeper: dict[str, str] = {}
    leaving: dict[tuple[str, str], str] = {}
    for position in ranked:
        name = study.cohort[position].name
        for patient in cohorts[position]:
            kept = keeper.setdefault(_folded(patient.id), name)
            if kept != name:
                leaving[name, patient.pseudonym] = kept
    return leaving


@dataclass(frozen=True, kw_only=True)
class _File:
    patient: Patient
    path: Path
    row: int


def shared_slides(patients: Sequence[Patient], slide_names: Mapping[str, str]) -> list[Problem]:
    """Find slide files with the same content under two patients or cohorts.

    Parameters
    ----------
    patients : sequence of Patient
        Of all cohorts, with the paths of their slides.
    slide_names : mapping of str to str
        Cohort → name of its slide table.

    Returns
    -------
    list of Problem
        ``LK002`` for files of two patients, ``CO020`` for copies within one patient.

    Notes
    -----
    Files are compared by size first; only files of equal size are read and digested, so that a
    cohort of different slides costs one `stat` call for each.
    """
    by_size: dict[int, list[_File]] = defaultdict(list)
    for patient in patients:
        for slide in patient.slides:
            if slide.path is not None and slide.path.is_file():
                size = slide.path.stat().st_size
                by_size[size].append(_File(patient=patient, path=slide.path, row=slide.row))
    problems = []
    for same_size in by_size.values():
        for same in _same_content(same_size):
            owners = {(item.patient.cohort, item.patient.id) for item in same}
            code = "LK002" if len(owners) > 1 else "CO020"
            text = f"{len(same)} files have the same content" + (
                f" under {len(owners)} patients" if len(owners) > 1 else " in one patient"
            )
            for cohort in dict.fromkeys(item.patient.cohort for item in same):
                mine = [item for item in same if item.patient.cohort == cohort]
                problems.append(
                    problem(
                        code,
                        text,
                        where=Where(
                            file=slide_names[cohort],
                            cohort=cohort,
                            column="FILENAME",
                            rows=tuple(item.row for item in mine),
                        ),
                        patients=tuple(item.patient.pseudonym for item in mine),
                    )
                )
    return problems


def _same_content(files: Sequence[_File]) -> Iterator[list[_File]]:
    if len(files) < 2:
        return
    by_digest: dict[str, list[_File]] = defaultdict(list)
    for item in files:
        by_digest[digest_file(item.path)].append(item)
    yield from (same for same in by_digest.values() if len(same) > 1)


def twins(
    patients: Sequence[Patient], columns: Sequence[str], clini_names: Mapping[str, str]
) -> list[Problem]:
    """Find ids that look like one patient.

    Parameters
    ----------
    patients : sequence of Patient
        Of all cohorts.
    columns : sequence of str
        Clinical columns, follow-up time included, in which one patient would agree.
    clini_names : mapping of str to str
        Cohort → name of its clinical table.

    Returns
    -------
    list of Problem
        ``LK003``, one for each group of patients who agree in every column (the same ones
        missing), where agreement by chance is not credible.

    Notes
    -----
    With ``p_j`` the share of patients who have the group's value in column j, the group itself
    counted once, ``n (n - 1) Π p_j`` pairs are expected to be found like this one when columns are
    independent.  A value that nobody else has gets the rate at which any two patients of the
    column agree (one pair at the least), which is what a measured value deserves.  Groups with an
    expectation of 0.1 or less are reported; so two patients who share a coarse age, a common stage
    and the last day of a trial are not.
    """
    n = len(patients)
    counts = {name: Counter(patient.values.get(name) for patient in patients) for name in columns}
    groups: dict[tuple[str | None, ...], list[Patient]] = defaultdict(list)
    for patient in patients:
        groups[tuple(patient.values.get(name) for name in columns)].append(patient)
    problems = []
    for cells, same in groups.items():
        if len({_folded(patient.id) for patient in same}) < 2:
            continue
        expected = float(n * (n - 1))
        for name, cell in zip(columns, cells, strict=True):
            expected *= _share(counts[name], cell, len(same) - 1)
        if expected <= _CHANCE:
            problems.append(_twin_problem(same, clini_names))
    return problems


def _share(counts: Counter[str | None], cell: str | None, others: int) -> float:
    """Estimate how likely a patient has a value, when `others` of those who do are set aside."""
    n = counts.total() - others
    count = counts[cell] - others
    pairs = n * (n - 1) / 2
    if count > 1 or pairs < 1:
        return count / n
    agreeing = sum(c * (c - 1) // 2 for c in counts.values()) - others * (others + 1) // 2
    return max(agreeing, 1) / pairs


def _twin_problem(same: Sequence[Patient], clini_names: Mapping[str, str]) -> Problem:
    cohort = same[0].cohort
    together = all(patient.cohort == cohort for patient in same)
    places = ", ".join(f"{patient.cohort} row {patient.row}" for patient in same)
    return problem(
        "LK003",
        f"{len(same)} ids agree in every recorded value ({places})",
        where=Where(
            cohort=cohort,
            file=clini_names[cohort],
            rows=tuple(patient.row for patient in same) if together else (),
        ),
        patients=tuple(patient.pseudonym for patient in same),
    )


def metastasis_slides(patients: Sequence[Patient], slide_names: Mapping[str, str]) -> list[Problem]:
    """Find slides of metastases among the inputs of a model of spread.

    Parameters
    ----------
    patients : sequence of Patient
        With the slides that the study's rule selects.
    slide_names : mapping of str to str
        Cohort → name of its slide table.

    Returns
    -------
    list of Problem
        ``LK005``, one for each cohort.
    """
    found: dict[str, list[tuple[Patient, int]]] = defaultdict(list)
    for patient in patients:
        for slide in patient.slides:
            if slide.role is Role.METASTASIS:
                found[patient.cohort].append((patient, slide.row))
    return [
        problem(
            "LK005",
            f"{len(rows)} slide{'s' if len(rows) > 1 else ''} of metastases among the inputs",
            where=Where(
                file=slide_names[cohort], cohort=cohort, rows=tuple(row for _, row in rows)
            ),
            hint='Set roles = ["primary"] under [slides], or choose an endpoint after metastasis.',
            patients=tuple(patient.pseudonym for patient, _ in rows),
        )
        for cohort, rows in found.items()
    ]


def dated_after_prediction(
    patients: Sequence[Patient], *, after: Mapping[str, str], at_procedure: bool = False
) -> list[Problem]:
    """Find specimens that were taken after the time of prediction.

    Parameters
    ----------
    patients : sequence of Patient
        With specimens and the slides that the study's rule selects.
    after : mapping of str to str
        Cohort → name of its specimen table.
    at_procedure : bool
        Whether the time of prediction is the procedure that made the slide, as for endpoints after
        metastasis; otherwise it is the time origin.

    Returns
    -------
    list of Problem
        ``LK004``, one for each cohort, for specimens whose slides are used.
    """
    found: dict[str, list[tuple[Patient, int]]] = defaultdict(list)
    for patient in patients:
        limit = (patient.course.procedure_days or 0.0) if at_procedure else 0.0
        used = {slide.specimen for slide in patient.slides if slide.specimen}
        for specimen in patient.specimens:
            late = specimen.days is not None and specimen.days > limit
            if late and (specimen.specimen in used or not used):
                found[patient.cohort].append((patient, specimen.row))
    return [
        problem(
            "LK004",
            f"{len(rows)} specimens taken after the time of prediction",
            where=Where(
                file=after[cohort],
                cohort=cohort,
                column="DATE",
                rows=tuple(row for _, row in rows),
            ),
            patients=tuple(patient.pseudonym for patient, _ in rows),
        )
        for cohort, rows in found.items()
    ]
