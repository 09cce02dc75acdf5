"""Which columns of which tables hold what, as the user says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from metastra.cohort.tables import TableFormat
from metastra.errors import ConfigError
from metastra.units import TimeUnit

__all__ = ["ACCEPTABLE", "Request"]

ACCEPTABLE = frozenset({"EP003", "EV003", "EV007", "EV009", "EV015", "EV016"})
"""Refusals that a person can know to be right."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be read.

    Parameters
    ----------
    predictions : Path
        One row for each patient (wide), or for each patient, horizon and fold (long: it has a
        column ``horizon``).
    outcomes : Path or None
        Table of outcomes with the same ids; None where they stand beside the predictions.
    id, time, event : str
        Columns of the patient, the follow-up time and the event code.
    entry, last_negative, cohort : str or None
        Further columns.
    risks, baseline : tuple of str
        Columns of risks: one for each horizon in a wide table, one in a long table.
    risk_score : str or None
        Column of the score.
    subgroups : tuple of str
        Columns of subgroups.
    adjust, describe : tuple of str
        Columns that hazard ratios are adjusted for, and further ones of table 1; ``COL``,
        ``COL:number`` or ``COL:category``.
    known_at : tuple of str
        ``COL=TIME_COL``: when a column of `adjust`, `subgroups` or `treatment` became known.
    risk_group : str or None
        Column of the group that each patient's own model assigned, where several models with
        cut-points of their own made the predictions; None cuts the risks.
    treatment : str or None
        Column of the treatment: 1 or yes, 0 or no.
    cause : int
        Code of the event of interest; every other code but 0 is a competing event.
    horizons : tuple of float
        Ascending, in `time_unit`.
    time_unit : TimeUnit
        Of all times.
    accept : frozenset of str
        Codes that the user has looked at and accepts.
    format : TableFormat
        How the tables are written.

    Raises
    ------
    ConfigError
        When the request contradicts itself.
    """

    predictions: Path
    time: str
    event: str
    horizons: tuple[float, ...]
    outcomes: Path | None = None
    id: str = "PATIENT"
    entry: str | None = None
    last_negative: str | None = None
    cohort: str | None = None
    risks: tuple[str, ...] = ()
    baseline: tuple[str, ...] = ()
    risk_score: str | None = None
    subgroups: tuple[str, ...] = ()
    adjust: tuple[str, ...] = ()
    describe: tuple[str, ...] = ()
    known_at: tuple[str, ...] = ()
    risk_group: str | None = None
    treatment: str | None = None
    cause: int = 1
    time_unit: TimeUnit = TimeUnit.DAYS
    accept: frozenset[str] = frozenset()
    format: TableFormat = field(default_factory=TableFormat)

    def __post_init__(self) -> None:
        grid = self.horizons
        if not grid or any(not a < b for a, b in zip((0.0, *grid), grid, strict=False)):
            raise ConfigError(
                f"--horizon is {', '.join(f'{h:g}' for h in grid) or 'missing'}; "
                "expected positive times in ascending order"
            )
        if not self.risks and self.risk_score is None:
            raise ConfigError(
                "name the predictions: --risk COL for each horizon, or --risk-score COL"
            )
        if self.cause < 1:
            raise ConfigError(f"--cause is {self.cause}; expected 1 or more (0 is censored)")
        for option, columns in (("--risk", self.risks), ("--baseline-risk", self.baseline)):
            if columns and len(columns) not in (1, len(grid)):
                raise ConfigError(
                    f"{option} names {len(columns)} columns for {len(grid)} horizons; expected one "
                    "for each horizon in the same order, or one column of a long table"
                )
        if unknown := sorted(self.accept - ACCEPTABLE):
            known = ", ".join(sorted(ACCEPTABLE))
            raise ConfigError(f"--accept {', '.join(unknown)}: only {known} can be accepted")
