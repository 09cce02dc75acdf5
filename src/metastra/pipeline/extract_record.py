"""What an extraction took, for its manifest."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from metastra.digest import digest_value
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
    passes = [(fate.outcome, *fate.outcome.also) for fate in summary.fates if fate.outcome]
    # the tiles and seconds of a pass are those of all its encoders
    made = [
        next((one.n_tiles, one.seconds) for one in outcomes if one.made)
        for outcomes in passes
        if any(one.made for one in outcomes)
    ]
    steps: defaultdict[str, float] = defaultdict(float)
    for _, seconds in made:
        for step, step_s in seconds.items():
            steps[step] += step_s
    return {
        "counts": {**summary.counts, "made": len(made)},
        "tiles_made": sum(tiles for tiles, _ in made),
        "work_seconds": round(sum(fate.wall_s for fate in summary.fates), 3),
        "step_seconds": {step: round(step_s, 3) for step, step_s in sorted(steps.items())},
        "peak_bytes": max([fate.peak_bytes for fate in summary.fates] or [0]),
        "encoder_digest": summary.card.digest,
        "decided_digest": digest_value(summary.to_json()),
    }
