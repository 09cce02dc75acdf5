"""The peers' readers in twenty lines each, written from their layouts: what opens their files."""

from __future__ import annotations

import h5py
import numpy as np


def read_as_trident(path):
    """TRIDENT 0.3: both datasets whole, and the attributes its tutorials use."""
    with h5py.File(path, "r") as file:
        features, coords = file["features"][:], file["coords"][:]
        attrs = dict(file["coords"].attrs)
        side = attrs["patch_size_level0"]
        encoder = file["features"].attrs["encoder"]
        name = file["coords"].attrs["name"]
    if features.ndim != 2 or coords.dtype != np.int64:
        raise TypeError(f"{features.shape}, {coords.dtype}")
    return {
        "features": features,
        "coords": coords,
        "side_px0": int(side),
        "encoder": encoder,
        "name": name,
        "attrs": attrs,
    }


def read_as_stamp(path):
    """STAMP 2.5: feats, and coordinates in µm by whichever generation wrote them."""
    with h5py.File(path, "r") as file:
        feats, coords, attrs = file["feats"][:], file["coords"][:], dict(file.attrs)
    if attrs.get("feat_type", "tile") != "tile" or "stamp_version" in attrs:
        raise ValueError(f"{attrs}")
    if ((side := attrs.get("tile_size")) and attrs.get("unit") == "um") or (
        side := attrs.get("tile_size_um")
    ):
        side_um = float(side)
    else:
        raise RuntimeError("unable to infer coordinates from feature file")
    side_um = float(side)
    return {
        "features": feats,
        "coords_um": coords,
        "side_um": side_um,
        "tile_px": int(attrs["tile_size_px"]) if "tile_size_px" in attrs else None,
        "extractor": attrs["extractor"],
    }


def read_as_clam(path):
    """CLAM: two datasets and nothing else."""
    with h5py.File(path, "r") as file:
        if file.attrs or file["features"].attrs or file["coords"].attrs:
            raise ValueError("CLAM writes no attributes")
        return {"features": file["features"][:], "coords": file["coords"][:]}


def write_as_trident(path, features, coords, **attributes):
    """TRIDENT's own file: float32, pieces of one row, attributes on the datasets."""
    about = {
        "patch_size": 256,
        "patch_size_level0": 512,
        "level0_magnification": 40,
        "target_magnification": 20,
        "overlap": 0,
        "name": "slide-1",
        "savetodir": "/somewhere",
        "level0_width": 20000,
        "level0_height": 10000,
    } | attributes
    with h5py.File(path, "w") as file:
        coords_set = file.create_dataset(
            "coords", data=coords, chunks=(1, 2), maxshape=(None, 2), dtype="int64"
        )
        features_set = file.create_dataset(
            "features", data=features, chunks=(1, features.shape[1]), maxshape=(None, None)
        )
        for name, value in about.items():
            coords_set.attrs[name] = value
        features_set.attrs["encoder"] = "uni_v1"
        features_set.attrs["name"] = about["name"]
        features_set.attrs["savetodir"] = about["savetodir"]


def write_as_stamp(path, features, coords, **attributes):
    """One of STAMP's generations, told by the attributes."""
    with h5py.File(path, "w") as file:
        file["feats"] = features
        file["coords"] = coords
        for name, value in attributes.items():
            file.attrs[name] = value


def write_as_clam(path, features, coords):
    """CLAM's own file: float32, int32, pieces of 32 rows, no attributes."""
    with h5py.File(path, "w") as file:
        for name, values in (("features", features), ("coords", coords.astype(np.int32))):
            file.create_dataset(
                name, data=values, chunks=(32, values.shape[1]), maxshape=(None, values.shape[1])
            )
