"""The sections of a study file as frozen values.

Every key that `study.toml` may hold stands here with its meaning, its unit and the reason for its
default.  Unknown keys are refused; `metastra.study.load` turns pydantic's complaints into problems
with the line of the file.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)

from metastra.units import TimeUnit

__all__ = [
    "ClinicalColumn",
    "Clock",
    "CohortSection",
    "EndpointSection",
    "EventWords",
    "Exclusion",
    "MetadataColumns",
    "ModelSection",
    "RecordedEvent",
    "ReferenceScore",
    "Resolution",
    "SlideSection",
    "Staging",
    "StatusColumn",
    "StudySection",
    "SyntheticSection",
    "TableFormatSection",
    "ValidationSection",
]

Name = Annotated[str, StringConstraints(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class _Section(BaseModel):
    """A frozen section that refuses unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False
    )


class StudySection(_Section):
    """``[study]``: who and what."""

    name: Name
    """Used in file names: letters, digits, point, hyphen, underscore."""
    title: str = ""
    """One line for people; shown on the report."""
    seed: int = Field(default=20260101, ge=0)
    """Seeds splits and resampling; part of the study's digest."""
    primary_tumour: Literal["colorectal", "breast", "other"] = "other"
    """Decides the staging tables and the plain words for sites."""
    patient_ids: Literal["study-wide", "per-cohort"] = "study-wide"
    """``per-cohort`` where each table numbers its own patients, so that equal ids mean nothing."""


class TableFormatSection(_Section):
    """``clini_format = { … }`` and its sisters: how a table is written."""

    encoding: str = "utf-8"
    """Of the text; a byte order mark is accepted."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Between fields; by default a comma, or a tab for .tsv and .txt."""
    decimal: Literal[".", ","] = "."
    """Mark in numbers."""
    date_format: str | None = None
    """As Python's ``strptime`` has it; by default ISO (2021-03-14)."""
    comment: str | None = Field(default=None, min_length=1, max_length=3)
    """Leading lines that start with it are passed over, as cBioPortal writes them."""
    sheet: str | None = None
    """Of a workbook; needed when it has several."""
    missing: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", ".")
    """Cells with exactly this text are missing."""


class CohortSection(_Section):
    """``[[cohort]]``: the tables of one cohort."""

    name: Name
    """Unique in the study."""
    role: Literal["development", "external", "temporal"]
    """Development cohorts may be fitted on; the others are only ever predicted."""
    clini_table: Text
    """One row per patient (or per slide, see `clini_rows`)."""
    slide_table: Text | None = None
    """PATIENT, FILENAME and optional MPP, STAIN, SPECIMEN, BLOCK."""
    slide_dir: Text | None = None
    """Folder of the slides named in the slide table."""
    feature_dir: Text | None = None
    """Folder of feature files, when FILENAME names those."""
    region_dir: Text | None = None
    """Folder of regions drawn in QuPath, a ``.geojson`` for each slide, named as the slide: tiles
    come from inside alone.  Every slide needs one."""
    region_origin: Literal["qupath", "level0"] = "qupath"
    """What the regions count from: the scanned bounds, as QuPath does, or the corner of level 0."""
    specimen_table: Text | None = None
    """PATIENT, SPECIMEN, ORGAN, ROLE, PROCEDURE, DATE, NEOADJUVANT."""
    event_table: Text | None = None
    """PATIENT, DATE or TIME, TYPE, SITE, EVIDENCE, LAST_NEGATIVE."""
    clini_rows: Literal["per-patient", "per-slide"] = "per-patient"
    """``per-slide`` accepts repeated patients, whose declared columns must then agree."""
    clini_format: TableFormatSection = TableFormatSection()
    slide_format: TableFormatSection = TableFormatSection()
    specimen_format: TableFormatSection = TableFormatSection()
    event_format: TableFormatSection = TableFormatSection()
    columns: dict[str, str] = Field(default_factory=dict)
    """Renames: the name metastra expects → the name in this cohort's tables, for instance
    ``PATIENT = "case_id"``."""
    require_slides: bool = True
    """Whether every FILENAME must exist in `slide_dir` or `feature_dir`."""
    data_cut: date | None = None
    """Day of the export; dates after it are refused."""


