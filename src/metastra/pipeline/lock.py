"""Lock the bundle of a run, or a draft that lies somewhere else, after showing its design."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.bundle.foreign import external_bundle_files
from metastra.bundle.loading import open_bundle
from metastra.bundle.locking import Locking, Statements, lock_bundle, read_statements
from metastra.bundle.opened import Bundle
from metastra.bundle.plans import DesignAssumptions
from metastra.bundle.writing import refuse_locked, write_bundle
from metastra.errors import ConfigError, IntegrityError, Problem
from metastra.evaluation.design import Design, design_study
from metastra.evaluation.design_plan import DesignPlan
from metastra.pipeline.design import design_document
from metastra.pipeline.model_recipes import BUNDLE_DIR
from metastra.signing import PrivateKey
from metastra.storage import (
    completeness,
    explain,
    hold,
    parse_json,
    read_record,
    write_product,
)
from metastra.units import TimeUnit

__all__ = [
    "LockSummary",
    "Prepared",
    "lock_external",
    "lock_prepared",
    "prepare_lock",
    "run_folder",
]

_REPLICATES = 300
_LEAST_AUC, _MOST_AUC = 0.51, 0.98


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A bundle that is about to be locked, with what a person should see first.

    Parameters
    ----------
    folder : Path
        Of the draft.
    run_dir : Path or None
        The run it belongs to.
    locking : Locking
        With the statements filled in.
    design : Design or None
        What the planned study can show; None when it cannot be said.
    design_why : str
        On what the design rests, or why there is none.
    """

    folder: Path
    run_dir: Path | None
    locking: Locking
    design: Design | None
    design_why: str


@dataclass(frozen=True, kw_only=True)
class LockSummary:
    """What was locked.

    Parameters
    ----------
    folder : Path
        Of the locked bundle.
    bundle : Bundle
        Opened again and tested.
    prepared : Prepared
        What was shown before.
    stale : bool
        Whether the run's predictions still name the draft.
    """

    folder: Path
    bundle: Bundle
    prepared: Prepared
    stale: bool

    @property
    def open_statements(self) -> tuple[Problem, ...]:
        """Statements that nobody made (BU024)."""
        return self.prepared.locking.open_statements

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        design = self.prepared.design
        return {
            "bundle": self.bundle.digest,
            "folder": str(self.folder),
            "kind": self.bundle.kind,
            "name": self.bundle.name,
            "version": self.bundle.version,
            "key_id": self.bundle.key_id,
            "design": None if design is None else design_document(design),
            "design_why": self.prepared.design_why,
            "predictions_are_stale": self.stale,
            "problems": [one.to_json() for one in self.open_statements],
        }


def run_folder(path: Path) -> Path | None:
    """Find the run folder that a path means.

    Parameters
    ----------
    path : Path
        A run folder, or the folder of its study.

    Returns
    -------
    Path or None
        None where there is no run.
    """
    for folder in (path, path / "run"):
        if (folder / ".records").is_dir():
            return folder
    return None


def prepare_lock(
    path: Path, *, plans: Sequence[Path] = (), replaces: Path | None = None
) -> Prepared:
    """Read a draft, fill in the statements and work out what the planned study can show.

    Parameters
    ----------
    path : Path
        A run, the folder of its study, or the folder of a draft.
    plans : sequence of Path
        Files with statements.
    replaces : Path, optional
        Folder of the version before.

    Returns
    -------
    Prepared
        Nothing is written yet.

    Raises
    ------
    ConfigError
        If there is no bundle, it is stale, or a statement cannot be.
    LockedError
        If it is locked already.
    BundleError, IntegrityError
        If a bundle or the run is damaged.
    """
    run_dir = run_folder(path)
    folder = path if run_dir is None else run_dir / BUNDLE_DIR
    if run_dir is not None:
        _refuse_stale(run_dir)
    statements = read_statements(plans)
    bundle = open_bundle(folder)
    before = None if replaces is None else open_bundle(replaces)
    locking = lock_bundle(bundle, statements, replaces=before)
    design, why = _design(locking, run_dir)
    if locking.plan.design is None and design is not None:
        locking = _with_assumptions(bundle, statements, before, design, why)
    return Prepared(folder=folder, run_dir=run_dir, locking=locking, design=design, design_why=why)


@contextlib.contextmanager
def lock_external(
    description: Path, *, plans: Sequence[Path] = (), replaces: Path | None = None
) -> Iterator[Prepared]:
    """Prepare a model that is not ours, from its description.

    Parameters
    ----------
    description : Path
        TOML.
    plans : sequence of Path
        Files with statements.
    replaces : Path, optional
        Folder of the version before.

    Yields
    ------
    Prepared
        Whose draft lies in a temporary folder.

    Raises
    ------
    ConfigError, DataError
        If the description or its self-test cannot be used.
    """
    files = external_bundle_files(description)
    with tempfile.TemporaryDirectory(prefix="metastra-lock-") as folder:
        draft = Path(folder) / "draft"
        write_bundle(draft, files)
        yield prepare_lock(draft, plans=plans, replaces=replaces)


