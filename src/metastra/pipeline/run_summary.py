"""What a run did, stage by stage, for a person and as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.pipeline.estimate import Estimate
from metastra.pipeline.model_lines import model_lines

__all__ = ["RunSummary", "StageResult"]


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What became of one stage.

    Parameters
    ----------
    stage : str
        Its name.
    done : {"made", "up to date", "would run", "refused", "left out", "not estimable"}
        What happened; "refused" where a run would stop with exit 5.
    reasons : tuple of str
        Why it had to be made, was left out, or cannot be estimated.
    digest : str or None
        Of the product.
    failed : int
        Items that failed in it, for instance slides.
    """

    stage: str
    done: str
    reasons: tuple[str, ...] = ()
    digest: str | None = None
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run did.

    Parameters
    ----------
    study : str
        Name of the study.
    run_dir : Path
        Where the products are.
    results : tuple of StageResult
        In the order of the stages.
    dry : bool
        Whether nothing was changed.
    estimate : Estimate or None
        Of a dry run: time and disk.
    """

    study: str
    run_dir: Path
    results: tuple[StageResult, ...]
    dry: bool = False
    estimate: Estimate | None = None

    @property
    def n_failed(self) -> int:
        """Items that failed in any stage."""
        return sum(item.failed for item in self.results)

    @property
    def refused(self) -> bool:
        """Whether the run would stop at a stage, because a product must not be changed."""
        return any(item.done == "refused" for item in self.results)

    def lines(self) -> list[str]:
        """Say what was done, a line for each stage.

        Returns
        -------
        list of str
            For a person.
        """
        width = max(len(item.stage) for item in self.results)
        lines = []
        for item in self.results:
            why = f"  ({'; '.join(item.reasons)})" if item.reasons else ""
            failed = f", {item.failed} failed" if item.failed else ""
            lines.append(f"{item.stage:<{width}}  {item.done}{failed}{why}")
        lines += [] if self.estimate is None else self.estimate.lines()
        if not self.dry and any(item.stage == "evaluation" for item in self.results):
            lines += model_lines(self.run_dir)
        for what, name in (("report", "index.html"), ("validation", "validation.html")):
            page = self.run_dir / "report" / name
            if not self.dry and page.exists():
                lines.append(f"{what}: {page}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "study": self.study,
            "dry_run": self.dry,
            "stages": [
                {
                    "stage": item.stage,
                    "done": item.done,
                    "reasons": list(item.reasons),
                    "digest": item.digest,
                    "failed": item.failed,
                }
                for item in self.results
            ],
            **({} if self.estimate is None else {"estimate": self.estimate.to_json()}),
        }