class EndpointSection(_Section):
    """``[endpoint]``: what is predicted."""

    name: Name | None = None
    """From the dictionary (`metastra endpoints`)."""
    kind: Literal["survival", "binary", "multiclass", "ordinal", "continuous"] = "survival"
    """Other kinds than survival need `column`."""
    time: Text | None = None
    """Column of follow-up time, when the clinical table holds the finished endpoint."""
    event: Text | None = None
    """Column of its status; read through `codes`."""
    codes: dict[str, Literal["censored", "event", "competing"]] = Field(default_factory=dict)
    """Every value that occurs in `event` and what it means."""
    column: Text | None = None
    """Column of a binary, multiclass, ordinal or continuous target."""
    levels: tuple[str, ...] = ()
    """Values of `column` in order (ordinal) or at all (multiclass, binary: negative first)."""
    time_unit: TimeUnit = TimeUnit.DAYS
    """Of `horizons`, and of durations in the tables unless `clock.unit` says otherwise."""
    horizons: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Times by which risks are predicted, in `time_unit`, ascending."""
    primary_horizon: float | None = Field(default=None, gt=0)
    """The one that decides; among `horizons`."""
    cutpoints: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Risks by `primary_horizon` from which on a patient belongs to the next higher group,
    ascending; by default the thirds of the development cohorts, fixed with the model."""
    synchronous_window_months: float = Field(default=0.0, ge=0)
    """Metastases up to this long after surgery count as synchronous: the clock starts then."""
    clock: Literal["procedure", "metastasis-diagnosis", "surgery"] = "procedure"
    """For endpoints after metastasis: where time zero lies.  With the last two a patient enters
    observation at the procedure (delayed entry)."""
    day_zero: Literal["refuse", "half-day", "exclude"] = "refuse"
    """What becomes of follow-up that ends on the day it begins."""
    unknown_cause_of_death: Literal["refuse", "competing", "event"] = "refuse"
    """For cancer-specific endpoints."""
    no_competing_events: bool = False
    """A statement that no competing event occurred, which silences EP011."""


class Clock(_Section):
    """``[clock]``: from when to when a patient was watched, as columns of the clinical table."""

    origin: Text | None = None
    """Date of surgery (or another time zero); left out when times are durations since it."""
    last_contact: Text | None = None
    """Date or duration of the last contact, alive or dead."""
    entry: Text | None = None
    """Date or duration from which the patient was watched (delayed entry)."""
    unit: TimeUnit | None = None
    """Of durations in the tables; by default `endpoint.time_unit`."""


class RecordedEvent(_Section):
    """``[[recorded]]``: an event that stands in columns of the clinical table."""

    type: Text
    """From the event vocabulary: recurrence, metastasis, death, …"""
    when: Text
    """Column with its date or with the time since the origin."""
    occurred: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Column → values under which it happened.  Without it, a filled `when` means it happened."""
    site: str | None = None
    """Column with the site, or several sites separated by commas."""
    fixed_site: str | None = None
    """A site that holds for every event of this kind."""
    cohorts: tuple[Name, ...] = ()
    """Only these cohorts; all when empty."""


class StatusColumn(_Section):
    """``[[status]]``: a finished endpoint of the table, to be compared with the recorded events."""

    endpoint: Name
    """From the dictionary."""
    time: Text
    event: Text
    codes: dict[str, Literal["censored", "event", "competing"]]
    cohorts: tuple[Name, ...] = ()


class EventWords(_Section):
    """``[events]``: the study's own words for types and sites of events."""

    types: dict[str, str] = Field(default_factory=dict)
    """Word in the tables → word of the vocabulary."""
    sites: dict[str, str] = Field(default_factory=dict)
    """Word in the tables → word of the vocabulary."""
    synonyms: bool = True
    """Whether common synonyms are known beside `sites` (hepatic → liver)."""


class Staging(_Section):
    """``[staging]``: TNM and stage columns of the clinical table."""

    tnm: str | None = None
    stage: str | None = None
    metastasis_at_diagnosis: str | None = None
    """Column that says whether metastases were present at diagnosis."""
    yes: tuple[str, ...] = ("1", "1.0", "yes", "Yes", "Y", "TRUE", "True", "true", "M1")
    no: tuple[str, ...] = ("0", "0.0", "no", "No", "N", "FALSE", "False", "false", "M0")
    edition: Literal["AJCC-7", "AJCC-8"] = "AJCC-8"


class ClinicalColumn(_Section):
    """One entry of ``[clinical]``: a predictor known at the time of prediction."""

    kind: Literal["continuous", "ordinal", "categorical", "binary"]
    coding: Literal["AJCC-8", "AJCC-7", "none"] = "none"
    levels: tuple[str, ...] = ()
    """In order for ordinal; the first is the reference for categorical."""
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    """Of continuous values, for instance ``ng/ml``; stands in the model's contract."""
    transform: Literal["none", "log1p"] = "none"
    """``log1p`` brings a continuous value of 0 or more to ``ln(1 + value)`` in the model."""
    missing: Literal["impute", "refuse"] = "impute"
    """What the model does without the value: put the development cohorts' median (most frequent
    level) in its place, or give no risk."""
    measured: str | None = None
    """Column with the date (or duration since the origin) of the measurement."""
    collapse_stage: bool = False
    """IIIA, IIIB and IIIC become III."""


class MetadataColumns(_Section):
    """``[metadata]``: columns that describe how data were collected, not the patient."""

    site: str | None = None
    scanner: str | None = None
    scan_date: str | None = None


