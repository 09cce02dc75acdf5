"""What a bundle that reads slides has beside its risk layer, and how a model's columns are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from metastra.bundle.contract import Contract, OptionalDigest, SlideContract
from metastra.bundle.layout import COMPANIONS, Part
from metastra.bundle.linear import LinearModel
from metastra.bundle.parts import Development, SelfTest
from metastra.bundle.slide_model import SlideModel
from metastra.bundle.tensors import tensor_bytes
from metastra.catalogue import problem
from metastra.digest import digest_value
from metastra.errors import BundleError, Where

__all__ = [
    "MODELS",
    "SLIDE_SCORE",
    "EncoderStatement",
    "ModelName",
    "SlideDevelopment",
    "SlideFacts",
    "SlideParts",
    "SlideSelfTest",
    "companion_bytes",
    "companions_of",
    "model_inputs",
    "n_inputs",
    "parts_contradictions",
    "read_companions",
    "refused",
]

_Array = NDArray[np.float64]

ModelName = Literal["clinical", "pooled", "slides", "combined"]
MODELS: tuple[ModelName, ...] = get_args(ModelName)
"""In the order in which they are fitted and shown: the baseline first."""

SLIDE_SCORE = "slide score"
"""Name of the column of the risk layer that the slide model fills."""

_NEEDS: Mapping[ModelName, tuple[str, ...]] = MappingProxyType(
    {
        "clinical": ("clinical",),
        "pooled": ("pooled",),
        "slides": ("slide",),
        "combined": ("clinical", "slide"),
    }
)
"""Which blocks of columns a model takes, in their order."""


class EncoderStatement(Part):
    """``encoder.json``: the card of the encoder whose features the model reads."""

    format: Literal["metastra-encoder-1"] = "metastra-encoder-1"
    digest: OptionalDigest = ""
    """SHA-256 of `card`; empty where the feature files came without their encoder's card."""
    card: dict[str, JsonValue]
    """As the encoder gives it; of foreign feature files what they say of themselves."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One for each feature, or none at all."""
        names = self.card.get("feature_names")
        return tuple(str(name) for name in names) if isinstance(names, list) else ()

    def contradictions(self, slides: SlideContract) -> list[str]:
        """Hold the card against the contract.

        Parameters
        ----------
        slides : SlideContract
            Of the same bundle.

        Returns
        -------
        list of str
            Empty where both say the same.
        """
        found = []
        if self.digest and digest_value(self.card) != self.digest:
            found.append("the card is not the one its digest names")
        if self.digest and self.digest != slides.encoder_digest:
            found.append("the card is not the contract's")
        stated = {
            "name": slides.encoder,
            "engine": slides.engine,
            "precision": slides.precision,
            "dimension": slides.dimension,
        }
        for key, value in stated.items():
            if self.card.get(key) != value:
                found.append(
                    f"the card's {key} is {self.card.get(key)!r}, the contract's {value!r}"
                )
        names = digest_value(list(self.feature_names)) if self.feature_names else ""
        if names != slides.names_digest:
            found.append("the names of the features are not the contract's")
        return found


class SlideFacts(Part):
    """On which slides a model was fitted, and what was chosen on the way."""

    patients: Annotated[int, Field(ge=0)]
    """Development patients with at least one tile."""
    without_slides: dict[str, int] = Field(default_factory=dict)
    """Reason → development patients that were left out of every model but the clinical one."""
    tiles: Annotated[int, Field(ge=0)]
    aggregator: str
    head: str
    members: Annotated[int, Field(ge=1)]
    parts: Annotated[int, Field(ge=0)]
    """Inner parts of the cross-fitting, on whose held-out scores the risk layer rests."""
    choices: dict[str, JsonValue] = Field(default_factory=dict)
    """What was tried, its inner loss and what was taken, for ``slides`` and ``pooled``."""


class SlideDevelopment(Development):
    """``development.json`` of a bundle that reads slides."""

    slides: SlideFacts


class SlideSelfTest(SelfTest):
    """``selftest.json`` of a bundle that reads slides: made-up tiles, too."""

    bags: Annotated[tuple[tuple[tuple[float, ...], ...], ...], Field(min_length=1, max_length=16)]
    """Made-up tiles; row k of the patients has the bag k modulo their number."""
    slide_scores: tuple[float, ...]
    pooled_scores: tuple[float, ...]
    """One for each bag."""
    models: dict[str, tuple[tuple[float, ...], ...]] = Field(default_factory=dict)
    """Risks of the other models, as `risks`."""

    def tiles(self, bag: int) -> NDArray[np.float32]:
        """Give the tiles of a bag.

        Parameters
        ----------
        bag : int
            Its position.

        Returns
        -------
        ndarray of float32, shape (n, d)
            As a feature file would hold them.
        """
        return np.asarray(self.bags[bag], dtype=np.float32)

    def contradictions(self, slides: SlideContract, names: Iterable[str]) -> list[str]:
        """Look for a self-test of another model.

        Parameters
        ----------
        slides : SlideContract
            Of the same bundle.
        names : iterable of str
            Of the other models.

        Returns
        -------
        list of str
            Empty for a sound one.
        """
        found = []
        if any(len(tile) != slides.dimension for bag in self.bags for tile in bag):
            found.append(f"a tile of it has not {slides.dimension} features")
        if not len(self.bags) == len(self.slide_scores) == len(self.pooled_scores):
            found.append("it has not one score of each kind for each bag")
        if set(self.models) != set(names):
            found.append(f"it holds risks of {sorted(self.models)}, not of {sorted(names)}")
        elif any(len(risks) != len(self.rows) for risks in self.models.values()):
            found.append("a model has not one risk for each row")
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class SlideParts:
    """The parts of a bundle that read slides.

    Parameters
    ----------
    model : SlideModel
        From tiles to the slide score.
    pooled : SlideModel
        The linear one on pooled features.
    companions : mapping of str to LinearModel
        Risk layers of the other models by name, in the order of `MODELS`; the primary one is the
        bundle's own.
    encoder : EncoderStatement
        Whose features are read.
    """

    model: SlideModel
    pooled: SlideModel
    companions: Mapping[ModelName, LinearModel]
    encoder: EncoderStatement


