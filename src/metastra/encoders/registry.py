"""Encoders by name: the embedded ones, those of other packages, and those that have weights.

An encoder of the field (`metastra.encoders.known`), or any network whose folder says what it is, is
built from its weights; nothing is downloaded here.

Another package offers an encoder by an entry point in the group ``metastra.encoders``; its name is
the encoder's name and its object a function without arguments that returns an `Encoder`::

    [project.entry-points."metastra.encoders"]
    my-encoder = "my_package.encoding:make_encoder"

Its code runs when the encoder is asked for by name, never before.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

from metastra.encoders.encoder import Encoder, EncoderCard
from metastra.encoders.known import known_encoders
from metastra.encoders.weights import encoders_home, find_weights
from metastra.errors import ConfigError

__all__ = ["ENTRY_POINTS", "encoder_card", "encoder_names", "get_encoder"]

ENTRY_POINTS = "metastra.encoders"
"""Group of the entry points."""


def _morphology() -> Encoder:
    from metastra.encoders.morphology import Morphology

    return Morphology()


_EMBEDDED: dict[str, Callable[[], Encoder]] = {"morphology": _morphology}


def encoder_names() -> tuple[str, ...]:
    """List the encoders that can be asked for here without weights.

    Returns
    -------
    tuple of str
        Embedded ones first, then those of installed packages, each in order of name.

    Examples
    --------
    >>> "morphology" in encoder_names()
    True
    """
    return (*sorted(_EMBEDDED), *sorted(set(_offered()) - set(_EMBEDDED)))


def encoder_card(name: str, *, weights: Path | None = None, engine: str = "") -> EncoderCard:
    """Say what an encoder is, without loading its weights.

    Parameters
    ----------
    name, weights, engine
        As `get_encoder`.

    Returns
    -------
    EncoderCard
        That of the encoder `get_encoder` would make.

    Raises
    ------
    ConfigError, DigestMismatch
        As `get_encoder`.
    """
    if name in encoder_names():
        return _own(name, weights, engine).card
    _require_known(name, weights)
    return find_weights(name, weights).card(engine)


def get_encoder(name: str, *, weights: Path | None = None, engine: str = "") -> Encoder:
    """Make an encoder.

    Parameters
    ----------
    name : str
        One of `encoder_names`, an encoder of the field, or the name in a folder of weights.
    weights : Path, optional
        Folder of the weights; by default the folder of that name among the user's encoders.
    engine : str
        Engine and precision, for instance ``"torch-bfloat16"``; by default the encoder's own.

    Returns
    -------
    Encoder
        Ready to encode; its card bears the same name.

    Raises
    ------
    ConfigError
        If the name is not known, the weights are not here or do not fit, the engine does not run
        it, or the package that offers it cannot be loaded or offers something else.
    DigestMismatch
        If the weights are not those that their folder names.
    MissingExtra
        If the engine's package is not installed.

    Examples
    --------
    >>> get_encoder("morphology").card.mpp
    0.5
    """
    if name in encoder_names():
        return _own(name, weights, engine)
    _require_known(name, weights)
    found = find_weights(name, weights)
    from metastra.encoders.loading import load_encoder

    return load_encoder(found, engine)


def _own(name: str, weights: Path | None, engine: str) -> Encoder:
    """Make an encoder that brings everything itself."""
    encoder = _EMBEDDED[name]() if name in _EMBEDDED else _load(_offered()[name])
    if weights is not None:
        raise ConfigError(f"encoder {name!r} takes no weights from a folder; leave out --weights")
    if engine and engine != encoder.card.computed_by:
        raise ConfigError(
            f"encoder {name!r} runs on {encoder.card.computed_by} alone, not on {engine!r}"
        )
    return encoder


def _require_known(name: str, weights: Path | None) -> None:
    if weights is not None or name in known_encoders() or (encoders_home() / name).is_dir():
        return
    names = (*encoder_names(), *known_encoders())
    near = difflib.get_close_matches(name, names, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    raise ConfigError(
        f"no encoder is named {name!r}{meant} Known here: {', '.join(names)}; any other network "
        "needs a folder of weights that says what it is"
    )


def _offered() -> dict[str, EntryPoint]:
    return _found_by(entry_points)


@cache
def _found_by(find: Callable[..., EntryPoints]) -> dict[str, EntryPoint]:
    """Look once: reading what every installed package says costs 20 ms, and slides are many."""
    return {point.name: point for point in find(group=ENTRY_POINTS)}


def _load(point: EntryPoint) -> Encoder:
    where = f"encoder {point.name!r} of {point.value}"
    try:
        encoder = point.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"{where} cannot be loaded: {error}") from error
    if not isinstance(encoder, Encoder):
        raise ConfigError(
            f"{where} gives a {type(encoder).__name__}; expected an object with `card` and `encode`"
        )
    if encoder.card.name != point.name:
        raise ConfigError(f"{where} has a card that says {encoder.card.name!r}; expected its name")
    return encoder
