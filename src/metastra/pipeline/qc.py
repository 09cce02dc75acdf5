"""The quality of loose slides: assessed in processes of their own, stored, shown on one sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metastra.cohort.drawn_regions import slide_stem
from metastra.errors import ConfigError, ResourceError
from metastra.executor import Executor, Failure, Limits, ProcessPool, Result, Task
from metastra.extraction.stored_quality import product_of
from metastra.pipeline.qc_review import apply_review, read_review
from metastra.pipeline.qc_sheet import sheet_bytes
from metastra.pipeline.qc_table import SlideRow, table_bytes, template_bytes, with_faint
from metastra.pipeline.qc_task import assess_file, product_files
from metastra.progress import track
from metastra.slides.folders import folders_not_entered, slide_files
from metastra.slides.resolution import require_mpp
from metastra.storage import (
    Recipe,
    hold,
    read_product_bytes,
    value_parent,
    write_product,
)
from metastra.tissue.geojson import RegionOrigin

__all__ = ["QcRequest", "QcSummary", "run_qc"]

_LIMITS = Limits(memory_bytes=6 << 30, wall_s=1800.0)


@dataclass(frozen=True, kw_only=True)
class QcRequest:
    """What `run_qc` is asked for.

    Parameters
    ----------
    slides : tuple of Path
        Slides; a folder stands for the files in it.
    out : Path
        Folder of the results.
    mpp : float or None
        Micrometres per pixel of every slide, where the file does not say it or is wrong.
    region : Path or None
        GeoJSON of the one slide, or a folder with ``<name of the slide>.geojson`` for several.
    region_origin : {"qupath", "level0"}
        See `metastra.tissue.geojson.read_region_file`.
    review : Path or None
        Review table; ``qc_review.csv`` in `out` where that exists.
    workers : int
        Processes at a time.
    """

    slides: tuple[Path, ...]
    out: Path
    mpp: float | None = None
    region: Path | None = None
    region_origin: RegionOrigin = "qupath"
    review: Path | None = None
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class QcSummary:
    """What became of the slides.

    Parameters
    ----------
    out : Path
        Folder of the results.
    rows : tuple of SlideRow
        One per slide, in the order asked for.
    made : int
        How many were assessed now; the others were done before or failed.
    """

    out: Path
    rows: tuple[SlideRow, ...]
    made: int

    @property
    def failed(self) -> int:
        """Slides without a result."""
        return sum(bool(row.error) for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Counts of slides by status and use, by code and by review; the files; the failures.
        """
        status = Counter(row.status for row in self.rows)
        reviews = [row.decision for row in self.rows if row.decision is not None]
        overridden = sum(decision.override for decision in reviews)
        return {
            "out": str(self.out),
            "files": ["qc.csv", "contact_sheet.html", "qc_review_template.csv"],
            "slides": len(self.rows),
            "assessed": status["assessed"],
            "not_assessable": status["not assessable"],
            "failed": status["failed"],
            "used": sum(row.use for row in self.rows),
            "made_now": self.made,
            "codes": dict(sorted(Counter(c for row in self.rows for c in row.codes).items())),
            "review": {
                "reviewed": len(reviews),
                "accepted": len(reviews) - overridden,
                "overridden": overridden,
            },
            "failures": [
                {"filename": row.filename, "error": row.error} for row in self.rows if row.error
            ],
        }

    def lines(self) -> Iterator[str]:
        """Say it in lines for a person.

        Yields
        ------
        str
            One line each.
        """
        told = self.to_json()
        yield (
            f"{told['slides']} slides: {told['assessed']} assessed, "
            f"{told['not_assessable']} not assessable, {told['failed']} failed; "
            f"{told['used']} go on"
        )
        if told["codes"]:
            yield "codes: " + ", ".join(f"{code} {n}" for code, n in told["codes"].items())
        review = told["review"]
        if review["reviewed"]:
            yield (
                f"review: {review['reviewed']} slides, {review['accepted']} accepted, "
                f"{review['overridden']} overridden"
            )
        for failure in told["failures"]:
            yield f"failed: {failure['filename']}: {failure['error']}"
        yield f"written to {self.out}: {', '.join(told['files'])}"


