"""Which slides an encoder may be trained on: of a study those of development alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from metastra.errors import ConfigError
from metastra.extraction.naming import name_slides
from metastra.pipeline.encoder_tiles import PICTURES_AT_ONCE, TileJob
from metastra.pipeline.opening import open_study
from metastra.pipeline.study_slides import StudySlide, study_slides
from metastra.pipeline.workshop import Workshop
from metastra.slides.folders import slide_files
from metastra.tiles.grid import TileSpec

__all__ = ["Sources", "Tiling", "is_study", "loose_sources", "study_sources"]

_STUDY_FILE = "study.toml"


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How sources become tiles.

    Parameters
    ----------
    folder : Path
        In which the arrays of tiles are kept.
    spec : TileSpec
        Scale and side of the tiles.
    most_tiles : int
        In all, shared out evenly.
    seed : int
        Decides which.
    """

    folder: Path
    spec: TileSpec
    most_tiles: int
    seed: int

    def job(self, name: str, paths: Sequence[Path], share: int, **more: object) -> TileJob:
        """Make the job of an array of tiles.

        Parameters
        ----------
        name : str
            Of the array.
        paths : sequence of Path
            The slide, or the pictures.
        share : int
            Slides or pictures in all.
        **more
            Other fields of `TileJob`.

        Returns
        -------
        TileJob
            With an even share of the tiles.
        """
        fields: dict[str, object] = {
            "name": name,
            "paths": tuple(str(path) for path in paths),
            "shown": tuple(path.name for path in paths),
            "folder": str(self.folder),
            "target_mpp": self.spec.target_mpp,
            "tile_px": self.spec.tile_px,
            "most": -(-self.most_tiles // max(share, 1)),
            "seed": self.seed,
            "mpp": (None,) * len(paths),
            **more,
        }
        return TileJob(**fields)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What an encoder is trained on, and what is not.

    Parameters
    ----------
    jobs : tuple of TileJob
        Slides and pictures.
    study : str
        Name of the study; empty for loose slides.
    rule : str
        Which slides were taken, in one sentence.
    left_out : dict of str to int
        Slides that are not trained on, by the reason.
    """

    jobs: tuple[TileJob, ...]
    study: str = ""
    rule: str = "the slides that were named"
    left_out: dict[str, int] = field(default_factory=dict)


def is_study(path: Path) -> bool:
    """Say whether a path is a study.

    Parameters
    ----------
    path : Path
        As the command line has it.

    Returns
    -------
    bool
        For a ``.toml`` file, or a folder with ``study.toml``.
    """
    return path.suffix.lower() == ".toml" or (path / _STUDY_FILE).is_file()


def loose_sources(
    paths: Sequence[Path], tiling: Tiling, *, mpp: float | None, pictures: bool
) -> Sources:
    """Take slides, or pictures that are tiles already.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders that stand for the files in them.
    tiling : Tiling
        How they become tiles.
    mpp : float or None
        Micrometres per level-0 pixel of all of them, where somebody states it.
    pictures : bool
        Whether they are cut out already.

    Returns
    -------
    Sources
        All of them.

    Raises
    ------
    ConfigError
        If there are none, or a study is among them.
    DataError
        SL057 if slides would share a name.
    """
    if any(is_study(path) for path in paths):
        raise ConfigError("give one study alone, or slides without a study")
    files = slide_files(paths)
    if not files:
        raise ConfigError("no slide was named; give slides, tiles, or a study")
    if not pictures:
        jobs = [
            tiling.job(name, [path], len(files), mpp=(mpp,))
            for name, path in name_slides(files).items()
        ]
        return Sources(jobs=tuple(jobs))
    groups = [files[at : at + PICTURES_AT_ONCE] for at in range(0, len(files), PICTURES_AT_ONCE)]
    jobs = [
        tiling.job(f"pictures-{at:05d}", group, len(files), mpp=(mpp,) * len(group), pictures=True)
        for at, group in enumerate(groups)
    ]
    return Sources(jobs=tuple(jobs), rule="the tiles that were named")


def study_sources(path: Path, tiling: Tiling, *, key: Path | None, fold: str | None) -> Sources:
    """Take the slides of a study that an encoder may see: those of development.

    Cohorts with the role ``external`` or ``temporal`` are never taken.  With a fold, or where the
    study has only one (a split by time), patients of its test part are not taken either.

    Parameters
    ----------
    path : Path
        The study file, or its folder.
    tiling : Tiling
        How slides become tiles.
    key : Path or None
        Of the pseudonyms.
    fold : str or None
        Name of a fold, whose training part alone is taken.

    Returns
    -------
    Sources
        Under pseudonyms.

    Raises
    ------
    ConfigError
        If no slide is left, or no fold has that name.
    DataError
        If the study is refused.
    """
    work = Workshop(opened=open_study(path, key))
    roles = {section.name: section.role for section in work.opened.study.cohort}
    seen, rule = _patients(work, fold)
    left_out: Counter[str] = Counter()
    taken: list[StudySlide] = []
    for slide in study_slides(work):
        if roles[slide.cohort] != "development":
            left_out[f"cohort {slide.cohort} is {roles[slide.cohort]}"] += 1
        elif slide.is_features:
            left_out["feature file, no slide"] += 1
        elif seen is not None and slide.patient not in seen:
            left_out["patient is not in the training part of the fold"] += 1
        else:
            taken.append(slide)
    name = work.opened.study.study.name
    if not taken:
        told = "; ".join(f"{count}: {why}" for why, count in sorted(left_out.items()))
        raise ConfigError(f"study {name!r} has no slide to train on ({told or 'it lists none'})")
    jobs = [
        tiling.job(
            slide.name,
            [slide.path],
            len(taken),
            shown=(slide.name,),
            mpp=(slide.mpp,),
            mpp_source=slide.mpp_source,
            stain=slide.stain,
        )
        for slide in taken
    ]
    return Sources(jobs=tuple(jobs), study=name, rule=rule, left_out=dict(sorted(left_out.items())))


def _patients(work: Workshop, fold: str | None) -> tuple[set[str] | None, str]:
    """Pseudonyms of those who may be seen, None for all of development; and the rule."""
    folds = work.split.folds
    if fold is None and len(folds) != 1:
        return None, (
            "all patients of the development cohorts, without their outcomes; a fold's test "
            "patients are among them, so a result inside development has seen their pixels"
        )
    named = {one.name: one for one in folds}
    wanted = folds[0].name if fold is None else fold
    if wanted not in named:
        raise ConfigError(f"no fold is named {wanted!r}; the study has {', '.join(named)}")
    keys = set(named[wanted].fitted_on)
    pseudonyms = {one.pseudonym for one in work.cohort.patients if one.key in keys}
    return pseudonyms, f"patients of the training part of {wanted}, without their outcomes"
