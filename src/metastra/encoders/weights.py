"""Folders of weights: where they are looked for, what their ``config.json`` says, their digest.

A folder holds one weight file, or several with an index (`metastra.encoders.shards`), and, beside
it, a ``config.json`` whose table ``metastra`` says what
the encoder is; for an encoder that `metastra.encoders.known` has, the weight file alone is enough.
Looking at a folder loads no weights and no torch.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from metastra.encoders.encoder import EncoderCard
from metastra.encoders.engine_names import engine_parts
from metastra.encoders.known import known_encoders, steps_to_weights
from metastra.encoders.recipe import EncoderRecipe
from metastra.encoders.shards import INDEX, ShardIndex, digest_of_all, read_index
from metastra.errors import ConfigError, DigestMismatch

__all__ = ["CONFIG", "WEIGHTS", "Weights", "encoders_home", "find_weights", "read_weights"]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
HOME_VARIABLE = "METASTRA_ENCODERS"
_FILES = {"onnx": "model.onnx", "torchscript": "model.pt"}
_TABLE = "metastra"
_FOREIGN = (".bin", ".pth", ".pt", ".ckpt")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A folder of weights that was looked at.

    Parameters
    ----------
    folder : Path
        The folder.
    recipe : EncoderRecipe
        What is built from them.
    file : Path
        The weight file; of several their index.
    sha256 : str
        Its digest; of several that of all of them.
    shards : ShardIndex or None
        Where there are several.
    """

    folder: Path
    recipe: EncoderRecipe
    file: Path
    sha256: str
    shards: ShardIndex | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All weight files, in their order."""
        return (self.file,) if self.shards is None else self.shards.files

    @property
    def n_bytes(self) -> int:
        """Bytes of all weight files."""
        return sum(file.stat().st_size for file in self.files)

    def card(self, engine: str) -> EncoderCard:
        """Make the card of the encoder.

        Parameters
        ----------
        engine : str
            Engine and precision, for instance ``"torch-float32"``.

        Returns
        -------
        EncoderCard
            With the digest of the weights.

        Raises
        ------
        ConfigError
            If there is no such engine, or it cannot run this kind of file.
        """
        recipe = self.recipe
        name, precision = engine_parts(engine, recipe.network.family)
        return EncoderCard(
            name=recipe.name,
            source=recipe.source,
            revision=recipe.revision or "not stated",
            weights_sha256=self.sha256,
            licence=recipe.licence,
            mpp=recipe.mpp,
            tile_px=recipe.tile_px,
            dimension=recipe.dimension,
            feature_names=(),
            engine=name,
            precision=precision,
            pooling=recipe.pooling,
            mean=recipe.mean,
            std=recipe.std,
        )


def encoders_home() -> Path:
    """Name the folder in which each encoder has a folder of its name.

    Returns
    -------
    Path
        ``$METASTRA_ENCODERS``, else ``metastra/encoders`` in the user's data folder.
    """
    given = os.environ.get(HOME_VARIABLE)
    if given:
        return Path(given)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "metastra" / "encoders"


def find_weights(name: str, folder: Path | None = None) -> Weights:
    """Find the weights of an encoder.

    Parameters
    ----------
    name : str
        Of the encoder.
    folder : Path, optional
        Where they are; by default the folder of that name in `encoders_home`.

    Returns
    -------
    Weights
        With their digest.

    Raises
    ------
    ConfigError
        If there are none, with the steps that bring them here; or if what the folder says of
        itself cannot be used.
    DigestMismatch
        If the folder's ``config.json`` names other weights than lie beside it.
    """
    place = encoders_home() / name if folder is None else folder
    if place.is_dir():
        return read_weights(name, place)
    known = known_encoders().get(name)
    if known is None:
        raise ConfigError(f"no weights of encoder {name!r}: {place} is no folder")
    if known.unsupported:
        raise ConfigError(_unsupported(name, known.unsupported))
    steps = "\n  ".join(
        f"{number}. {step}" for number, step in enumerate(steps_to_weights(known, str(place)), 1)
    )
    raise ConfigError(
        f"the weights of encoder {name!r} are not here: {place} is no folder. metastra downloads "
        f"nothing by itself.\n  {steps}\n  Then give the folder by --weights, or keep it there."
    )


def read_weights(name: str, folder: Path) -> Weights:
    """Look at a folder of weights.

    Parameters
    ----------
    name : str
        Of the encoder that is wanted.
    folder : Path
        The folder.

    Returns
    -------
    Weights
        With their digest, which is taken once for as long as the file keeps its size and time.

    Raises
    ------
    ConfigError, DigestMismatch
        As `find_weights`.
    """
    told = _own_table(folder)
    recipe, stated = _recipe(name, told, folder)
    file = _weight_file(recipe, folder, stated)
    shards = read_index(file) if file.name == INDEX else None
    sha256 = _digest(tuple(map(_marked, (file,) if shards is None else shards.files)))
    if stated and stated != sha256:
        raise DigestMismatch(
            f"{file}: sha256 is {sha256[:12]}…, and {CONFIG} beside it names {stated[:12]}…; the "
            "weights were changed or replaced. Fetch or convert them again."
        )
    return Weights(folder=folder, recipe=recipe, file=file, sha256=sha256, shards=shards)


def _marked(file: Path) -> tuple[str, int, int]:
    stat = file.stat()
    return str(file.resolve()), stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=64)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    """Take a digest once; size and time are there to tell a changed file from the one before."""
    return digest_of_all([Path(path) for path, _, _ in files])


def _own_table(folder: Path) -> dict[str, Any]:
    """Read what ``config.json`` says to metastra; nothing where it belongs to other software."""
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error
    own = config.get(_TABLE, {}) if isinstance(config, dict) else None
    if not isinstance(own, dict):
        raise ConfigError(f"{path}: {_TABLE!r} is a {type(own).__name__}; expected a table")
    return dict(own)


def _recipe(name: str, told: dict[str, Any], folder: Path) -> tuple[EncoderRecipe, str]:
    """Put together what the list of the field and the folder say of an encoder."""
    given = told.pop("name", name)
    if given != name:
        raise ConfigError(f"{folder / CONFIG} is of encoder {given!r}; {name!r} was asked for")
    stated = told.pop("weights_sha256", "")
    known = known_encoders().get(name)
    if known is not None and known.unsupported and "network" not in told:
        raise ConfigError(_unsupported(name, known.unsupported))
    base = {}
    if known is not None and known.recipe is not None:
        base = known.recipe.model_dump()
    elif not told:
        near = ", ".join(one for one, entry in known_encoders().items() if entry.recipe)
        raise ConfigError(
            f"no encoder of the field is named {name!r}, and {folder / CONFIG} has no table "
            f"{_TABLE!r} that says what it is. Known: {near}"
        )
    try:
        return EncoderRecipe.model_validate({**base, **told, "name": name}), str(stated)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'as a whole'}: {one['msg']}"
            for one in error.errors()
        )
        raise ConfigError(f"{folder / CONFIG}, table {_TABLE!r}: {found}") from error


def _weight_file(recipe: EncoderRecipe, folder: Path, stated: str) -> Path:
    wanted = _FILES.get(recipe.network.family, WEIGHTS)
    path = folder / wanted
    if wanted == WEIGHTS and (folder / INDEX).is_file():
        if path.is_file():
            raise ConfigError(
                f"{folder} has {WEIGHTS} and {INDEX}; which of them are the weights? Take one away"
            )
        return folder / INDEX
    if path.is_file():
        if wanted != WEIGHTS and len(stated) != 64:
            raise ConfigError(
                f"{path} is a program, not only weights: {folder / CONFIG} must pin it by "
                "weights_sha256 (64 hexadecimal digits)"
            )
        return path
    foreign = sorted(one.name for one in folder.iterdir() if one.suffix in _FOREIGN)
    if foreign and wanted == WEIGHTS:
        raise ConfigError(
            f"{folder} has {', '.join(foreign)} and no {WEIGHTS}; such a file may hold code and is "
            f"not read. Convert it once: metastra encoders convert {folder / foreign[0]} --out "
            f"{folder} --name {recipe.name}"
        )
    raise ConfigError(f"{folder} has no {wanted}; expected the weights of encoder {recipe.name!r}")


def _unsupported(name: str, why: str) -> str:
    return (
        f"encoder {name!r} cannot be built here: {why}. Extract with TRIDENT and give its feature "
        "files, or export it as ONNX and say in config.json what it is (docs/how-to/encoders.md)"
    )
