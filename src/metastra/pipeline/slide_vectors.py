"""``slide-vectors``: feature files to one row a slide, for tables and other software."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metastra.catalogue import problem
from metastra.digest import digest_file, digest_value
from metastra.errors import ConfigError, DataError, MetastraError, Where
from metastra.features.bag import Bag
from metastra.features.files import read_bag
from metastra.features.pooling import Prototypes, mean_vector, prototype_vector
from metastra.features.prototypes import (
    draw_tiles,
    fit_prototypes,
    read_prototypes,
    write_prototypes,
)
from metastra.pipeline.encoder_sources import is_study
from metastra.pipeline.vector_tables import (
    VectorRow,
    VectorSource,
    column_names,
    vectors_csv,
    vectors_h5,
)
from metastra.progress import track
from metastra.slides.folders import slide_files
from metastra.storage import read_product_json, write_bytes
from metastra.study.load import load_study
from metastra.version import VERSION

__all__ = ["Pool", "VectorsRequest", "VectorsSummary", "slide_vectors"]

Pool = Literal["mean", "prototypes"]
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
    pool : {"mean", "prototypes"}
        How tiles become a row.
    prototypes : Path or None
        Folder of the prototypes.
    learn : int or None
        How many prototypes to learn first; None to use those that are there.
    seed : int
        Of what is learned.
    """

    paths: tuple[Path, ...]
    out: Path
    pool: Pool = "mean"
    prototypes: Path | None = None
    learn: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.out.suffix.lower() not in _ENDINGS:
            raise ConfigError(f"{self.out.name}: a table ends with {' or '.join(_ENDINGS)}")
        if self.pool == "mean" and (self.prototypes is not None or self.learn is not None):
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
        Card of the prototypes; empty for means.
    """

    out: Path
    pool: str
    columns: int
    done: tuple[str, ...]
    excluded: tuple[str, ...]
    failed: dict[str, str]
    prototypes: dict[str, Any] = field(default_factory=dict)

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
        If there is nothing to pool, options contradict, or no prototypes are there.
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
    pooled = _Pooled(prototypes=prototypes, kind=card.get("features", {}))
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
    names = column_names(pooled.tile_names, len(prototypes or ()))
    about = {"metastra": VERSION, "pool": request.pool, **pooled.kind, "prototypes_digest": digest}
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
    )


@dataclass(kw_only=True, eq=False)
class _Pooled:
    """The rows so far, of features of one kind."""

    prototypes: Prototypes | None
    kind: dict[str, Any]
    tile_names: list[str] = field(default_factory=list)
    rows: list[VectorRow] = field(default_factory=list)

    def take(self, source: VectorSource) -> bool:
        """Pool one slide; say whether it has a tile."""
        bag = read_bag(source.path)
        if not len(bag):
            return False
        self.kind = self.kind or _kind(bag)
        _require_kind(source, bag, self.kind)
        if not self.tile_names:
            numbered = [f"f{n:04d}" for n in range(1, bag.dimension + 1)]
            self.tile_names = list(bag.origin.feature_names) or numbered
        known = self.prototypes
        vector = mean_vector(bag) if known is None else prototype_vector(bag, known)
        self.rows.append(VectorRow(source=source, n_tiles=len(bag), vector=vector))
        return True


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
            kind = kind or _kind(bag)
            _require_kind(source, bag, kind)
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


def _kind(bag: Bag) -> dict[str, Any]:
    """Say what features are: encoder, the digest of its card, how many numbers."""
    origin = bag.origin
    return {
        "encoder": origin.encoder,
        "encoder_digest": origin.encoder_digest,
        "dimension": bag.dimension,
    }


def _require_kind(source: VectorSource, bag: Bag, kind: dict[str, Any]) -> None:
    own = _kind(bag)
    if own == kind:
        return
    told = ", ".join(
        f"{key} is {own[key] or 'not said'!r}, expected {kind[key] or 'not said'!r}"
        for key in kind
        if own[key] != kind[key]
    )
    raise DataError("", [problem("SL059", told, where=Where(file=source.name))])


def _reason(error: MetastraError) -> str:
    codes = "; ".join(f"{one.code} {one.found}" for one in getattr(error, "problems", ()))
    return codes or str(error).splitlines()[0]
