"""Paths in a study file: relative to it, with ``${NAME}`` taken from the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path

from metastra.errors import ConfigError
from metastra.study.study import Study

__all__ = ["resolve_path"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def resolve_path(study: Study, text: str) -> Path:
    """Find the file or folder that a study file means.

    Parameters
    ----------
    study : Study
        Whose file the path stands in.
    text : str
        As written; ``${NAME}`` stands for an environment variable.

    Returns
    -------
    Path
        Absolute or relative to the current folder; it need not exist.

    Raises
    ------
    ConfigError
        If an environment variable is not set.

    Notes
    -----
    The study's digest is taken over the text, so it is the same wherever the data lie.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(
                f"the path {text!r} needs the environment variable {name}, which is not set; "
                f"set it, for instance: export {name}=/path/to/data"
            )
        return os.environ[name]

    return study.folder / _VARIABLE.sub(value, text)
