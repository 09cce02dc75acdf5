"""What the report says of a study's slides, from the products of quality and features."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metastra.catalogue import check
from metastra.pipeline.report_pictures import shrunk_jpeg
from metastra.report.slide_quality import CodeCount, QualityPicture, SlideQuality
from metastra.storage import csv_rows, product_names, read_product_bytes, read_product_json
from metastra.storage.records import read_record

if TYPE_CHECKING:
    from pathlib import Path

    from metastra.pipeline.workshop import Workshop

__all__ = ["slide_quality"]

_MOST_PICTURES = 24
_PICTURE_PX = 180


def slide_quality(work: Workshop) -> SlideQuality | None:
    """Gather what became of the slides.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    SlideQuality or None
        None for a run without slides.
    """
    run_dir = work.opened.run_dir
    told: dict[str, Any] = {}
    if read_record(run_dir, "qc") is not None:
        header, rows = csv_rows(read_product_bytes(run_dir, "qc", "qc.csv"))
        told |= _assessed(run_dir, [dict(zip(header, row, strict=True)) for row in rows])
    if read_record(run_dir, "features") is not None:
        told |= _extracted(run_dir)
    return SlideQuality(**told) if told else None


def _assessed(run_dir: Path, rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    states = Counter(row["status"] for row in rows)
    codes = Counter(code for row in rows for code in row["codes"].split())
    pictures = _pictures(run_dir)
    ordered = sorted(rows, key=_urgency)
    pictured = [row for row in ordered if row["slide_sha256"][:24] in pictures]
    strip = tuple(
        _picture(run_dir, row, pictures[row["slide_sha256"][:24]])
        for row in pictured[:_MOST_PICTURES]
    )
    return {
        "assessed": states["assessed"],
        "not_assessable": states["not assessable"],
        "failed": states["failed"],
        "used": sum(row["use"] == "true" for row in rows),
        "reviewed": sum(bool(row["review"]) for row in rows),
        "codes": tuple(
            CodeCount(code=code, title=check(code).title, n=n)
            for code, n in sorted(codes.items(), key=lambda item: (-item[1], item[0]))
        ),
        "strip": strip,
        "n_pictured": len(pictured),
    }


def _urgency(row: Mapping[str, str]) -> tuple[bool, bool, str]:
    """Put first what is left out, then what has findings."""
    return row["use"] == "true", not row["codes"], row["FILENAME"]


def _pictures(run_dir: Path) -> dict[str, str]:
    """Find the product with the picture of each slide, by the begin of the slide's digest."""
    found = {}
    for product in product_names(run_dir):
        if product.startswith("quality/"):
            digest = product.removeprefix("quality/").partition("-")[0]
            record = read_record(run_dir, product)
            if record is not None and f"{product}.jpg" in record.files:
                found[digest] = product
    return found


def _picture(run_dir: Path, row: Mapping[str, str], product: str) -> QualityPicture:
    data = read_product_bytes(run_dir, product, f"{product}.jpg")
    return QualityPicture(
        name=row["FILENAME"],
        picture=shrunk_jpeg(data, _PICTURE_PX, quality=70),
        status=row["status"],
        use=row["use"] == "true",
        codes=tuple(row["codes"].split()),
    )


def _extracted(run_dir: Path) -> dict[str, Any]:
    index = read_product_json(run_dir, "features")
    counts, slides = index["counts"], index["slides"]
    all_taken = read_record(run_dir, "qc") is None
    return {
        "extracted": counts["done"],
        "excluded": counts["excluded"],
        "features_failed": counts["failed"],
        "tiles": sum(row.get("n_tiles") or 0 for row in slides),
        "grid": sum(row.get("n_grid") or 0 for row in slides),
        "encoder": _encoder(run_dir) or ("" if all_taken else index["encoder"]["name"]),
    }


def _encoder(run_dir: Path) -> str:
    """Name the encoder whose features the model reads; empty where no model reads any."""
    if read_record(run_dir, "bundle") is None:
        return ""
    contract = json.loads(read_product_bytes(run_dir, "bundle", "bundle/contract.json"))
    return str((contract["slides"] or {}).get("encoder", ""))
