"""SpatialData stores, as LazySlide and wsidata lay them out: tiles as shapes, features as a table.

The maintained `spatialdata` library reads and writes them, as an optional extra: the layout rests
on three others (OME-Zarr, GeoParquet, AnnData) that change under it, and the library installs
beside this project's pandas and zarr.

A store is a folder, ``<slide>.zarr``: ``shapes/tiles`` (a square in level-0 pixels for each tile),
``tables/<encoder>_tiles`` (features, one row a tile), and ``attrs`` with ``tile_spec`` and
``slide_properties``.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from metastra.errors import ConfigError, DigestMismatch, MissingExtra
from metastra.features.bag import Bag, BagFrame, BagOrigin, feature_error
from metastra.features.hints import Hints
from metastra.features.own_layout import own_attributes, own_origin
from metastra.storage.failures import explained
from metastra.storage.fileops import file_ops

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_store", "read_store", "write_store"]

_TILES = "tiles"
_MARKS = (".zattrs", "zarr.json", ".zgroup")


def is_store(path: Path) -> bool:
    """Tell a Zarr store by the files at its top.

    Parameters
    ----------
    path : Path
        Anything.

    Returns
    -------
    bool
        Whether it is a folder with one of them.

    Examples
    --------
    >>> is_store(Path("no such folder"))
    False
    """
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def write_store(bag: Bag, path: Path) -> None:
    """Write a bag as a SpatialData store: whole, read back and only then named, or not at all.

    Parameters
    ----------
    bag : Bag
        Whose tile side is known.
    path : Path
        A folder that does not exist.

    Raises
    ------
    MissingExtra
        If `spatialdata` is not installed.
    DataError
        SL055 if there is no tile; SL056 if the side of a tile is not known; SL054 if a feature is
        not finite.
    ConfigError
        If something has the name already.
    DigestMismatch
        If what is read back is not what was written.
    """
    if os.path.lexists(path):
        raise ConfigError(f"{path}: something has this name; remove it or choose another name")
    frame = bag.frame.completed()
    if not len(bag):
        raise feature_error(
            "SL055",
            bag.origin.name,
            "a SpatialData table cannot be of no tiles",
            hint="Keep this slide in an HDF5 layout.",
        )
    if frame.tile_side_px0 is None:
        raise feature_error(
            "SL056",
            bag.origin.name,
            "the side of a tile is not known",
            hint="Give `--tile-px0 SIDE`, or `--tile-um SIDE` with `--slide-mpp MPP`.",
        )
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".part-{uuid4().hex}"
    try:
        with explained(path), _library() as library:
            library.SpatialData(**_elements(bag, frame, path)).write(part)
        back = read_store(part)
        if not (np.array_equal(back.coords, bag.coords) and _equal(back, bag)):
            raise DigestMismatch(f"{path}: what was read back is not what was written")
        with explained(path):
            _sync(part)
            part.rename(path)
            file_ops().sync_folder(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read_store(path: Path, hints: Hints | None = None) -> Bag:
    """Read the tile features of a SpatialData store.

    Parameters
    ----------
    path : Path
        The folder.
    hints : Hints, optional
        What the store may leave out.

    Returns
    -------
    Bag
        With the features in memory.

    Raises
    ------
    MissingExtra
        If `spatialdata` is not installed.
    DataError
        SL051 if it cannot be opened; SL052 if it has no table of features of tiles, or several;
        SL055 if the tiles are no squares in whole pixels.
    """
    with _library() as library:
        try:
            store = library.read_zarr(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise feature_error("SL051", path.name, f"the store is damaged ({error})") from error
        tables = {
            name: table
            for name, table in store.tables.items()
            if table.uns.get("spatialdata_attrs", {}).get("region") in store.shapes
        }
        if len(tables) != 1:
            raise feature_error(
                "SL052",
                path.name,
                f"tables of tiles: {', '.join(sorted(tables)) or 'none'}",
                expected="one table of features, of one set of tiles",
            )
        (table,) = tables.values()
        return _bag(store, table, path, hints or Hints())


def _elements(bag: Bag, frame: BagFrame, path: Path) -> dict[str, Any]:
    import anndata
    import geopandas
    import pandas as pd
    import shapely
    from spatialdata.models import ShapesModel, TableModel

    side = frame.tile_side_px0 or (0.0, 0.0)
    corners = bag.coords.astype(np.float64)
    boxes = shapely.box(
        corners[:, 0], corners[:, 1], corners[:, 0] + side[0], corners[:, 1] + side[1]
    )
    index = pd.Index(np.arange(len(bag)), dtype="int64")
    tiles = geopandas.GeoDataFrame({"tile_id": index.to_numpy()}, geometry=boxes, index=index)
    obs = pd.DataFrame(
        {"tile_id": index.to_numpy(), "library_id": pd.Categorical([_TILES] * len(bag))},
        index=index.astype(str),
    )
    names = bag.origin.feature_names or tuple(str(number) for number in range(bag.dimension))
    table = anndata.AnnData(
        X=bag.rows(slice(None)), obs=obs, var=pd.DataFrame(index=pd.Index(names, dtype=str))
    )
    table = TableModel.parse(table, region=_TILES, region_key="library_id", instance_key="tile_id")
    name = (
        "".join(c if c.isalnum() or c in "_-." else "_" for c in bag.origin.encoder) or "features"
    )
    return {
        "shapes": {_TILES: ShapesModel.parse(tiles)},
        "tables": {f"{name}_{_TILES}": table},
        "attrs": _attrs(frame, bag.origin, path),
    }


def _attrs(frame: BagFrame, origin: BagOrigin, path: Path) -> dict[str, Any]:
    side = frame.tile_side_px0 or (0.0, 0.0)
    spec = {
        "height": frame.tile_px,
        "width": frame.tile_px,
        "stride_height": frame.tile_px,
        "stride_width": frame.tile_px,
        "mpp": frame.target_mpp,
        "ops_level": 0,
        "ops_downsample": side[0] / frame.tile_px if frame.tile_px else None,
        "base_level": 0,
        "base_downsample": side[0] / frame.tile_px if frame.tile_px else None,
        "tissue_name": None,
    }
    size = frame.slide_size_px0
    properties = {
        "mpp": frame.mpp[0] if frame.mpp else None,
        "mpp_x": frame.mpp[0] if frame.mpp else None,
        "mpp_y": frame.mpp[1] if frame.mpp else None,
        "shape": [size[1], size[0]] if size else None,
    }
    own = own_attributes(frame, origin) | {"name": origin.name or path.stem}
    return {"tile_spec": {_TILES: spec}, "slide_properties": properties, "metastra": own}


def _bag(store: Any, table: Any, path: Path, hints: Hints) -> Bag:
    about = table.uns["spatialdata_attrs"]
    shapes = store.shapes[about["region"]]
    places = shapes.loc[table.obs[about["instance_key"]].to_numpy()].geometry.bounds.to_numpy()
    corners = places[:, :2].reshape(-1, 2)
    if not np.allclose(corners, np.rint(corners), atol=1e-3):
        raise feature_error(
            "SL055", path.name, "a tile's corner is no whole pixel", expected="level-0 pixels"
        )
    features = np.asarray(
        table.X.toarray() if hasattr(table.X, "toarray") else table.X, dtype=np.float32
    )
    own = store.attrs.get("metastra", {})
    origin = own_origin(own)
    if not origin.name:
        origin = BagOrigin(name=path.stem, encoder=hints.encoder)
    bag = Bag(
        features=features,
        coords=np.rint(corners).astype(np.int64),
        frame=_frame(store.attrs, str(about["region"]), places, hints).completed(),
        origin=origin,
        layout="spatialdata",
    )
    bag.check()
    return bag


def _frame(attrs: Mapping[str, Any], region: str, places: Any, hints: Hints) -> BagFrame:
    properties = attrs.get("slide_properties") or {}
    if isinstance(properties, str):
        properties = json.loads(properties)
    spec = (attrs.get("tile_spec") or {}).get(region) or {}
    mpp = properties.get("mpp")
    x, y = properties.get("mpp_x") or mpp, properties.get("mpp_y") or mpp
    shape = properties.get("shape")
    side = (places[:, 2:] - places[:, :2]).mean(axis=0).tolist() if len(places) else None
    own = attrs.get("metastra", {})
    side = own.get("tile_side_px0", side)
    return BagFrame(
        mpp=hints.mpp if x is None or y is None else (float(x), float(y)),
        tile_side_um=own.get("tile_side_um", hints.tile_side_um if side is None else None),
        tile_side_px0=None if side is None else (float(side[0]), float(side[1])),
        target_mpp=spec.get("mpp"),
        tile_px=spec.get("width"),
        slide_size_px0=None if shape is None else (int(shape[1]), int(shape[0])),
    )


def _equal(back: Bag, bag: Bag) -> bool:
    return bool(np.array_equal(back.features, bag.rows(slice(None))))


def _sync(folder: Path) -> None:
    for inside, _, names in os.walk(folder):
        for name in names:
            with (Path(inside) / name).open("rb") as stream:
                os.fsync(stream.fileno())
        file_ops().sync_folder(Path(inside))


@contextmanager
def _library() -> Iterator[Any]:
    """Load the library; what it warns about is its own house-keeping."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import spatialdata
        except ImportError as error:
            raise MissingExtra(
                "spatialdata", extra="spatialdata", what_for="a SpatialData store"
            ) from error
        yield spatialdata