class SlideSection(_Section):
    """``[slides]``: how slides become tiles and features, and which of a patient's are used."""

    encoder: str = "morphology"
    """What turns a tile into features, for slides that are no feature files yet."""
    target_mpp: float = Field(default=0.5, gt=0, le=50)
    """Micrometres per pixel of the tiles; the encoder's own."""
    tile_px: int = Field(default=224, gt=0)
    """Side of a tile in pixels at `target_mpp`; the encoder's own."""
    weights: Text | None = None
    """Folder of the encoder's weights; by default the one of its name among the user's encoders."""
    weights_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Digest of the weights; others are refused."""
    engine: Text | None = None
    """Engine and precision, for instance ``torch-bfloat16``; by default the encoder's own."""
    per_patient: Literal["all", "index-block", "largest-tumour-area"] = "all"
    """Which slides of a patient are used; the column INDEX or TUMOUR_AREA_MM2 decides."""
    roles: tuple[Literal["primary", "metastasis", "node"], ...] = ()
    """Limits the study to specimens of these roles; empty means all."""

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not said of weights, so that older studies keep their digest."""
        written: dict[str, Any] = write(self)
        for key in ("weights", "weights_sha256", "engine"):
            if written.get(key) is None:
                written.pop(key, None)
        return written


class ModelSection(_Section):
    """``[model]``: how slides become a risk; without it, as its defaults say."""

    primary: Literal["combined", "slides", "clinical"] | None = None
    """The model that is judged and locked, declared beforehand: clinical predictors and slides,
    slides alone, or clinical predictors alone (no slide model is fitted then).  By default
    ``combined`` where the development cohorts have both, else what they have."""
    aggregator: Literal["attention", "mean", "linear"] = "attention"
    """From tiles to a patient: gated attention, the mean of the tiles' embeddings, or the mean of
    their features in a linear model, which is fitted without torch."""
    head: Literal["cox", "discrete-hazard"] = "cox"
    """What the slide model is fitted by: the partial likelihood of the event, or hazards in
    intervals of time with competing events."""
    steps: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = ()
    """Numbers of training steps to choose from, ascending; the choice is made inside the training
    part of each fold.  Empty for the built-in grid."""
    tiles_per_step: int = Field(default=48, ge=1, le=100_000)
    """Tiles drawn from each patient in a step of the training; prediction always uses all."""


class ValidationSection(_Section):
    """``[validation]``: how the folds are drawn."""

    folds: int = Field(default=5, ge=2, le=50)
    inner_folds: int = Field(default=0, ge=0, le=50)
    """Folds inside each training part for choosing settings; 0 for none."""
    repeats: int = Field(default=1, ge=1, le=1000)
    """How often the folds are drawn; models of a run are fitted on the first, the others are stored
    for other software."""
    group: tuple[str, ...] = ("PATIENT",)
    """Columns whose values must not stand on both sides; PATIENT always holds."""
    leave_one_cohort_out: bool = False
    fold_files: str | None = None
    """Published folds: a path with ``{fold}``, or a JSON with splits."""
    temporal_column: str | None = None
    """Date column of a temporal split."""
    temporal_cut: date | None = None
    """Patients from this day on are validated on."""


class ReferenceScore(_Section):
    """``[[reference]]``: a score for which nothing is fitted, judged on the same folds."""

    name: Text
    """For people, for instance ``AJCC stage alone``."""
    column: Text
    """A predictor of ``[clinical]``; its coded value is the score (stage I to IV as 1 to 4)."""
    higher_is: Literal["worse", "better"] = "worse"
    """What a higher value means."""


class SyntheticSection(_Section):
    """``[synthetic]``: only for studies whose truth was drawn, never for real ones."""

    truth: Text
    """The table of true risks, which no model sees; the finished run is compared with it."""


class Exclusion(_Section):
    """``[[exclude]]``: a criterion as data, applied in order and counted."""

    reason: Text
    column: Text
    """A column of the clinical table, or a derived one: ``@M``, ``@stage``, ``@neoadjuvant``."""
    equals: tuple[str, ...] = ()
    """Cells that are excluded."""
    not_equals: tuple[str, ...] = ()
    """Cells that stay; when given, every other cell is excluded."""
    minimum: float | None = None
    maximum: float | None = None
    """Values *outside* [minimum, maximum] are excluded."""
    missing: bool = False
    """Whether patients without a value are excluded."""
    cohorts: tuple[Name, ...] = ()


class Resolution(_Section):
    """``[[resolve]]``: what is done about a problem that the table really has."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}\d{3}$")]
    action: Literal["accept", "exclude", "set", "use-events", "use-status"]
    reason: Text
    patients: tuple[str, ...] = ()
    """Study ids; empty means every patient the code names."""
    cohorts: tuple[Name, ...] = ()
    column: str | None = None
    value: str | None = None
    """With ``set``: the value that is put into `column`."""
