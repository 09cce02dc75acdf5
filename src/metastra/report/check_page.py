"""The page of a check: from a `CheckReport` and a `Split` to a `CohortPage`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.cohort_units import units_of
from metastra.report.cohort_page_build import cohort_page_from
from metastra.report.fold_bars import FoldGroup
from metastra.report.page_parts import (
    AppliedResolution,
    MetadataColumn,
    MetadataModel,
    PageSettings,
    SplitFold,
    SplitSummary,
)
from metastra.report.wording import joined

if TYPE_CHECKING:
    from metastra.cohort.check import CheckReport
    from metastra.cohort.cohort import Cohort
    from metastra.cohort.metadata_model import MetadataModel as FittedMetadata
    from metastra.cohort.split import Split
    from metastra.report.cohort_page import CohortPage
    from metastra.study.sections import Resolution

__all__ = ["applied_resolution", "check_page", "metadata_in_words", "split_summary"]

_MOST_BARS = 12


def check_page(
    report: CheckReport,
    *,
    split: Split | None = None,
    settings: PageSettings | None = None,
    notes: Sequence[str] = (),
    made_at: str = "",
) -> CohortPage:
    """Make the page that is read after a check.

    Parameters
    ----------
    report : CheckReport
        Of ``check_study``.
    split : Split, optional
        The stored folds; by default the ones that the check made.
    settings : PageSettings, optional
        Levels and limits.
    notes : sequence of str
        Anything else that a reader should know.
    made_at : str
        Date and time for the footer; left out, equal inputs give equal bytes.

    Returns
    -------
    CohortPage
        With the problems alone, and what was promised, where the data are refused.
    """
    chosen = settings or PageSettings()
    cohort = report.cohort
    splits: tuple[SplitSummary, ...] = ()
    folds = split or report.split
    if cohort is not None and folds is not None:
        splits = (split_summary(folds, cohort, hidden_below=chosen.hidden_below),)
    model = report.metadata_model
    return cohort_page_from(
        cohort,
        study=report.study,
        flows=report.flows,
        problems=report.problems,
        splits=splits,
        resolutions=[applied_resolution(*item) for item in report.resolutions],
        metadata_model=metadata_in_words(model) if model is not None and cohort else None,
        notes=notes,
        table_digests=report.table_digests,
        settings=chosen,
        made_at=made_at,
    )


def applied_resolution(entry: Resolution, pseudonyms: Sequence[str]) -> AppliedResolution:
    """Take what the page shows of a resolution; the study ids it names stay behind.

    Parameters
    ----------
    entry : Resolution
        As the study file has it.
    pseudonyms : sequence of str
        Of the patients it was applied to.

    Returns
    -------
    AppliedResolution
        Without study ids.

    Examples
    --------
    >>> from metastra.study.sections import Resolution
    >>> entry = Resolution(code="EP010", action="accept", reason="known", patients=("id 7",))
    >>> applied_resolution(entry, ["P-ABC"]).patients
    ('P-ABC',)
    """
    return AppliedResolution(
        code=entry.code,
        action=entry.action,
        reason=entry.reason,
        patients=tuple(pseudonyms),
        cohorts=entry.cohorts,
        column=entry.column or "",
        value=entry.value or "",
    )


def metadata_in_words(model: FittedMetadata) -> MetadataModel:
    """Take what the page shows of a model of metadata.

    Parameters
    ----------
    model : metastra.cohort.metadata_model.MetadataModel
        As it was fitted.

    Returns
    -------
    MetadataModel
        The whole model, and each column alone.
    """
    whole = MetadataColumn(
        name="all metadata",
        concordance=model.concordance,
        lower=model.lower,
        upper=model.upper,
        n=model.n,
        events=model.events,
        reason=model.reason,
    )
    columns = tuple(
        MetadataColumn(
            name=name,
            concordance=value,
            n=model.n,
            events=model.events,
            reason="" if value is not None else "not estimable",
        )
        for name, value in model.alone.items()
    )
    return MetadataModel(whole=whole, columns=columns, p=model.p)


def split_summary(split: Split, cohort: Cohort, *, hidden_below: int = 5) -> SplitSummary:
    """Count patients and events of each fold.

    Parameters
    ----------
    split : Split
        As it is stored; its study ids do not reach the summary.
    cohort : Cohort
        The analysed patients; ids of the split that it does not have are passed over.
    hidden_below : int
        Groups with fewer patients are put together.

    Returns
    -------
    SplitSummary
        Bars are by the first grouping beside the patient, or by cohort where there is none; with
        more than twelve folds there are no bars.
    """
    units = units_of(cohort)
    place = {name: i for i, name in enumerate(units.ids.tolist())}
    counted = cohort.target is None or cohort.study.endpoint.kind == "binary"
    event = units.event if counted else np.zeros(units.n, dtype=np.int64)
    column = next((name for name in split.groups if name in units.groups), None)
    label = _labels(units.cohort if column is None else units.groups[column], hidden_below)
    folds, parts = [], []
    for fold in split.folds:
        train, test = (
            np.array([place[i] for i in ids if i in place], dtype=np.int64)
            for ids in (fold.fitted_on, fold.test)
        )
        tested = label[test]
        groups = sorted(set(tested.tolist()))
        folds.append(
            SplitFold(
                fold=fold.name,
                n_train=train.size,
                events_train=int(np.count_nonzero(event[train] == 1)),
                n_test=test.size,
                events_test=int(np.count_nonzero(event[test] == 1)),
                competing_test=int(np.count_nonzero(event[test] > 1)),
                groups=len(groups),
            )
        )
        parts += [_part(fold.name, group, event[test][tested == group]) for group in groups]
    return SplitSummary(
        scheme=_scheme(split),
        folds=tuple(folds),
        parts=tuple(parts) if counted and len(folds) <= _MOST_BARS else (),
        digest=split.digest,
        counts_events=counted,
    )


def _labels(values: NDArray[np.str_], hidden_below: int) -> NDArray[np.str_]:
    """Name the groups; small ones go under one name."""
    named = [value or "not recorded" for value in values.tolist()]
    size = Counter(named)
    small = [name for name in size if size[name] < hidden_below]
    if not small:
        return np.array(named, dtype=np.str_)
    together = f"{len(small)} small groups"
    return np.array([together if name in small else name for name in named], dtype=np.str_)


def _part(fold: str, group: str, event: NDArray[np.int64]) -> FoldGroup:
    return FoldGroup(
        fold=fold,
        group=group,
        n=event.size,
        events=int(np.count_nonzero(event == 1)),
        competing=int(np.count_nonzero(event > 1)),
    )


def _scheme(split: Split) -> str:
    groups = joined(["patient", *(name for name in split.groups if name != "PATIENT")])
    return {
        "k-fold": f"{len(split.folds)} folds by {groups}",
        "leave-one-cohort-out": f"Leave one cohort out, {len(split.folds)} folds",
        "temporal": "Temporal split",
        "published": f"{len(split.folds)} published folds ({split.source})",
    }[split.kind]
