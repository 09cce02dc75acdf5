"""``slide-vectors``: feature files to one row a slide, for tables and other software."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metastra.digest import digest_file, digest_value
from metastra.encoders.slide_network import load_slide_network
from metastra.errors import ConfigError, DataError, MetastraError
from metastra.features.files import read_bag
from metastra.features.pooling import Prototypes
from metastra.features.prototypes import (
    draw_tiles,
    fit_prototypes,
    read_prototypes,
    write_prototypes,
)
from metastra.pipeline.encoder_sources import is_study
from metastra.pipeline.vector_pooling import PooledSlides, features_kind, require_kind
from metastra.pipeline.vector_tables import (
    VectorSource,
    vectors_csv,
    vectors_h5,
)
from metastra.progress import track
from metastra.slides.folders import slide_files
from metastra.storage import read_product_json, write_bytes
from metastra.study.load import load_study
from metastra.version import VERSION

__all__ = ["Pool", "VectorsRequest", "VectorsSummary", "slide_vectors"]

Pool = Literal["mean", "prototypes", "network"]
_ENDINGS = (".csv", ".h5")
_FEATURE_ENDINGS = (".h5", ".hdf5", ".zarr")
_MOST_LEARNED = 20_000


@dataclass(frozen=True, kw_only=True)
class VectorsRequest:
    """What is to be pooled, and how.

    Parameters
    ----------
    paths : tuple of Path
        Feature files, folders of them, or one study whose features are made.
    out : Path
        A ``.csv`` or ``.h5`` file.
    pool : {"mean", "prototypes", "network"}
        How tiles become a row.
    prototypes : Path or None
        Folder of the prototypes.
    learn : int or None
        How many prototypes to learn first; None to use those that are there.
    seed : int
        Of what is learned.
    weights : Path or None
        File of the network.
    """

    paths: tuple[Path, ...]
    out: Path
    pool: Pool = "mean"
    prototypes: Path | None = None
    learn: int | None = None
    seed: int = 0
    weights: Path | None = None

    def __post_init__(self) -> None:
        if self.out.suffix.lower() not in _ENDINGS:
            raise ConfigError(f"{self.out.name}: a table ends with {' or '.join(_ENDINGS)}")
        if (self.pool == "network") != (self.weights is not None):
            raise ConfigError("--pool network needs --weights FILE, and nothing else takes it")
        if self.pool != "prototypes" and (self.prototypes is not None or self.learn is not None):
            raise ConfigError("--prototypes and --learn belong to --pool prototypes")
        if self.pool == "prototypes" and self.prototypes is None:
            raise ConfigError("--pool prototypes needs --prototypes DIR")


@dataclass(frozen=True, kw_only=True)
class VectorsSummary:
    """What became of the slides.

    Parameters
    ----------
    out : Path
        The table.
    pool : str
        How tiles became rows.
    columns : int
        Numbers a slide.
    done : tuple of str
        Slides with a row.
    excluded : tuple of str
        Slides without a tile.
    failed : dict of str to str
        Slides that cannot be used, with the reason.
    prototypes : dict
        Card of the prototypes; empty for anything else.
    network : dict
        Card of the network with the digest of its file; empty for anything else.
    most_bytes : int
        Features of the largest slide in memory, where they were there at once.
    """

    out: Path
    pool: str
    columns: int
    done: tuple[str, ...]
    excluded: tuple[str, ...]
    failed: dict[str, str]
    prototypes: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    most_bytes: int = 0

    def to_json(self) -> dict[str, Any]:
        """Write the summary as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        return {
            "metastra": VERSION,
            "out": str(self.out),
            "pool": self.pool,
            "columns": self.columns,
            "counts": {
                "done": len(self.done),
                "excluded": len(self.excluded),
                "failed": len(self.failed),
            },
            "excluded": list(self.excluded),
            "failed": self.failed,
            "prototypes": self.prototypes,
            **({"network": self.network} if self.network else {}),
            "research_use": "Research use only. Not for diagnosis or treatment.",
        }

    def lines(self) -> list[str]:
        """Say it in lines for a person.

        Returns
        -------
        list of str
            One line each.
        """
        lines = [f"excluded  {name}: no tile" for name in self.excluded]
        lines += [f"failed    {name}: {why}" for name, why in self.failed.items()]
        if self.prototypes:
            known = self.prototypes
            lines.append(
                f"{known['k']} prototypes of {known['n_tiles']} tiles of {known['n_slides']} slides"
                f": {known['rule']}"
            )
        if self.network:
            lines.append(
                f"network {self.network['name']} (sha256 {self.network['sha256'][:12]}…) on "
                f"features of {self.network['encoder']}; the largest slide's are "
                f"{self.most_bytes / 1e6:.1f} MB in memory"
            )
        lines.append(
            f"{len(self.done)} slides × {self.columns} numbers, {len(self.excluded)} excluded, "
            f"{len(self.failed)} failed: {self.out}"
        )
        return lines


