"""From the settings of a study to its folds, inner folds included, checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from metastra.catalogue import problem
from metastra.cohort.split import Split, SplitKind
from metastra.cohort.split_check import raise_refused
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_groups import declared_groups
from metastra.cohort.split_kinds import draw_k_folds, leave_one_cohort_out, temporal_fold
from metastra.cohort.split_published import read_published_folds
from metastra.cohort.split_units import Pseudonymise, Units
from metastra.errors import ConfigError, DataError, Problem
from metastra.study.sections import ValidationSection

__all__ = ["draw_split", "outer_split", "with_inner_folds"]


def draw_split(
    units: Units,
    settings: ValidationSection,
    *,
    seed: int,
    folder: Path | None = None,
    pseudonymise: Pseudonymise | None = None,
) -> Split:
    """Make the folds of a study.

    ``fold_files`` gives published folds, ``temporal_column`` a split by time,
    ``leave_one_cohort_out`` one fold per cohort, and without any of them ``folds`` × ``repeats``
    are drawn.  ``inner_folds`` are drawn inside every training part with the same groupings.

    Parameters
    ----------
    units : Units
        All patients of the study, external cohorts included.
    settings : ValidationSection
        What the study declares.
    seed : int
        The study's seed.
    folder : Path, optional
        That a relative path of fold files starts from; the current folder when left out.
    pseudonymise : callable, optional
        Without it messages count patients and name none.

    Returns
    -------
    Split
        Checked; what is left to say are warnings, which `Split.check` lists.

    Raises
    ------
    ConfigError
        If settings contradict each other (ST006) or name unknown groupings.
    LeakageError
        If a patient or a declared group stands on both sides (SP001, SP002).
    DataError
        If folds lack events (SP003), groups are too few (SP006) or files unreadable (SP008).

    Examples
    --------
    >>> units = Units(
    ...     ids=[f"p{i}" for i in range(12)],
    ...     event=[1, 0] * 6,
    ...     groups={"site": list("AABBCCDDEEFF")},
    ... )
    >>> settings = ValidationSection(folds=3, group=("PATIENT", "site"))
    >>> split = draw_split(units, settings, seed=1)
    >>> [len(fold.test) for fold in split.folds], split.check(units)
    ([4, 4, 4], [])
    """
    split = outer_split(units, settings, seed=seed, folder=folder)
    split = replace(split, folds=with_inner_folds(split, units, settings.inner_folds))
    raise_refused(split.check(units, pseudonymise=pseudonymise), "the split cannot be used")
    return split


def outer_split(
    units: Units, settings: ValidationSection, *, seed: int, folder: Path | None = None
) -> Split:
    """Make the outer folds only, not yet checked.

    Parameters
    ----------
    units : Units
        All patients of the study.
    settings : ValidationSection
        What the study declares.
    seed : int
        The study's seed.
    folder : Path, optional
        That a relative path of fold files starts from.

    Returns
    -------
    Split
        Without the drawn inner folds.

    Raises
    ------
    ConfigError, DataError
        As `draw_split`.
    """
    kind = _kind(units, settings)
    groups = declared_groups(settings.group)
    folds: tuple[Fold, ...] = ()
    missing: tuple[str, ...] = ()
    source = ""
    if kind == "published":
        published = read_published_folds(settings.fold_files or "", units, folder=folder)
        folds, missing, source = published.folds, published.missing, published.source
        # An absolute folder belongs to this machine and must not enter the split's digest.
        settings = settings.model_copy(update={"fold_files": source})
    elif kind == "temporal":
        folds = (temporal_fold(units, settings),)
    elif kind == "leave-one-cohort-out":
        folds = leave_one_cohort_out(units)
    else:
        development = units.take(units.development)
        for repeat in range(settings.repeats):
            prefix = f"repeat-{repeat}." if settings.repeats > 1 else ""
            folds += draw_k_folds(
                development,
                groups,
                settings.folds,
                f"{seed}/{repeat}",
                prefix=f"{prefix}fold-",
                repeat=repeat,
            )
    return Split(
        kind=kind,
        folds=folds,
        groups=groups,
        seed=seed,
        source=source,
        missing=missing,
        settings=settings,
    )


def with_inner_folds(split: Split, units: Units, inner_folds: int) -> tuple[Fold, ...]:
    """Draw folds inside every training part.

    Parameters
    ----------
    split : Split
        With its outer folds.
    units : Units
        All patients of the study.
    inner_folds : int
        How many; 0 leaves the folds as they are.

    Returns
    -------
    tuple of Fold
        The outer folds with inner ones, which hold the same groupings.  Inner folds that a
        published split brought along stay.

    Raises
    ------
    DataError
        With every fold whose training part has fewer groups than inner folds (SP006).
    """
    if not inner_folds:
        return split.folds
    folds: list[Fold] = []
    problems: list[Problem] = []
    for fold in split.folds:
        if fold.inner:
            folds.append(fold)
            continue
        try:
            inner = draw_k_folds(
                units.only(fold.train),
                split.groups,
                inner_folds,
                f"{split.seed}/{fold.name}/inner",
                prefix=f"{fold.name}.inner-",
                repeat=fold.repeat,
            )
        except DataError as error:
            problems += error.problems
            continue
        folds.append(replace(fold, inner=inner))
    raise_refused(problems, "the inner folds cannot be drawn")
    return tuple(folds)


def _kind(units: Units, settings: ValidationSection) -> SplitKind:
    wanted: dict[str, SplitKind] = {}
    if settings.fold_files is not None:
        wanted["fold_files"] = "published"
    if settings.temporal_column is not None:
        wanted["temporal_column"] = "temporal"
    if settings.leave_one_cohort_out:
        wanted["leave_one_cohort_out"] = "leave-one-cohort-out"
    if len(wanted) > 1:
        item = problem("ST006", f"{' and '.join(wanted)} under [validation] exclude each other")
        raise ConfigError("the split cannot be made", [item])
    if wanted and settings.repeats > 1:
        item = problem("ST006", f"repeats belongs to drawn folds, not to {next(iter(wanted))}")
        raise ConfigError("the split cannot be made", [item])
    if not units.development.any():
        raise DataError("the split cannot be made: no patient is in a development cohort")
    return next(iter(wanted.values()), "k-fold")
