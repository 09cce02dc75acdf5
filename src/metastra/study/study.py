"""The frozen study: all sections of the study file, checked against each other, with a digest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from metastra.digest import digest_value
from metastra.study.endpoints import Endpoint, endpoint_named
from metastra.study.sections import (
    ClinicalColumn,
    Clock,
    CohortSection,
    EndpointSection,
    EventWords,
    Exclusion,
    MetadataColumns,
    ModelSection,
    RecordedEvent,
    ReferenceScore,
    Resolution,
    SlideSection,
    Staging,
    StatusColumn,
    StudySection,
    SyntheticSection,
    ValidationSection,
)
from metastra.study.vocabulary import Vocabulary
from metastra.units import Days, TimeUnit, to_days

__all__ = ["Study"]


class Study(BaseModel):
    """What was promised before anybody looked.

    Built by `metastra.study.load.load_study`; its fields are the sections of the study file.

    Examples
    --------
    >>> study = Study.model_validate(
    ...     {
    ...         "study": {"name": "crc-liver-2y"},
    ...         "endpoint": {
    ...             "name": "overall-survival",
    ...             "time_unit": "months",
    ...             "horizons": [24],
    ...         },
    ...         "cohort": [{"name": "north", "role": "development", "clini_table": "n.csv"}],
    ...     }
    ... )
    >>> study.horizons_days, study.endpoint_definition.title
    ((730.5,), 'Overall survival')
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: StudySection
    endpoint: EndpointSection
    cohort: tuple[CohortSection, ...] = Field(min_length=1)
    clock: Clock = Clock()
    recorded: tuple[RecordedEvent, ...] = ()
    status: tuple[StatusColumn, ...] = ()
    events: EventWords = EventWords()
    staging: Staging = Staging()
    clinical: dict[str, ClinicalColumn] = Field(default_factory=dict)
    metadata: MetadataColumns = MetadataColumns()
    slides: SlideSection = SlideSection()
    model: ModelSection = ModelSection()
    validation: ValidationSection = ValidationSection()
    exclude: tuple[Exclusion, ...] = ()
    resolve: tuple[Resolution, ...] = ()
    reference: tuple[ReferenceScore, ...] = ()
    synthetic: SyntheticSection | None = None
    overlap: Literal["refuse", "keep-in-development", "keep-in-external"] = "refuse"
    """Which cohort keeps a patient who occurs in several; the others count an exclusion."""

    _path: Path | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path | None:
        """The study file, where the study was loaded from one."""
        return self._path

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from: the study file's, or the current one."""
        return self._path.parent if self._path else Path()

    @property
    def digest(self) -> str:
        """SHA-256 over every setting, in hexadecimal; the file's layout does not enter."""
        values = self.model_dump(mode="json")
        # came in later: a study without regions keeps the digest that its bundles have
        for section in values["cohort"]:
            if section["region_dir"] is None:
                del section["region_dir"], section["region_origin"]
        return digest_value(values)

    @property
    def endpoint_definition(self) -> Endpoint | None:
        """The dictionary's entry, or None for a target given by columns alone."""
        return endpoint_named(self.endpoint.name) if self.endpoint.name else None

    @property
    def horizons_days(self) -> tuple[Days, ...]:
        """The horizons in days."""
        return tuple(to_days(h, self.endpoint.time_unit) for h in self.endpoint.horizons)

    @property
    def develops_on_slides(self) -> bool:
        """Whether a development cohort promises slides or feature files."""
        return any(
            section.role == "development"
            and section.slide_table is not None
            and section.require_slides
            and bool(section.slide_dir or section.feature_dir)
            for section in self.cohort
        )

    @property
    def primary_model(self) -> Literal["combined", "slides", "clinical"]:
        """The model that is judged and locked: the declared one, or what the study has."""
        if self.model.primary is not None:
            return self.model.primary
        if not self.develops_on_slides:
            return "clinical"
        return "combined" if self.clinical else "slides"

    @property
    def table_time_unit(self) -> TimeUnit:
        """Unit of durations in the tables."""
        return self.clock.unit or self.endpoint.time_unit

    @property
    def vocabulary(self) -> Vocabulary:
        """The words for events and sites that this study knows."""
        return Vocabulary(
            types=self.events.types, sites=self.events.sites, synonyms=self.events.synonyms
        )

    def cohort_named(self, name: str) -> CohortSection:
        """Look a cohort up.

        Parameters
        ----------
        name : str
            As the study file gives it.

        Returns
        -------
        CohortSection
            Its section.

        Raises
        ------
        KeyError
            If no cohort has this name.
        """
        for section in self.cohort:
            if section.name == name:
                return section
        raise KeyError(name)

    def tables(self) -> Iterator[tuple[CohortSection, str, str]]:
        """Walk over the declared tables.

        Yields
        ------
        cohort : CohortSection
            Whose table it is.
        kind : str
            ``"clini"``, ``"slide"``, ``"specimen"`` or ``"event"``.
        path : str
            As the study file gives it.
        """
        for section in self.cohort:
            for kind in ("clini", "slide", "specimen", "event"):
                path = getattr(section, f"{kind}_table")
                if path is not None:
                    yield section, kind, path
