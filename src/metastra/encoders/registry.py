"""Encoders by name: the embedded ones, and those that other packages offer.

Another package offers an encoder by an entry point in the group ``metastra.encoders``; its name is
the encoder's name and its object a function without arguments that returns an `Encoder`::

    [project.entry-points."metastra.encoders"]
    my-encoder = "my_package.encoding:make_encoder"

Its code runs when the encoder is asked for by name, never before.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from metastra.encoders.encoder import Encoder
from metastra.errors import ConfigError

__all__ = ["ENTRY_POINTS", "encoder_names", "get_encoder"]

ENTRY_POINTS = "metastra.encoders"
"""Group of the entry points."""


def _morphology() -> Encoder:
    from metastra.encoders.morphology import Morphology

    return Morphology()


_EMBEDDED: dict[str, Callable[[], Encoder]] = {"morphology": _morphology}


def encoder_names() -> tuple[str, ...]:
    """List the encoders that can be asked for here.

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


def get_encoder(name: str) -> Encoder:
    """Make an encoder.

    Parameters
    ----------
    name : str
        One of `encoder_names`.

    Returns
    -------
    Encoder
        Ready to encode; its card bears the same name.

    Raises
    ------
    ConfigError
        If the name is not known, if the package that offers it cannot be loaded, or if what it
        offers is no encoder or has another name on its card.

    Examples
    --------
    >>> get_encoder("morphology").card.mpp
    0.5
    """
    if name in _EMBEDDED:
        return _EMBEDDED[name]()
    offered = _offered()
    if name not in offered:
        near = difflib.get_close_matches(name, encoder_names(), n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"no encoder is named {name!r}{meant} Known here: {', '.join(encoder_names())}"
        )
    return _load(offered[name])


def _offered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


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
