"""The stages of a study: what each is made from, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from metastra.cohort.check import CheckReport
from metastra.cohort.cohort import Cohort
from metastra.cohort.cohort_units import split_settings, units_of
from metastra.cohort.split import Split
from metastra.cohort.split_store import redrawn_split, stored_split
from metastra.digest import digest_value
from metastra.errors import DataError, IntegrityError, Severity
from metastra.pipeline.opening import OpenedStudy
from metastra.pipeline.page import page_bytes
from metastra.storage import (
    Manifest,
    Parent,
    Recipe,
    csv_bytes,
    file_parent,
    json_bytes,
    product_parent,
    read_product_bytes,
    read_record,
    value_parent,
    write_product,
)
from metastra.study.paths import resolve_path
from metastra.version import VERSION

__all__ = ["STAGES", "Stage", "Workshop"]


@dataclass(kw_only=True)
class Workshop:
    """A study at work: what the stages share, computed once and only when needed.

    Parameters
    ----------
    opened : OpenedStudy
        The study and its pseudonyms.
    redraw : bool
        Whether the folds are drawn anew.
    """

    opened: OpenedStudy
    redraw: bool = False

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
    def split(self) -> Split:
        """The folds: the stored ones where there are any."""
        study = self.opened.study
        make = redrawn_split if self.redraw else stored_split
        split = make(
            self.stored_split(),
            units_of(self.cohort),
            split_settings(study),
            seed=study.study.seed,
            pseudonymise=self.opened.pseudonyms.patient,
        )
        # the settings as the study file has them: a resolved path would differ between machines
        source = study.validation.fold_files or ""
        return replace(split, settings=study.validation, source=source)


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
        Stages whose products it is made from.
    """

    name: str
    recipe: Callable[[Workshop], Recipe]
    make: Callable[[Workshop], Mapping[str, bytes]]
    needs: tuple[str, ...] = ()

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


def _cohort_recipe(work: Workshop) -> Recipe:
    study, run_dir = work.opened.study, work.opened.run_dir
    parents: dict[str, Parent] = {
        "study": value_parent("study", study.digest),
        # pseudonyms stand in the cohort: another key makes another cohort
        "pseudonyms": value_parent(
            "pseudonym key", digest_value(work.opened.pseudonyms.patient("metastra"))
        ),
    }
    for section, kind, path in study.tables():
        parents[f"{section.name}/{kind}"] = file_parent(run_dir, resolve_path(study, path))
    return Recipe(kind="cohort", parents=parents)


def _cohort_files(work: Workshop) -> dict[str, bytes]:
    frame = work.cohort.frame()
    rows = [
        [None if value != value else _plain(value) for value in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    return {
        "cohort.csv": csv_bytes(list(frame.columns), rows),
        "flow.json": json_bytes(work.report.flow_json()),
        "check.json": json_bytes({"problems": [item.to_json() for item in work.report.problems]}),
    }


def _plain(value: Any) -> Any:
    """Turn numpy scalars into Python's."""
    return value.item() if hasattr(value, "item") else value


def _splits_recipe(work: Workshop) -> Recipe:
    study = work.opened.study
    return Recipe(
        kind="splits",
        parents={"cohort": product_parent(work.opened.run_dir, "cohort")},
        settings={"seed": study.study.seed, **study.validation.model_dump(mode="json")},
    )


def _splits_files(work: Workshop) -> dict[str, bytes]:
    return {"splits.json": work.split.to_json().encode()}


def _report_recipe(work: Workshop) -> Recipe:
    run_dir = work.opened.run_dir
    parents = {name: product_parent(run_dir, name) for name in ("cohort", "splits")}
    return Recipe(kind="report", parents=parents, settings={"metastra": VERSION})


def _report_files(work: Workshop) -> dict[str, bytes]:
    return {"report/index.html": page_bytes(work.report, split=work.split)}


STAGES: tuple[Stage, ...] = (
    Stage(name="cohort", recipe=_cohort_recipe, make=_cohort_files),
    Stage(name="splits", recipe=_splits_recipe, make=_splits_files, needs=("cohort",)),
    Stage(name="report", recipe=_report_recipe, make=_report_files, needs=("cohort", "splits")),
)
"""In the order in which they run."""
