"""What an extraction took, for its manifest."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from metastra.pipeline.extract_summary import ExtractSummary

__all__ = ["spent"]


def spent(summary: ExtractSummary) -> dict[str, Any]:
    """Say what it took.

    Parameters
    ----------
    summary : ExtractSummary
        Of the run.

    Returns
    -------
    dict
        Counts, tiles, seconds of the workers by step, and digests of the encoder and of what
        ``extract.json`` says.
    """
    made = tiles = 0
    work_s, peak_bytes = 0.0, 0
    steps: defaultdict[str, float] = defaultdict(float)
    for fate in summary.fates:
        work_s, peak_bytes = work_s + fate.wall_s, max(peak_bytes, fate.peak_bytes)
        outcomes = () if fate.outcome is None else (fate.outcome, *fate.outcome.also)
        # the tiles and seconds of a pass are those of all its encoders
        one = next((outcome for outcome in outcomes if outcome.made), None)
        if one is not None:
            made, tiles = made + 1, tiles + one.n_tiles
            for step, step_s in one.seconds.items():
                steps[step] += step_s
    return {
        "counts": {**summary.counts, "made": made},
        "tiles_made": tiles,
        "work_seconds": round(work_s, 3),
        "step_seconds": {step: round(step_s, 3) for step, step_s in sorted(steps.items())},
        "peak_bytes": peak_bytes,
        "encoder_digest": summary.card.digest,
        "decided_digest": summary.digest(),
    }
