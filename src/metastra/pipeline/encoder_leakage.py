"""Whether an encoder was trained on slides that the study is validated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metastra.catalogue import problem
from metastra.encoders.registry import encoder_names
from metastra.encoders.weights import find_weights
from metastra.errors import ConfigError, DataError, Where
from metastra.pipeline.encoder_folder import TRAINING
from metastra.pipeline.encoders_chosen import study_choice
from metastra.storage import parse_json
from metastra.study.study import Study

__all__ = ["refuse_external_in_training", "training_sources"]


def refuse_external_in_training(study: Study, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a self-trained encoder that has seen slides of an external or temporal cohort.

    Slides are compared by content, so another name does not hide one.  Encoders whose folder does
    not say what they were trained on cannot be judged.

    Parameters
    ----------
    study : Study
        With its roles and its encoder.
    rows : sequence of mapping
        Of the index of features: slide, cohort and slide_digest.

    Raises
    ------
    DataError
        LK008, for each such slide.
    ConfigError
        If the record of the training is damaged.
    """
    seen = training_sources(study)
    roles = {section.name: section.role for section in study.cohort}
    problems = [
        problem(
            "LK008",
            f"slide of the {roles[row['cohort']]} cohort {row['cohort']}; "
            f"encoder {study.slides.encoder!r} was trained on it",
            where=Where(file=row["slide"]),
        )
        for row in rows
        if roles.get(row["cohort"]) != "development" and row.get("slide_digest") in seen
    ]
    if problems:
        raise DataError("the encoder has seen what it would be judged on", problems)


def training_sources(study: Study) -> frozenset[str]:
    """Give the slides on which a study's encoder was trained, as far as its folder says.

    Parameters
    ----------
    study : Study
        With its encoder.

    Returns
    -------
    frozenset of str
        Digests of their content; empty for an encoder without weights or without a record.

    Raises
    ------
    ConfigError
        If the record of the training is damaged, or the weights are not found.
    """
    choice = study_choice(study)
    if choice.name in encoder_names():
        return frozenset()
    return _sources(find_weights(choice.name, choice.folder).folder / TRAINING)


def _sources(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    try:
        return frozenset(str(one["digest"]) for one in parse_json(path.read_bytes())["sources"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} does not say what the encoder was trained on ({error}); put it back from a "
            "copy"
        ) from error
