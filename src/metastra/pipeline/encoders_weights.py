"""``encoders fetch`` and ``encoders convert``: weights into a folder that says what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from metastra.encoders.converting import REFUSED, convert_task
from metastra.encoders.hub import fetch_file
from metastra.encoders.known import known_encoders
from metastra.encoders.shards import INDEX
from metastra.encoders.weights import CONFIG, WEIGHTS, encoders_home, read_weights
from metastra.errors import ConfigError
from metastra.executor import Limits, ProcessPool, Task
from metastra.storage import json_bytes, write_bytes

__all__ = ["convert_weights", "fetch_weights", "weights_lines"]

_ROOM_BYTES, _COPIES = 10_000_000_000, 4


def fetch_weights(name: str, revision: str, out: Path | None = None) -> dict[str, Any]:
    """Download the weights of an encoder of the field at one commit.

    Parameters
    ----------
    name : str
        Of the encoder.
    revision : str
        Commit of its repository.
    out : Path, optional
        Folder; by default the one of its name among the user's encoders.

    Returns
    -------
    dict
        What was done: repository, revision, digest, folder.

    Raises
    ------
    ConfigError
        If the encoder is not in the list, or the hub gives no weights.
    MissingExtra
        If the client of the hub is not installed.
    """
    known = known_encoders().get(name)
    if known is None or known.recipe is None:
        raise ConfigError(
            f"encoder {name!r} has no repository in the list (metastra encoders list); put its "
            "weights into a folder yourself"
        )
    folder = encoders_home() / name if out is None else out
    path = fetch_file(known, revision, folder)
    if path.name not in (WEIGHTS, INDEX):
        made = convert_weights(path, name=name, out=folder, revision=revision)
        return {**made, "fetched": path.name, "repository": known.repository}
    done = _finish(name, folder, revision)
    return {**done, "fetched": path.name, "repository": known.repository, "converted": None}


def convert_weights(
    source: Path, *, name: str, out: Path | None = None, revision: str = ""
) -> dict[str, Any]:
    """Bring a pickled weight file into safetensors, in a child process, and see that it fits.

    Parameters
    ----------
    source : Path
        A ``.bin``, ``.pth``, ``.pt`` or ``.ckpt``.
    name : str
        Of the encoder.
    out : Path, optional
        Folder; by default the one of its name among the user's encoders.
    revision : str
        Commit it comes from, where that is known.

    Returns
    -------
    dict
        What was done: numbers of tensors and parameters, what was dropped, digest, folder.

    Raises
    ------
    ConfigError
        If the file holds more than tensors, cannot be read, or does not fit the encoder.
    """
    folder = encoders_home() / name if out is None else out
    if not source.is_file():
        raise ConfigError(f"{source}: there is no such file")
    if known_encoders().get(name) is None and not (folder / CONFIG).is_file():
        raise ConfigError(
            f"encoder {name!r} is not in the list, so {folder / CONFIG} has to say what it is "
            "(docs/how-to/encoders.md)"
        )
    size = source.stat().st_size
    pool = ProcessPool(limits=Limits(memory_bytes=_ROOM_BYTES + _COPIES * size))
    payload = {"source": str(source.absolute()), "target": str((folder / WEIGHTS).absolute())}
    (result,) = pool.run(convert_task, [Task(key=source.name, payload=payload)])
    if result.failure is not None and result.failure.kind == REFUSED:
        said = " ".join(result.failure.message.split())[:200]
        raise ConfigError(
            f"{source} is refused: it holds more than tensors, or is no file of weights, and "
            f"reading it otherwise could run code ({said})"
        )
    if result.failure is not None:
        raise ConfigError(str(result.failure))
    done = _finish(name, folder, revision)
    if done["sha256"] != result.value["sha256"]:
        raise ConfigError(f"{folder / WEIGHTS} was changed while it was looked at; convert again")
    return {**done, "source": source.name, "converted": result.value}


def _finish(name: str, folder: Path, revision: str) -> dict[str, Any]:
    """See that the weights fit, and write down beside them what they are."""
    from metastra.encoders.building import build_network

    path = folder / CONFIG
    config: dict[str, Any] = {}
    if path.is_file():
        config = json.loads(path.read_text(encoding="utf-8"))
    own = dict(config.get("metastra", {}))
    own.pop("weights_sha256", None)
    own |= {"name": name, **({"revision": revision} if revision else {})}
    write_bytes(path, json_bytes({**config, "metastra": own}))
    weights = read_weights(name, folder)
    build_network(weights)
    own["weights_sha256"] = weights.sha256
    write_bytes(path, json_bytes({**config, "metastra": own}))
    return {
        "name": name,
        "revision": weights.recipe.revision or None,
        "licence": weights.recipe.licence,
        "sha256": weights.sha256,
        "folder": str(folder),
    }


def weights_lines(done: dict[str, Any]) -> list[str]:
    """Write what was done for a person.

    Parameters
    ----------
    done : dict
        From `fetch_weights` or `convert_weights`.

    Returns
    -------
    list of str
        What was read, dropped and written, and what the licence is.
    """
    lines = []
    if "repository" in done:
        lines.append(f"fetched {done['fetched']} of {done['repository']} at {done['revision']}")
    changed = done["converted"]
    if changed is not None:
        lines.append(
            f"read {changed['tensors']} tensors with {changed['parameters']:,} numbers in a child "
            "process (weights only: no code is run), bit by bit"
        )
        if changed["nest"] or changed["prefix"]:
            lines.append(
                f"taken from {changed['nest'] or 'the top'}, without {changed['prefix']!r}"
            )
        if changed["dropped"]:
            lines.append(f"dropped, no tensors: {', '.join(changed['dropped'])}")
    lines += [
        f"every name and shape fits encoder {done['name']!r}",
        f"written to {done['folder']}, sha256 {done['sha256']}",
        f"licence: {done['licence']}; the weights belong to their authors",
    ]
    return lines