def companions_of(contract: Contract) -> tuple[ModelName, ...]:
    """Name the models that stand beside the primary one.

    Parameters
    ----------
    contract : Contract
        With slides.

    Returns
    -------
    tuple of str
        In the order of `MODELS`; without predictors there is no clinical and no combined one.
    """
    primary = contract.slides.primary if contract.slides is not None else "clinical"
    return tuple(
        name
        for name in MODELS
        if name != primary and ("clinical" not in _NEEDS[name] or contract.predictors)
    )


def model_inputs(name: ModelName, clinical: _Array, slide: _Array, pooled: _Array) -> _Array:
    """Put the columns of a model together.

    Parameters
    ----------
    name : {"clinical", "pooled", "slides", "combined"}
        The model.
    clinical : ndarray of shape (n, p)
        Columns of the clinical predictors.
    slide, pooled : ndarray of shape (n,)
        Scores; NaN for patients without.

    Returns
    -------
    ndarray of shape (n, q)
        NaN where something is missing.

    Examples
    --------
    >>> clinical, score = np.array([[61.0]]), np.array([0.5])
    >>> model_inputs("combined", clinical, score, score).tolist()
    [[61.0, 0.5]]
    """
    blocks = {"clinical": clinical, "slide": slide[:, None], "pooled": pooled[:, None]}
    return np.column_stack([blocks[block] for block in _NEEDS[name]])


def n_inputs(name: ModelName, contract: Contract) -> int:
    """Count the columns of a model.

    Parameters
    ----------
    name : {"clinical", "pooled", "slides", "combined"}
        The model.
    contract : Contract
        With the predictors.

    Returns
    -------
    int
        Columns of the predictors where it takes them, and 1 for its score.
    """
    p = sum(len(predictor.columns) for predictor in contract.predictors)
    return sum(p if block == "clinical" else 1 for block in _NEEDS[name])


def companion_bytes(companions: Mapping[ModelName, LinearModel]) -> bytes:
    """Write risk layers into one file.

    Parameters
    ----------
    companions : mapping of str to LinearModel
        By name.

    Returns
    -------
    bytes
        Safetensors, each name behind its model's and a point.
    """
    return tensor_bytes(
        {
            f"{name}.{tensor}": values
            for name, model in companions.items()
            for tensor, values in model.tensors().items()
        }
    )


def read_companions(data: bytes, contract: Contract) -> dict[ModelName, LinearModel]:
    """Read risk layers and hold each against the contract.

    Parameters
    ----------
    data : bytes
        Safetensors.
    contract : Contract
        Says which models there are.

    Returns
    -------
    dict of str to LinearModel
        In the order of `MODELS`.

    Raises
    ------
    BundleError
        BU008 for another layout, BU010 for numbers that cannot be a model.
    """
    names = companions_of(contract)
    prefixes = {name: f"{name}." for name in names}
    widths = {prefixes[name]: n_inputs(name, contract) for name in names}
    models = LinearModel.several(data, contract, widths, file=COMPANIONS)
    return {name: models[prefixes[name]] for name in names}


def parts_contradictions(parts: SlideParts, slides: SlideContract) -> list[str]:
    """Hold the slide models against each other and the contract.

    Parameters
    ----------
    parts : SlideParts
        As read.
    slides : SlideContract
        Of the same bundle.

    Returns
    -------
    list of str
        Empty where they fit.
    """
    found = []
    if parts.pooled.aggregator != "linear":
        found.append("the pooled model is not linear")
    found += [
        f"a slide model of {model.dimension} features, not {slides.dimension}"
        for model in (parts.model, parts.pooled)
        if model.dimension != slides.dimension
    ]
    return found


def refused(name: str, found: list[str]) -> BundleError:
    """Make the error for parts that contradict each other.

    Parameters
    ----------
    name : str
        File of the bundle.
    found : list of str
        What does not fit.

    Returns
    -------
    BundleError
        With BU010 for each.
    """
    where = Where(file=name)
    return BundleError(
        "the bundle contradicts itself", [problem("BU010", text, where=where) for text in found]
    )
