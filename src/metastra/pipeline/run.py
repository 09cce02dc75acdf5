"""`run_study`: all stages of a study, stale ones only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metastra.bundle.writing import refuse_locked
from metastra.errors import ConfigError, DataError, IntegrityError, NotEstimable
from metastra.executor import Executor
from metastra.pipeline.estimate_run import estimate_study
from metastra.pipeline.locked_bundle import is_locked, locked_refusal, refusal_words
from metastra.pipeline.opening import OpenedStudy
from metastra.pipeline.page import page_bytes
from metastra.pipeline.run_record import RunLog, run_kept
from metastra.pipeline.run_summary import RunSummary, StageResult
from metastra.pipeline.stages import STAGES
from metastra.pipeline.stages_slides import DECISIONS, require_learner
from metastra.pipeline.workshop import RUN_FILE, Stage, Workshop, not_made_before
from metastra.progress import track
from metastra.storage import (
    completeness,
    hold,
    json_bytes,
    parse_json,
    read_record,
    remove_product,
    sweep_orphans,
    write_bytes,
)
from metastra.version import VERSION

__all__ = ["run_study"]

_ORPHAN_AGE_S = 3600.0
_REFUSED_PAGE = "report/refused.html"
"""The page of a refused study; a product's files are never written past its record."""


