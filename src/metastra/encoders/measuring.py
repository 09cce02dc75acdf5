"""Which engine is fastest here: each computes for a second, once, and the answer is kept.

Speed is a matter of the machine, so nothing is guessed from its name.  An engine is proposed only
where its features agree with those of plain float32: a cosine of at least 0.999 for every tile that
was tried.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metastra.digest import digest_value
from metastra.encoders.encoder import Encoder
from metastra.encoders.engine_names import DEFAULT_ENGINE, ENGINES, engine_parts
from metastra.encoders.weights import Weights
from metastra.errors import MetastraError
from metastra.storage import json_bytes, parse_json, write_bytes

__all__ = ["LEAST_COSINE", "Measured", "kept_measurements", "measure_engines", "proposed"]

LEAST_COSINE = 0.999
"""Between the features of an engine and those of plain float32, for the worst tile."""

_PACKAGES = ("torch", "openvino", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What an engine did in its second.

    Parameters
    ----------
    engine : str
        With its precision.
    tiles_per_s : float
        Of elapsed time; 0 where it does not work here.
    cosine : float or None
        Of the worst tile to plain float32.
    reason : str
        Why it does not work here; empty where it does.
    """

    engine: str
    tiles_per_s: float
    cosine: float | None
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether its features may stand for those of plain float32."""
        return self.cosine is not None and self.cosine >= LEAST_COSINE


def measure_engines(
    weights: Weights, make: Callable[[Weights, str], Encoder], *, seconds: float = 1.0
) -> tuple[Measured, ...]:
    """Let every engine that is installed compute for a second, and keep the answer.

    Parameters
    ----------
    weights : Weights
        Of the encoder.
    make : callable
        Makes the encoder on an engine.
    seconds : float
        For each engine; loading and compiling are not counted.

    Returns
    -------
    tuple of Measured
        Plain float32 first.
    """
    tiles = _tiles(weights.recipe.tile_px)
    plain: NDArray[np.float32] | None = None
    found = []
    for word in _possible(weights):
        try:
            encoder = make(weights, word)
            features = encoder.encode(tiles)
        except (MetastraError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            found.append(Measured(engine=word, tiles_per_s=0.0, cosine=None, reason=reason))
            continue
        plain = features if plain is None else plain
        speed = _speed(encoder, tiles, seconds)
        found.append(Measured(engine=word, tiles_per_s=speed, cosine=_cosine(features, plain)))
    kept = {"measured": [asdict(one) for one in found], "machine": _machine()}
    write_bytes(_place(weights), json_bytes(kept))
    return tuple(found)


def kept_measurements(weights: Weights) -> tuple[Measured, ...]:
    """Read what was measured before, with these weights on this machine with these packages.

    Parameters
    ----------
    weights : Weights
        Of the encoder.

    Returns
    -------
    tuple of Measured
        Empty where nothing was.
    """
    try:
        kept = parse_json(_place(weights).read_bytes())
        return tuple(Measured(**one) for one in kept["measured"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def proposed(measured: Sequence[Measured]) -> str:
    """Choose the fastest engine whose features agree with plain float32.

    Parameters
    ----------
    measured : sequence of Measured
        Of one encoder on one machine.

    Returns
    -------
    str
        Plain float32 where no other is faster.

    Examples
    --------
    >>> fast = Measured(engine="torch-bfloat16", tiles_per_s=30.0, cosine=0.9999)
    >>> wrong = Measured(engine="openvino-bfloat16", tiles_per_s=90.0, cosine=0.99)
    >>> proposed([fast, wrong])
    'torch-bfloat16'
    """
    good = [one for one in measured if one.agrees and one.tiles_per_s > 0]
    return max(good, key=lambda one: one.tiles_per_s).engine if good else DEFAULT_ENGINE


def _possible(weights: Weights) -> list[str]:
    """List the engines that are installed and run this kind of network, the plain one first."""
    words = []
    for word in ENGINES:
        try:
            engine, _ = engine_parts(word, weights.recipe.network.family)
        except MetastraError:
            continue
        module = engine.partition("-")[0]
        gpu_missing = engine == "torch-cuda" and not Path("/proc/driver/nvidia").exists()
        if find_spec(module) is not None and not gpu_missing:
            words.append(word)
    return words


def _tiles(side_px: int, count: int = 32) -> NDArray[np.uint8]:
    """Make soft spots of tissue's colours: the tiles of the measurement."""
    rng = np.random.default_rng(0)
    coarse = rng.random((count, side_px // 8 + 1, side_px // 8 + 1, 1))
    spots = np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2)[:, :side_px, :side_px]
    light, dark = np.array([236.0, 200.0, 222.0]), np.array([92.0, 54.0, 128.0])
    tiles: NDArray[np.uint8] = (light + (dark - light) * spots).astype(np.uint8)
    return tiles


def _speed(encoder: Encoder, tiles: NDArray[np.uint8], seconds: float) -> float:
    begun_s, passed_s, done = time.perf_counter(), 0.0, 0
    while passed_s < seconds:
        encoder.encode(tiles[:16])
        done += 16
        passed_s = time.perf_counter() - begun_s
    return done / passed_s


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    if not np.all(lengths > 0):
        return float(np.array_equal(one, other))
    return float(((one * other).sum(axis=1) / lengths).min())


def _machine() -> dict[str, Any]:
    """Say what decides the speed, besides the network."""
    told = {"processor": _processor(), "threads": os.environ.get("OMP_NUM_THREADS", "")}
    for package in _PACKAGES:
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            told[package] = ""
    return told


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    wanted = ("model name", "cpu family", "model\t", "flags")
    told = [line for line in lines if line.startswith(wanted)]
    return digest_value(sorted(set(told)))[:16]


def _place(weights: Weights) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    base = Path(cache) if cache else Path.home() / ".cache"
    key = digest_value({"weights": weights.sha256, "machine": _machine()})[:24]
    return base / "metastra" / "engines" / f"{key}.json"
