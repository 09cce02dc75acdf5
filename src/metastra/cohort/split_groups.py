"""Patients who must stay together: connected components over all declared groupings.

A split by patient and site keeps a site on one side.  With several groupings at once a patient
ties his site to his scanner, and the two tie everybody else who shares either: what must stay
together are the connected components of the graph in which patients are joined by common values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from metastra.cohort.split_units import Units
from metastra.errors import ConfigError

__all__ = [
    "PATIENT",
    "component_keys",
    "components",
    "declared_groups",
    "group_values",
    "keyed_order",
]

PATIENT = "PATIENT"
"""The grouping that always holds."""


def declared_groups(group: Iterable[str]) -> tuple[str, ...]:
    """Put the grouping by patient first, whether it was written or not.

    Parameters
    ----------
    group : iterable of str
        Columns under ``[validation] group``.

    Returns
    -------
    tuple of str
        Each once.

    Examples
    --------
    >>> declared_groups(["site", "PATIENT"])
    ('PATIENT', 'site')
    """
    return tuple(dict.fromkeys((PATIENT, *group)))


def group_values(units: Units, groups: Sequence[str]) -> dict[str, NDArray[np.str_]]:
    """Look the declared groupings up.

    Parameters
    ----------
    units : Units
        The patients.
    groups : sequence of str
        Columns; PATIENT is the id unless the units have a column of that name.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        Values by column, empty text where none is recorded.

    Raises
    ------
    ConfigError
        With every column that the units do not have.

    Examples
    --------
    >>> units = Units(ids=["a", "b"], event=[1, 0], groups={"site": ["N", "S"]})
    >>> list(group_values(units, ["PATIENT", "site"]))
    ['PATIENT', 'site']
    """
    known: Mapping[str, NDArray[np.str_]] = {PATIENT: units.ids, **units.groups}
    lacking = [name for name in groups if name not in known]
    if lacking:
        near = get_close_matches(lacking[0], [*known], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"validation.group names {', '.join(map(repr, lacking))}, "
            f"which is no column of the clinical table; known are {', '.join(known)}{hint}"
        )
    return {name: known[name] for name in groups}


def components(units: Units, groups: Sequence[str]) -> NDArray[np.int64]:
    """Find the sets of patients that must stay on one side.

    Patients without a recorded value in a grouping are tied to each other by it: nobody knows
    that they come from different sites, so they are not spread over the folds.

    Parameters
    ----------
    units : Units
        The patients.
    groups : sequence of str
        Declared groupings; all of them hold at once.

    Returns
    -------
    ndarray of shape (n,)
        Component of each patient.  Numbers follow the smallest id in each component, so they do
        not depend on the order of rows.

    Raises
    ------
    ConfigError
        If a grouping is not known.

    Examples
    --------
    North and South share a scanner, so they stay together.

    >>> units = Units(
    ...     ids=["a", "b", "c", "d"],
    ...     event=[1, 0, 0, 1],
    ...     groups={"site": ["N", "N", "S", "W"], "scanner": ["1", "2", "2", "3"]},
    ... )
    >>> components(units, ["PATIENT", "site", "scanner"]).tolist()
    [0, 0, 0, 1]
    """
    parent = list(range(units.n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for values in group_values(units, groups).values():
        first: dict[str, int] = {}
        for i, value in enumerate(values.tolist()):
            parent[root(i)] = root(first.setdefault(value, i))
    label = np.full(units.n, -1, dtype=np.int64)
    number: dict[int, int] = {}
    for i in np.argsort(units.ids, kind="stable").tolist():
        label[i] = number.setdefault(root(i), len(number))
    return label


def component_keys(units: Units, label: NDArray[np.int64]) -> list[str]:
    """Name each component by its smallest id.

    Parameters
    ----------
    units : Units
        The patients.
    label : ndarray of shape (n,)
        Component of each, 0 … G−1.

    Returns
    -------
    list of str
        Of length G.

    Examples
    --------
    >>> component_keys(Units(ids=["b", "a", "c"], event=[0, 0, 0]), np.array([0, 0, 1]))
    ['a', 'c']
    """
    keys: dict[int, str] = {}
    for key, g in sorted(zip(units.ids.tolist(), label.tolist(), strict=True)):
        keys.setdefault(g, key)
    return [keys[g] for g in range(len(keys))]


def keyed_order(keys: Sequence[str], seed: str) -> NDArray[np.int64]:
    """Shuffle by a keyed hash, so that the order depends on seed and keys alone.

    A generator would tie the result to the order of rows and to the version of its library; the
    SHA-256 of seed and key does not.

    Parameters
    ----------
    keys : sequence of str
        Each once, for instance study ids.
    seed : str
        Names the draw.

    Returns
    -------
    ndarray of shape (n,)
        Positions in shuffled order.

    Examples
    --------
    >>> keys = ["a", "b", "c", "d"]
    >>> [keys[i] for i in keyed_order(keys, "1")] == [
    ...     keys[::-1][i] for i in keyed_order(keys[::-1], "1")
    ... ]
    True
    """
    hashed = [hashlib.sha256(f"{seed}\0{key}".encode()).digest() for key in keys]
    return np.array(sorted(range(len(keys)), key=hashed.__getitem__), dtype=np.int64)
