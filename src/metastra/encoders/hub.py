"""Weights from the hub: one file at one commit, only when a person asks for it by a command."""

from __future__ import annotations

import re
from pathlib import Path

from metastra.encoders.known import KnownEncoder
from metastra.encoders.shards import INDEX, parse_index
from metastra.encoders.weights import WEIGHTS
from metastra.errors import ConfigError, MissingExtra

__all__ = ["fetch_file"]

_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_PICKLES = (".bin", ".pth", ".pt", ".ckpt")


def fetch_file(known: KnownEncoder, revision: str, folder: Path) -> Path:
    """Download the weight file of an encoder.

    Parameters
    ----------
    known : KnownEncoder
        Of the field.
    revision : str
        Commit of the repository, 40 hexadecimal digits.
    folder : Path
        Where the file is put.

    Returns
    -------
    Path
        A safetensors file where the repository has one, or the index of several, which are put
        beside it; else its only pickled file.

    Raises
    ------
    ConfigError
        If the revision is no commit, the hub cannot be reached or refuses, or the repository has no
        weight file or several.
    MissingExtra
        If the client of the hub is not installed.
    """
    if not _COMMIT.match(revision):
        raise ConfigError(
            f"--revision {revision!r} is no commit; expected 40 hexadecimal digits, since a branch "
            f"or a tag may show other weights tomorrow. The commits stand on "
            f"{known.page}/commits/main"
        )
    if known.in_data_set:
        raise ConfigError(
            f"the weights of {known.name!r} lie in a data set among other files; download the "
            f"right one at {known.page} and run: metastra encoders convert FILE --name {known.name}"
        )
    try:
        import huggingface_hub
        from huggingface_hub.errors import (
            HfHubHTTPError,
            LocalEntryNotFoundError,
            OfflineModeIsEnabled,
        )
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "huggingface_hub", extra="hub", what_for="downloading weights"
        ) from error
    try:
        files = huggingface_hub.list_repo_files(known.repository, revision=revision)
        chosen = _weight_file(files, known)
        got = huggingface_hub.hf_hub_download(
            known.repository, chosen, revision=revision, local_dir=folder
        )
        for file in parse_index(Path(got)).files if chosen == INDEX else ():
            huggingface_hub.hf_hub_download(
                known.repository, file.name, revision=revision, local_dir=folder
            )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        said = " ".join(str(error).split())[:300]
        steps = f"log in at {known.page}, accept the terms there, then run: hf auth login."
        gated = f" It is gated: {steps}" if known.gated else ""
        raise ConfigError(
            f"the weights of {known.name!r} could not be fetched from {known.page} at "
            f"{revision[:12]}: {said}.{gated}"
        ) from error
    return Path(got)


def _weight_file(files: list[str], known: KnownEncoder) -> str:
    for name in (WEIGHTS, INDEX):
        if name in files:
            return name
    pickles = [name for name in files if name.endswith(_PICKLES)]
    if len(pickles) == 1:
        return pickles[0]
    told = ", ".join(sorted(pickles)) or "none"
    raise ConfigError(
        f"{known.page} has no {WEIGHTS} and these other weight files: {told}; expected exactly "
        "one. Download the right one yourself and bring it here by metastra encoders convert."
    )
