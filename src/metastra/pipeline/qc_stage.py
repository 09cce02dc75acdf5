"""The stage ``qc``: how good each slide of the study is to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from metastra.errors import IntegrityError
from metastra.executor import Result, Task
from metastra.extraction.batch import LIMITS, store_error
from metastra.extraction.stored_quality import product_of
from metastra.pipeline.qc_review import REVIEW, apply_review, read_review
from metastra.pipeline.qc_sheet import sheet_bytes
from metastra.pipeline.qc_table import SlideRow, table_bytes, template_bytes
from metastra.pipeline.qc_task import assess_file, product_files
from metastra.pipeline.study_slides import StudySlide, slides_parent_digest, study_slides
from metastra.pipeline.workshop import Workshop
from metastra.progress import track
from metastra.storage import (
    Recipe,
    csv_rows,
    file_parent,
    product_parent,
    read_product_bytes,
    value_parent,
    write_product,
)
from metastra.tissue.quality import MEASURES_VERSION

__all__ = ["assess_slides", "has_slides_to_assess", "qc_failed", "qc_files", "qc_recipe"]

_TABLE = "qc.csv"


def has_slides_to_assess(work: Workshop) -> bool:
    """Whether a study lists slides that are no feature files.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    bool
        False also where its data are refused, so that nothing is known of its slides.
    """
    return work.report.cohort is not None and bool(_to_assess(work))


def qc_recipe(work: Workshop) -> Recipe:
    """State what the table of quality is made from.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    Recipe
        With the reviewer's table where there is one.
    """
    run_dir = work.opened.run_dir
    parents = {
        "cohort": product_parent(run_dir, "cohort"),
        "slides": value_parent("slides", slides_parent_digest(work, _to_assess(work))),
    }
    if (run_dir / REVIEW).is_file():
        parents["review"] = file_parent(run_dir, run_dir / REVIEW)
    return Recipe(kind="qc", parents=parents, settings={"measures": MEASURES_VERSION})


def qc_files(work: Workshop) -> dict[str, bytes]:
    """Assess the slides that were not assessed yet, and write the table, the sheet, the template.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    dict of str to bytes
        Slides stand under their pseudonyms.

    Raises
    ------
    DataError
        If the reviewer's table is refused.
    ResourceError, IntegrityError, KeyboardInterrupt
        As for the features.
    """
    slides = _to_assess(work)
    rows = assess_slides(work, slides)
    review = work.opened.run_dir / REVIEW
    if review.is_file():
        rows = apply_review(rows, read_review(review), file=review.name)
    return {
        _TABLE: table_bytes(rows),
        "contact_sheet.html": sheet_bytes(rows),
        "qc_review_template.csv": template_bytes(rows),
    }


def qc_failed(work: Workshop) -> int:
    """Count the slides that failed when the stage last ran.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    int
        0 where the stage never ran.
    """
    try:
        table = read_product_bytes(work.opened.run_dir, "qc", _TABLE)
    except IntegrityError:
        return 0
    header, rows = csv_rows(table)
    column = header.index("status")
    return sum(row[column] == "failed" for row in rows)


def _to_assess(work: Workshop) -> list[StudySlide]:
    return [slide for slide in study_slides(work) if not slide.is_features]


def assess_slides(work: Workshop, slides: Sequence[StudySlide]) -> tuple[SlideRow, ...]:
    """Assess some slides of a study, those that were assessed before left alone.

    Parameters
    ----------
    work : Workshop
        The study at work.
    slides : sequence of StudySlide
        Some or all that are no feature files.

    Returns
    -------
    tuple of SlideRow
        One for each, in their order.

    Raises
    ------
    ResourceError, IntegrityError, KeyboardInterrupt
        As `qc_files`.
    """
    run_dir = work.opened.run_dir
    tasks = [
        Task(
            key=slide.name,
            payload={
                "path": str(slide.path),
                "out": str(run_dir),
                "name": slide.name,
                "mpp": slide.mpp,
                "region": None if slide.region is None else str(slide.region),
                "region_origin": slide.region_origin,
                "region_shown": f"{slide.name}.geojson",
            },
        )
        for slide in slides
    ]
    executor = work.careful("qc", LIMITS)
    blank = {
        slide.name: SlideRow(filename=slide.name, number=number)
        for number, slide in enumerate(slides, start=1)
    }
    by_name = {slide.name: slide for slide in slides}
    done: dict[str, SlideRow] = {}
    steps = track(executor.run(assess_file, tasks), label="qc", unit="slides", total=len(tasks))
    for result in steps:
        row = blank[result.key]
        if result.failure is None:
            done[result.key] = _kept(work, row, result)
            continue
        if (fatal := store_error(result.failure)) is not None:
            raise fatal
        steps.fail()
        slide = by_name[result.key]
        told = "; ".join(f"{item.code} {item.found}" for item in result.failure.problems)
        told = (told or str(result.failure)).replace(str(slide.path), slide.name)
        done[result.key] = replace(row, error=told.replace(slide.path.name, slide.name))
    return tuple(done[slide.name] for slide in slides)


def _kept(work: Workshop, row: SlideRow, result: Result) -> SlideRow:
    """Store a result as a product of its own, or read the one that is there."""
    run_dir, value = work.opened.run_dir, result.value
    name, recipe = product_of(value["digest"], value["settings"])
    if "row" in value:
        found, picture = value["row"], value["picture"]
        files = product_files(name, value)
        write_product(run_dir, name, recipe, files)
    else:
        found, picture = value["stored"], read_product_bytes(run_dir, name, f"{name}.jpg")
    return replace(row, digest=value["digest"], found=found, picture=picture)
