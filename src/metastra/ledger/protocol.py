"""The protocol of a prospective study: what `init` freezes before the first patient.

Every key that ``protocol.toml`` may hold stands here with its meaning and the reason for its
default.  Unknown keys are refused; everything that is wrong is said at once, with its line.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from metastra.digest import digest_value
from metastra.errors import ConfigError
from metastra.ledger.criteria import Criterion
from metastra.ledger.entry import STUDY_CHAIN
from metastra.units import TimeUnit, to_days

__all__ = [
    "AccrualSection",
    "AnalysisSection",
    "AnchorSection",
    "BundleSection",
    "CentreSection",
    "DesignSection",
    "Interim",
    "Protocol",
    "ProtocolEndpoint",
    "ProtocolStudy",
    "SealSection",
]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]

EventKind = Literal["censored", "event", "competing"]


def _usual_codes() -> dict[str, EventKind]:
    return {"0": "censored", "1": "event", "2": "competing"}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ProtocolStudy(_Section):
    """``[study]``: who, how many, and whether it is real."""

    name: Name
    """In file names: letters, digits, point, hyphen, underscore."""
    title: str = ""
    """One line for people."""
    registration: str = ""
    """Number in a public registry."""
    sponsor: str = ""
    """Who keeps the anchors."""
    public_key: str = ""
    """Ed25519 public key of the coordinating centre: PEM text or the path of its file.  Every entry
    of the study's own chain must then be signed with it."""
    planned_n: int = Field(ge=2, le=1_000_000)
    """Patients to be enrolled; nobody is enrolled beyond."""
    simulated: bool = False
    """True for a played study: times may be stated with `--at`, and every entry, the report and
    `verify` say that it is simulated.  It cannot be changed afterwards."""


class AccrualSection(_Section):
    """``[accrual]``: when patients can be enrolled."""

    first_day: date
    """First day of enrolment."""
    last_day: date
    """Last day of enrolment."""


class BundleSection(_Section):
    """``[bundle]``: the locked model."""

    digest: str = ""
    """`sha256:` and 64 hexadecimal digits; filled by `init --bundle`."""
    kind: str = ""
    """Filled by `init --bundle`: `external` for a model that is not metastra's."""


class SealSection(_Section):
    """``[seal]``: who can open predictions."""

    custodian: Text
    """Name of the data custodian, who is neither clinician nor outcome assessor."""
    public_key: str
    """X25519 public key: PEM text, or the path of its file, relative to the protocol."""


class ProtocolEndpoint(_Section):
    """``[endpoint]``: the event, its horizon and its visits.  The clock starts at enrolment."""

    name: Text
    """The event of interest in words."""
    competing: str = "death without the event"
    """The competing event in words."""
    horizon: float = Field(gt=0)
    """Of the prediction, in `time_unit`."""
    time_unit: TimeUnit = TimeUnit.MONTHS
    """Of horizon, grace and visits."""
    grace: float = Field(default=0.0, ge=0)
    """How late a scan may be and still count at the horizon."""
    visits: tuple[float, ...] = ()
    """Scheduled scans after enrolment."""
    codes: dict[str, EventKind] = Field(default_factory=_usual_codes)
    """What the words of the column EVENT mean."""


class CentreSection(_Section):
    """``[[centre]]``: one hospital with its own chain."""

    name: Name
    """Of the chain; `study` is taken."""
    planned_n: int | None = Field(default=None, ge=1)
    """Patients of this centre at most."""
    public_key: str = ""
    """Ed25519 public key: PEM text or the path of its file.  Every entry of the centre must then
    be signed with it."""


class Interim(_Section):
    """``[[analysis.interim]]``: a planned look before the end."""

    name: Text
    """Of the look."""
    not_before: date
    """First day on which it may be taken."""


