"""What a split needs to know about each patient, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.catalogue import problem
from metastra.errors import ConfigError, DataError

__all__ = ["Pseudonymise", "Units", "pseudonyms_of"]

Pseudonymise: TypeAlias = Callable[[str], str]
"""Turns a study id into the pseudonym that may stand in messages and logs."""

_ROLES = ("development", "external", "temporal")


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """The patients of a study as a split sees them, one entry per patient.

    Parameters
    ----------
    ids : array_like of shape (n,)
        Study ids; each once, none empty.
    event : array_like of shape (n,)
        ``1`` for the event of interest, ``0`` for none, ``2, 3, …`` for competing events.  For a
        binary endpoint 1 is the positive class; for endpoints without events give 1 throughout,
        then folds are balanced by patients.
    groups : mapping of str to array_like of shape (n,), optional
        Groupings that may be declared under ``group``, by column: the site, the scanner, …
        None or blank text means that the value is not recorded.  White space around a value does
        not count.
    cohort : array_like of shape (n,), optional
        Name of each patient's cohort; one cohort without a name when left out.
    role : array_like of shape (n,), optional
        ``"development"``, ``"external"`` or ``"temporal"``; development when left out.
    date : array_like of shape (n,), optional
        Day that a temporal split goes by; None or NaT where it is not recorded.

    Raises
    ------
    DataError
        If ids are missing (CO010) or occur twice (CO011).
    ConfigError
        If arrays differ in length or a role is not known.

    Examples
    --------
    >>> units = Units(ids=["a", "b"], event=[1, 0], groups={"site": ["North", None]})
    >>> units.n, units.groups["site"].tolist(), units.role.tolist()
    (2, ['North', ''], ['development', 'development'])
    """

    ids: NDArray[np.str_]
    event: NDArray[np.int64]
    groups: Mapping[str, NDArray[np.str_]]
    cohort: NDArray[np.str_]
    role: NDArray[np.str_]
    date: NDArray[np.datetime64] | None

    def __init__(
        self,
        *,
        ids: ArrayLike,
        event: ArrayLike,
        groups: Mapping[str, ArrayLike] | None = None,
        cohort: ArrayLike | None = None,
        role: ArrayLike | None = None,
        date: ArrayLike | None = None,
    ) -> None:
        id_array = _as_text(ids)
        n = id_array.size
        named = {name: _as_text(values) for name, values in (groups or {}).items()}
        cohorts = _as_text([""] * n if cohort is None else cohort)
        roles = _as_text(["development"] * n if role is None else role)
        dates = None if date is None else np.asarray(date, dtype="datetime64[D]")
        events = np.asarray(event, dtype=np.int64)
        arrays = {"event": events, "cohort": cohorts, "role": roles, **named}
        if dates is not None:
            arrays["date"] = dates
        for name, array in arrays.items():
            if array.shape != (n,):
                raise ConfigError(f"{name} has the shape {array.shape}, expected ({n},) as ids")
        unknown = sorted(set(roles.tolist()) - set(_ROLES))
        if unknown:
            raise ConfigError(f"role {unknown[0]!r} is not known; roles are {', '.join(_ROLES)}")
        _check_ids(id_array)
        for name, value in (
            ("ids", id_array),
            ("event", events),
            ("groups", named),
            ("cohort", cohorts),
            ("role", roles),
            ("date", dates),
        ):
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        """Number of patients."""
        return int(self.ids.size)

    @property
    def development(self) -> NDArray[np.bool_]:
        """Mask of the patients who may be fitted on, shape (n,)."""
        return np.asarray(self.role == "development", dtype=np.bool_)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Units:
        """Select patients.

        Parameters
        ----------
        index : ndarray
            Positions without repeats, or a mask of shape (n,).

        Returns
        -------
        Units
            Of the selected patients.
        """
        return Units(
            ids=self.ids[index],
            event=self.event[index],
            groups={name: values[index] for name, values in self.groups.items()},
            cohort=self.cohort[index],
            role=self.role[index],
            date=None if self.date is None else self.date[index],
        )

    def only(self, ids: tuple[str, ...]) -> Units:
        """Select patients by their ids.

        Parameters
        ----------
        ids : tuple of str
            Ids that are no patient's are passed over.

        Returns
        -------
        Units
            In the order of this object, not of `ids`.
        """
        return self.take(np.isin(self.ids, np.array(ids, dtype=np.str_)))


def pseudonyms_of(ids: tuple[str, ...], pseudonymise: Pseudonymise | None) -> tuple[str, ...]:
    """Turn ids into what a message may show.

    Parameters
    ----------
    ids : tuple of str
        Study ids.
    pseudonymise : callable or None
        Without it nobody is named; messages then only count.

    Returns
    -------
    tuple of str
        Pseudonyms in the order of `ids`, or nothing.

    Examples
    --------
    >>> pseudonyms_of(("TCGA-1",), None)
    ()
    """
    return () if pseudonymise is None else tuple(pseudonymise(i) for i in ids)


def _as_text(values: ArrayLike) -> NDArray[np.str_]:
    """Text without white space around it; None is empty."""
    array = np.asarray(values)
    if array.dtype.kind != "U":
        array = np.array(["" if v is None else str(v) for v in array.ravel()], dtype=np.str_)
    return np.strings.strip(array)


def _check_ids(ids: NDArray[np.str_]) -> None:
    names, counts = np.unique(ids, return_counts=True)
    problems = []
    blank = int(counts[names == ""].sum())
    if blank:
        problems.append(problem("CO010", f"patients without an id: {blank} of {ids.size}"))
    repeated = int(np.count_nonzero(counts[names != ""] > 1))
    if repeated:
        problems.append(problem("CO011", f"ids that occur more than once: {repeated}"))
    if problems:
        raise DataError("no split can be made", problems)
