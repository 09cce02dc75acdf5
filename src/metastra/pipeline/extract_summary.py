"""What ``extract`` leaves: a summary for a person, a manifest and a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metastra.encoders.encoder import EncoderCard
from metastra.extraction.batch import SlideFate
from metastra.extraction.shard import Shard
from metastra.extraction.slide import QUALITY_RULE
from metastra.storage import csv_bytes, json_bytes, write_bytes
from metastra.tiles.grid import TileSpec
from metastra.version import VERSION

__all__ = ["MANIFEST", "TABLE", "ExtractSummary", "leave_manifest"]

MANIFEST = "extract.json"
TABLE = "extract.csv"
_STATES = ("done", "excluded", "failed", "not begun")
_WORST_FIRST = ("failed", "not begun", "done", "excluded")


@dataclass(frozen=True, kw_only=True)
class ExtractSummary:
    """What became of the slides.

    Parameters
    ----------
    out : Path
        Folder of the feature files.
    card : EncoderCard
        Of the encoder.
    spec : TileSpec
        How the slides were tiled.
    fates : tuple of SlideFate
        In the order in which the slides were named; of several encoders one for each pass.
    others : tuple of (EncoderCard, TileSpec)
        Of all encoders but the first.
    shard : Shard or None
        The share of the slides that these are.
    """

    out: Path
    card: EncoderCard
    spec: TileSpec
    fates: tuple[SlideFate, ...] = field(default_factory=tuple)
    others: tuple[tuple[EncoderCard, TileSpec], ...] = ()
    shard: Shard | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Slides by what became of them; of several encoders the worst counts."""
        states: dict[str, set[str]] = {}
        for fate in self.rows:
            states.setdefault(fate.job.name, set()).add(fate.state)
        found = Counter(min(each, key=_WORST_FIRST.index) for each in states.values())
        return {state: found[state] for state in _STATES}

    @property
    def rows(self) -> tuple[SlideFate, ...]:
        """One for each slide and encoder, in the order in which both were named."""
        slides = {name: n for n, name in enumerate(dict.fromkeys(f.job.name for f in self.fates))}
        names = [self.card.name, *(card.name for card, _ in self.others)]
        told = [one for fate in self.fates for one in fate.each()]
        return tuple(
            sorted(told, key=lambda one: (slides[one.job.name], names.index(one.job.encoder)))
        )

    def lines(self) -> list[str]:
        """Say what was done, a line for each slide and encoder.

        Returns
        -------
        list of str
            For a person.
        """
        shown = [fate.job.shown for fate in self.rows]
        if self.others:
            wide = max(map(len, shown), default=0)
            shown = [f"{fate.job.shown:<{wide}}  {fate.job.encoder}" for fate in self.rows]
        width = max(map(len, shown), default=0)
        lines = [
            f"{name:<{width}}  {_line(fate)}" for name, fate in zip(shown, self.rows, strict=True)
        ]
        counts = self.counts
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        lines.append(f"{sum(counts.values())} slides: {told or 'none'}")
        if pace := self.pace():
            speed = f"{pace['tiles_per_s_and_worker']:.3g} tiles/s and worker"
            lines.append(
                f"{pace['tiles']} tiles at {speed}, "
                f"at most {pace['peak_bytes'] / 1e6:.0f} MB a worker"
            )
            lines.append(f"the encoder was idle {self.idle:.0%} of its time, waiting for tiles")
        lines.append(f"features: {self.out}")
        return lines

    @property
    def idle(self) -> float:
        """Share of the passes in which no encoder computed; 0 where nothing was made."""
        busy = passes = 0.0
        for fate in self.fates:
            # encoders of a pass share its clock
            seconds = [one.outcome.seconds for one in fate.each() if one.outcome]
            clock = next(filter(None, seconds), {})
            busy += clock.get("busy", 0.0)
            passes += clock.get("waiting", 0.0) + clock.get("encoding", 0.0)
        return max(0.0, 1.0 - busy / passes) if passes else 0.0

    def pace(self) -> dict[str, Any]:
        """Tell how fast it went: what differs from run to run, and so stands in no file.

        Returns
        -------
        dict
            Tiles that were made, tiles a second and worker, the encoders' idle share, and the
            highest memory of a worker; empty where nothing was made.
        """
        seconds, tiles = 0.0, 0
        for fate in self.fates:
            made = [one.outcome.n_tiles for one in fate.each() if one.outcome and one.outcome.made]
            seconds += fate.wall_s if made else 0.0
            tiles += max(made, default=0)
        if not (tiles and seconds):
            return {}
        return {
            "tiles": tiles,
            "tiles_per_s_and_worker": tiles / seconds,
            "encoder_idle_share": self.idle,
            "peak_bytes": max(fate.peak_bytes for fate in self.fates),
        }

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values; nothing in it depends on when or how fast it ran.

        Returns
        -------
        dict
            Strict JSON, as it stands in ``extract.json``.
        """
        return {
            "metastra": VERSION,
            **({} if self.shard is None else {"shard": str(self.shard)}),
            **self._encoders(),
            "quality": QUALITY_RULE,
            "counts": self.counts,
            "slides": [_plain(fate, several=bool(self.others)) for fate in self.rows],
            "research_use": "Research use only. Not for diagnosis or treatment.",
        }

    def _encoders(self) -> dict[str, Any]:
        first, *more = (
            {
                "encoder": card.to_json(),
                "tiles": {
                    "target_mpp": spec.target_mpp,
                    "tile_px": spec.tile_px,
                    "side_um": spec.side_um,
                },
            }
            for card, spec in ((self.card, self.spec), *self.others)
        )
        return {"encoders": [first, *more]} if more else first


def leave_manifest(summary: ExtractSummary) -> None:
    """Write ``extract.json`` and ``extract.csv``, of a shard under names of its own.

    Parameters
    ----------
    summary : ExtractSummary
        What became of the slides so far.

    Raises
    ------
    ResourceError
        If the folder cannot be written to.
    """
    manifest, table = summary.out / MANIFEST, summary.out / TABLE
    if summary.shard is not None:
        manifest = manifest.with_stem(f"{manifest.stem}-{summary.shard.label}")
        table = table.with_stem(f"{table.stem}-{summary.shard.label}")
    write_bytes(manifest, json_bytes(summary.to_json()))
    header = ["SLIDE", "state", "n_tiles", "n_grid", "mpp_x", "mpp_y", "reason"]
    if summary.others:
        header.insert(1, "ENCODER")
    rows = []
    for fate in summary.rows:
        outcome = fate.outcome
        numbers: list[Any] = [None] * 4
        if outcome is not None:
            numbers = [outcome.n_tiles, outcome.n_grid, *outcome.mpp]
        named = [fate.job.shown, fate.job.encoder] if summary.others else [fate.job.shown]
        rows.append([*named, fate.state, *numbers, _reason(fate)])
    write_bytes(table, csv_bytes(header, rows))


def _reason(fate: SlideFate) -> str:
    if fate.failure is not None:
        return "; ".join(f"{item.code} {item.found}" for item in fate.failure.problems)
    return fate.outcome.excluded if fate.outcome is not None else ""


def _line(fate: SlideFate) -> str:
    outcome = fate.outcome
    if fate.failure is not None:
        return "failed    " + "; ".join(
            f"{item.code} {item.found}" + (f" → {item.hint}" if item.hint else "")
            for item in fate.failure.problems
        )
    if outcome is None:
        return "not begun"
    if outcome.excluded:
        return f"excluded  {outcome.excluded}"
    lost = ", ".join(f"{count} by {code}" for code, count in sorted(outcome.dropped.items()))
    known = "" if outcome.made else ", up to date"
    return f"done      {outcome.n_tiles} of {outcome.n_grid} tiles{known}" + (
        f" (dropped: {lost})" if lost else ""
    )


def _plain(fate: SlideFate, *, several: bool) -> dict[str, Any]:
    outcome, failure = fate.outcome, fate.failure
    values: dict[str, Any] = {"slide": fate.job.shown, "state": fate.state}
    if several:
        values["encoder"] = fate.job.encoder
    if outcome is not None:
        values |= {
            "features": f"{fate.job.prefix}{outcome.name}.h5",
            "n_tiles": outcome.n_tiles,
            "n_grid": outcome.n_grid,
            "dropped": dict(sorted(outcome.dropped.items())),
            "excluded": outcome.excluded or None,
            "mpp": list(outcome.mpp),
            "mpp_source": outcome.mpp_source,
            "reading": outcome.reading or None,
            "slide_digest": outcome.slide_digest,
            "digest": outcome.digest,
        }
    if failure is not None:
        values |= {
            "cause": failure.cause.value,
            "kind": failure.kind,
            "problems": [item.to_json() for item in failure.problems],
        }
    return values