def slide_vectors(request: VectorsRequest) -> VectorsSummary:
    """Pool feature files to a table of one row a slide.

    Parameters
    ----------
    request : VectorsRequest
        What is to be pooled.

    Returns
    -------
    VectorsSummary
        Every slide is done, excluded or failed.

    Raises
    ------
    ConfigError
        If there is nothing to pool, options contradict, no prototypes are there, or the network
        cannot be used.
    DigestMismatch
        If the network is not the one that its card names.
    DataError
        If no slide can be used, or none has a tile.
    NotEstimable
        If there are too few tiles to learn from.
    IntegrityError, ResourceError
        If a record does not hold, or the table cannot be written.
    """
    sources, rule = _sources(request.paths)
    failed: dict[str, str] = {}
    prototypes, card, digest = _prototypes(request, sources, rule, failed)
    network = None if request.weights is None else load_slide_network(request.weights)
    pooled = PooledSlides(prototypes=prototypes, network=network, kind=card.get("features", {}))
    excluded: list[str] = []
    steps = track(sources, label="Pooling", unit="slides")
    for source in steps:
        try:
            if not pooled.take(source):
                excluded.append(source.name)
                steps.exclude()
        except MetastraError as error:
            failed[source.name] = _reason(error)
            steps.fail()
    if not pooled.rows:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items()) or "none has a tile"
        raise DataError(f"no slide can be pooled; {told}")
    known: dict[str, Any] = {}
    about = {"metastra": VERSION, "pool": request.pool, **pooled.kind, "prototypes_digest": digest}
    if network is not None:
        known = {**network.card.model_dump(mode="json"), "sha256": network.sha256}
        about |= {"network": network.card.name, "network_sha256": network.sha256}
        about |= {"network_card_digest": digest_value(known)}
    names = pooled.names()
    if request.out.suffix.lower() == ".csv":
        table = vectors_csv(pooled.rows, names)
    else:
        table = vectors_h5(pooled.rows, names, about)
    write_bytes(request.out, table)
    return VectorsSummary(
        out=request.out,
        pool=request.pool,
        columns=len(names),
        done=tuple(row.source.name for row in pooled.rows),
        excluded=tuple(excluded),
        failed=failed,
        prototypes=card,
        network=known,
        most_bytes=pooled.most_bytes,
    )


def _sources(paths: Sequence[Path]) -> tuple[list[VectorSource], str]:
    """List the feature files, and say in one sentence which of them may be learned from."""
    studies = [path for path in paths if is_study(path)]
    if studies and len(paths) > 1:
        raise ConfigError("give one study alone, or feature files without a study")
    if studies:
        return _of_study(studies[0]), "slides of the development cohorts"
    files = [path for path in slide_files(paths) if path.suffix.lower() in _FEATURE_ENDINGS]
    if not files:
        raise ConfigError("no feature file was named; give .h5 files, a folder of them, or a study")
    names = [path.stem for path in files]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"several feature files are named {', '.join(doubled)}")
    sources = [VectorSource(name=path.stem, path=path) for path in files]
    return sources, "the feature files that were named"


def _of_study(path: Path) -> list[VectorSource]:
    study = load_study(path)
    run_dir = study.folder / "run"
    roles = {section.name: section.role for section in study.cohort}
    index = read_product_json(run_dir, "features")
    return [
        VectorSource(
            name=row["slide"],
            path=run_dir / row["features"],
            patient=row["patient"],
            cohort=row["cohort"],
            development=roles.get(row["cohort"]) == "development",
        )
        for row in index["slides"]
        if "features" in row
    ]


def _prototypes(
    request: VectorsRequest, sources: Sequence[VectorSource], rule: str, failed: dict[str, str]
) -> tuple[Prototypes | None, dict[str, Any], str]:
    """Learn prototypes if that is asked for, then read them as anybody else would."""
    if request.prototypes is None:
        return None, {}, ""
    if request.learn is not None:
        _learn(request, request.prototypes, sources, rule, failed)
    return read_prototypes(request.prototypes)


def _learn(
    request: VectorsRequest,
    folder: Path,
    sources: Sequence[VectorSource],
    rule: str,
    failed: dict[str, str],
) -> None:
    seen = [source for source in sources if source.development]
    share = -(-_MOST_LEARNED // max(len(seen), 1))
    kind: dict[str, Any] = {}
    drawn: list[NDArray[np.float32]] = []
    digests: list[str] = []
    for number, source in enumerate(track(seen, label="Drawing tiles", unit="slides")):
        try:
            bag = read_bag(source.path)
            if not len(bag):
                continue
            kind = kind or features_kind(bag)
            require_kind(source, bag, kind)
            drawn.append(draw_tiles(bag, share, seed=(request.seed, number)))
        except MetastraError as error:
            failed[source.name] = _reason(error)
            continue
        digests.append(digest_file(source.path))
    if not drawn:
        raise ConfigError("there is no development slide with tiles to learn prototypes from")
    rows = np.concatenate(drawn)
    k = request.learn or 0
    card = {
        "features": kind,
        "k": k,
        "seed": request.seed,
        "rule": rule,
        "n_slides": len(drawn),
        "n_tiles": len(rows),
        "learned_from": digest_value(sorted(digests)),
    }
    write_prototypes(folder, fit_prototypes(rows, k, seed=request.seed), card)


def _reason(error: MetastraError) -> str:
    codes = "; ".join(f"{one.code} {one.found}" for one in getattr(error, "problems", ()))
    return codes or str(error).splitlines()[0]
