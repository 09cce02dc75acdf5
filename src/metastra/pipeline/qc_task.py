"""One slide's quality, as a task for a process of its own: plain values in, plain values out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metastra.errors import Problem, SlideError
from metastra.extraction.digests import noted_digest
from metastra.extraction.stored_quality import maps_bytes, product_of, quality_settings
from metastra.slides.identity import slide_digest
from metastra.slides.opening import open_slide
from metastra.slides.slide import SlideInfo
from metastra.storage import completeness, json_bytes, read_product_json
from metastra.tissue.drawing import draw_quality, to_jpeg
from metastra.tissue.geojson import read_region_file, region_digest
from metastra.tissue.quality import SlideQuality, assess

__all__ = ["assess_file", "product_files"]

_NOT_FOR_QC = {"SL012"}
_DIGITS = 6
_NOTHING = {"picture": b"", "maps": b""}


def assess_file(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Assess one slide, unless that is done already.

    Parameters
    ----------
    payload : mapping
        ``path``, ``out`` (the folder of results), ``mpp`` (number or None), ``region`` (path or
        None) and ``region_origin``; in a run also ``name`` and ``region_shown``, pseudonyms of the
        slide and its region.

    Returns
    -------
    dict
        ``digest``, ``settings`` and either ``stored`` (the row of an earlier run) or ``row``,
        ``picture`` (JPEG) and ``maps`` (as `metastra.extraction.stored_quality.maps_bytes`; empty
        where the slide cannot be judged).

    Raises
    ------
    SlideError, DataError
        If the slide or its region cannot be read.
    """
    path, out = Path(payload["path"]), Path(payload["out"])
    region = None if payload["region"] is None else Path(payload["region"])
    settings = quality_settings(
        payload["mpp"],
        None if region is None else region_digest(region, shown=payload.get("region_shown", "")),
        payload["region_origin"],
    )
    with open_slide(path, mpp=payload["mpp"]) as slide:
        name = payload.get("name")
        # a run keeps notes of digests, so that no slide is read again to learn that it is the same
        digest = noted_digest(path, name, out) if name else slide_digest(path)
        product, recipe = product_of(digest, settings)
        made = {"digest": digest, "settings": settings}
        if completeness(out, product, recipe):
            return {**made, "stored": read_product_json(out, product, f"{product}.json")}
        drawn = None
        if region is not None:
            drawn = read_region_file(
                region,
                slide.info,
                origin=payload["region_origin"],
                shown=payload.get("region_shown", ""),
            )
        try:
            quality = assess(slide, drawn)
        except SlideError as error:
            if not {problem.code for problem in error.problems} <= _NOT_FOR_QC:
                raise
            return {**made, "row": _unjudged(slide.info, error.problems), **_NOTHING}
        row = _row(slide.info, quality, "" if drawn is None else drawn.source)
    drawing = to_jpeg(draw_quality(quality))
    return {**made, "row": row, "picture": drawing, "maps": maps_bytes(quality)}


def product_files(product: str, value: Mapping[str, Any]) -> dict[str, bytes]:
    """Name the files of the product that holds a slide's quality.

    Parameters
    ----------
    product : str
        Its name.
    value : mapping
        From `assess_file`, with a row.

    Returns
    -------
    dict of str to bytes
        The row, the picture and the maps.
    """
    return {
        f"{product}.json": json_bytes(value["row"]),
        f"{product}.jpg": value["picture"],
        f"{product}.npz": value["maps"],
    }


def _row(info: SlideInfo, quality: SlideQuality, region: str) -> dict[str, Any]:
    """Everything the table and the sheet need, without the slide's name."""
    found = (*info.problems, *quality.codes)
    return {
        **_of_slide(info),
        "assessable": quality.assessable,
        "codes": [_anonymous(problem) for problem in found],
        "not_assessable": dict(quality.not_assessable),
        "region": region,
        "map_mpp": _number(quality.map_mpp),
        "fractions": {name: _number(value) for name, value in quality.fractions.items()},
        "measures": {name: _number(value) for name, value in quality.measures.items()},
        "focus_fields": 0 if quality.focus is None else len(quality.focus.boxes_px0),
    }


def _unjudged(info: SlideInfo, problems: tuple[Problem, ...]) -> dict[str, Any]:
    """Say why a readable slide cannot be assessed at all."""
    return {
        **_of_slide(info),
        "assessable": False,
        "codes": [_anonymous(problem) for problem in (*info.problems, *problems)],
        "not_assessable": {"everything": problems[0].found},
        "region": "",
        "map_mpp": None,
        "fractions": {},
        "measures": {},
        "focus_fields": 0,
    }


def _of_slide(info: SlideInfo) -> dict[str, Any]:
    return {
        "width_px": info.width_px,
        "height_px": info.height_px,
        "mpp_x": _number(info.mpp_x),
        "mpp_y": _number(info.mpp_y),
        "mpp_source": info.mpp_source,
    }


def _anonymous(problem: Problem) -> dict[str, str]:
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "found": problem.found,
        "expected": problem.expected,
    }


def _number(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), _DIGITS)
