"""The feature store: one verified file for each slide, made again only when its key changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from metastra.errors import DigestMismatch, IntegrityError
from metastra.features.bag import Bag
from metastra.features.hdf5_layouts import read_h5
from metastra.features.writing import BagWriter
from metastra.storage import (
    Completeness,
    Depth,
    Manifest,
    Recipe,
    completeness,
    product_names,
    read_record,
    value_parent,
    write_product,
)

__all__ = ["KIND", "RUN_PREFIX", "FeatureStore", "features_recipe"]

KIND = "features"
RUN_PREFIX = "features/"
"""Folder of the feature files inside a run."""

_ENDING = ".h5"


def features_recipe(
    *, slide_digest: str, tiling: dict[str, object], encoder_digest: str, quality: dict[str, object]
) -> Recipe:
    """State what decides whether a slide's features have to be made again.

    Engine and precision are part of the encoder's card and so of its digest.  The slide's name is
    not part of it: a slide that was only renamed keeps its features.

    Parameters
    ----------
    slide_digest : str
        SHA-256 of the slide.
    tiling : dict
        Scale and size of the tiles, the region, and the slide's microns per pixel as used.
    encoder_digest : str
        SHA-256 of the encoder's card.
    quality : dict
        The rule by which tiles fall out.

    Returns
    -------
    Recipe
        Whose key is the features' identity.

    Examples
    --------
    >>> parts = {"slide_digest": "0" * 64, "encoder_digest": "1" * 64, "quality": {}}
    >>> one = features_recipe(tiling={"target_mpp": 0.5}, **parts)
    >>> one.key == features_recipe(tiling={"target_mpp": 1.0}, **parts).key
    False
    """
    return Recipe(
        kind=KIND,
        parents={
            "slide": value_parent("slide", slide_digest),
            "encoder": value_parent("encoder", encoder_digest),
        },
        settings={"tiling": tiling, "quality": quality},
    )


@dataclass(frozen=True)
class FeatureStore:
    """A folder of feature files and their completion records.

    Parameters
    ----------
    folder : Path
        Made at the first write.  In a run it is the run folder, and files lie below `prefix`.
    prefix : str
        Folder inside it, with a slash at the end; empty for none.

    Examples
    --------
    >>> FeatureStore(Path("no such folder")).names()
    ()
    """

    folder: Path
    prefix: str = ""

    def file(self, name: str) -> str:
        """Give the name of a slide's file, relative to the folder.

        Parameters
        ----------
        name : str
            Of the slide.

        Returns
        -------
        str
            For instance ``"features/S-abc.h5"``.
        """
        return f"{self.prefix}{name}{_ENDING}"

    def path(self, name: str) -> Path:
        """Give the place of a slide's file.

        Parameters
        ----------
        name : str
            Of the slide.

        Returns
        -------
        Path
            It may not exist yet.
        """
        return self.folder / self.file(name)

    def names(self) -> tuple[str, ...]:
        """List the slides with a completion record.

        Returns
        -------
        tuple of str
            Sorted.
        """
        found = []
        for product in product_names(self.folder):
            if product.startswith(self.prefix):
                record = read_record(self.folder, product)
                if record is not None and record.recipe.kind == KIND:
                    found.append(product.removeprefix(self.prefix))
        return tuple(found)

    def state(
        self, name: str, recipe: Recipe | None = None, *, depth: Depth = Depth.DIGEST
    ) -> Completeness:
        """Look whether a slide's features are there, whole, and made as wanted.

        Parameters
        ----------
        name : str
            Of the slide.
        recipe : Recipe, optional
            What they should be made from.
        depth : Depth
            How closely the file is looked at.

        Returns
        -------
        Completeness
            True where nothing has to be done, else the reasons.
        """
        return completeness(self.folder, self.prefix + name, recipe, depth=depth)

    def record(self, name: str) -> Manifest:
        """Read the completion record of a slide's features.

        Parameters
        ----------
        name : str
            Of the slide.

        Returns
        -------
        Manifest
            Its record.

        Raises
        ------
        IntegrityError
            If they were never finished.
        """
        found = read_record(self.folder, self.prefix + name)
        if found is None:
            raise IntegrityError(f"features of {name!r}: they were never finished")
        return found

    def write(self, name: str, recipe: Recipe, writer: BagWriter) -> Manifest:
        """Write a slide's features: whole, verified and recorded, or not at all.

        Parameters
        ----------
        name : str
            Of the slide.
        recipe : Recipe
            See `features_recipe`.
        writer : BagWriter
            Gone through once.

        Returns
        -------
        Manifest
            The completion record.

        Raises
        ------
        DataError
            SL054, SL055 if the features cannot be kept as they are.
        ResourceError, ConfigError, DigestMismatch
            As `metastra.storage.write_product`.
        """
        file = self.file(name)
        return write_product(
            self.folder,
            self.prefix + name,
            recipe,
            {file: writer.write},
            verify={file: writer.verify},
            tools={"h5py": h5py.__version__, "numpy": np.__version__},
        )

    def open(self, name: str, *, depth: Depth = Depth.SIZE) -> Bag:
        """Open a slide's features as a memory map.

        Parameters
        ----------
        name : str
            Of the slide.
        depth : Depth
            SIZE looks at the record and the size; DIGEST reads the whole file first.

        Returns
        -------
        Bag
            What is not taken from it is not read.

        Raises
        ------
        IntegrityError
            If they were never finished, or are not as they were finished.
        """
        state = self.state(name, depth=depth)
        if not state:
            raise DigestMismatch(f"features of {name!r}: {'; '.join(state.reasons)}")
        return read_h5(self.path(name))
