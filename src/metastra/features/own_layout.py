"""Our feature file: TRIDENT's layout, and what TRIDENT's leaves out, as attributes of the file.

TRIDENT's readers find ``features``, ``coords`` and the attributes they look for.  Ours find beside
them the scale, the side of a tile and the digests of all that the features were made from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from metastra.features.bag import BagFrame, BagOrigin
from metastra.features.hints import Hints

__all__ = [
    "LAYOUT",
    "OWN_MARK",
    "coords_attributes",
    "features_attributes",
    "is_own",
    "own_attributes",
    "own_frame",
    "own_origin",
]

OWN_MARK = "metastra_layout"
"""Attribute by which our file is known."""
LAYOUT = 1
"""Number of the layout; a higher one is refused."""

_DIGESTS = ("slide_digest", "tiling_digest", "encoder_digest", "quality_digest")
_WORDS = ("name", "encoder", "engine", "precision", "excluded", "reading", *_DIGESTS)
_UM_PER_MAGNIFICATION = 10.0
"""TRIDENT's habit: 0.5 µm per pixel is called 20, and so on."""


def is_own(given: Mapping[str, Any]) -> bool:
    """Tell our file by its attributes.

    Parameters
    ----------
    given : mapping
        Attributes of the file.

    Returns
    -------
    bool
        Whether it says the number of our layout.

    Examples
    --------
    >>> is_own({"metastra_layout": 1}), is_own({})
    (True, False)
    """
    return OWN_MARK in given


def own_attributes(frame: BagFrame, origin: BagOrigin) -> dict[str, Any]:
    """Write frame and origin as attributes of the file.

    Parameters
    ----------
    frame : BagFrame
        What the coordinates measure.
    origin : BagOrigin
        What the bag was made from.

    Returns
    -------
    dict
        Without what is not known.

    Examples
    --------
    >>> sorted(own_attributes(BagFrame(mpp=(0.5, 0.5)), BagOrigin(encoder="morphology")))
    ['encoder', 'metastra_layout', 'mpp']
    """
    values: dict[str, Any] = {OWN_MARK: LAYOUT}
    if frame.mpp is not None:
        values["mpp"] = [float(item) for item in frame.mpp]
    if frame.tile_side_px0 is not None:
        values["tile_side_px0"] = [float(item) for item in frame.tile_side_px0]
    if frame.slide_size_px0 is not None:
        values["slide_size_px0"] = [int(item) for item in frame.slide_size_px0]
    for name in ("tile_side_um", "target_mpp", "tile_px"):
        if getattr(frame, name) is not None:
            values[name] = getattr(frame, name)
    values.update({name: getattr(origin, name) for name in _WORDS if getattr(origin, name)})
    if origin.feature_names:
        values["feature_names"] = json.dumps(list(origin.feature_names), ensure_ascii=False)
    if origin.dropped:
        values["dropped"] = json.dumps(dict(origin.dropped), sort_keys=True)
    return values


def own_frame(given: Mapping[str, Any], hints: Hints) -> BagFrame:
    """Read the frame.

    Parameters
    ----------
    given : mapping
        Attributes of the file.
    hints : Hints
        Used for what the file does not say.

    Returns
    -------
    BagFrame
        Equal to the one that was written.

    Examples
    --------
    >>> frame = BagFrame(mpp=(0.5, 0.5), tile_px=224)
    >>> own_frame(own_attributes(frame, BagOrigin()), Hints()) == frame
    True
    """
    mpp, side, size = (given.get(name) for name in ("mpp", "tile_side_px0", "slide_size_px0"))
    tile_px = given.get("tile_px")
    return BagFrame(
        mpp=hints.mpp if mpp is None else (float(mpp[0]), float(mpp[1])),
        tile_side_um=given.get("tile_side_um", hints.tile_side_um),
        tile_side_px0=None if side is None else (float(side[0]), float(side[1])),
        target_mpp=given.get("target_mpp"),
        tile_px=None if tile_px is None else int(tile_px),
        slide_size_px0=None if size is None else (int(size[0]), int(size[1])),
    )


def own_origin(given: Mapping[str, Any]) -> BagOrigin:
    """Read the origin.

    Parameters
    ----------
    given : mapping
        Attributes of the file.

    Returns
    -------
    BagOrigin
        Equal to the one that was written.

    Examples
    --------
    >>> origin = BagOrigin(name="a", encoder="morphology", feature_names=("area",))
    >>> own_origin(own_attributes(BagFrame(), origin)) == origin
    True
    """
    words = {name: str(given.get(name, "")) for name in _WORDS}
    names = json.loads(given["feature_names"]) if "feature_names" in given else []
    dropped = json.loads(given["dropped"]) if "dropped" in given else {}
    return BagOrigin(
        **words,
        feature_names=tuple(str(item) for item in names),
        dropped={str(code): int(count) for code, count in dropped.items()},
    )


def coords_attributes(frame: BagFrame, name: str) -> dict[str, Any]:
    """Write the attributes that TRIDENT's readers look for on ``coords``.

    Magnifications are TRIDENT's words for a scale, rounded as it rounds them; ours is ``mpp``.

    Parameters
    ----------
    frame : BagFrame
        What the coordinates measure.
    name : str
        Of the slide.

    Returns
    -------
    dict
        What is not known is the text ``None``, as TRIDENT writes it.

    Examples
    --------
    >>> frame = BagFrame(
    ...     mpp=(0.25, 0.25), tile_side_px0=(448.0, 448.0), target_mpp=0.5, tile_px=224
    ... )
    >>> found = coords_attributes(frame, "a")
    >>> found["patch_size_level0"], found["level0_magnification"], found["level0_width"]
    (448, 40, 'None')
    """
    side, size = frame.tile_side_px0, frame.slide_size_px0
    mpp = frame.mpp[0] if frame.mpp else None
    return {
        "patch_size": frame.tile_px if frame.tile_px is not None else "None",
        "patch_size_level0": round(side[0]) if side else "None",
        "level0_magnification": _magnification(mpp),
        "target_magnification": _magnification(frame.target_mpp),
        "overlap": 0,
        "name": name,
        "savetodir": "None",
        "level0_width": size[0] if size else "None",
        "level0_height": size[1] if size else "None",
    }


def features_attributes(origin: BagOrigin) -> dict[str, Any]:
    """Write the attributes that TRIDENT's readers look for on ``features``.

    Parameters
    ----------
    origin : BagOrigin
        What the bag was made from.

    Returns
    -------
    dict
        name, savetodir, encoder.

    Examples
    --------
    >>> features_attributes(BagOrigin(name="a", encoder="uni_v2"))
    {'name': 'a', 'savetodir': 'None', 'encoder': 'uni_v2'}
    """
    return {"name": origin.name, "savetodir": "None", "encoder": origin.encoder or "None"}


def _magnification(mpp: float | None) -> int | str:
    if mpp is None:
        return "None"
    return max(1, round(_UM_PER_MAGNIFICATION / mpp))
