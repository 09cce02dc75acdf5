"""``qc.csv``: one row per slide, and what was decided about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from metastra.slides.identity import reviewed_name
from metastra.storage import csv_bytes
from metastra.tissue.quality import ARTEFACTS

__all__ = ["COLUMNS", "Decision", "SlideRow", "table_bytes", "template_bytes", "with_faint"]

_FEWEST_TO_COMPARE, _FAINT_SHARE = 8, 0.5

COLUMNS: tuple[str, ...] = (
    "FILENAME",
    "SLIDE",
    "status",
    "use",
    "codes",
    "tissue_fraction",
    "tissue_mm2",
    *(f"{name}_fraction" for name in ARTEFACTS),
    "blur_um",
    "stain_density",
    "focus_fields",
    "not_assessable",
    "region",
    "width_px",
    "height_px",
    "mpp_x",
    "mpp_y",
    "mpp_source",
    "slide_sha256",
    "review",
    "reviewer",
    "review_reason",
    "error",
)
"""The columns of ``qc.csv``, in their order; docs/reference/quality.md says what each holds."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a reviewer decided about one slide.

    Parameters
    ----------
    slide : str
        As the review names it: the SLIDE of the table.
    override : bool
        Whether the result is turned round.
    initials, reason : str
        By whom and why.
    row : int
        Of the review table; the header is row 1.
    """

    slide: str
    override: bool
    initials: str
    reason: str
    row: int


@dataclass(frozen=True, kw_only=True)
class SlideRow:
    """One slide of a run.

    Parameters
    ----------
    filename : str
        As the user named it.
    number : int
        Its place on the command line, from 1.
    digest : str
        Of its content; empty where it could not be read.
    found : mapping
        From `metastra.pipeline.qc_task.assess_file`; empty for a failure.
    picture : bytes
        JPEG; empty where there is none.
    error : str
        Why it failed, in one line; empty otherwise.
    decision : Decision, optional
        Of a reviewer.
    faint : bool
        Whether its stain is faint beside the others; see `with_faint`.
    """

    filename: str
    number: int
    digest: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    picture: bytes = b""
    error: str = ""
    decision: Decision | None = None
    faint: bool = False

    @property
    def slide(self) -> str:
        """Name without a patient's: from the content, or from the place on the command line."""
        return reviewed_name(self.digest) if self.digest else f"row-{self.number + 1}"

    @property
    def status(self) -> str:
        """``assessed``, ``not assessable`` or ``failed``."""
        if self.error:
            return "failed"
        return "assessed" if self.found["assessable"] else "not assessable"

    @property
    def use(self) -> bool:
        """Whether the slide goes on: as assessed, turned round by an override."""
        override = self.decision is not None and self.decision.override
        return not self.error and (self.status == "assessed") != override

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes that were found, each once."""
        own = [item["code"] for item in self.found.get("codes", ())]
        return tuple(dict.fromkeys([*own, "QC012"] if self.faint else own))

    @property
    def stain(self) -> float | None:
        """Absorbance of green of an assessed slide's tissue; None for others."""
        density: float | None = self.found.get("measures", {}).get("stain")
        return density if self.status == "assessed" else None


def with_faint(rows: Sequence[SlideRow]) -> tuple[SlideRow, ...]:
    """Mark slides whose stain is below half the median of the run.

    Parameters
    ----------
    rows : sequence of SlideRow
        Of the run.

    Returns
    -------
    tuple of SlideRow
        In the same order; unmarked where fewer than eight slides were assessed.
    """
    known = [row.stain for row in rows if row.stain is not None]
    if len(known) < _FEWEST_TO_COMPARE:
        return tuple(rows)
    limit = _FAINT_SHARE * median(known)
    return tuple(replace(row, faint=row.stain is not None and row.stain < limit) for row in rows)


def table_bytes(rows: Sequence[SlideRow]) -> bytes:
    """Write the table.

    Parameters
    ----------
    rows : sequence of SlideRow
        In the order of the command line.

    Returns
    -------
    bytes
        CSV, UTF-8; what was not assessed is empty.
    """
    return csv_bytes(COLUMNS, (_cells(row) for row in rows))


def template_bytes(rows: Sequence[SlideRow]) -> bytes:
    """Write a table for a reviewer to fill in: every slide that was read, without its file name.

    Parameters
    ----------
    rows : sequence of SlideRow
        Of the run.

    Returns
    -------
    bytes
        CSV with SLIDE, DECISION, INITIALS and REASON, the last three empty.
    """
    seen = dict.fromkeys(row.slide for row in rows if not row.error)
    return csv_bytes(
        ("SLIDE", "DECISION", "INITIALS", "REASON"), ((slide, None, None, None) for slide in seen)
    )


def _cells(row: SlideRow) -> tuple[object, ...]:
    found = row.found
    fractions, measures = found.get("fractions", {}), found.get("measures", {})
    decision = row.decision
    review = "" if decision is None else ("override" if decision.override else "accept")
    values: dict[str, object] = {
        "FILENAME": row.filename,
        "SLIDE": row.slide,
        "status": row.status,
        "use": row.use,
        "codes": " ".join(row.codes),
        "tissue_fraction": fractions.get("tissue"),
        "tissue_mm2": measures.get("tissue_mm2"),
        **{f"{name}_fraction": fractions.get(name) for name in ARTEFACTS},
        "blur_um": measures.get("blur_um"),
        "stain_density": measures.get("stain"),
        "focus_fields": found.get("focus_fields"),
        "not_assessable": " ".join(found.get("not_assessable", {})),
        "region": found.get("region"),
        **{name: found.get(name) for name in ("width_px", "height_px", "mpp_x", "mpp_y")},
        "mpp_source": found.get("mpp_source"),
        "slide_sha256": row.digest,
        "review": review,
        "reviewer": "" if decision is None else decision.initials,
        "review_reason": "" if decision is None else decision.reason,
        "error": row.error,
    }
    return tuple(values[name] for name in COLUMNS)
