"""What the stages of a run share: the study at work, and what a stage is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from metastra.cohort.check import CheckReport
from metastra.cohort.cohort import Cohort
from metastra.cohort.cohort_units import split_settings, units_of
from metastra.cohort.split import Split
from metastra.cohort.split_store import redrawn_split, stored_split
from metastra.cohort.split_units import Units
from metastra.errors import DataError, IntegrityError, Severity
from metastra.executor import Executor, Limits, ProcessPool, with_limits
from metastra.extraction.quarantine import Quarantine
from metastra.pipeline.opening import OpenedStudy
from metastra.storage import (
    Manifest,
    Recipe,
    parse_json,
    read_product_bytes,
    read_record,
    write_product,
)

if TYPE_CHECKING:
    from metastra.pipeline.patient_slides import StudyBags
    from metastra.training.clinical_data import ClinicalData

__all__ = ["RUN_FILE", "Stage", "Workshop", "not_made_before"]

RUN_FILE = "run.json"
"""What a run decided."""


@dataclass(kw_only=True)
class Workshop:
    """A study at work: what the stages share, computed once and only when needed.

    Parameters
    ----------
    opened : OpenedStudy
        The study and its pseudonyms.
    redraw : bool
        Whether the folds are drawn anew.
    workers : int
        How many slides are worked on at a time.
    tell : callable or None
        Told what happens at Ctrl-C.
    executor : Executor or None
        Where slides are worked on; child processes of this machine where None.
    retry_failed : bool
        Whether slides that lost their worker too often are tried again.
    not_made : dict of str to str
        Stages that gave nothing, and why: of this run as far as it has come, else of the last.
    """

    opened: OpenedStudy
    redraw: bool = False
    workers: int = 1
    tell: Callable[[str], None] | None = None
    executor: Executor | None = None
    retry_failed: bool = False
    not_made: dict[str, str] = field(default_factory=dict)

    def pool(self, limits: Limits) -> Executor:
        """Make the executor of a step.

        Parameters
        ----------
        limits : Limits
            Of each task.

        Returns
        -------
        Executor
            The given one where there is one; child processes of this machine otherwise.
        """
        if self.executor is not None:
            return with_limits(self.executor, limits)
        return ProcessPool(workers=self.workers, limits=limits, tell=self.tell)

    def careful(self, step: str, limits: Limits) -> Executor:
        """Make the executor of a step, which sets slides apart that lose their worker each time.

        Parameters
        ----------
        step : str
            What is done to the slides.
        limits : Limits
            Of each slide.

        Returns
        -------
        Executor
            The given one inside, where there is one.
        """
        return Quarantine(
            executor=self.pool(limits),
            folder=self.opened.run_dir,
            step=step,
            retry=self.retry_failed,
            tell=self.tell,
        )

    @cached_property
    def report(self) -> CheckReport:
        """The check of the study's tables."""
        return self.opened.check()

    @cached_property
    def cohort(self) -> Cohort:
        """The analysed patients.

        Raises
        ------
        DataError
            With every problem, when the data are refused.
        """
        if self.report.cohort is None:
            refused = [p for p in self.report.problems if p.severity is Severity.REFUSE]
            name = self.opened.study.study.name
            raise DataError(f"study {name!r} is refused; nothing was run", refused)
        return self.report.cohort

    def stored_split(self) -> Split | None:
        """Read the split that an earlier run stored.

        Returns
        -------
        Split or None
            None when there is none, or when a damaged one is to be drawn anew.

        Raises
        ------
        IntegrityError
            If the stored split is not what its record says: it is never redrawn by itself.
        """
        run_dir = self.opened.run_dir
        if not (run_dir / "splits.json").exists() and read_record(run_dir, "splits") is None:
            return None
        try:
            return Split.from_json(read_product_bytes(run_dir, "splits"))
        except IntegrityError as error:
            if self.redraw:
                return None
            raise IntegrityError(
                f"{error}; the stored folds are not drawn anew by themselves: put splits.json back "
                "from a copy, or give --redraw"
            ) from error

    @cached_property
    def units(self) -> Units:
        """The patients as the folds see them."""
        return units_of(self.cohort)

    @cached_property
    def clinical(self) -> ClinicalData:
        """The declared predictors of all patients."""
        from metastra.training.clinical_data import clinical_data

        return clinical_data(self.cohort)

    @cached_property
    def bags(self) -> StudyBags:
        """The feature files of all patients; the features are made before."""
        from metastra.pipeline.patient_slides import study_bags

        return study_bags(self.opened.run_dir, self.cohort, self.opened.pseudonyms)

    @cached_property
    def split(self) -> Split:
        """The folds: the stored ones where there are any."""
        study = self.opened.study
        make = redrawn_split if self.redraw else stored_split
        split = make(
            self.stored_split(),
            self.units,
            split_settings(study),
            seed=study.study.seed,
            pseudonymise=self.opened.pseudonyms.patient,
        )
        # the settings as the study file has them: a resolved path would differ between machines
        source = study.validation.fold_files or ""
        return replace(split, settings=study.validation, source=source)


def not_made_before(run_dir: Path) -> dict[str, str]:
    """Read which stages gave nothing in the last run.

    Parameters
    ----------
    run_dir : Path
        The run folder.

    Returns
    -------
    dict of str to str
        Stage → why; empty where no run has ended, or its file cannot be read.
    """
    try:
        told = parse_json((run_dir / RUN_FILE).read_bytes())["not_made"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {str(name): str(why) for name, why in told.items()}


def always(_work: Workshop) -> bool:
    """Say that every study has a stage.

    Parameters
    ----------
    _work : Workshop
        The study at work.

    Returns
    -------
    bool
        True.
    """
    return True


def nothing(_work: Workshop) -> tuple[str, ...]:
    """Say that a stage has no further reason to run again.

    Parameters
    ----------
    _work : Workshop
        The study at work.

    Returns
    -------
    tuple of str
        Empty.
    """
    return ()


def never(_work: Workshop) -> int:
    """Say that no item of a stage can fail.

    Parameters
    ----------
    _work : Workshop
        The study at work.

    Returns
    -------
    int
        0.
    """
    return 0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a run that makes one product.

    Parameters
    ----------
    name : str
        As ``--only`` takes it; also the product's name.
    recipe : callable
        What the product is made from, without making it.
    make : callable
        Its files.
    needs : tuple of str
        Stages whose products it is made from; it is left out where one of them gave none.
    uses : tuple of str
        Stages whose products it is made from where a run has them; it runs after them.
    skip : callable, optional
        Why a study has no use for the stage; an empty text where it has.
    wanted : callable
        Whether a study has this stage at all; one that it has not is not listed.
    failed : callable
        How many items failed when it last ran; then it runs again, and the run says so.
    lost : callable
        Further reasons to run again, for instance files beside the product that are gone.
    """

    name: str
    recipe: Callable[[Workshop], Recipe]
    make: Callable[[Workshop], Mapping[str, bytes]]
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    skip: Callable[[Workshop], str] | None = None
    wanted: Callable[[Workshop], bool] = always
    failed: Callable[[Workshop], int] = never
    lost: Callable[[Workshop], tuple[str, ...]] = nothing

    def write(self, work: Workshop) -> Manifest:
        """Make the product and store it.

        Parameters
        ----------
        work : Workshop
            The study at work.

        Returns
        -------
        Manifest
            Its completion record.
        """
        files = self.make(work)
        return write_product(work.opened.run_dir, self.name, self.recipe(work), files)
