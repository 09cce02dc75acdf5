"""The plain values that a page is filled with: study, splits, resolutions, provenance."""

from __future__ import annotations

from dataclasses import dataclass

from metastra.report.fold_bars import FoldGroup
from metastra.report.forest_plot import ForestPlot, ForestRow

__all__ = [
    "AppliedResolution",
    "MetadataColumn",
    "MetadataModel",
    "PageSettings",
    "Provenance",
    "SplitFold",
    "SplitSummary",
    "StudyWords",
]


@dataclass(frozen=True, kw_only=True)
class StudyWords:
    """What the page says about the study.

    Parameters
    ----------
    name, title : str
        As the study file has them; the title may be empty.
    question : str
        One sentence.
    time_unit : str
        Of every time on the page.
    horizons : tuple of float
        In `time_unit`.
    primary : float or None
        The horizon that decides.
    seed : int
        Of splits and resampling.
    uses_slides : bool
        Whether any cohort has a slide table.
    """

    name: str
    title: str = ""
    question: str = ""
    time_unit: str = "days"
    horizons: tuple[float, ...] = ()
    primary: float | None = None
    seed: int | None = None
    uses_slides: bool = False


@dataclass(frozen=True, kw_only=True)
class SplitFold:
    """One fold of a split, in counts.

    Parameters
    ----------
    fold : str
        Its name.
    n_train, events_train : int
        Patients and events that a model is fitted on, tuning patients included.
    n_test, events_test, competing_test : int
        Patients and events whose predictions are reported.
    groups : int
        Groups (sites, …) among those tested on.
    """

    fold: str
    n_train: int
    events_train: int
    n_test: int
    events_test: int
    competing_test: int = 0
    groups: int = 0


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """One stored split, in counts.

    Parameters
    ----------
    scheme : str
        In words, for instance ``"5 folds by patient and site"``.
    folds : tuple of SplitFold
        In order.
    parts : tuple of FoldGroup
        Those tested on in each fold, by group; empty where no figure is wanted.
    digest : str
        Of the stored split.
    counts_events : bool
        Whether the endpoint has events; otherwise folds are counted by patients.
    """

    scheme: str
    folds: tuple[SplitFold, ...]
    parts: tuple[FoldGroup, ...] = ()
    digest: str = ""
    counts_events: bool = True


@dataclass(frozen=True, kw_only=True)
class AppliedResolution:
    """A resolution of the study file and what it was applied to.

    Parameters
    ----------
    code : str
        Of the problem that it resolves.
    action : str
        accept, exclude, set, use-events or use-status.
    reason : str
        As the study file has it.
    patients : tuple of str
        Pseudonyms of those it was applied to.
    cohorts : tuple of str
        It was limited to; empty for all.
    column, value : str
        With ``set``.
    """

    code: str
    action: str
    reason: str
    patients: tuple[str, ...] = ()
    cohorts: tuple[str, ...] = ()
    column: str = ""
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class MetadataColumn:
    """How well one metadata column alone orders the patients by their events.

    Parameters
    ----------
    name : str
        The column.
    concordance, lower, upper : float or None
        None where it cannot be estimated.
    n, events : int or None
        What it rests on.
    reason : str
        Why there is no number.
    """

    name: str
    concordance: float | None = None
    lower: float | None = None
    upper: float | None = None
    n: int | None = None
    events: int | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class MetadataModel:
    """How well the way in which data were collected foretells the outcome.

    Parameters
    ----------
    whole : MetadataColumn
        The model of all columns, cross-validated.
    columns : tuple of MetadataColumn
        Each column alone.
    p : float or None
        Of the test that metadata have nothing to do with the outcome.
    method : str
        In words.
    level : float
        Confidence level.
    """

    whole: MetadataColumn
    columns: tuple[MetadataColumn, ...] = ()
    p: float | None = None
    method: str = "ridge Cox model, cross-validated"
    level: float = 0.95

    def forest(self) -> ForestPlot:
        """Lay the concordances out.

        Returns
        -------
        ForestPlot
            On a linear axis around one half.
        """
        rows = [
            ForestRow(
                label=item.name,
                estimate=item.concordance,
                lower=item.lower,
                upper=item.upper,
                n=item.n,
                events=item.events,
                reason=item.reason,
                indent=0 if item is self.whole else 1,
            )
            for item in (self.whole, *self.columns)
        ]
        return ForestPlot(
            rows=tuple(rows),
            quantity="Concordance",
            level=self.level,
            scale="linear",
            reference=0.5,
        )


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the page comes from.

    Parameters
    ----------
    study_digest, cohort_digest : str
        SHA-256; empty where there is none.
    tables : tuple of (str, str)
        Name and SHA-256 of every table.
    version : str
        Of metastra.
    made_at : str
        Date and time, only where the caller gives one: without it equal pages are equal bytes.
    """

    study_digest: str = ""
    cohort_digest: str = ""
    tables: tuple[tuple[str, str], ...] = ()
    version: str = ""
    made_at: str = ""


@dataclass(frozen=True, kw_only=True)
class PageSettings:
    """What a reader may want otherwise.

    Parameters
    ----------
    level : float
        Confidence level of all intervals.
    min_at_risk : int
        Where fewer patients are at risk, curves are marked.
    hidden_below : int
        Counts above 0 and below this are hidden in tables by column and site; 0 shows all.
    most_rows : int
        Rows shown for each problem.
    most_problems : int
        Problems shown for each code.
    checks_href : str
        Where the list of checks lies; each code, in small letters, is an anchor in it.  Codes are
        no links where it is empty, as on a page that travels alone.
    """

    level: float = 0.95
    min_at_risk: int = 5
    hidden_below: int = 5
    most_rows: int = 20
    most_problems: int = 50
    checks_href: str = "docs/checks.md"
