"""Which encoder a study or a bundle means, whether its weights are the ones, and what it needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from metastra.bundle.contract import SlideContract
from metastra.encoders.choice import EncoderChoice
from metastra.encoders.encoder import EncoderCard
from metastra.encoders.engine_names import AUTO
from metastra.encoders.loading import load_encoder
from metastra.encoders.measuring import kept_measurements, measure_engines, proposed
from metastra.encoders.registry import encoder_names
from metastra.encoders.weights import find_weights
from metastra.errors import DigestMismatch, IntegrityError, MetastraError
from metastra.executor import Limits
from metastra.extraction.batch import LIMITS
from metastra.storage import read_product_json
from metastra.study.paths import resolve_path
from metastra.study.study import Study

__all__ = ["contract_choice", "limits_for", "settled", "study_card", "study_choice"]

_NETWORK_BYTES = 12_000_000_000
"""Address space, mostly never touched, of the libraries that compute networks."""
_COPIES = 5
"""How often weights may be in memory while a network is made and compiled."""


def study_choice(study: Study, run_dir: Path | None = None) -> EncoderChoice:
    """Read from a study which encoder it means.

    Parameters
    ----------
    study : Study
        With its section of slides.
    run_dir : Path, optional
        Of the study; without it ``auto`` stays, for whoever asks for the weights alone.

    Returns
    -------
    EncoderChoice
        The folder of weights found from the study file; in the place of ``auto`` the engine of the
        features that are there, else the one that is measured to be the fastest here.

    Raises
    ------
    ConfigError
        If the folder is written with an environment variable that is not set.
    """
    section = study.slides
    weights = (
        "" if section.weights is None else str(resolve_path(study, section.weights).absolute())
    )
    choice = EncoderChoice(name=section.encoder, weights=weights, engine=section.engine or "")
    return choice if run_dir is None else settled(choice, before=_card_before(run_dir))


def settled(
    choice: EncoderChoice,
    *,
    before: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] | None = None,
) -> EncoderChoice:
    """Put an engine in the place of ``auto``.

    Parameters
    ----------
    choice : EncoderChoice
        That a user made.
    before : mapping, optional
        Card of the features that are there: with the same encoder, their engine is kept, so that a
        run goes on as it began also on another machine.
    tell : callable, optional
        Told what was measured.

    Returns
    -------
    EncoderChoice
        As it was unless it says ``auto``; then with the engine that was measured to be the fastest
        here, now or before.

    Raises
    ------
    ConfigError, DigestMismatch
        If the weights cannot be used.
    """
    if choice.engine != AUTO:
        return choice
    if choice.name in encoder_names():
        return replace(choice, engine="")
    if before and before.get("name") == choice.name:
        return replace(choice, engine=f"{before.get('engine')}-{before.get('precision')}")
    weights = find_weights(choice.name, choice.folder)
    found = kept_measurements(weights)
    if not found:
        found = measure_engines(weights, load_encoder)
    engine = proposed(found)
    if tell is not None:
        speeds = ", ".join(f"{one.engine} {one.tiles_per_s:.1f}" for one in found if not one.reason)
        tell(f"engine {engine} for encoder {choice.name!r}; tiles/s measured here: {speeds}")
    return replace(choice, engine=engine)


def study_card(study: Study, run_dir: Path) -> EncoderCard:
    """Say what the study's encoder is, and refuse weights that are not its own.

    Parameters
    ----------
    study : Study
        With its section of slides.
    run_dir : Path
        Of the study; features that are there tell with which weights they were made.

    Returns
    -------
    EncoderCard
        Of the encoder that the study means.

    Raises
    ------
    DigestMismatch
        If the weights are not those that the study file states, or, where it states none, not
        those of the features that are there: weights that were exchanged behind a study's back
        would make every feature anew.
    ConfigError
        If the encoder is not known or its weights are not here.
    """
    card = study_choice(study, run_dir).card()
    stated = study.slides.weights_sha256
    if stated is not None:
        if card.weights_sha256 != stated:
            raise DigestMismatch(
                f"the weights of encoder {card.name!r} have sha256 {_short(card.weights_sha256)}; "
                f"the study file states {_short(stated)} (slides.weights_sha256). Put the right "
                "weights there, or correct the study file."
            )
        return card
    before = _card_before(run_dir)
    if before.get("name") == card.name and before.get("weights_sha256") != card.weights_sha256:
        raise DigestMismatch(
            f"the weights of encoder {card.name!r} have sha256 {_short(card.weights_sha256)}; the "
            f"features in {run_dir.name}/ were made with {_short(before.get('weights_sha256'))}. "
            "Put those weights back, or state the new ones in the study file "
            f'(slides.weights_sha256 = "{card.weights_sha256}") to make all features anew.'
        )
    return card


def contract_choice(contract: SlideContract, weights: Path | None = None) -> EncoderChoice:
    """Read from a bundle's contract which encoder, on which engine, it means.

    Parameters
    ----------
    contract : SlideContract
        Of the bundle.
    weights : Path, optional
        Folder of the weights; by default the usual place.

    Returns
    -------
    EncoderChoice
        An encoder that brings everything itself has one engine, which its card tells.
    """
    if contract.encoder in encoder_names() and weights is None:
        return EncoderChoice(name=contract.encoder)
    engine = f"{contract.engine}-{contract.precision}" if contract.engine else ""
    folder = "" if weights is None else str(weights.absolute())
    return EncoderChoice(name=contract.encoder, weights=folder, engine=engine)


def limits_for(*choices: EncoderChoice) -> Limits:
    """Say what the process of one slide may take.

    Parameters
    ----------
    *choices : EncoderChoice
        That the slide is encoded by.

    Returns
    -------
    Limits
        With room for the weights and the libraries of the encoders that have weights; of time
        alone for a GPU, whose driver takes many times its memory as address space.
    """
    if any(choice.engine.startswith("torch-cuda") for choice in choices):
        return replace(LIMITS, memory_bytes=None)
    sizes = []
    for choice in choices:
        if choice.name in encoder_names():
            continue
        # where there are none, that is said by whoever needs them; feature files do without
        with contextlib.suppress(MetastraError):
            sizes.append(find_weights(choice.name, choice.folder).n_bytes)
    if not sizes:
        return LIMITS
    return replace(LIMITS, memory_bytes=_NETWORK_BYTES + _COPIES * sum(sizes))


def _card_before(run_dir: Path) -> Mapping[str, Any]:
    try:
        index: Mapping[str, Any] = read_product_json(run_dir, "features")
    except IntegrityError:
        return {}
    card = index.get("encoder")
    return card if isinstance(card, dict) else {}


def _short(digest: object) -> str:
    return f"{digest[:12]}…" if isinstance(digest, str) else "none"
