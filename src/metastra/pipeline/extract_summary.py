"""What ``extract`` leaves: a summary for a person, a manifest and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from metastra.digest import digest_listing
from metastra.encoders.encoder import EncoderCard
from metastra.extraction.batch import SlideFate
from metastra.extraction.shard import Shard
from metastra.extraction.slide import QUALITY_RULE
from metastra.storage import csv_lines, json_listing, write_parts
from metastra.tiles.grid import TileSpec
from metastra.version import VERSION

__all__ = ["MANIFEST", "TABLE", "ExtractSummary", "leave_manifest"]

MANIFEST = "extract.json"
TABLE = "extract.csv"
_STATES = ("done", "excluded", "failed", "not begun")
_LIST = "slides"
_RESEARCH_USE = {"research_use": "Research use only. Not for diagnosis or treatment."}
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
    fates : sequence of SlideFate
        In the order in which the slides were named; of several encoders one for each pass, those
        of a slide one after another.
    others : tuple of (EncoderCard, TileSpec)
        Of all encoders but the first.
    shard : Shard or None
        The share of the slides that these are.
    """

    out: Path
    card: EncoderCard
    spec: TileSpec
    fates: Sequence[SlideFate] = ()
    others: tuple[tuple[EncoderCard, TileSpec], ...] = ()
    shard: Shard | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Slides by what became of them; of several encoders the worst counts."""
        found: Counter[str] = Counter()
        for _, passes in groupby(self.fates, key=lambda fate: fate.job.name):
            found[min((fate.state for fate in _each(passes)), key=_WORST_FIRST.index)] += 1
        return {state: found[state] for state in _STATES}

    @property
    def rows(self) -> Iterator[SlideFate]:
        """One for each slide and encoder, in the order in which both were named."""
        names = [self.card.name, *(card.name for card, _ in self.others)]
        for _, passes in groupby(self.fates, key=lambda fate: fate.job.name):
            yield from sorted(_each(passes), key=lambda fate: names.index(fate.job.encoder))

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
            idle = pace["encoder_idle_share"]
            lines.append(f"the encoder was idle {idle:.0%} of its time, waiting for tiles")
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
        return {**self._head(), _LIST: list(self._slides()), **_RESEARCH_USE}

    def json_lines(self) -> Iterator[bytes]:
        """Write ``extract.json`` piece by piece, so that it is never whole in memory.

        Yields
        ------
        bytes
            Together what `json_bytes` writes of `to_json`.
        """
        return json_listing({**self._head(), **_RESEARCH_USE}, _LIST, self._slides())

    def digest(self) -> str:
        """Digest what `to_json` says.

        Returns
        -------
        str
            As `metastra.digest.digest_value` of it.
        """
        return digest_listing({**self._head(), **_RESEARCH_USE}, _LIST, self._slides())

    def _head(self) -> dict[str, Any]:
        return {
            "metastra": VERSION,
            **({} if self.shard is None else {"shard": str(self.shard)}),
            **self._encoders(),
            "quality": QUALITY_RULE,
            "counts": self.counts,
        }

    def _slides(self) -> Iterator[dict[str, Any]]:
        return (_plain(fate, several=bool(self.others)) for fate in self.rows)

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
    write_parts(manifest, summary.json_lines())
    header = ["SLIDE", "state", "n_tiles", "n_grid", "mpp_x", "mpp_y", "reason"]
    if summary.others:
        header.insert(1, "ENCODER")
    several = bool(summary.others)
    write_parts(table, csv_lines(header, (_cells(fate, several=several) for fate in summary.rows)))


def _each(passes: Iterable[SlideFate]) -> Iterator[SlideFate]:
    """Tell the encoders of some passes apart."""
    return (one for fate in passes for one in fate.each())


def _cells(fate: SlideFate, *, several: bool) -> list[Any]:
    """Give a slide's row of the table."""
    outcome = fate.outcome
    numbers: list[Any] = [None] * 4
    if outcome is not None:
        numbers = [outcome.n_tiles, outcome.n_grid, *outcome.mpp]
    named = [fate.job.shown, fate.job.encoder] if several else [fate.job.shown]
    return [*named, fate.state, *numbers, _reason(fate)]


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