def lock_prepared(
    prepared: Prepared, private: PrivateKey, *, out: Path | None = None
) -> LockSummary:
    """Sign a prepared bundle and write it: in place in its run, or to a new folder.

    Parameters
    ----------
    prepared : Prepared
        By `prepare_lock`.
    private : PrivateKey
        The signer's.
    out : Path, optional
        A new folder; needed for a draft outside a run.

    Returns
    -------
    LockSummary
        The locked bundle, opened again.

    Raises
    ------
    ConfigError
        Without a place to write to.
    LockedError
        If a locked bundle is there.
    """
    draft = {
        path.name: path.read_bytes() for path in sorted(prepared.folder.iterdir()) if path.is_file()
    }
    files = prepared.locking.files(draft, private)
    folder, stale = prepared.folder, False
    if out is not None:
        write_bundle(out, files)
        folder = out
    elif prepared.run_dir is None:
        raise ConfigError("this draft lies in no run: name a new folder for the bundle with --out")
    else:
        stale = _lock_in_place(prepared.run_dir, files)
    bundle = open_bundle(folder, locked=True)
    return LockSummary(folder=folder, bundle=bundle, prepared=prepared, stale=stale)


def _lock_in_place(run_dir: Path, files: dict[str, bytes]) -> bool:
    with hold(run_dir):
        refuse_locked(run_dir / BUNDLE_DIR, "it would be locked again")
        record = read_record(run_dir, "bundle")
        if record is None:
            raise IntegrityError(f"the bundle in {run_dir} has lost its completion record")
        placed = {f"{BUNDLE_DIR}/{name}": data for name, data in files.items()}
        write_product(run_dir, "bundle", record.recipe, placed)
        return read_record(run_dir, "predictions") is not None


def _refuse_stale(run_dir: Path) -> None:
    if read_record(run_dir, "bundle") is None:
        why = ""
        if (run_dir / "run.json").is_file():
            said = parse_json((run_dir / "run.json").read_bytes()).get("not_made", {})
            why = f": {said['bundle']}" if "bundle" in said else ""
        raise ConfigError(f"{run_dir} has no bundle{why}; `metastra run` makes one")
    damage = completeness(run_dir, "bundle").reasons
    if damage:
        raise IntegrityError(f"the bundle in {run_dir} is not whole: {'; '.join(damage)}")
    stale = explain(run_dir, "bundle").stale
    if stale:
        raise ConfigError(f"the bundle is stale: {'; '.join(stale)}; run `metastra run` first")


def _with_assumptions(
    bundle: Bundle, statements: Statements, before: Bundle | None, design: Design, why: str
) -> Locking:
    """Let the assumptions of the shown design be signed, too."""
    plan = design.plan
    assumed = DesignAssumptions(
        risk=plan.risk, auc=plan.auc, competing=plan.competing, lost=plan.lost, source=why
    )
    known = {**statements.plan, "design": assumed.model_dump(mode="json")}
    filled = Statements(
        intended_use=statements.intended_use, plan=known, change_plan=statements.change_plan
    )
    return lock_bundle(bundle, filled, replaces=before)


def _design(locking: Locking, run_dir: Path | None) -> tuple[Design | None, str]:
    """Work out what the planned patients can show; in words why not, where it cannot be said."""
    plan = locking.plan
    assumed, why = plan.design, "assumptions stated in [plan.design]"
    if assumed is None:
        assumed, why = _observed(locking, run_dir)
    if assumed is None:
        return None, why
    n = plan.planned_n
    if n is None:
        n = sum(facts.n for facts in locking.bundle.development.cohorts.values())
        why += "; planned_n is not stated, so the development cohorts' number stands in for it"
    try:
        made = DesignPlan(
            n=n,
            risk=assumed.risk,
            horizon=plan.primary.horizon,
            time_unit=TimeUnit(locking.contract.time_unit),
            auc=assumed.auc,
            competing=assumed.competing,
            lost=assumed.lost,
            baseline_auc=assumed.baseline_auc,
            replicates=_REPLICATES,
        )
        return design_study(made), why
    except ConfigError as error:
        return None, f"what the study can show cannot be worked out: {error}"


def _observed(locking: Locking, run_dir: Path | None) -> tuple[DesignAssumptions | None, str]:
    """Take risk, losses and AUC from what was seen in development."""
    key = f"{locking.plan.primary.horizon:g}"
    facts = locking.bundle.development
    risk, auc = facts.observed_risk.get(key), _seen_auc(run_dir, locking.plan.primary.horizon)
    if risk is None or not 0.0 < risk < 1.0 or auc is None:
        lacking = "the risk in development" if risk is None else "an estimate of the AUC"
        return None, f"there is no {lacking}: state risk and auc in [plan.design]"
    source = "risk, losses and pooled AUC as seen in this run; they may be optimistic"
    return DesignAssumptions(
        risk=risk,
        auc=min(max(auc, _LEAST_AUC), _MOST_AUC),
        competing=facts.observed_competing.get(key, 0.0),
        lost=facts.lost.get(key, 0.0),
        source=source,
    ), source


def _seen_auc(run_dir: Path | None, horizon: float) -> float | None:
    if run_dir is None or completeness(run_dir, "evaluation").reasons:
        return None
    document = parse_json((run_dir / "evaluation.json").read_bytes())
    for item in document["discrimination"]["auc"]:
        if item["horizon"] == horizon and item["estimate"] is not None:
            return float(item["estimate"])
    return None
