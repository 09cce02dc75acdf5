"""A share of a study's slides, for machines side by side; an ordinary run then goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.errors import ConfigError
from metastra.executor import Executor
from metastra.extraction.shard import Shard
from metastra.pipeline.encoders_chosen import study_card
from metastra.pipeline.features_stage import extract_slides
from metastra.pipeline.opening import OpenedStudy
from metastra.pipeline.qc_stage import assess_slides
from metastra.pipeline.study_slides import has_slides, study_slides
from metastra.pipeline.workshop import Workshop
from metastra.storage import hold

__all__ = ["ShardSummary", "run_shard"]


@dataclass(frozen=True, kw_only=True)
class ShardSummary:
    """What became of one share of the slides.

    Parameters
    ----------
    study : str
        Name of the study.
    run_dir : Path
        Where the products are.
    shard : Shard
        The share.
    n_study : int
        Slides of the whole study.
    states : dict of str to str
        ``"done"``, ``"up to date"``, ``"excluded"`` or ``"failed"``, by the pseudonym of the slide.
    """

    study: str
    run_dir: Path
    shard: Shard
    n_study: int
    states: dict[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """Slides by what became of them."""
        found = list(self.states.values())
        return {state: found.count(state) for state in ("done", "up to date", "excluded", "failed")}

    @property
    def n_failed(self) -> int:
        """Slides that failed."""
        return self.counts["failed"]

    @property
    def refused(self) -> bool:
        """False: a share touches no product that could be locked."""
        return False

    def lines(self) -> list[str]:
        """Say what was done.

        Returns
        -------
        list of str
            For a person.
        """
        told = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        return [
            f"shard {self.shard}: {len(self.states)} of {self.n_study} slides: {told or 'none'}",
            "quality and features only; when all shards are done, run without --shard to go on",
        ]

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON; slides under their pseudonyms.
        """
        return {
            "study": self.study,
            "shard": str(self.shard),
            "slides_of_study": self.n_study,
            "counts": self.counts,
            "slides": self.states,
            "research_use": "Research use only. Not for diagnosis or treatment.",
        }


def run_shard(
    opened: OpenedStudy,
    shard: Shard,
    *,
    workers: int = 1,
    retry_failed: bool = False,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> ShardSummary:
    """Assess and extract one share of a study's slides.

    Each slide is a product of its own, so shares need not know of each other, and a slide that two
    of them worked on is the same to the byte.  Nothing else of the run is made or changed.

    Parameters
    ----------
    opened : OpenedStudy
        The study.
    shard : Shard
        The share.
    workers : int
        Slides at a time.
    retry_failed : bool
        Try slides again that lost their worker too often.
    executor : Executor, optional
        Where slides are worked on; child processes of this machine by default.
    tell : callable, optional
        Told which slides are set apart, and what happens at Ctrl-C.

    Returns
    -------
    ShardSummary
        With every slide of the share.

    Raises
    ------
    DataError
        When the data are refused.
    ConfigError
        If the study has no slides.
    BusyError
        If a run that is no share works in the folder.
    ResourceError, IntegrityError, KeyboardInterrupt
        As in a run.
    """
    work = Workshop(
        opened=opened,
        workers=workers,
        retry_failed=retry_failed,
        executor=executor,
        tell=tell,
    )
    everything = study_slides(work) if work.cohort and has_slides(work) else []
    if not everything:
        raise ConfigError(
            f"study {opened.study.study.name!r} has no slides to share out; run it without --shard"
        )
    slides = shard.part(everything)
    with hold(opened.run_dir, shared=True):
        # weights that are not those of the features which are there are refused before any work
        study_card(opened.study, opened.run_dir)
        assess_slides(work, [slide for slide in slides if not slide.is_features])
        fates = extract_slides(work, slides)
    states = {
        name: "up to date"
        if fate.state == "done" and fate.outcome is not None and not fate.outcome.made
        else fate.state
        for name, fate in fates.items()
    }
    return ShardSummary(
        study=opened.study.study.name,
        run_dir=opened.run_dir,
        shard=shard,
        n_study=len(everything),
        states=dict(sorted(states.items())),
    )
