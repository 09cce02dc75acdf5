"""What a painted slide is made of: classes of tissue, types of nuclei, kinds of artefacts."""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = ["ARTEFACT_BITS", "ArtefactKind", "NucleusType", "TissueClass"]


class TissueClass(IntEnum):
    """Class of a pixel of the class map."""

    GLASS = 0
    """Outside the tissue."""
    TUMOUR = 1
    """Neoplastic epithelium."""
    STROMA = 2
    """Collagen, fibroblasts, vessels; the lamina propria too."""
    LYMPHOCYTES = 3
    """Aggregates of lymphocytes; single lymphocytes are in the table of nuclei."""
    NECROSIS = 4
    """Dead tissue and the debris in lumens."""
    MUCUS = 5
    """Pools of mucus."""
    MUSCLE = 6
    """Smooth muscle."""
    FAT = 7
    """Adipocytes."""
    NORMAL = 8
    """Epithelium of normal crypts."""
    LUMEN = 9
    """Empty lumens of glands and crypts."""


class NucleusType(IntEnum):
    """Type of a nucleus of the table."""

    TUMOUR = 1
    """Of neoplastic epithelium, buds included."""
    NORMAL = 2
    """Of normal crypts."""
    LYMPHOCYTE = 3
    """Small, round and dark."""
    FIBROBLAST = 4
    """Spindles of the stroma, endothelium included."""
    MUSCLE = 5
    """Of smooth muscle."""
    PYKNOTIC = 6
    """Shrunken nuclei and their fragments in necrosis."""
    ADIPOCYTE = 7
    """Flat, at the edge of fat cells."""


class ArtefactKind(StrEnum):
    """What can go wrong between the block and the file."""

    FOLD = "fold"
    """The section lies double along a line."""
    PEN = "pen"
    """Ink on the cover slip."""
    BLUR = "blur"
    """A patch out of focus."""
    BUBBLE = "bubble"
    """Air under the cover slip."""
    FADING = "fading"
    """Stain that has gone pale."""
    BLANK = "blank"
    """Not scanned: filled with white."""
    DARK = "dark"
    """Not scanned: filled with black."""


ARTEFACT_BITS: dict[ArtefactKind, int] = {kind: 1 << k for k, kind in enumerate(ArtefactKind)}
"""Bit of each kind in the artefact map."""
