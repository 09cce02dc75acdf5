"""What was fitted on a patient, and how it is fitted again without him."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from metastra.cohort.split import Split
from metastra.errors import ConfigError, IntegrityError
from metastra.pipeline.encoder_leakage import training_sources
from metastra.pipeline.locked_bundle import is_locked
from metastra.pipeline.opening import OpenedStudy
from metastra.pipeline.withdraw_products import Traces
from metastra.storage import product_names, read_record
from metastra.study.study import Study

__all__ = ["Refit", "what_to_refit"]


@dataclass(frozen=True, kw_only=True)
class Refit:
    """One thing that was fitted on a patient.

    Parameters
    ----------
    what : str
        The model.
    why : str
        What of the patient is in it.
    how : str
        The command, or what stands against it.
    """

    what: str
    why: str
    how: str

    def to_json(self) -> dict[str, Any]:
        """Write it as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return asdict(self)


def what_to_refit(
    opened: OpenedStudy, patients: Collection[tuple[str, str]], traces: Traces
) -> tuple[Refit, ...]:
    """Say what was fitted on patients, before their traces are removed.

    Parameters
    ----------
    opened : OpenedStudy
        The study.
    patients : collection of (str, str)
        Cohort and pseudonym.
    traces : Traces
        Of these patients.

    Returns
    -------
    tuple of Refit
        Empty where nothing was fitted on them, for instance in an external cohort.
    """
    with contextlib.suppress(IntegrityError):
        return _refit(opened, patients, traces, traces.stored_split())
    why = "whether it was fitted on this patient is not known: the folds are damaged"
    how = "put splits.json back from a copy, or metastra run --redraw, and give the command again"
    return (Refit(what="models of the folds, bundle", why=why, how=how),)


def _refit(
    opened: OpenedStudy,
    patients: Collection[tuple[str, str]],
    traces: Traces,
    split: Split | None,
) -> tuple[Refit, ...]:
    run_dir, study = opened.run_dir, opened.study
    roles = {section.name: section.role for section in study.cohort}
    development = any(roles[cohort] == "development" for cohort, _ in patients)
    fitted_on = {
        one
        for fold in (split.folds if split else ())
        for inner in fold.walk()
        for one in inner.fitted_on
    }
    run = "metastra run fits it without the patient"
    found: list[Refit] = []
    standing = product_names(run_dir)
    if development and traces.keys & fitted_on:
        if any(name.startswith("folds/") for name in standing) or "predictions" in standing:
            why = "the patient was trained on in other patients' folds"
            found.append(Refit(what="models of the folds, predictions", why=why, how=run))
        if "bundle" in standing:
            why = "its coefficients were fitted on this patient among others"
            found.append(Refit(what="bundle", why=why, how=_locked_or(opened, run)))
    elif development and _older_than_folds(run_dir):
        # a withdrawal that was killed after the folds, or one since which nothing was run
        why = "it was fitted before somebody left the folds, perhaps on this patient"
        found.append(Refit(what="bundle", why=why, how=_locked_or(opened, run)))
    return (*found, *_encoder(study, traces))


def _older_than_folds(run_dir: Path) -> bool:
    """Say whether the bundle was fitted on other folds than those that stand, if any do."""
    bundle, splits = (read_record(run_dir, name) for name in ("bundle", "splits"))
    fitted_on = None if bundle is None else bundle.recipe.parents.get("splits")
    if fitted_on is None:
        return False
    return splits is None or fitted_on.digest != splits.digest


def _encoder(study: Study, traces: Traces) -> list[Refit]:
    what = f"encoder {study.slides.encoder}"
    try:
        seen = len(traces.digests & training_sources(study))
    except ConfigError as error:
        # somebody who withdraws does not wait until weights are found again
        why = f"whether it was trained on this patient is not known: {error}"
        how = "put its folder back and give the same command again"
        return [Refit(what=what, why=why, how=how)]
    if not seen:
        return []
    why = f"it was trained on {seen} slide{'s' if seen > 1 else ''} of this patient"
    how = "train it again (metastra train-encoder), then metastra run, which encodes all slides"
    return [Refit(what=what, why=why, how=how)]


def _locked_or(opened: OpenedStudy, run: str) -> str:
    if not is_locked(opened.run_dir):
        return run
    return (
        "it is locked and was not touched, and a run stops at it: it holds no row of anybody, "
        "whether it may stay is for you to decide; to fit anew, move the run folder's bundle away"
    )
