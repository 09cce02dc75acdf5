"""The explained patients of a run as the report shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metastra.pipeline.report_pictures import shrunk_jpeg
from metastra.report.extreme_patients import ExtremePatient, PictureTile
from metastra.report.wording import number
from metastra.storage import read_product_bytes, read_record

if TYPE_CHECKING:
    from pathlib import Path

    from metastra.pipeline.workshop import Workshop

__all__ = ["extreme_patients"]

_MAP_PX, _TILE_PX = 1100, 112
_MOST_PATIENTS = 8
_MOST_TILES = 6


def extreme_patients(work: Workshop) -> tuple[ExtremePatient, ...]:
    """Read what the stage ``explanation`` has stored.

    Parameters
    ----------
    work : Workshop
        The study at work.

    Returns
    -------
    tuple of ExtremePatient
        At most eight, so that the page stays small; empty where nothing was explained.
    """
    run_dir = work.opened.run_dir
    if read_record(run_dir, "explanation") is None:
        return ()
    index = json.loads(_file(run_dir, "explanation.json"))
    return tuple(_patient(run_dir, entry) for entry in index["patients"][:_MOST_PATIENTS])


def _file(run_dir: Path, name: str) -> bytes:
    return read_product_bytes(run_dir, "explanation", f"explanation/{name}")


def _patient(run_dir: Path, entry: Mapping[str, Any]) -> ExtremePatient:
    head = {
        "patient": entry["patient"],
        "cohort": entry["cohort"],
        "which": entry["which"],
        "risk": entry["risk"],
    }
    if entry["reason"]:
        return ExtremePatient(**head, reason=entry["reason"])
    shown = entry["slides"][0]
    folder = shown["folder"]
    tiles = json.loads(_file(run_dir, f"{folder}/tiles.json"))
    return ExtremePatient(
        **head,
        slide=shown["slide"],
        n_slides=len(entry["slides"]),
        map_picture=shrunk_jpeg(_file(run_dir, f"{folder}/risk_map.png"), _MAP_PX, quality=80),
        raising=_tiles(run_dir, folder, tiles["raising"]),
        lowering=_tiles(run_dir, folder, tiles["lowering"]),
        document=json.loads(_file(run_dir, f"{folder}/explanation.json")),
        note=entry["note"],
    )


def _tiles(
    run_dir: Path, folder: str, tiles: Sequence[Mapping[str, Any]]
) -> tuple[PictureTile, ...]:
    found = []
    for tile in tiles[:_MOST_TILES]:
        data = _file(run_dir, f"{folder}/{tile['picture']}") if tile["picture"] else b""
        words = tuple(_words(one) for one in tile["differs_in"])
        picture = shrunk_jpeg(data, _TILE_PX)
        found.append(PictureTile(picture=picture, contribution=tile["contribution"], words=words))
    return tuple(found)


def _words(difference: Mapping[str, Any]) -> str:
    sign = "+" if difference["deviations"] > 0 else ""
    return f"{difference['words']} {sign}{number(difference['deviations'], 1)} SD"