def run_qc(
    request: QcRequest,
    *,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> QcSummary:
    """Assess slides; what is done already is not done again.

    Parameters
    ----------
    request : QcRequest
        What is asked for.
    executor : Executor, optional
        A pool of processes with limits of memory and time when omitted.
    tell : callable, optional
        Told which folders are not entered, and what will happen when Ctrl-C is pressed.

    Returns
    -------
    QcSummary
        After ``qc.csv``, ``contact_sheet.html`` and ``qc_review_template.csv`` are written.

    Raises
    ------
    ConfigError
        If there are no slides, one region is given for several, or no slide has such a scale.
    DataError
        If the review table is refused.
    BusyError
        If another process works in the folder.
    ResourceError
        If disk or memory ran out.
    """
    require_mpp(request.mpp)
    if tell is not None and (note := folders_not_entered(request.slides)):
        tell(note)
    request = replace(request, slides=tuple(slide_files(request.slides)))
    regions = _regions(request)
    review = request.review
    if review is None and (request.out / "qc_review.csv").is_file():
        review = request.out / "qc_review.csv"
    decisions = () if review is None else read_review(review)
    pool = executor or ProcessPool(workers=request.workers, limits=_LIMITS, tell=tell)
    tasks = [
        Task(
            key=str(number),
            payload={
                "path": str(path),
                "out": str(request.out),
                "mpp": request.mpp,
                "region": None if region is None else str(region),
                "region_origin": request.region_origin,
            },
        )
        for number, (path, region) in enumerate(zip(request.slides, regions, strict=True), start=1)
    ]
    with hold(request.out):
        rows, made = _assess_all(request, pool, tasks)
        rows = with_faint(rows)
        if review is not None:
            rows = apply_review(rows, decisions, file=review.name)
        _write_tables(request.out, rows)
    return QcSummary(out=request.out, rows=rows, made=made)


def _assess_all(
    request: QcRequest, pool: Executor, tasks: Sequence[Task]
) -> tuple[tuple[SlideRow, ...], int]:
    names = _names(request.slides)
    rows: dict[int, SlideRow] = {}
    made = 0
    steps = track(
        pool.run(assess_file, tasks), label="Assessing slides", total=len(tasks), unit="slides"
    )
    for result in steps:
        number = int(result.key)
        row = SlideRow(filename=names[number - 1], number=number)
        if result.failure is not None:
            steps.fail()
            words = _words(result.failure)
            path = str(request.slides[number - 1])
            rows[number] = replace(row, error=words.replace(path, row.filename))
            continue
        rows[number], fresh = _kept(request.out, row, result)
        made += fresh
    return tuple(rows[number] for number in sorted(rows)), made


def _kept(out: Path, row: SlideRow, result: Result) -> tuple[SlideRow, bool]:
    """Store a result as a product of its own, or read the one that is there."""
    value = result.value
    name, recipe = product_of(value["digest"], value["settings"])
    fresh = "row" in value
    if fresh:
        found, picture = value["row"], value["picture"]
        files = product_files(name, value)
        write_product(out, name, recipe, files)
    else:
        found = value["stored"]
        picture = read_product_bytes(out, name, f"{name}.jpg")
    return replace(row, digest=value["digest"], found=found, picture=picture), fresh


def _write_tables(out: Path, rows: Sequence[SlideRow]) -> None:
    """Write the table, the sheet and the reviewer's template; together they are complete."""
    files = {
        "qc.csv": table_bytes(rows),
        "contact_sheet.html": sheet_bytes(rows),
        "qc_review_template.csv": template_bytes(rows),
    }
    parents = {
        f"slide {row.number}": value_parent("slide content", row.digest)
        for row in rows
        if row.digest
    }
    write_product(out, "qc", Recipe(kind="qc", parents=parents), files)


def _regions(request: QcRequest) -> tuple[Path | None, ...]:
    """Find the region of each slide."""
    if not request.slides:
        raise ConfigError("no slides were given")
    if request.region is None:
        return (None,) * len(request.slides)
    if request.region.is_dir():
        found = tuple(
            request.region / f"{slide_stem(path.name)}.geojson" for path in request.slides
        )
        return tuple(path if path.is_file() else None for path in found)
    if len(request.slides) > 1:
        raise ConfigError(
            f"one region for {len(request.slides)} slides; give a folder with "
            "<name of the slide>.geojson for each, or one slide"
        )
    if not request.region.is_file():
        raise ConfigError(f"{request.region}: no such file; correct --region")
    return (request.region,)


def _names(slides: Sequence[Path]) -> list[str]:
    """Name slides by their file names, and by their paths where two would be the same."""
    counts = Counter(path.name for path in slides)
    return [path.name if counts[path.name] == 1 else str(path) for path in slides]


def _words(failure: Failure) -> str:
    """Say in one line why a slide failed; a full disk is no slide's fault."""
    if failure.kind == ResourceError.__name__:
        raise ResourceError(str(failure))
    if failure.problems:
        return "; ".join(f"{item.code} {item.found}" for item in failure.problems)
    return " ".join(str(failure).split())
