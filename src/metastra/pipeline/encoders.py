"""``encoders``: what encoders there are, what each is, and where its weights lie."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from metastra.encoders.encoder import EncoderCard
from metastra.encoders.engine_names import ENGINES
from metastra.encoders.known import KnownEncoder, known_encoders, steps_to_weights
from metastra.encoders.loading import load_encoder
from metastra.encoders.measuring import kept_measurements, measure_engines, proposed
from metastra.encoders.recipe import EncoderRecipe
from metastra.encoders.registry import encoder_card, encoder_names
from metastra.encoders.weights import encoders_home, find_weights
from metastra.errors import ConfigError, MetastraError

__all__ = [
    "list_encoders",
    "list_lines",
    "measure_encoder",
    "measure_lines",
    "show_encoder",
    "show_lines",
]

_STATES = ("ready", "not usable", "no weights", "not supported")


def list_encoders() -> list[dict[str, Any]]:
    """List every encoder that has a name here.

    Returns
    -------
    list of dict
        The ready ones first: those without weights, those of other packages, those whose weights
        are in the user's folder, then the rest of the field's.
    """
    rows = [_row(name, "") for name in encoder_names()]
    home = encoders_home()
    own = sorted(path.name for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
    here = [name for name in own if name not in known_encoders()]
    rows += [_row(name, str(home / name)) for name in (*here, *known_encoders())]
    return sorted(rows, key=lambda row: _STATES.index(row["state"]))


def _row(name: str, folder: str) -> dict[str, Any]:
    known = known_encoders().get(name)
    row: dict[str, Any] = {
        "name": name,
        "title": known.recipe.title if known is not None and known.recipe is not None else "",
        "state": "ready",
        "reason": None,
        "dimension": None,
        "mpp": None,
        "tile_px": None,
        "licence": None,
        "weights": folder or None,
    }
    recipe: EncoderRecipe | EncoderCard | None = known.recipe if known is not None else None
    if known is not None and known.unsupported:
        row |= {"state": "not supported", "reason": known.unsupported, "weights": None}
    elif folder and not Path(folder).is_dir():
        row |= {"state": "no weights", "weights": None}
    else:
        try:
            recipe = encoder_card(name)
        except MetastraError as error:
            row |= {"state": "not usable", "reason": str(error)}
    if recipe is not None:
        row |= {key: getattr(recipe, key) for key in ("dimension", "mpp", "tile_px", "licence")}
    return row


def list_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Write the list for a person.

    Parameters
    ----------
    rows : list of dict
        From `list_encoders`.

    Returns
    -------
    list of str
        A table, and what to do next.
    """
    lines = [f"{'encoder':<16}{'features':>8}  {'tile':<17}{'weights':<15}licence"]
    for row in rows:
        size = f"{row['tile_px']} px, {row['mpp']:g} µm" if row["mpp"] else ""
        lines.append(
            f"{row['name']:<16}{row['dimension'] or '':>8}  {size:<17}{row['state']:<15}"
            f"{row['licence'] or row['reason'] or ''}".rstrip()
        )
        if row["state"] == "not usable":
            lines.append(f"{'':<16}{row['reason']}")
    lines.append("metastra encoders show NAME says what an encoder is and how to get its weights.")
    return lines


def show_encoder(name: str, *, weights: Path | None = None, engine: str = "") -> dict[str, Any]:
    """Say everything about an encoder.

    Parameters
    ----------
    name : str
        Of the encoder.
    weights : Path, optional
        Folder of its weights.
    engine : str
        Engine and precision; empty for the encoder's own.

    Returns
    -------
    dict
        ``card`` with its digest where the weights are here, ``recipe`` of an encoder of the field,
        and ``steps`` that bring missing weights.

    Raises
    ------
    ConfigError, DigestMismatch
        If there is no such encoder, or given weights cannot be used.
    """
    known = known_encoders().get(name)
    shown: dict[str, Any] = {"name": name, "card": None, "digest": None, "recipe": None}
    shown |= {"page": None, "gated": None, "steps": [], "engines": dict(ENGINES)}
    if known is not None:
        shown |= _known(known)
        missing = weights is None and not (encoders_home() / name).is_dir()
        if missing and not known.unsupported:
            folder = str(encoders_home() / name)
            return shown | {"steps": list(steps_to_weights(known, folder))}
    card = encoder_card(name, weights=weights, engine=engine)
    if card.weights_sha256 is None:
        shown["engines"] = {card.computed_by: "its own"}
    return shown | {"card": card.to_json(), "digest": card.digest}


