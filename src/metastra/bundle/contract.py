"""The contract: for whom a model is meant, what goes in, what comes out, and when it refuses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from metastra.bundle.layout import Part
from metastra.cohort.coding import Coding, CodingKind

__all__ = [
    "NOT_STATED",
    "Contract",
    "Cutpoints",
    "EndpointStatement",
    "IntendedUse",
    "MissingRule",
    "Predictor",
    "SlideContract",
]

NOT_STATED = "not stated"
"""Stands where a person should have written something and did not."""

RESEARCH_USE = "Research use only. Not for diagnosis or treatment."

Words = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Positive = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(gt=0, lt=1)]
OptionalDigest = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]


class IntendedUse(Part):
    """For what a model is meant, and for what it is not."""

    population: Words = NOT_STATED
    """Who may be predicted: disease, stage, age, treatment, setting."""
    specimen: Words = NOT_STATED
    """What is looked at and when it was taken."""
    use: Words = NOT_STATED
    """What the risk is used for."""
    user: Words = NOT_STATED
    """Who reads it."""
    not_for: Words = "diagnosis, treatment or any decision about a patient"
    """What it must not be used for."""
    research_use: Words = RESEARCH_USE

    @property
    def open_statements(self) -> tuple[str, ...]:
        """Names of the statements that nobody made."""
        return tuple(name for name, text in self if text == NOT_STATED)


class EndpointStatement(Part):
    """What is predicted, from when on, in which unit."""

    name: Words
    definition: Words
    time_zero: Words
    competing: bool
    """Whether competing events were part of the model."""
    synchronous_window_months: Annotated[float, Field(ge=0)] = 0.0


class MissingRule(Part):
    """What happens when a predictor is missing."""

    rule: Literal["impute", "refuse", "pass"]
    """``refuse``: the patient gets no risk.  ``pass``: a foreign program gets the empty cell."""
    fill: tuple[float, ...] = ()
    """With ``impute``: the coded value that is put in, one for each column of the predictor."""
    meaning: str = ""
    """The same for people: the median or the most frequent level of the development cohorts."""
    indicator: bool = False
    """Whether the model has a column that says the value was missing."""


class Predictor(Part):
    """One predictor: how it is written, what is accepted, and what stands for a missing value."""

    name: Words
    """Column of the table."""
    kind: Literal["continuous", "ordinal", "categorical", "binary"]
    scheme: Literal["AJCC-7", "AJCC-8", "none"] = "none"
    axis: Literal["", "T", "N", "M", "stage"] = ""
    levels: tuple[str, ...] = ()
    collapse_stage: bool = False
    unit: str = ""
    transform: Literal["none", "log1p"] = "none"
    minimum: float | None = None
    maximum: float | None = None
    """Values outside are refused."""
    validated_low: float | None = None
    validated_high: float | None = None
    """Values outside are predicted with a warning: at most 1 % of the development patients lay
    beyond each end."""
    missing: MissingRule

    @property
    def coding(self) -> Coding:
        """How its cells become numbers."""
        return Coding(
            kind=CodingKind(self.kind),
            scheme=self.scheme,
            levels=self.levels,
            minimum=self.minimum,
            maximum=self.maximum,
            collapse_stage=self.collapse_stage,
            axis=self.axis,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the model that it takes, its indicator last."""
        names: tuple[str, ...] = (self.name,)
        if self.kind == "categorical":
            names = tuple(f"{self.name}={level}" for level in self.levels[1:])
        return (*names, f"{self.name} missing") if self.missing.indicator else names


class Cutpoints(Part):
    """Where risk groups are cut, fixed in the development cohorts."""

    horizon: Positive
    values: tuple[Probability, ...]
    names: tuple[str, ...]
    """From the lowest group to the highest; one more than `values`.  A patient at or above a
    cut-point belongs to the higher group."""
    source: Words