class AnalysisSection(_Section):
    """``[analysis]``: one primary quantity, one time, fixed before the first patient."""

    measure: Literal["auc"] = "auc"
    """The primary quantity: the cumulative/dynamic AUC at the horizon."""
    bound: float = Field(gt=0, lt=1)
    """The null hypothesis is that the AUC is at most this."""
    alpha: float = Field(default=0.025, gt=0, lt=0.5)
    """One-sided error over all looks."""
    not_before: date
    """First day of the analysis."""
    events: int = Field(default=0, ge=0)
    """Planned number of events by the horizon: the information of the last look.  Needed with
    interim looks."""
    interim: tuple[Interim, ...] = ()
    """Planned looks, in order; error is spent by the O'Brien-Fleming-type function."""
    dating: Literal["right", "midpoint", "grace"] = "right"
    """When an event found at a scan counts: at the scan, halfway back to the last scan without it,
    or at the horizon where the scan is at most `grace` late."""
    flagged: Literal["exclude", "include"] = "include"
    """Whether the primary analysis holds outcomes dated or recorded before their prediction; the
    other way is always reported beside it.  Leaving them out selects on the outcome: early events
    leave, patients without one stay."""
    secondary: tuple[Literal["oe_ratio", "slope", "ipa", "brier", "harrell", "uno"], ...] = ()
    """Declared secondary quantities, in order; everything else is exploratory."""
    subgroups: tuple[str, ...] = ()
    """Columns of the screening table; measures in them are declared and not tested."""
    cutpoints: tuple[float, ...] = ()
    """Of the risk groups."""
    thresholds: tuple[float, ...] = ()
    """Of the net benefit; 2% to 50% when left out."""
    bootstrap: int = Field(default=1000, ge=0)
    """Draws of patients."""
    seed: int = Field(default=0, ge=0)
    """Of the draws."""


class AnchorSection(_Section):
    """``[anchors]``: how often the head is given outside."""

    every_days: int = Field(default=90, ge=1)
    """Longest time between two anchors; `status` and `verify` warn when it has passed."""


class DesignSection(_Section):
    """``[design]``: assumptions behind the planned number, for the table of what it can show."""

    risk: float = Field(gt=0, lt=1)
    """Probability of the event by the horizon."""
    auc: float = Field(gt=0.5, le=0.99)
    """True AUC that is hoped for."""
    competing: float = Field(default=0.0, ge=0, lt=1)
    """Probability of the competing event by the horizon."""
    lost: float = Field(default=0.0, ge=0, lt=1)
    """Share lost to follow-up by the horizon."""
    replicates: int = Field(default=500, ge=100, le=100_000)
    """Simulated studies."""


class Protocol(_Section):
    """A whole protocol.

    Examples
    --------
    >>> Protocol.model_fields["study"].is_required()
    True
    """

    study: ProtocolStudy
    accrual: AccrualSection
    bundle: BundleSection = BundleSection()
    seal: SealSection
    endpoint: ProtocolEndpoint
    centre: tuple[CentreSection, ...] = Field(min_length=1)
    criterion: tuple[Criterion, ...] = Field(min_length=1)
    analysis: AnalysisSection
    anchors: AnchorSection = AnchorSection()
    design: DesignSection

    @property
    def digest(self) -> str:
        """SHA-256 over every setting; the file's layout does not enter."""
        return digest_value(self.model_dump(mode="json"))

    @property
    def horizon_days(self) -> float:
        """The horizon in days."""
        return float(to_days(self.endpoint.horizon, self.endpoint.time_unit))

    @property
    def grace_days(self) -> float:
        """The grace window in days."""
        return float(to_days(self.endpoint.grace, self.endpoint.time_unit))

    def key_of(self, chain: str) -> str:
        """Give the public key that a chain's entries are signed with.

        Parameters
        ----------
        chain : str
            ``"study"`` or a centre.

        Returns
        -------
        str
            PEM; empty where entries need no signature.
        """
        if chain == STUDY_CHAIN:
            return self.study.public_key
        return self.centre_named(chain).public_key

    def centre_named(self, name: str) -> CentreSection:
        """Look a centre up.

        Parameters
        ----------
        name : str
            Of a centre.

        Returns
        -------
        CentreSection
            Its settings.

        Raises
        ------
        ConfigError
            If the protocol has no such centre.
        """
        for centre in self.centre:
            if centre.name == name:
                return centre
        known = ", ".join(centre.name for centre in self.centre)
        raise ConfigError(f"the protocol has no centre {name!r}; it has {known}")
