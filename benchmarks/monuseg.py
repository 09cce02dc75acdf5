"""Nuclei against the MoNuSeg crops that are kept beside a checkout (CC BY-NC-SA, never copied)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metastra.cells.detect import detect_nuclei
from metastra.testing.nucleus_matching import NucleusAgreement, match_centroids

__all__ = ["MPP", "Crop", "chosen_on", "held_out", "measure_crops", "split_touching"]

MPP = 0.25
_FRAME_PX = 3
_SMALLEST_PX = 30
_DEPTH_PX = 1.0


@dataclass(frozen=True, kw_only=True)
class Crop:
    """One crop: its agreement, by name."""

    name: str
    agreement: NucleusAgreement


def split_touching(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Centroids of nuclei of a mask in which touching ones have merged.

    A watershed of the distance to the background (smoothed by 1 px) from its maxima that stand out
    by 1 px; parts under 30 px are no nuclei.  Fixed before any detector was looked at.
    """
    from scipy import ndimage
    from skimage.filters import gaussian
    from skimage.measure import label, regionprops
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    depth = gaussian(ndimage.distance_transform_edt(mask), 1.0, preserve_range=True)
    parts = watershed(-depth, label(h_maxima(depth, _DEPTH_PX)), mask=mask)
    centres = [part.centroid[::-1] for part in regionprops(parts) if part.area >= _SMALLEST_PX]
    return np.array(centres).reshape(-1, 2)


def measure_crops(folder: Path) -> list[Crop]:
    """Detect on every crop of a folder and match with its truth at 3 µm."""
    inside = slice(_FRAME_PX, -_FRAME_PX)
    crops = []
    for path in sorted(folder.glob("img_*.png")):
        rgb = np.asarray(Image.open(path).convert("RGB"))[inside, inside]
        mask = np.asarray(Image.open(path.with_name(path.name.replace("img", "label"))))
        truth = split_touching(mask[inside, inside] > 0)
        found = detect_nuclei(np.ascontiguousarray(rgb), MPP).centroids_px0
        crops.append(Crop(name=path.stem, agreement=match_centroids(found * MPP, truth * MPP)))
    return crops


def chosen_on(crops: list[Crop]) -> list[Crop]:
    """Every second crop in order of name: the ones on which settings were chosen."""
    return crops[::2]


def held_out(crops: list[Crop]) -> list[Crop]:
    """The other crops."""
    return crops[1::2]
