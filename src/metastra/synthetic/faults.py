"""Faults and leaks on request: each is named with the check that must find it."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from metastra.errors import ConfigError
from metastra.synthetic.file_faults import FILE_FAULTS
from metastra.synthetic.leaks import LEAKS
from metastra.synthetic.planting import Fault, Planted
from metastra.synthetic.table_faults import TABLE_FAULTS
from metastra.synthetic.writing import Parts

__all__ = ["FAULTS", "Fault", "Planted", "plant"]

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*LEAKS, *TABLE_FAULTS, *FILE_FAULTS)}
"""Every fault and leak by its name."""


def plant(parts: Parts, name: str) -> Planted:
    """Put a fault or leak into a study.

    Parameters
    ----------
    parts : dict of str to (Table or bytes)
        Files of the default study, from `metastra.synthetic.generate.SyntheticStudy.parts`; they
        are not changed.
    name : str
        A key of `FAULTS`.

    Returns
    -------
    Planted
        The files with the fault, and where the check must find it.

    Raises
    ------
    ConfigError
        If there is no such fault, with the nearest name.
    ValueError
        If the study is too small for it, or an earlier fault has written its table down.

    Examples
    --------
    >>> from metastra.synthetic.generate import generate
    >>> planted = plant(generate(n_patients=60, seed=1).parts(), "missing-status")
    >>> planted.code, planted.file, planted.study_file
    ('EP002', 'north/clini.csv', 'study-overall-survival.toml')
    """
    if name not in FAULTS:
        near = get_close_matches(name, list(FAULTS), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"there is no fault {name!r}{hint}")
    fault = FAULTS[name]
    return replace(fault.put(parts), code=fault.code, study_file=fault.study_file)
