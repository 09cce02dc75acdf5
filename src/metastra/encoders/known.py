"""The encoders of the field, by the names that TRIDENT uses: recipes, pages and licences."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from metastra.encoders.recipe import EncoderRecipe

__all__ = ["KnownEncoder", "known_encoders", "steps_to_weights"]

_HUB = "https://huggingface.co"


@dataclass(frozen=True, kw_only=True)
class KnownEncoder:
    """An encoder of the field.

    Parameters
    ----------
    name : str
        As in TRIDENT.
    recipe : EncoderRecipe or None
        None where it cannot be built here.
    repository : str
        On the hub.
    gated : bool
        Whether its authors ask for a login and a consent first.
    unsupported : str
        Why it cannot be built here; empty where it can.
    """

    name: str
    recipe: EncoderRecipe | None
    repository: str = ""
    gated: bool = False
    unsupported: str = ""

    @property
    def in_data_set(self) -> bool:
        """Whether the weights lie in a data set of the hub, among other files."""
        return self.repository.startswith("datasets/")

    @property
    def page(self) -> str:
        """Where licence and weights are; empty where it cannot be built here."""
        return f"{_HUB}/{self.repository}" if self.repository else ""


@cache
def known_encoders() -> dict[str, KnownEncoder]:
    """Every encoder of the field that has a name here.

    Returns
    -------
    dict of str to KnownEncoder
        In the order of the file; treat it as read-only.

    Examples
    --------
    >>> known_encoders()["virchow2"].recipe.dimension
    2560
    """
    text = resources.files("metastra.encoders").joinpath("known.toml").read_text(encoding="utf-8")
    found = {}
    for name, entry in tomllib.loads(text).items():
        if "unsupported" in entry:
            found[name] = KnownEncoder(name=name, recipe=None, unsupported=entry["unsupported"])
            continue
        repository, gated = entry.pop("repository"), entry.pop("gated")
        recipe = EncoderRecipe.model_validate(
            {"name": name, "source": f"{_HUB}/{repository}", **entry}
        )
        found[name] = KnownEncoder(name=name, recipe=recipe, repository=repository, gated=gated)
    return found


def steps_to_weights(known: KnownEncoder, folder: str) -> tuple[str, ...]:
    """Say how the weights of an encoder are got, step by step.

    Parameters
    ----------
    known : KnownEncoder
        Of the field.
    folder : str
        Where they are looked for.

    Returns
    -------
    tuple of str
        Sentences and commands in order; nothing is done by metastra without the last command.
    """
    steps = []
    if known.gated:
        steps += [
            f"Log in at {known.page} and accept its terms (research institution's address).",
            "Make a read token at https://huggingface.co/settings/tokens.",
            "Run: hf auth login",
        ]
    licence = known.recipe.licence if known.recipe is not None else "unknown"
    if known.in_data_set:
        return (
            *steps,
            f"Read the licence on {known.page} ({licence}) and download its weight file there.",
            f"Run: metastra encoders convert FILE --name {known.name} --out {folder}",
        )
    steps += [
        f"Read the licence on {known.page} ({licence}).",
        f"Copy the commit from {known.page}/commits/main: a branch moves, a commit does not.",
        f"Run: metastra encoders fetch {known.name} --revision COMMIT --out {folder}",
        (
            "Without a network here: copy the weight file into that folder; a .bin or .pth is "
            "brought into safetensors by: "
            f"metastra encoders convert FILE --name {known.name} --out {folder}"
        ),
    ]
    return tuple(steps)
