"""The quality of a slide as a product: made by one stage, read by the next.

Fractions of tiles come from the maps of a slide, so the maps are kept beside the row of the table:
as bits, a few kilobytes a slide.  What is read back gives every tile the same code as what was
assessed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.digest import digest_value
from metastra.errors import IntegrityError, Problem, Severity, Where
from metastra.storage import Recipe, completeness, read_product_bytes, value_parent
from metastra.tissue.quality import MEASURES_VERSION, MapsOfSlide, SlideQuality

__all__ = ["StoredQuality", "maps_bytes", "product_of", "quality_settings", "stored_quality"]

_LAYOUT = 2
"""Of the product's files: the maps came in with 2, and what was stored before is assessed again."""


@dataclass(frozen=True, kw_only=True)
class StoredQuality:
    """What the tiles of a slide are chosen by.

    Parameters
    ----------
    maps : MapsOfSlide
        Tissue and artefacts.
    codes : tuple of Problem
        What was found.
    assessable : bool
        Whether there is enough tissue to go on with.
    """

    maps: MapsOfSlide
    codes: tuple[Problem, ...]
    assessable: bool


def quality_settings(
    mpp: float | None, region: str | None = None, region_origin: str | None = None
) -> dict[str, Any]:
    """State everything besides the slide that changes its quality.

    Parameters
    ----------
    mpp : float or None
        The scale where the user states it.
    region : str or None
        Digest of the drawn region.
    region_origin : str or None
        How its coordinates are to be read; None without one.

    Returns
    -------
    dict
        Settings of the product.
    """
    return {
        "layout": _LAYOUT,
        "measures": MEASURES_VERSION,
        "mpp": mpp,
        "region": region,
        "region_origin": None if region is None else region_origin,
    }


def product_of(digest: str, settings: Mapping[str, Any]) -> tuple[str, Recipe]:
    """Name the product that holds a slide's quality.

    Parameters
    ----------
    digest : str
        Of the slide's content.
    settings : mapping
        From `quality_settings`.

    Returns
    -------
    name : str
        ``quality/…``: the same content with the same settings has the same name.
    recipe : Recipe
        What it is made from.
    """
    name = f"quality/{digest[:24]}-{digest_value(dict(settings))[:8]}"
    parents = {"slide": value_parent("slide content", digest)}
    return name, Recipe(kind="slide-quality", parents=parents, settings=settings)


def maps_bytes(quality: SlideQuality) -> bytes:
    """Write the maps of a slide and what was found as one file.

    Parameters
    ----------
    quality : SlideQuality
        Of the slide; its name and its picture are not kept.

    Returns
    -------
    bytes
        A ``.npz`` of packed bits, equal for equal maps.
    """
    maps = quality.maps
    told = {
        "shape": list(maps.tissue.shape),
        "scale_px0": list(maps.scale_px0),
        "assessable": quality.assessable,
        "codes": [
            [item.code, item.found, item.expected, item.severity.value] for item in quality.codes
        ],
    }
    arrays = {f"artefact {name}": found for name, found in sorted(maps.artefacts.items())}
    arrays["tissue"] = maps.tissue
    if maps.region is not None:
        arrays["region"] = maps.region
    packed = {name: np.packbits(found) for name, found in arrays.items()}
    stream = io.BytesIO()
    words = np.frombuffer(json.dumps(told, sort_keys=True).encode(), np.uint8)
    np.savez_compressed(stream, allow_pickle=False, told=words, **packed)
    return stream.getvalue()


def stored_quality(
    folder: Path, digest: str, settings: Mapping[str, Any], name: str
) -> StoredQuality | None:
    """Read the quality of a slide that an earlier stage has assessed.

    Parameters
    ----------
    folder : Path
        Of the products.
    digest : str
        Of the slide's content.
    settings : mapping
        From `quality_settings`.
    name : str
        What messages call the slide.

    Returns
    -------
    StoredQuality or None
        None where it was not assessed with these settings, or what is stored is not whole: then it
        has to be assessed again.
    """
    product, recipe = product_of(digest, settings)
    if not completeness(folder, product, recipe):
        return None
    try:
        content = read_product_bytes(folder, product, f"{product}.npz")
    except IntegrityError:
        return None
    # a slide that could not be judged has no maps
    return _unpacked(content, name) if content else None


def _unpacked(content: bytes, name: str) -> StoredQuality:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        told = json.loads(arrays["told"].tobytes())
        height, width = told["shape"]

        def unpack(key: str) -> NDArray[np.bool_]:
            bits = np.unpackbits(arrays[key], count=height * width)
            return bits.reshape(height, width).astype(bool)

        keys = [key for key in arrays.files if key.startswith("artefact ")]
        maps = MapsOfSlide(
            scale_px0=(told["scale_px0"][0], told["scale_px0"][1]),
            tissue=unpack("tissue"),
            artefacts={key.removeprefix("artefact "): unpack(key) for key in keys},
            region=unpack("region") if "region" in arrays.files else None,
        )
    codes = tuple(
        problem(code, found, where=Where(file=name), expected=expected, severity=Severity(severity))
        for code, found, expected, severity in told["codes"]
    )
    return StoredQuality(maps=maps, codes=codes, assessable=told["assessable"])
