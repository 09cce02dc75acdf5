"""``train-encoder``: a cohort's own tiles to a folder of weights that ``extract`` takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from metastra.encoders.known import known_encoders
from metastra.encoders.recipe import NAME_PATTERN
from metastra.encoders.registry import encoder_names
from metastra.encoders.weights import CONFIG
from metastra.errors import ConfigError
from metastra.executor import Executor, Limits, ProcessPool
from metastra.pipeline.encoder_collecting import Collected, collect
from metastra.pipeline.encoder_folder import TRAINING, encoder_files
from metastra.pipeline.encoder_sources import (
    Sources,
    Tiling,
    is_study,
    loose_sources,
    study_sources,
)
from metastra.slides.resolution import require_mpp
from metastra.storage import (
    Recipe,
    completeness,
    hold,
    read_product_json,
    read_record,
    sweep_orphans,
    value_parent,
    write_product,
)
from metastra.tiles.grid import TileSpec
from metastra.training.encoder_fit import fit_encoder
from metastra.training.encoder_pool import TilePool
from metastra.training.encoder_task import EncoderTask
from metastra.training.slide_network import require_torch
from metastra.version import VERSION

__all__ = ["TrainEncoderRequest", "TrainEncoderSummary", "train_encoder"]

_PRODUCT = "encoder"
_CHECKPOINT = "checkpoint.safetensors"
_LIMITS = Limits(memory_bytes=4_000_000_000, quiet_s=900.0)
_LEAST_TILE_PX, _STEP_PX = 64, 32


@dataclass(frozen=True, kw_only=True)
class TrainEncoderRequest:
    """What is to be trained, and on what.

    Parameters
    ----------
    paths : tuple of Path
        One study; or slides; or tiles.
    out : Path
        Folder of the weights.
    task : EncoderTask
        How long, from which seed, on how many cores.
    name : str
        Of the encoder; the folder's name where empty.
    target_mpp, tile_px : float or None, int or None
        Of the tiles; the study's own where None, else 0.5 µm per pixel and 224 px.
    mpp : float or None
        Micrometres per level-0 pixel of loose slides or tiles, where the files do not say.
    pictures : bool
        Whether the files are tiles that were cut out before.
    most_tiles : int
        To train on.
    key, fold : Path or None, str or None
        Of a study: the key of its pseudonyms; the fold whose training part alone is seen.
    wait_s : float
        How long to wait for another process that works in `out`.
    """

    paths: tuple[Path, ...]
    out: Path
    task: EncoderTask
    name: str = ""
    target_mpp: float | None = None
    tile_px: int | None = None
    mpp: float | None = None
    pictures: bool = False
    most_tiles: int = 20_000
    key: Path | None = None
    fold: str | None = None
    wait_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainEncoderSummary:
    """What was trained.

    Parameters
    ----------
    out : Path
        Folder of the weights.
    config : dict
        The card, as ``config.json`` has it.
    training : dict
        The record, as ``training.json`` has it.
    collected : Collected
        The sources.
    left_out : dict of str to int
        Slides of the study that an encoder may not see.
    made : bool
        Whether it was trained now, or stood already.
    """

    out: Path
    config: dict[str, Any]
    training: dict[str, Any]
    collected: Collected
    left_out: dict[str, int]
    made: bool

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
            "made": self.made,
            "encoder": self.config,
            "training": self.training,
            "left_out": self.left_out,
            "excluded": self.collected.excluded,
            "failed": self.collected.failed,
            "research_use": "Research use only. Not for diagnosis or treatment.",
        }

    def lines(self) -> list[str]:
        """Say it in lines for a person.

        Returns
        -------
        list of str
            One line each.
        """
        told, trained = self.config, self.training
        what = "pictures" if trained["pictures"] else "slides"
        standing = "" if self.made else ", up to date"
        seen = f"{trained['tiles']['n']} tiles of {trained['n_sources']} {what}"
        loss, rank = trained["loss"], trained["effective_rank"]
        command = f"metastra extract SLIDE... --encoder {told['name']} --weights {self.out}"
        lines = [f"left out  {count} slides: {why}" for why, count in sorted(self.left_out.items())]
        lines += [
            f"excluded  {name}: {why}" for name, why in sorted(self.collected.excluded.items())
        ]
        lines += [f"failed    {name}: {why}" for name, why in sorted(self.collected.failed.items())]
        lines.append(f"trained on {seen}: {trained['rule']}")
        lines.append(f"{trained['steps']} steps in {trained['minutes']:.1f} min{standing}")
        lines.append(
            f"loss {loss['first']:.2f} to {loss['last']:.2f}; the features use {rank:.0f} of "
            f"{trained['dimension']} directions"
        )
        lines += trained["warnings"]
        size = f"{told['tile_px']} px at {told['mpp']:g} µm per pixel"
        lines.append(f"encoder {told['name']!r}, {size}: {command}")
        return lines


def train_encoder(
    request: TrainEncoderRequest,
    *,
    executor: Executor | None = None,
    tell: Callable[[str], None] | None = None,
) -> TrainEncoderSummary:
    """Train a compact encoder on tiles, or go on where a kill left it.

    Parameters
    ----------
    request : TrainEncoderRequest
        What is to be trained.
    executor : Executor, optional
        Where slides are read; child processes of this machine by default.
    tell : callable, optional
        Told which slides a study's encoder may not see, and what happens at Ctrl-C.

    Returns
    -------
    TrainEncoderSummary
        After the weights are written.

    Raises
    ------
    MissingExtra
        Without torch.
    ConfigError
        If an option contradicts another, nothing is left to train on, or another encoder lies in
        the folder.
    DataError
        If a study is refused.
    NotEstimable
        If the training loses its numbers.
    BusyError, ResourceError, IntegrityError
        If the folder is in use, cannot be written to, or holds damaged files.
    KeyboardInterrupt
        After Ctrl-C; the same command goes on.
    """
    require_torch()
    require_mpp(request.mpp)
    name = _name(request)
    with hold(request.out, wait_s=request.wait_s):
        sweep_orphans(request.out, older_than_s=0)
        sources, spec = _sources(request)
        if tell is not None and sources.study:
            tell(f"study {sources.study}: {sources.rule}")
            for why, count in sources.left_out.items():
                tell(f"left out: {count} slides, {why}")
        pool = executor or ProcessPool(workers=request.task.workers, limits=_LIMITS, tell=tell)
        collected = collect(pool, sources.jobs)
        recipe = _recipe(request, name, spec, collected)
        made = not completeness(request.out, _PRODUCT, recipe)
        if made:
            _refuse_other(request.out)
            fitted = fit_encoder(
                TilePool(collected.files),
                request.task,
                checkpoint=request.out / _CHECKPOINT,
                tiles_digest=collected.tiles_digest,
            )
            files = encoder_files(name, spec, request.task, sources, collected, fitted)
            write_product(request.out, _PRODUCT, recipe, files)
            (request.out / _CHECKPOINT).unlink(missing_ok=True)
        config = read_product_json(request.out, _PRODUCT, CONFIG)
        training = read_product_json(request.out, _PRODUCT, TRAINING)
    return TrainEncoderSummary(
        out=request.out,
        config=config["metastra"],
        training=training,
        collected=collected,
        left_out=sources.left_out,
        made=made,
    )


def _name(request: TrainEncoderRequest) -> str:
    name = request.name or request.out.resolve().name
    if name in (*encoder_names(), *known_encoders()):
        raise ConfigError(f"an encoder named {name!r} is there already; give another --name")
    if not re.fullmatch(NAME_PATTERN, name):
        raise ConfigError(
            f"{name!r} is no name of an encoder: letters, digits, point, hyphen and underscore; "
            "give another --name"
        )
    return name


def _sources(request: TrainEncoderRequest) -> tuple[Sources, TileSpec]:
    studies = [path for path in request.paths if is_study(path)]
    target_mpp, tile_px = request.target_mpp, request.tile_px
    alone = len(studies) == 1 and len(request.paths) == 1
    if alone and (request.pictures or request.mpp is not None):
        raise ConfigError("--tiles and --slide-mpp are for loose files; a study says it itself")
    if not alone and (request.fold is not None or request.key is not None):
        raise ConfigError("--fold and --key belong to a study; give one study alone")
    if alone and (target_mpp is None or tile_px is None):
        from metastra.study.load import load_study

        section = load_study(studies[0]).slides
        target_mpp, tile_px = target_mpp or section.target_mpp, tile_px or section.tile_px
    spec = TileSpec(target_mpp=target_mpp or 0.5, tile_px=tile_px or 224)
    if spec.tile_px < _LEAST_TILE_PX or spec.tile_px % _STEP_PX:
        raise ConfigError(
            f"tiles of {spec.tile_px} px; the compact network takes multiples of {_STEP_PX} from "
            f"{_LEAST_TILE_PX}"
        )
    tiling = Tiling(
        folder=request.out, spec=spec, most_tiles=request.most_tiles, seed=request.task.seed
    )
    if alone:
        return study_sources(studies[0], tiling, key=request.key, fold=request.fold), spec
    return (
        loose_sources(request.paths, tiling, mpp=request.mpp, pictures=request.pictures),
        spec,
    )


def _recipe(
    request: TrainEncoderRequest, name: str, spec: TileSpec, collected: Collected
) -> Recipe:
    return Recipe(
        kind=_PRODUCT,
        parents={"tiles": value_parent("tiles", collected.tiles_digest)},
        settings={**request.task.settings, "name": name, **asdict(spec)},
    )


def _refuse_other(out: Path) -> None:
    """Keep a finished encoder that was trained on other tiles or otherwise: it took long."""
    if read_record(out, _PRODUCT) is not None and completeness(out, _PRODUCT):
        raise ConfigError(
            f"{out} holds an encoder that was trained on other tiles or with other settings; give "
            "another --out, or remove the folder"
        )
