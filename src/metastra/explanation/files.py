"""The files of an explanation: one folder for each slide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.explanation.colours import limit_of
from metastra.explanation.contributions import UNIT
from metastra.explanation.drawing import MapPicture, draw_map, to_png
from metastra.explanation.faithfulness import Faithfulness
from metastra.explanation.patient import NamedBag, PatientExplanation, ShownTile
from metastra.explanation.pixels import SlidePixels
from metastra.explanation.qupath import map_geojson
from metastra.storage import json_bytes

__all__ = ["NOT_FAITHFUL", "NO_EFFECT", "chosen_boxes_px0", "slide_files"]

NOT_FAITHFUL = "This map does not beat random order: do not read it."
"""Written over a map that failed its test."""
NO_EFFECT = "No tile changes the risk."
"""Written over a map without any contribution: the risk model gives the slide score no weight."""

_RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
_BLANK_PX = 640
_ATTENTION = "Share of where the model looked; it has no sign and is not why."
_CURVES = (
    "shares",
    "raising_first",
    "lowering_first",
    "random_mean",
    "random_low",
    "random_high",
)
_DIGITS = 8


def chosen_boxes_px0(found: PatientExplanation, which: int) -> NDArray[np.float64]:
    """Give the tiles of a slide that are shown as pictures.

    Parameters
    ----------
    found : PatientExplanation
        The patient.
    which : int
        Position of the slide.

    Returns
    -------
    ndarray of shape (k, 4)
        x, y, width and height in level-0 pixels: those that raise, then those that lower.
    """
    rows = [tile.row for tile in (*found.raising, *found.lowering) if tile.slide == which]
    return found.slides[which].boxes_px0[np.asarray(rows, dtype=np.int64)]


def slide_files(
    found: PatientExplanation,
    which: int,
    pixels: SlidePixels | None,
    about: Mapping[str, Any],
) -> dict[str, bytes]:
    """Write the files of one slide.

    Parameters
    ----------
    found : PatientExplanation
        The patient.
    which : int
        Position of the slide.
    pixels : SlidePixels or None
        Pictures of the slide; without them the map is drawn on white and no tile is shown.
    about : mapping
        What ``explanation.json`` says beside the numbers: model, bundle, patient, notes.

    Returns
    -------
    dict of str to bytes
        ``risk_map.png``, ``tiles.json``, ``tiles/*.jpg``, ``map.geojson``, ``explanation.json``.
    """
    slide, mine = found.slides[which], found.of_slide(which)
    shown = {
        kind: [tile for tile in tiles if tile.slide == which]
        for kind, tiles in (("raising", found.raising), ("lowering", found.lowering))
    }
    names = [
        f"tiles/{kind}-{number}.jpg"
        for kind, tiles in shown.items()
        for number in range(1, len(tiles) + 1)
    ]
    pictures = dict(zip(names, pixels.tiles, strict=True)) if pixels is not None else {}
    risk = found.risk
    measures = {
        f"contribution ({UNIT})": risk.tiles[mine],
        f"3 x 3 tiles ({UNIT})": risk.neighbourhoods[mine],
        "attention (share)": risk.attention[mine],
    }
    offset = (0, 0) if pixels is None else pixels.offset_px0
    geojson = map_geojson(slide.bag.coords, slide.side_px0, measures, offset_px0=offset)
    return {
        "risk_map.png": to_png(draw_map(_picture(found, which, pixels))),
        "tiles.json": json_bytes(_tiles(found, which, shown, pictured=bool(pictures))),
        "map.geojson": geojson,
        "explanation.json": json_bytes({**about, **_document(found, which)}),
        **pictures,
    }


def _picture(found: PatientExplanation, which: int, pixels: SlidePixels | None) -> MapPicture:
    slide = found.slides[which]
    boxes, frame = slide.boxes_px0, slide.bag.frame
    if pixels is not None:
        size_px0, thumbnail = pixels.size_px0, pixels.thumbnail
    else:
        far = (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
        size_px0 = frame.slide_size_px0 or (math.ceil(far[0]), math.ceil(far[1]))
        grow = _BLANK_PX / max(size_px0)
        shape = (max(1, round(size_px0[1] * grow)), max(1, round(size_px0[0] * grow)), 3)
        thumbnail = np.full(shape, 255, dtype=np.uint8)
    scale = np.array([thumbnail.shape[1], thumbnail.shape[0]]) / np.asarray(size_px0)
    return MapPicture(
        thumbnail=thumbnail,
        boxes=boxes * np.tile(scale, 2),
        contributions=found.risk.tiles[found.of_slide(which)],
        limit=limit_of(found.risk.tiles),
        um_per_px=None if frame.mpp is None else frame.mpp[0] / scale[0],
        unit=UNIT,
        warning=_warning(found),
        pictured=pixels is not None,
    )


def _warning(found: PatientExplanation) -> str:
    tested = found.faithfulness
    if _without_effect(found):
        return NO_EFFECT
    return NOT_FAITHFUL if tested is not None and not tested.beats_random else ""


def _without_effect(found: PatientExplanation) -> bool:
    """Whether every known contribution of the patient is 0."""
    known = found.risk.tiles[np.isfinite(found.risk.tiles)]
    return bool(known.size) and not known.any()


def _document(found: PatientExplanation, which: int) -> dict[str, Any]:
    risk, slide = found.risk, found.slides[which]
    mine = risk.tiles[found.of_slide(which)]
    known = mine[np.isfinite(mine)]
    return {
        "slide": slide.name,
        "research_use": _RESEARCH_USE,
        "unit": UNIT,
        "quantity": "log relative hazard of the patient with the tile, less without it",
        "slide_score": _number(risk.score),
        "log_relative_hazard_per_unit_of_slide_score": _number(risk.per_score),
        "n_tiles": len(slide.bag),
        "n_tiles_of_patient": len(risk.tiles),
        "n_slides_of_patient": len(found.slides),
        "tile_side_um": _number(slide.bag.frame.completed().tile_side_um),
        "encoder": slide.bag.origin.encoder,
        "contributions": {
            "raising": int((known > 0).sum()),
            "lowering": int((known < 0).sum()),
            "highest": _number(known.max()) if known.size else None,
            "lowest": _number(known.min()) if known.size else None,
            "colours_end_at": _number(limit_of(risk.tiles)),
            "reason": _reason(found),
        },
        "faithfulness": _tested(found.faithfulness, found.untested),
        "attention": _ATTENTION,
    }


def _reason(found: PatientExplanation) -> str | None:
    """Say why there is nothing to read; None where there is something."""
    if _without_effect(found):
        return "no tile changes the risk: the risk model gives the slide score no weight"
    return None if np.isfinite(found.risk.tiles).any() else "it is the patient's only tile"


def _tested(tested: Faithfulness | None, why_not: str) -> dict[str, Any]:
    if tested is None:
        return {"tested": False, "reason": why_not}
    return {
        "tested": True,
        "method": "tile flipping: most raising tiles taken away first, against random orders",
        "beats_random": tested.beats_random,
        "area_between": _number(tested.area),
        "area_between_lowering": _number(tested.area_lowering),
        "p": _number(tested.p),
        "random_orders": tested.orders,
        "unit": f"{UNIT}, mean over the share of tiles taken away",
        "curves": {name: [_number(x) for x in getattr(tested, name)] for name in _CURVES},
    }


def _tiles(
    found: PatientExplanation,
    which: int,
    shown: Mapping[str, Sequence[ShownTile]],
    *,
    pictured: bool,
) -> dict[str, Any]:
    """Every tile with its numbers, and the extreme ones with their words."""
    mine, slide, risk = found.of_slide(which), found.slides[which], found.risk
    return {
        "research_use": _RESEARCH_USE,
        "slide": slide.name,
        "unit": UNIT,
        "tile_side_px0": list(slide.side_px0),
        "x_px0": slide.bag.coords[:, 0].tolist(),
        "y_px0": slide.bag.coords[:, 1].tolist(),
        "contribution": [_number(x) for x in risk.tiles[mine]],
        "contribution_3x3": [_number(x) for x in risk.neighbourhoods[mine]],
        "attention": [_number(x) for x in risk.attention[mine]],
        "attention_is": _ATTENTION,
        **{
            kind: [
                _shown(slide, tile, f"tiles/{kind}-{number}.jpg" if pictured else None)
                for number, tile in enumerate(tiles, start=1)
            ]
            for kind, tiles in shown.items()
        },
    }


def _shown(slide: NamedBag, tile: ShownTile, picture: str | None) -> dict[str, Any]:
    x, y = slide.bag.coords[tile.row].tolist()
    return {
        "row": tile.row,
        "x_px0": x,
        "y_px0": y,
        "picture": picture,
        "contribution": _number(tile.contribution),
        "contribution_3x3": _number(tile.neighbourhood),
        "attention": _number(tile.attention),
        "differs_in": [
            {
                name: _number(value) if isinstance(value, float) else value
                for name, value in asdict(difference).items()
            }
            for difference in tile.differences
        ],
    }


def _number(value: float | None) -> float | None:
    """Write a number so that it is the same on every machine, or None where there is none."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{float(value):.{_DIGITS}g}")
