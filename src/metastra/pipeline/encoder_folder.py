"""The folder of a trained encoder: weights, card, record of the training, loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.digest import digest_bytes, digest_value
from metastra.encoders.weights import CONFIG, WEIGHTS
from metastra.pipeline.encoder_collecting import Collected
from metastra.pipeline.encoder_sources import Sources
from metastra.storage import csv_bytes, json_bytes
from metastra.tiles.grid import TileSpec
from metastra.training.encoder_fit import FittedEncoder
from metastra.training.encoder_task import EncoderTask
from metastra.version import VERSION

__all__ = ["CURVE", "TRAINING", "encoder_files"]

TRAINING = "training.json"
"""What the encoder was trained on, and how."""
CURVE = "loss.csv"
"""The loss of each step."""
_LEAST_RANK = 8.0


def encoder_files(
    name: str,
    spec: TileSpec,
    task: EncoderTask,
    sources: Sources,
    collected: Collected,
    fitted: FittedEncoder,
) -> dict[str, bytes]:
    """Make the files of a folder of weights.

    Parameters
    ----------
    name : str
        Of the encoder.
    spec : TileSpec
        Of its tiles.
    task : EncoderTask
        How it was trained.
    sources : Sources
        What it was allowed to see.
    collected : Collected
        What it saw.
    fitted : FittedEncoder
        The outcome.

    Returns
    -------
    dict of str to bytes
        Weights, card, record of the training and its loss, by file name; no name of a slide and
        no patient is in any of them.
    """
    from safetensors.torch import save

    weights = save(fitted.tensors)
    training = _training(task, sources, collected, fitted)
    config = {
        "metastra": {
            "name": name,
            "title": f"compact encoder of {training['n_sources']} own sources",
            "source": f"metastra train-encoder, {training['tiles']['n']} tiles",
            "revision": digest_value({"tiles": collected.tiles_digest, **task.settings}),
            "licence": "own",
            "mpp": spec.target_mpp,
            "tile_px": spec.tile_px,
            "mean": list(fitted.mean),
            "std": list(fitted.std),
            "pooling": "none",
            "network": {"family": "compact"},
            "weights_sha256": digest_bytes(weights),
        }
    }
    return {
        CONFIG: json_bytes(config),
        WEIGHTS: weights,
        TRAINING: json_bytes(training),
        CURVE: _curve_bytes(fitted),
    }


def _training(
    task: EncoderTask, sources: Sources, collected: Collected, fitted: FittedEncoder
) -> dict[str, Any]:
    """Say what it was trained on: digests and counts."""
    import torch

    total = _totals(fitted)
    tenth = max(len(total) // 10, 1)
    warnings = []
    if fitted.effective_rank < _LEAST_RANK:
        warnings.append(
            f"warning: the features use {fitted.effective_rank:.1f} directions; the training is "
            "too short, or the tiles are too alike"
        )
    return {
        "study": sources.study or None,
        "rule": sources.rule,
        "left_out": sources.left_out,
        "pictures": any(job.pictures for job in sources.jobs),
        "n_sources": len(collected.sources),
        "sources": [
            {"digest": digest, "n_tiles": count} for digest, count in sorted(collected.sources)
        ],
        "tiles": {
            "n": sum(count for _, count in collected.sources),
            "digest": collected.tiles_digest,
        },
        "settings": task.settings,
        "steps": fitted.steps,
        "tiles_seen": fitted.steps * task.tiles_per_step,
        "workers": task.workers,
        "minutes": round(fitted.spent_s / 60.0, 2),
        "resumed_at_step": fitted.resumed_at,
        "loss": {"first": float(total[:tenth].mean()), "last": float(total[-tenth:].mean())},
        "dimension": fitted.dimension,
        "effective_rank": round(fitted.effective_rank, 2),
        "warnings": warnings,
        "tools": {"metastra": VERSION, "torch": torch.__version__, "numpy": np.__version__},
        "labels": "none: no outcome and no annotation was read",
        "research_use": "Research use only. Not for diagnosis or treatment.",
    }


def _totals(fitted: FittedEncoder) -> NDArray[np.float64]:
    from metastra.models import vicreg

    totals: NDArray[np.float64] = fitted.curve @ np.array(vicreg.WEIGHTS)
    return totals


def _curve_bytes(fitted: FittedEncoder) -> bytes:
    header = ["step", "loss", "invariance", "variance", "covariance"]
    rows = [
        [number, *(f"{value:.6g}" for value in (total, *parts))]
        for number, (total, parts) in enumerate(
            zip(_totals(fitted).tolist(), fitted.curve.tolist(), strict=True), 1
        )
    ]
    return csv_bytes(header, rows)
