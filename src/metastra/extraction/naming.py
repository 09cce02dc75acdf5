"""One feature file for each slide: names, and slides that would share one."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from metastra.catalogue import problem
from metastra.cohort.drawn_regions import slide_stem
from metastra.errors import ConfigError, DataError, Problem, Where
from metastra.storage.names import clean_name

__all__ = ["name_slides"]


def name_slides(paths: Sequence[Path]) -> dict[str, Path]:
    """Name the feature file of each slide by the slide.

    Parameters
    ----------
    paths : sequence of Path
        The slides.

    Returns
    -------
    dict of str to Path
        From the name, in Unicode NFC and without the slide's ending, to the slide; in the order of
        `paths`.

    Raises
    ------
    DataError
        SL057 for all slides that would have one name, also on disks that do not tell case or
        Unicode forms apart.
    ConfigError
        If a name cannot be stored.

    Examples
    --------
    >>> name_slides([Path("in/a.svs"), Path("in/b.ome.tif")])
    {'a': PosixPath('in/a.svs'), 'b': PosixPath('in/b.ome.tif')}
    """
    named: dict[str, Path] = {}
    same: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        name = clean_name(unicodedata.normalize("NFC", _stem(path)))
        same[name.casefold()].append(path)
        named.setdefault(name, path)
    problems = [_collision(group) for group in same.values() if len(group) > 1]
    if problems:
        raise DataError("nothing was extracted", problems)
    return named


def _stem(path: Path) -> str:
    stem = slide_stem(path.name)
    if not stem:
        raise ConfigError(f"{path}: this is no slide's name")
    return stem


def _collision(paths: Sequence[Path]) -> Problem:
    told = ", ".join(str(path) for path in paths)
    return problem("SL057", f"{told} would share one feature file", where=Where(file=paths[0].name))
