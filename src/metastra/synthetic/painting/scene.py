"""Scenes: everything that is known of a slide before a scanner has seen it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.errors import ConfigError
from metastra.synthetic.draws import Draws
from metastra.synthetic.painting.artefacts import Artefact, Mask, make_mask
from metastra.synthetic.painting.cells import Nuclei, place_nuclei
from metastra.synthetic.painting.classes import ArtefactKind
from metastra.synthetic.painting.composition import Composition, Surroundings
from metastra.synthetic.painting.layout import Layout, lay_out
from metastra.synthetic.painting.sprites import Sprites, make_sprites

__all__ = ["Recipe", "Scene", "make_scene"]

_SMALLEST_UM, _LARGEST_MM2 = 100.0, 120.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides a scene; two equal recipes give the same tissue.

    Parameters
    ----------
    width_um, height_um : float
        Of the slide; each at least 100 µm, 120 mm² at most.
    composition : Composition
        Of the tumour area.
    surroundings : Surroundings
        Of the tissue.
    artefacts : tuple of Artefact
        In the order in which they act.
    haematoxylin, eosin : float
        Strength of each stain, 1 being usual; 0.3 to 2.
    seed : int
        Of the study; not negative.
    label : str
        Of the slide; each has random numbers of its own.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    width_um: float
    height_um: float
    composition: Composition = field(default_factory=Composition)
    surroundings: Surroundings = field(default_factory=Surroundings)
    artefacts: tuple[Artefact, ...] = ()
    haematoxylin: float = 1.0
    eosin: float = 1.0
    seed: int = 0
    label: str = "slide"

    def __post_init__(self) -> None:
        wrong = []
        if not min(self.width_um, self.height_um) >= _SMALLEST_UM:
            wrong.append(f"{self.width_um} × {self.height_um} µm: at least {_SMALLEST_UM:g} each")
        if not self.width_um * self.height_um <= _LARGEST_MM2 * 1e6:
            wrong.append(f"{self.width_um} × {self.height_um} µm: {_LARGEST_MM2:g} mm² at most")
        wrong += [
            f"{name} {value} is not within 0.3 to 2"
            for name, value in (("haematoxylin", self.haematoxylin), ("eosin", self.eosin))
            if not 0.3 <= value <= 2.0
        ]
        if self.seed < 0:
            wrong.append(f"the seed {self.seed} is negative")
        if wrong:
            raise ConfigError("painted slide: " + "; ".join(wrong))

    def to_json(self) -> dict[str, Any]:
        """Write the recipe as plain values.

        Returns
        -------
        dict
            For `from_json`.
        """
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """Read a recipe.

        Parameters
        ----------
        values : mapping
            As `to_json` gave them.

        Returns
        -------
        Recipe
            Equal to the one that was written.
        """
        artefacts = tuple(
            Artefact(**{**item, "kind": ArtefactKind(item["kind"])}) for item in values["artefacts"]
        )
        return cls(
            **{
                **values,
                "composition": Composition(**values["composition"]),
                "surroundings": Surroundings(**values["surroundings"]),
                "artefacts": artefacts,
            }
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A slide before it is scanned.

    Parameters
    ----------
    recipe : Recipe
        From which everything follows.
    layout : Layout
        Where each tissue lies.
    nuclei : Nuclei
        All nuclei.
    sprites : Sprites
        What is painted over the ground.
    masks : tuple of Mask
        Where artefacts lie.
    """

    recipe: Recipe
    layout: Layout
    nuclei: Nuclei
    sprites: Sprites
    masks: tuple[Mask, ...]

    @cached_property
    def fields(self) -> NDArray[np.float32]:
        """Fields of the layout as the painting takes them."""
        return self.layout.fields

    @cached_property
    def classes(self) -> NDArray[np.uint8]:
        """Classes of the layout as the painting takes them."""
        return self.layout.marked_classes


def make_scene(recipe: Recipe) -> Scene:
    """Make a scene.

    Parameters
    ----------
    recipe : Recipe
        What is wanted.

    Returns
    -------
    Scene
        The same for the same recipe.

    Examples
    --------
    >>> scene = make_scene(Recipe(width_um=300.0, height_um=200.0, seed=3))
    >>> len(scene.nuclei) > 50
    True
    """
    draws = Draws(seed=recipe.seed, label=f"painting/{recipe.label}")
    layout = lay_out(
        draws,
        width_um=recipe.width_um,
        height_um=recipe.height_um,
        composition=recipe.composition,
        surroundings=recipe.surroundings,
    )
    nuclei = place_nuclei(draws, layout, recipe.composition)
    masks = [
        make_mask(draws.within(f"artefact-{k}"), artefact, layout.classes.shape)
        for k, artefact in enumerate(recipe.artefacts)
    ]
    return Scene(
        recipe=recipe,
        layout=layout,
        nuclei=nuclei,
        sprites=make_sprites(draws, layout, nuclei),
        masks=tuple(mask for mask in masks if mask is not None),
    )
