"""The truth of a painted slide: what lies where, in an open file beside the slide."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from metastra.errors import SchemaError
from metastra.storage import write_atomically
from metastra.synthetic.painting.artefacts import artefact_map
from metastra.synthetic.painting.classes import ARTEFACT_BITS, ArtefactKind, TissueClass
from metastra.synthetic.painting.layout import CELL_UM
from metastra.synthetic.painting.scanners import Scanner
from metastra.synthetic.painting.scene import Recipe, Scene

__all__ = [
    "PAINTER",
    "PaintedTruth",
    "is_painted",
    "read_painted_truth",
    "truth_of",
    "write_painted_truth",
]

_F32 = NDArray[np.float32]
_FORMAT = "metastra-painted-truth/1"
PAINTER = 1
"""Rises whenever the same recipe would give other pixels."""

_ARRAYS = {
    "classes": np.uint8,
    "tumour_area": np.uint8,
    "artefacts": np.uint8,
    "nuclei_px0": np.float32,
    "nuclei_radius_um": np.float32,
    "nuclei_type": np.uint8,
    "buds_px0": np.float32,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class PaintedTruth:
    """What is true of a painted slide.

    Parameters
    ----------
    recipe : Recipe
        From which the slide can be painted again.
    scanner : str
        Name of the scanner.
    mpp : float
        µm per pixel of level 0.
    cell_um : float
        µm between neighbouring places of the maps; place (row, column) lies at (column, row) times
        this.
    classes : ndarray of shape (rows, columns), uint8
        `TissueClass`.
    tumour_area : ndarray of shape (rows, columns), bool
        The tumour with all that is in it.
    artefacts : ndarray of shape (rows, columns), uint8
        Bits of `ARTEFACT_BITS`.
    nuclei_px0 : ndarray of shape (n, 2), float32
        x and y of the centres, pixels of level 0.
    nuclei_radius_um : ndarray of shape (n,), float32
        Radius of the disc with the same area.
    nuclei_type : ndarray of shape (n,), uint8
        `NucleusType`.
    buds_px0 : ndarray of shape (m, 2), float32
        x and y of the tumour buds.
    slide_sha256 : str
        Of the slide's file; empty before it is written.
    slide_bytes : int
        Size of the slide's file.
    """

    recipe: Recipe
    scanner: str
    mpp: float
    cell_um: float
    classes: NDArray[np.uint8]
    tumour_area: NDArray[np.bool_]
    artefacts: NDArray[np.uint8]
    nuclei_px0: _F32
    nuclei_radius_um: _F32
    nuclei_type: NDArray[np.uint8]
    buds_px0: _F32
    slide_sha256: str = ""
    slide_bytes: int = 0

    def class_at(
        self, x_px0: NDArray[np.floating], y_px0: NDArray[np.floating]
    ) -> NDArray[np.uint8]:
        """Look classes up.

        Parameters
        ----------
        x_px0, y_px0 : ndarray of shape (n,), float
            Places in pixels of level 0.

        Returns
        -------
        ndarray of shape (n,), uint8
            `TissueClass` of the nearest place of the map; borders are true to about 3 µm.
        """
        row, column = self._place(y_px0, 0), self._place(x_px0, 1)
        return self.classes[row, column]

    def _place(self, at_px0: NDArray[np.floating], axis: int) -> NDArray[np.int64]:
        place = np.rint(np.asarray(at_px0) * self.mpp / self.cell_um).astype(np.int64)
        return np.clip(place, 0, self.classes.shape[axis] - 1)

    def share(self, tissue: TissueClass) -> float:
        """Measure the share of a tissue in the tumour area without empty lumens.

        Parameters
        ----------
        tissue : TissueClass
            Which.

        Returns
        -------
        float
            0 where there is no tumour area.
        """
        inside = self.classes[self.tumour_area]
        inside = inside[inside != TissueClass.LUMEN]
        return float(np.mean(inside == tissue)) if inside.size else 0.0

    def artefact_fraction(self, kind: ArtefactKind) -> float:
        """Measure how much of the tissue an artefact covers.

        Parameters
        ----------
        kind : ArtefactKind
            Which.

        Returns
        -------
        float
            Of all places that are not glass.
        """
        tissue = self.classes != TissueClass.GLASS
        return float(np.mean((self.artefacts[tissue] & ARTEFACT_BITS[kind]) > 0))


def truth_of(
    scene: Scene, scanner: Scanner, *, slide_sha256: str = "", slide_bytes: int = 0
) -> PaintedTruth:
    """Write down what is true of a scene under a scanner.

    Parameters
    ----------
    scene : Scene
        The slide.
    scanner : Scanner
        Whose pixels are meant.
    slide_sha256 : str
        Of the slide's file, when it is written.
    slide_bytes : int
        Its size.

    Returns
    -------
    PaintedTruth
        Nothing is measured in pixels; it is known from before.
    """
    nuclei, layout = scene.nuclei, scene.layout
    centres = np.stack([nuclei.x_um, nuclei.y_um], axis=1) / np.float32(scanner.mpp)
    return PaintedTruth(
        recipe=scene.recipe,
        scanner=scanner.name,
        mpp=scanner.mpp,
        cell_um=CELL_UM,
        classes=layout.classes,
        tumour_area=layout.tumour_area,
        artefacts=artefact_map(scene.masks, layout.classes.shape),
        nuclei_px0=centres,
        nuclei_radius_um=nuclei.radius_um,
        nuclei_type=nuclei.type,
        buds_px0=layout.buds_um / np.float32(scanner.mpp),
        slide_sha256=slide_sha256,
        slide_bytes=slide_bytes,
    )


def write_painted_truth(path: Path, truth: PaintedTruth) -> str:
    """Write the truth of a slide.

    Parameters
    ----------
    path : Path
        A ``.npz`` file: a zip of numpy arrays, and ``about``, JSON in a text array.
    truth : PaintedTruth
        Of the slide.

    Returns
    -------
    str
        SHA-256 of the file; the same for the same truth.

    Raises
    ------
    ResourceError, ConfigError, DigestMismatch
        As `metastra.storage.write_atomically`.
    """
    about = {
        "format": _FORMAT,
        "recipe": truth.recipe.to_json(),
        "scanner": truth.scanner,
        "mpp": truth.mpp,
        "cell_um": truth.cell_um,
        "painter": PAINTER,
        "slide_sha256": truth.slide_sha256,
        "slide_bytes": truth.slide_bytes,
    }
    arrays: dict[str, Any] = {
        name: np.asarray(getattr(truth, name), dtype=kind) for name, kind in _ARRAYS.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps(about, sort_keys=True)), **arrays)

    def write(stream: BinaryIO) -> None:
        stream.write(buffer.getvalue())

    return write_atomically(path, write)


def read_painted_truth(path: Path) -> PaintedTruth:
    """Read the truth of a slide.

    Parameters
    ----------
    path : Path
        What `write_painted_truth` wrote.

    Returns
    -------
    PaintedTruth
        Equal to the one written.

    Raises
    ------
    FileNotFoundError
        If there is none.
    SchemaError
        If the file is something else, with what is missing.
    """
    content = _arrays(path, ("about", *_ARRAYS))
    about = _about(path, content["about"])
    arrays: Mapping[str, Any] = {
        **{name: content[name] for name in _ARRAYS},
        "tumour_area": content["tumour_area"].astype(np.bool_),
    }
    return PaintedTruth(
        recipe=Recipe.from_json(about["recipe"]),
        scanner=about["scanner"],
        mpp=float(about["mpp"]),
        cell_um=float(about["cell_um"]),
        slide_sha256=about["slide_sha256"],
        slide_bytes=int(about["slide_bytes"]),
        **arrays,
    )


def is_painted(slide: Path, truth: Path, recipe: Recipe, scanner: Scanner) -> bool:
    """Say whether a slide is there and is the one that is meant.

    Parameters
    ----------
    slide, truth : Path
        The files.
    recipe : Recipe
        The tissue that is meant.
    scanner : Scanner
        The scanner that is meant.

    Returns
    -------
    bool
        True if the truth was written by this painter for this recipe and scanner, and the slide
        has the size that it names.  The slide is not read.
    """
    try:
        about = _about(truth, _arrays(truth, ("about",))["about"])
        size = slide.stat().st_size
    except (SchemaError, FileNotFoundError):
        return False
    meant = {
        "painter": PAINTER,
        "scanner": scanner.name,
        "mpp": scanner.mpp,
        "slide_bytes": size,
        "recipe": json.loads(json.dumps(recipe.to_json())),
    }
    return all(about.get(name) == value for name, value in meant.items())


def _arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            missing = set(names) - set(file.files)
            if not missing:
                return {name: file[name] for name in names}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _refused(path, f"no file of numpy arrays ({type(error).__name__})") from error
    raise _refused(path, f"no {', '.join(sorted(missing))}")


def _about(path: Path, text: NDArray[Any]) -> dict[str, Any]:
    about = json.loads(str(text)) if text.dtype.kind == "U" else {}
    if about.get("format") != _FORMAT:
        raise _refused(path, f"the format {about.get('format')!r}")
    return dict(about)


def _refused(path: Path, found: str) -> SchemaError:
    return SchemaError(
        f"{path.name} holds {found}; expected the truth of a painted slide ({_FORMAT}), the "
        ".truth.npz file beside it"
    )