class SlideContract(Part):
    """Which slides a model accepts, and what their features must be; absent where none are used."""

    primary: Literal["combined", "slides"]
    """Whether the risk rests on clinical predictors and slides, or on slides alone."""
    encoder: str
    """Name of the encoder; empty where the feature files of development did not say."""
    encoder_digest: OptionalDigest = ""
    """SHA-256 of its card, engine and precision included."""
    engine: str = ""
    precision: str = ""
    """What computed the features, and how exactly."""
    dimension: Annotated[int, Field(ge=1)]
    """Features of a tile."""
    names_digest: OptionalDigest = ""
    """SHA-256 of the features' names; empty where they have none."""
    target_mpp: Positive | None = None
    """Micrometres per pixel at which the encoder saw the tiles."""
    tile_px: Annotated[int, Field(ge=1)] | None = None
    """Side of the tiles that the encoder saw, in pixels."""
    tile_side_um: Positive | None = None
    """Side of a tile in micrometres."""
    quality_digest: OptionalDigest = ""
    """SHA-256 of the rule by which tiles fall out."""
    regions: Literal["drawn", "whole", "mixed", ""] = ""
    """Whether the tiles of development came from drawn regions or from whole slides; empty in
    bundles that were made before this was asked."""
    stains: tuple[str, ...]
    """Stains that are accepted."""
    mpp_low: Positive | None = None
    mpp_high: Positive | None = None
    """Micrometres per level-0 pixel that are accepted: from half the finest to twice the coarsest
    of development.  Slides outside are refused."""
    validated_mpp_low: Positive | None = None
    validated_mpp_high: Positive | None = None
    """The finest and the coarsest of development; outside them a risk comes with a warning."""
    scanners: tuple[str, ...] = ()
    """Seen in development, where the slide tables say; another one is a warning."""
    share_outside: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of features outside the typical range that 99 % of the development patients stayed
    within; above it a risk comes with a warning."""
    missing_rule: Words = "a patient without a usable slide gets no risk"


class Contract(Part):
    """``contract.json``."""

    format: Literal["metastra-contract-1"] = "metastra-contract-1"
    intended_use: IntendedUse
    endpoint: EndpointStatement
    time_unit: Literal["days", "months", "years"]
    horizons: Annotated[tuple[Positive, ...], Field(min_length=1)]
    primary_horizon: Positive
    cutpoints: Cutpoints | None = None
    predictors: tuple[Predictor, ...] = ()
    slides: SlideContract | None = None
    preprocessing: Words = "none beside the coding of the predictors"
    missing_rule: Words
    """The rule in one sentence; `Predictor.missing` holds it exactly."""
    outputs: dict[str, str] = Field(
        default_factory=lambda: {
            "risk": "probability of the event by a horizon, competing events taken into account",
            "risk_score": "unbounded, higher is worse; log of the relative hazard of the event",
        }
    )
    research_use: Words = RESEARCH_USE

    def contradictions(self) -> list[str]:
        """Compare the parts of the contract with each other.

        Returns
        -------
        list of str
            What does not fit; empty for a sound contract.
        """
        found = []
        if list(self.horizons) != sorted(set(self.horizons)):
            found.append("the horizons do not ascend")
        if self.primary_horizon not in self.horizons:
            found.append(f"the primary horizon {self.primary_horizon:g} is not among the horizons")
        names = [predictor.name for predictor in self.predictors]
        if len(set(names)) != len(names):
            found.append("a predictor stands twice in the contract")
        found += self._cutpoint_contradictions()
        if self.slides is not None:
            found += _slide_contradictions(self.slides, clinical=bool(self.predictors))
        for predictor in self.predictors:
            found += _predictor_contradictions(predictor)
        return found

    def _cutpoint_contradictions(self) -> list[str]:
        cuts = self.cutpoints
        if cuts is None:
            return []
        found = []
        if list(cuts.values) != sorted(set(cuts.values)):
            found.append("the cut-points do not ascend")
        if len(cuts.names) != len(cuts.values) + 1:
            found.append(f"{len(cuts.values)} cut-points name {len(cuts.names)} groups")
        if cuts.horizon not in self.horizons:
            found.append(f"the cut-points' horizon {cuts.horizon:g} is not among the horizons")
        return found


def _slide_contradictions(slides: SlideContract, *, clinical: bool) -> list[str]:
    found = []
    limits = (slides.mpp_low, slides.validated_mpp_low, slides.validated_mpp_high, slides.mpp_high)
    known = [value for value in limits if value is not None]
    if len(known) not in (0, 4) or known != sorted(known):
        found.append("slides: the accepted and the validated scales contradict each other")
    if slides.primary == "combined" and not clinical:
        found.append("slides: a combined model without clinical predictors")
    if slides.encoder_digest and not (slides.encoder and slides.engine and slides.precision):
        found.append("slides: a card of an encoder without name, engine or precision")
    return found


def _predictor_contradictions(predictor: Predictor) -> list[str]:
    found = []
    width = len(predictor.columns) - predictor.missing.indicator
    rule = predictor.missing
    expected = width if rule.rule == "impute" else 0
    if len(rule.fill) != expected:
        found.append(f"{predictor.name}: {len(rule.fill)} values for missing cells, not {expected}")
    if rule.indicator and rule.rule == "refuse":
        found.append(f"{predictor.name}: an indicator of what is refused")
    limits = (predictor.minimum, predictor.validated_low, predictor.validated_high)
    known = [value for value in (*limits, predictor.maximum) if value is not None]
    if known != sorted(known):
        found.append(f"{predictor.name}: its accepted and validated ranges contradict each other")
    if predictor.transform == "log1p" and (predictor.minimum is None or predictor.minimum < 0.0):
        found.append(f"{predictor.name}: log1p of values that may be negative")
    if predictor.kind == "categorical" and len(predictor.levels) < 2:
        found.append(f"{predictor.name}: fewer than two levels")
    return found
