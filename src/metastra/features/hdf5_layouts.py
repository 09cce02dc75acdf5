"""The HDF5 layouts of the field: what each calls things, and what its numbers mean.

TRIDENT 0.3, STAMP 2 (and its two older generations), CLAM, and ours, which is TRIDENT's with more
attributes.  Coordinates become level-0 pixels here; whoever gave micrometres needs a scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from metastra.errors import SchemaError
from metastra.features.bag import Bag, BagFrame, BagOrigin, feature_error
from metastra.features.guard import attributes, dataset, load, mapped, names, open_h5
from metastra.features.hints import Hints
from metastra.features.own_layout import LAYOUT, OWN_MARK, is_own, own_frame, own_origin

__all__ = ["LAYOUTS", "layout_of", "read_h5"]

_HISTORIC_STRIDE = 224
_HISTORIC_SIDE_UM = 256.0


def read_h5(path: Path, hints: Hints | None = None) -> Bag:
    """Read a feature file of any HDF5 layout.

    Parameters
    ----------
    path : Path
        The file.
    hints : Hints, optional
        What the file may leave out.

    Returns
    -------
    Bag
        A memory map where the file allows it; else the features are read.

    Raises
    ------
    DataError
        SL051 to SL056: not to be opened, no known layout, more claimed than held, not fitting
        together, or a scale that is missing.
    """
    hints = hints or Hints()
    with open_h5(path) as file:
        return LAYOUTS[layout_of(file)](file, path, hints)


def layout_of(file: h5py.File) -> str:
    """Tell a layout by its datasets.

    Parameters
    ----------
    file : h5py.File
        Open.

    Returns
    -------
    str
        ``"metastra"``, ``"trident"``, ``"stamp"`` or ``"clam"``.

    Raises
    ------
    DataError
        SL052 if it is none of them, with what it seems to be.
    """
    where, found = Path(file.filename).name, names(file)
    if "patch_embeddings" in found:
        raise feature_error(
            "SL052", where, "KRONOS embeddings have no coordinates", expected="coords beside them"
        )
    if "feats" in found:
        if file.attrs.get("feat_type", "tile") != "tile" or "encoder" in file.attrs:
            raise feature_error(
                "SL052", where, "STAMP features of a whole slide or patient", expected="of tiles"
            )
        return "stamp"
    if "features" not in found:
        what = "coordinates without features" if "coords" in found else f"{sorted(found)}"
        raise feature_error("SL052", where, what, expected="`features` or `feats`, and `coords`")
    if getattr(file["features"], "ndim", 2) == 1:
        raise feature_error("SL052", where, "features of a whole slide", expected="of tiles")
    if "coords" not in found:
        raise feature_error("SL052", where, "features without coordinates", expected="`coords`")
    if is_own(attributes(file, only=OWN_MARK)):
        return "metastra"
    return "trident" if len(file["coords"].attrs) or len(file["features"].attrs) else "clam"


def _read_own(file: h5py.File, path: Path, hints: Hints) -> Bag:
    given = attributes(file)
    if given[OWN_MARK] != LAYOUT:
        raise SchemaError(
            f"{path.name}: layout {given[OWN_MARK]}, this metastra knows {LAYOUT}; "
            "use the newer metastra that wrote it"
        )
    return _bag(
        file, path, "features", _integers(file, path), own_frame(given, hints), own_origin(given)
    )


def _read_trident(file: h5py.File, path: Path, hints: Hints) -> Bag:
    about = attributes(file["coords"])
    side = _number(about.get("patch_size_level0"))
    if side is None:
        side = _clam_side(about) or hints.tile_side_px0
    width, height = _number(about.get("level0_width")), _number(about.get("level0_height"))
    tile_px = _number(about.get("patch_size"))
    frame = BagFrame(
        mpp=hints.mpp,
        tile_side_um=hints.tile_side_um if side is None else None,
        tile_side_px0=None if side is None else (side, side),
        tile_px=None if tile_px is None else int(tile_px),
        slide_size_px0=None if width is None or height is None else (int(width), int(height)),
    )
    encoder = str(attributes(file["features"]).get("encoder", hints.encoder))
    origin = BagOrigin(name=_text(about.get("name")) or path.stem, encoder=encoder)
    return _bag(file, path, "features", _integers(file, path), frame, origin, layout="trident")


def _read_clam(file: h5py.File, path: Path, hints: Hints) -> Bag:
    side = hints.tile_side_px0
    frame = BagFrame(
        mpp=hints.mpp,
        tile_side_um=hints.tile_side_um,
        tile_side_px0=None if side is None else (side, side),
    )
    origin = BagOrigin(name=path.stem, encoder=hints.encoder)
    return _bag(file, path, "features", _integers(file, path), frame, origin, layout="clam")


def _read_stamp(file: h5py.File, path: Path, hints: Hints) -> Bag:
    given = attributes(file)
    raw = load(dataset(file, "coords", n_dims=2, kinds="iuf"))
    side_um, to_um = _stamp_scale(given, raw)
    mpp = _pair(given.get("mpp")) or hints.mpp
    tile_px = _number(given.get("tile_size_px"))
    side = hints.tile_side_px0
    frame = BagFrame(
        mpp=mpp,
        tile_side_um=hints.tile_side_um if side_um is None else side_um,
        tile_side_px0=None if side is None or side_um is not None else (side, side),
        tile_px=None if tile_px is None else int(tile_px),
    )
    if to_um is None and raw.dtype.kind == "f":
        raise feature_error(
            "SL056",
            path.name,
            "the coordinates are no whole numbers and the file does not say their unit",
            expected="`tile_size_um`, or whole level-0 pixels",
        )
    if to_um is None:
        coords = _whole(raw, path)
    elif mpp is None:
        raise feature_error(
            "SL056",
            path.name,
            "the coordinates are in µm and the file does not say the slide's microns per pixel",
            hint="Give `--slide-mpp MPP`.",
        )
    else:
        coords = np.rint(raw.astype(np.float64) * to_um / np.asarray(mpp)).astype(np.int64)
    encoder = str(given.get("extractor", hints.encoder))
    origin = BagOrigin(name=path.stem, encoder=encoder)
    return _bag(file, path, "feats", coords, frame, origin, layout="stamp")


LAYOUTS: Mapping[str, Callable[[h5py.File, Path, Hints], Bag]] = {
    "metastra": _read_own,
    "trident": _read_trident,
    "stamp": _read_stamp,
    "clam": _read_clam,
}
"""A reader for each HDF5 layout."""


def _bag(
    file: h5py.File,
    path: Path,
    features: str,
    coords: NDArray[np.int64],
    frame: BagFrame,
    origin: BagOrigin,
    *,
    layout: str = "metastra",
) -> Bag:
    values = mapped(dataset(file, features, n_dims=2, kinds="f"))
    if values.dtype not in (np.float16, np.float32):
        values = values.astype(np.float32)
    if len(values) != len(coords):
        raise feature_error(
            "SL055", path.name, f"{len(values)} rows of features, {len(coords)} of coordinates"
        )
    return Bag(
        features=values, coords=coords, frame=frame.completed(), origin=origin, layout=layout
    )


def _integers(file: h5py.File, path: Path) -> NDArray[np.int64]:
    return _whole(load(dataset(file, "coords", n_dims=2, kinds="iuf")), path)


def _whole(raw: NDArray[Any], path: Path) -> NDArray[np.int64]:
    if raw.dtype.kind == "f" and not (np.isfinite(raw).all() and (raw == np.rint(raw)).all()):
        raise feature_error(
            "SL055", path.name, "a coordinate is no whole number", expected="level-0 pixels"
        )
    return raw.astype(np.int64)


def _stamp_scale(given: Mapping[str, Any], raw: NDArray[Any]) -> tuple[float | None, float | None]:
    """Side of a tile in µm and µm per unit of the coordinates, by STAMP's three generations."""
    side = _number(given.get("tile_size"))
    if side is not None and given.get("unit") == "um":
        return side, 1.0
    side_um = _number(given.get("tile_size_um"))
    if side_um is not None:
        return side_um, 1.0
    if round(side if side is not None else _stride(raw)) == _HISTORIC_STRIDE:
        return _HISTORIC_SIDE_UM, _HISTORIC_SIDE_UM / _HISTORIC_STRIDE
    return None, None


def _stride(raw: NDArray[Any]) -> float:
    """Smallest step between two columns or two rows of tiles; 0 where there is none."""
    steps = [np.diff(np.unique(raw[:, axis])) for axis in (0, 1)] if raw.ndim == 2 else []
    steps = [step for step in steps if step.size]
    return float(min(step.min() for step in steps)) if steps else 0.0


def _clam_side(about: Mapping[str, Any]) -> float | None:
    """Level-0 side of a tile from CLAM's attributes (``patches/*.h5`` and copies of them)."""
    side, downsample = _number(about.get("patch_size")), about.get("downsample")
    if side is None or downsample is None:
        return None
    factor = _pair(downsample)
    custom = _number(about.get("custom_downsample")) or 1.0
    return None if factor is None else side * factor[0] * custom


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if np.isfinite(value) and value > 0 else None


def _pair(value: object) -> tuple[float, float] | None:
    if isinstance(value, list) and len(value) == 2:
        x, y = (_number(item) for item in value)
        return None if x is None or y is None else (x, y)
    number = _number(value)
    return None if number is None else (number, number)


def _text(value: object) -> str:
    return value if isinstance(value, str) and value != "None" else ""