def run_study(
    opened: OpenedStudy,
    *,
    only: str | None = None,
    dry_run: bool = False,
    redraw: bool = False,
    workers: int = 1,
    retry_failed: bool = False,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> RunSummary:
    """Run the stages that are missing or stale.

    Parameters
    ----------
    opened : OpenedStudy
        The study.
    only : str, optional
        One stage; what it needs must be there.
    dry_run : bool
        Only say what would run and why, and what it will take; a few slides are measured for that.
    redraw : bool
        Draw the folds anew, which nothing else does.
    workers : int
        Slides at a time.
    retry_failed : bool
        Try slides again that lost their worker too often.
    executor : Executor, optional
        Where slides are worked on; child processes of this machine by default.
    tell : callable, optional
        Told what happens at Ctrl-C.

    Returns
    -------
    RunSummary
        One result for each stage.

    Raises
    ------
    DataError
        When the data are refused; ``report/refused.html`` then shows the problems.
    IntegrityError
        If a product is damaged, or a locked bundle would be changed; a dry run lists the stage as
        refused instead.
    ConfigError
        If `only` is no stage of this study.
    BusyError
        If another process runs this study.
    MissingExtra
        If networks are to be trained for the first time and torch is not installed.
    """
    work = Workshop(
        opened=opened,
        redraw=redraw,
        workers=workers,
        retry_failed=retry_failed,
        executor=executor,
        tell=tell,
        not_made=not_made_before(opened.run_dir),
    )
    stages = tuple(stage for stage in STAGES if stage.wanted(work))
    chosen = _chosen(stages, only)
    if dry_run:
        results = _would_run(work, stages, chosen)
        return RunSummary(
            study=opened.study.study.name,
            run_dir=opened.run_dir,
            results=results,
            dry=True,
            estimate=estimate_study(work, results),
        )
    require_learner(work, chosen)
    asked = {"only": only, "redraw": redraw, "workers": workers, "retry_failed": retry_failed}
    with hold(opened.run_dir), run_kept(opened.run_dir, "run", asked) as log:
        sweep_orphans(opened.run_dir, older_than_s=_ORPHAN_AGE_S)
        try:
            results = _run_all(work, stages, chosen, log)
        except DataError:
            if work.report.cohort is None:
                write_bytes(opened.run_dir / _REFUSED_PAGE, page_bytes(work.report))
            raise
        (opened.run_dir / _REFUSED_PAGE).unlink(missing_ok=True)
        summary = RunSummary(study=opened.study.study.name, run_dir=opened.run_dir, results=results)
        write_bytes(opened.run_dir / RUN_FILE, json_bytes(_decided(work, summary)))
        log.found |= {"patients": len(work.cohort), **summary.to_json()}
        log.said = summary.lines()
    return summary


def _chosen(stages: Sequence[Stage], only: str | None) -> frozenset[str]:
    names = [stage.name for stage in stages]
    if only is None:
        return frozenset(names)
    if only not in names:
        raise ConfigError(
            f"there is no stage {only!r} in this study; its stages are {', '.join(names)}"
        )
    return frozenset([only])


def _run_all(
    work: Workshop, stages: Sequence[Stage], chosen: frozenset[str], log: RunLog
) -> tuple[StageResult, ...]:
    results: list[StageResult] = []
    absent: set[str] = set()
    for stage in track(stages, label="run", unit="stage"):
        with log.stage(stage.name):
            result = _run(work, stage, chosen, absent)
        if stage.name in chosen:
            _note(work, result)
        if stage.name in chosen and result.digest is None:
            absent.add(stage.name)
        results.append(result)
    return tuple(results)


def _run(work: Workshop, stage: Stage, chosen: frozenset[str], absent: set[str]) -> StageResult:
    if stage.name not in chosen:
        return StageResult(stage=stage.name, done="left out")
    if why := _needless(work, stage, absent):
        _remove_stale(work, stage, why)
        return StageResult(stage=stage.name, done="left out", reasons=(why,))
    for name in (*stage.needs, *_used(work, stage)):
        if name not in chosen and (damage := completeness(work.opened.run_dir, name).reasons):
            raise IntegrityError(
                f"stage {stage.name} is made from {name}, which is not whole: {'; '.join(damage)}; "
                f"run without --only"
            )
    reasons = _reasons(work, stage)
    if not reasons:
        return StageResult(stage=stage.name, done="up to date", digest=_digest(work, stage))
    try:
        manifest = stage.write(work)
    except NotEstimable as error:
        _remove_stale(work, stage, error.reason)
        return StageResult(stage=stage.name, done="not estimable", reasons=(error.reason,))
    return StageResult(
        stage=stage.name,
        done="made",
        reasons=reasons,
        digest=manifest.digest,
        failed=stage.failed(work),
    )


def _note(work: Workshop, result: StageResult) -> None:
    """Keep why a stage gave nothing, for the report."""
    if result.done in ("left out", "not estimable") and result.reasons:
        work.not_made[result.stage] = "; ".join(result.reasons)
    else:
        work.not_made.pop(result.stage, None)


def _used(work: Workshop, stage: Stage) -> tuple[str, ...]:
    """Name the products that a stage uses and the run has."""
    run_dir = work.opened.run_dir
    return tuple(name for name in stage.uses if read_record(run_dir, name) is not None)


def _needless(work: Workshop, stage: Stage, absent: set[str]) -> str:
    """Say why a study has no use for a stage; empty where it has."""
    if stage.skip is not None and (why := stage.skip(work)):
        return why
    lacking = [name for name in stage.needs if name in absent]
    return f"there is no {' and no '.join(lacking)}" if lacking else ""


def _remove_stale(work: Workshop, stage: Stage, why: str) -> None:
    """Remove what an earlier run made and this one would not; a locked bundle is never removed."""
    run_dir = work.opened.run_dir
    if read_record(run_dir, stage.name) is None:
        return
    if stage.name == "bundle":
        refuse_locked(run_dir / "bundle", why)
    remove_product(run_dir, stage.name)


def _reasons(work: Workshop, stage: Stage) -> tuple[str, ...]:
    reasons = completeness(work.opened.run_dir, stage.name, stage.recipe(work)).reasons
    if work.redraw and stage.name == "splits":
        reasons = (*reasons, "--redraw was given")
    reasons = reasons or stage.lost(work)
    if not reasons and (failed := stage.failed(work)):
        reasons = (f"{failed} failed last time",)
    return reasons


def _digest(work: Workshop, stage: Stage) -> str | None:
    record = read_record(work.opened.run_dir, stage.name)
    return None if record is None else record.digest


def _would_run(
    work: Workshop, stages: Sequence[Stage], chosen: frozenset[str]
) -> tuple[StageResult, ...]:
    results: list[StageResult] = []
    stale: set[str] = set()
    absent: set[str] = set()
    stopped = ""
    for stage in stages:
        if stage.name not in chosen:
            results.append(StageResult(stage=stage.name, done="left out"))
            continue
        if stopped:
            why = f"the run would stop at {stopped}"
            results.append(StageResult(stage=stage.name, done="left out", reasons=(why,)))
            continue
        try:
            result = _would(work, stage, stages, stale=stale, absent=absent)
        except IntegrityError as error:
            result = StageResult(stage=stage.name, done="refused", reasons=(str(error),))
        _note(work, result)
        stopped = stage.name if result.done == "refused" else ""
        if result.done == "would run":
            stale.add(stage.name)
        elif result.done == "left out":
            absent.add(stage.name)
        results.append(result)
    return tuple(results)


def _would(
    work: Workshop, stage: Stage, stages: Sequence[Stage], *, stale: set[str], absent: set[str]
) -> StageResult:
    run_dir = work.opened.run_dir
    locked = stage.name == "bundle" and is_locked(run_dir)
    if why := _needless(work, stage, absent):
        if locked and read_record(run_dir, stage.name) is not None:
            words = refusal_words(run_dir, why)
            return StageResult(stage=stage.name, done="refused", reasons=(words,))
        return StageResult(stage=stage.name, done="left out", reasons=(why,))
    if locked:
        words = locked_refusal(work, {item.name: item for item in stages}, stale)
        done = "refused" if words else "up to date"
        return StageResult(stage=stage.name, done=done, reasons=(words,) if words else ())
    made_from = (*stage.needs, *stage.uses)
    waiting = tuple(f"{name} will be made" for name in made_from if name in stale)
    reasons = waiting or _reasons(work, stage)
    done = "would run" if reasons else "up to date"
    return StageResult(stage=stage.name, done=done, reasons=reasons)


def _decided(work: Workshop, summary: RunSummary) -> dict[str, Any]:
    """Say what the run decided; without times, so that a repeated run writes the same bytes."""
    study = work.opened.study
    return {
        "metastra": VERSION,
        "study": study.study.name,
        "study_digest": study.digest,
        "seed": study.study.seed,
        "endpoint": study.endpoint.name,
        "products": {item.stage: item.digest for item in summary.results},
        "not_made": {
            item.stage: "; ".join(item.reasons)
            for item in summary.results
            if item.digest is None and item.reasons
        },
        **_models(work),
        "research_use": "Research use only. Not for diagnosis or treatment.",
    }


def _models(work: Workshop) -> dict[str, Any]:
    """Say what was chosen for a model that reads slides, as the predictions' product has it."""
    record = read_record(work.opened.run_dir, "predictions")
    if record is None or DECISIONS not in record.files:
        return {}
    return {"models": parse_json((work.opened.run_dir / DECISIONS).read_bytes())}