def _known(known: KnownEncoder) -> dict[str, Any]:
    if known.recipe is None:
        return {}
    return {
        "recipe": known.recipe.model_dump(mode="json") | {"dimension": known.recipe.dimension},
        "page": known.page,
        "gated": known.gated,
    }


_WORDS = (
    ("source", "source"),
    ("revision", "revision"),
    ("weights_sha256", "weights, sha256"),
    ("licence", "licence"),
    ("mpp", "µm per pixel"),
    ("tile_px", "tile, px"),
    ("dimension", "features"),
    ("pooling", "pooling"),
    ("mean", "mean"),
    ("std", "std"),
    ("engine", "engine"),
    ("precision", "precision"),
)


def show_lines(shown: dict[str, Any]) -> list[str]:
    """Write an encoder for a person.

    Parameters
    ----------
    shown : dict
        From `show_encoder`.

    Returns
    -------
    list of str
        Its card, or what is known of it and the steps to its weights.

    Raises
    ------
    ConfigError
        If nothing is known of it.
    """
    told = shown["card"] or shown["recipe"]
    if told is None:
        raise ConfigError(f"nothing is known of encoder {shown['name']!r}")
    lines = [shown["name"]]
    for key, words in _WORDS:
        value = told.get(key)
        if isinstance(value, list):
            value = ", ".join(f"{one:g}" for one in value)
        if value not in (None, ""):
            lines.append(f"  {words:<16} {value}")
    if shown["digest"]:
        lines.append(f"  {'card, sha256':<16} {shown['digest']}")
        lines.append(f"  {'engines':<16} {', '.join(shown['engines'])}")
    if shown["steps"]:
        lines.append("Its weights are not here; metastra downloads nothing by itself:")
        lines += [f"  {number}. {step}" for number, step in enumerate(shown["steps"], 1)]
    return lines


def measure_encoder(
    name: str, *, weights: Path | None = None, again: bool = False
) -> dict[str, Any]:
    """Measure the engines of an encoder, or tell what was measured before.

    Parameters
    ----------
    name : str
        Of the encoder.
    weights : Path, optional
        Folder of its weights.
    again : bool
        Whether it is measured also where that was done before.

    Returns
    -------
    dict
        ``engines`` with tiles a second and the cosine to float32, and the one ``proposed``.

    Raises
    ------
    ConfigError, DigestMismatch
        If the encoder has no weights here, or they cannot be used.
    """
    if name in encoder_names():
        raise ConfigError(f"encoder {name!r} has one engine; there is nothing to choose")
    encoder_card(name, weights=weights)
    found_weights = find_weights(name, weights)
    found = () if again else kept_measurements(found_weights)
    new = not found
    if new:
        found = measure_engines(found_weights, load_encoder)
    return {
        "name": name,
        "weights_sha256": found_weights.sha256,
        "measured_now": new,
        "engines": [asdict(one) for one in found],
        "proposed": proposed(found),
    }


def measure_lines(found: dict[str, Any]) -> list[str]:
    """Write a measurement for a person.

    Parameters
    ----------
    found : dict
        From `measure_encoder`.

    Returns
    -------
    list of str
        A line for each engine, and how the proposed one is asked for.
    """
    lines = [f"{'engine':<22}{'tiles/s':>9}{'cosine':>10}"]
    for one in found["engines"]:
        if one["reason"]:
            lines.append(f"{one['engine']:<22}{'-':>9}{'-':>10}  {one['reason']}")
        else:
            lines.append(f"{one['engine']:<22}{one['tiles_per_s']:>9.1f}{one['cosine']:>10.5f}")
    when = "measured now" if found["measured_now"] else "measured before"
    lines.append(
        f"{when}; proposed: --engine {found['proposed']}. Engine and precision are part of the "
        "features' key and of a bundle."
    )
    return lines
