"""The whole synthetic study from one seed: tables, study files and truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from metastra.errors import ConfigError
from metastra.synthetic.case_mix import COHORTS, CohortPlan, Detection, allocate
from metastra.synthetic.courses import simulate_courses
from metastra.synthetic.draws import Draws
from metastra.synthetic.faults import plant
from metastra.synthetic.hazard import HazardModel
from metastra.synthetic.patients import draw_patients
from metastra.synthetic.study_file import overall_survival_file, study_file
from metastra.synthetic.tables import CohortDraw, cohort_tables
from metastra.synthetic.truth import truth_table
from metastra.synthetic.visits import follow_up
from metastra.synthetic.writing import WRITINGS, Parts, Table, render

__all__ = ["SyntheticStudy", "generate", "study_files", "synthetic_study"]

_FEWEST = 20
"""Fewer patients leave centres empty."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SyntheticStudy:
    """A study as it was drawn.

    Parameters
    ----------
    seed : int
        From which everything follows.
    model : HazardModel
        The truth.
    detection : Detection
        When relapses are found.
    cohorts : tuple of CohortDraw
        In the order of the study file.
    """

    seed: int
    model: HazardModel
    detection: Detection
    cohorts: tuple[CohortDraw, ...]

    @property
    def plans(self) -> tuple[CohortPlan, ...]:
        """Plans of the cohorts."""
        return tuple(cohort.patients.plan for cohort in self.cohorts)

    def truth(self) -> Table:
        """Write down the truth.

        Returns
        -------
        Table
            As `metastra.synthetic.truth.truth_table` describes it.
        """
        return truth_table(self.model, self.cohorts, detection=self.detection)

    def parts(self, *, slides: bool = False) -> Parts:
        """Make the files of the study, with tables that can still be changed.

        Parameters
        ----------
        slides : bool
            Whether there will be slide files: then each patient has the index slide alone, and the
            study file says in which folders the slides are.

        Returns
        -------
        dict of str to (Table or bytes)
            ``study.toml``, ``study-overall-survival.toml``, and for each cohort ``NAME/clini``,
            ``NAME/slides``, ``NAME/specimens`` and ``NAME/events`` with the suffix of its style.
            The truth is not among them.
        """
        parts: Parts = {
            "study.toml": study_file(self.plans, seed=self.seed, slides=slides).encode(),
            "study-overall-survival.toml": overall_survival_file(
                self.plans, seed=self.seed
            ).encode(),
        }
        for cohort in self.cohorts:
            plan = cohort.patients.plan
            for kind, table in cohort_tables(cohort).items():
                if slides and kind == "slides":
                    table = _index_slides(table)
                parts[f"{plan.name}/{kind}{WRITINGS[plan.style].suffix}"] = table
        return parts


def _index_slides(table: Table) -> Table:
    index = table.columns.index("INDEX")
    return replace(table, rows=tuple(row for row in table.rows if row[index] == "yes"))


def generate(
    *,
    n_patients: int = 600,
    seed: int = 20260101,
    model: HazardModel | None = None,
    plans: Sequence[CohortPlan] = COHORTS,
    detection: Detection = Detection.VISITS,
) -> SyntheticStudy:
    """Draw a study.

    Parameters
    ----------
    n_patients : int
        In all cohorts; at least 20.
    seed : int
        Not negative.
    model : HazardModel, optional
        The truth; the documented one when left out.
    plans : sequence of CohortPlan
        Cohorts and centres.
    detection : Detection
        When relapses are found.

    Returns
    -------
    SyntheticStudy
        The same for the same arguments, on every machine.

    Raises
    ------
    ConfigError
        If there are too few patients or the seed is negative.

    Examples
    --------
    >>> study = generate(n_patients=50, seed=1)
    >>> [len(cohort.patients) for cohort in study.cohorts]
    [20, 16, 14]
    """
    if n_patients < _FEWEST:
        raise ConfigError(f"a synthetic study needs at least {_FEWEST} patients, not {n_patients}")
    if seed < 0:
        raise ConfigError(f"the seed {seed} is negative; expected 0 or more")
    model = model or HazardModel()
    cohorts = []
    sizes = allocate(n_patients, tuple(plan.share for plan in plans))
    for plan, n in zip(plans, sizes, strict=True):
        patients = draw_patients(plan, n, seed)
        draws = Draws(seed=seed, label=f"{plan.name}/course")
        courses = simulate_courses(
            model, patients.covariates, draws, at_diagnosis=patients.at_diagnosis
        )
        seen = follow_up(patients, courses, draws.within("seen"), detection=detection)
        cohorts.append(
            CohortDraw(
                patients=patients,
                courses=courses,
                follow_up=seen,
                draws=draws.within("tables"),
            )
        )
    return SyntheticStudy(seed=seed, model=model, detection=detection, cohorts=tuple(cohorts))


def synthetic_study(
    *,
    n_patients: int = 600,
    seed: int = 20260101,
    detection: Detection | str = Detection.VISITS,
    faults: Sequence[str] = (),
) -> dict[str, bytes]:
    """Make the files of a synthetic study.

    Parameters
    ----------
    n_patients : int
        In all cohorts; at least 20.
    seed : int
        Not negative.
    detection : Detection or str
        When relapses are found.
    faults : sequence of str
        Names of faults and leaks to plant (`metastra.synthetic.faults.FAULTS`), in this order.

    Returns
    -------
    dict of str to bytes
        By path below the study's folder.  ``truth/truth.csv`` is no part of the study.

    Raises
    ------
    ConfigError
        If there are too few patients, the seed is negative, or a fault is not known.

    Examples
    --------
    >>> files = synthetic_study(n_patients=40, seed=1)
    >>> sorted(files)[:3]
    ['north/clini.csv', 'north/events.csv', 'north/slides.csv']
    """
    study = generate(n_patients=n_patients, seed=seed, detection=Detection(detection))
    parts = study.parts()
    for name in faults:
        parts = plant(parts, name).parts
    return study_files(study, parts)


def study_files(study: SyntheticStudy, parts: Parts) -> dict[str, bytes]:
    """Write a study and its truth down.

    Parameters
    ----------
    study : SyntheticStudy
        As it was drawn.
    parts : dict of str to (Table or bytes)
        Its files, with or without planted faults.

    Returns
    -------
    dict of str to bytes
        By path below the study's folder; ``truth/truth.csv`` is no part of the study.
    """
    return render({**parts, "truth/truth.csv": study.truth()})
