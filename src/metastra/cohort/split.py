"""`Split`: the folds of a study, drawn once and then kept.

Kinds: k-fold by patient and site, leave-one-cohort-out, temporal, and published folds that are
read as they are.  `metastra.cohort.split_draw` makes one, `metastra.cohort.split_store` carries a
stored one over to a cohort that has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from pydantic import ValidationError

from metastra.cohort.split_check import check_folds
from metastra.cohort.split_fold import Fold, expect_keys, text_list
from metastra.cohort.split_units import Pseudonymise, Units
from metastra.digest import digest_value
from metastra.errors import Problem, SchemaError
from metastra.storage.encode import json_bytes, parse_json
from metastra.study.sections import ValidationSection

__all__ = ["Fold", "Split", "SplitChange", "SplitKind"]

SplitKind: TypeAlias = Literal["k-fold", "leave-one-cohort-out", "temporal", "published"]
"""How the folds came about."""

_FORMAT = "metastra-split-1"
_REQUIRED = {"format", "kind", "folds", "groups", "seed", "source", "missing"}


@dataclass(frozen=True, kw_only=True)
class SplitChange:
    """One change of a stored split.

    Parameters
    ----------
    what : {"updated", "redrawn"}
        Whether patients came or went and everybody else stayed, or all folds were drawn anew.
    previous : str
        Digest of the split before.
    n_added, n_removed : int
        Patients that came and went.
    added, removed : tuple of str
        Their pseudonyms; study ids of patients who left are not kept.  Empty when no pseudonyms
        were given.
    """

    what: Literal["updated", "redrawn"]
    previous: str
    n_added: int
    n_removed: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def payload(self) -> dict[str, Any]:
        """Write the change as plain JSON values.

        Returns
        -------
        dict
            Without study ids.
        """
        return {
            "what": self.what,
            "previous": self.previous,
            "n_added": self.n_added,
            "n_removed": self.n_removed,
            "added": list(self.added),
            "removed": list(self.removed),
        }

    @classmethod
    def from_payload(cls, value: object, *, where: str) -> SplitChange:
        """Read what `payload` gave.

        Parameters
        ----------
        value : object
            As parsed from JSON.
        where : str
            Its place in the file, for messages.

        Returns
        -------
        SplitChange
            The change.

        Raises
        ------
        SchemaError
            If keys are missing, unknown or of another kind.
        """
        keys = {"what", "previous", "n_added", "n_removed", "added", "removed"}
        entry = expect_keys(value, required=keys, known=set(), at=where)
        what, previous = entry["what"], entry["previous"]
        counts = [entry["n_added"], entry["n_removed"]]
        if what not in ("updated", "redrawn") or not isinstance(previous, str):
            raise SchemaError(f"{where} is no change of a split")
        if any(type(count) is not int or count < 0 for count in counts):
            raise SchemaError(f"{where} counts patients with something else than numbers from 0")
        return cls(
            what=what,
            previous=previous,
            n_added=counts[0],
            n_removed=counts[1],
            added=text_list(entry["added"], at=f"{where}.added"),
            removed=text_list(entry["removed"], at=f"{where}.removed"),
        )


@dataclass(frozen=True, kw_only=True)
class Split:
    """The folds of a study.

    It holds study ids: store it as a private product and show it on no other surface.

    Parameters
    ----------
    kind : {"k-fold", "leave-one-cohort-out", "temporal", "published"}
        How the folds came about.
    folds : tuple of Fold
        In order; the folds of a repeat follow each other.
    groups : tuple of str
        Groupings that stand on one side of every fold; PATIENT is the first.
    seed : int
        That drew the folds, outer and inner.
    source : str
        Name of the published fold file as the study file gives it; empty for drawn folds.
    missing : tuple of str
        Ids of the published file that no patient of the cohort has; they stand in no fold.
    settings : ValidationSection or None
        The settings it was made with.
    history : tuple of SplitChange
        What happened to it since it was first drawn, oldest first.

    Examples
    --------
    >>> split = Split(
    ...     kind="k-fold",
    ...     folds=(
    ...         Fold(name="fold-0", train=("a",), test=("b",)),
    ...         Fold(name="fold-1", train=("b",), test=("a",)),
    ...     ),
    ...     groups=("PATIENT",),
    ...     seed=1,
    ... )
    >>> Split.from_json(split.to_json()) == split
    True
    """

    kind: SplitKind
    folds: tuple[Fold, ...]
    groups: tuple[str, ...]
    seed: int
    source: str = ""
    missing: tuple[str, ...] = ()
    settings: ValidationSection | None = None
    history: tuple[SplitChange, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over everything in the split, in hexadecimal."""
        return digest_value(self._payload())

    @property
    def patients(self) -> frozenset[str]:
        """Study ids of everybody who stands in some fold."""
        return frozenset(i for fold in self.folds for i in fold.fitted_on + fold.test)

    def check(self, units: Units, *, pseudonymise: Pseudonymise | None = None) -> list[Problem]:
        """Check the folds against the patients they are used for.

        Parameters
        ----------
        units : Units
            All patients of the study.
        pseudonymise : callable, optional
            Without it messages count patients and name none.

        Returns
        -------
        list of Problem
            SP001–SP005 and SP007, refusals and warnings; empty when there is nothing to say.

        Raises
        ------
        ConfigError
            If a grouping is no column of the units.
        """
        return check_folds(
            self.folds,
            units,
            groups=self.groups,
            kind=self.kind,
            missing=self.missing,
            source=self.source,
            pseudonymise=pseudonymise,
        )

    def to_json(self) -> str:
        """Write the split as strict JSON, study ids included.

        Returns
        -------
        str
            Equal splits give equal text.
        """
        return json_bytes(self._payload()).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Split:
        """Read what `to_json` wrote.

        Parameters
        ----------
        text : str or bytes
            UTF-8.

        Returns
        -------
        Split
            Equal to the one that was written.

        Raises
        ------
        SchemaError
            If it is no strict JSON, has another layout, or names a patient twice in one list.
        """
        try:
            value = parse_json(text.encode() if isinstance(text, str) else text)
        except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
            raise SchemaError(f"the split is no strict JSON: {error}") from None
        return cls._from_payload(value)

    def _payload(self) -> dict[str, Any]:
        settings = None if self.settings is None else self.settings.model_dump(mode="json")
        return {
            "format": _FORMAT,
            "kind": self.kind,
            "groups": list(self.groups),
            "seed": self.seed,
            "source": self.source,
            "missing": list(self.missing),
            "settings": settings,
            "folds": [fold.payload() for fold in self.folds],
            "history": [change.payload() for change in self.history],
        }

    @classmethod
    def _from_payload(cls, value: object) -> Split:
        entry = expect_keys(value, required=_REQUIRED, known={"settings", "history"}, at="$")
        if entry["format"] != _FORMAT:
            raise SchemaError(f"$.format is not {_FORMAT!r}; a newer metastra may have written it")
        if entry["kind"] not in get_args(SplitKind):
            raise SchemaError(f"$.kind is none of {', '.join(get_args(SplitKind))}")
        if type(entry["seed"]) is not int or not isinstance(entry["source"], str):
            raise SchemaError("$.seed is no whole number or $.source no text")
        lists: Mapping[str, object] = {k: entry.get(k, []) for k in ("folds", "history")}
        for key, items in lists.items():
            if not isinstance(items, list):
                raise SchemaError(f"$.{key} is not a list")
        folds = tuple(
            Fold.from_payload(item, where=f"$.folds[{index}]")
            for index, item in enumerate(entry["folds"])
        )
        if len({fold.name for fold in folds}) != len(folds):
            raise SchemaError("$.folds has two folds of one name")
        return cls(
            kind=entry["kind"],
            folds=folds,
            groups=text_list(entry["groups"], at="$.groups"),
            seed=entry["seed"],
            source=entry["source"],
            missing=text_list(entry["missing"], at="$.missing"),
            settings=_settings(entry.get("settings")),
            history=tuple(
                SplitChange.from_payload(item, where=f"$.history[{index}]")
                for index, item in enumerate(entry.get("history", []))
            ),
        )


def _settings(value: object) -> ValidationSection | None:
    if value is None:
        return None
    try:
        return ValidationSection.model_validate(value)
    except ValidationError as error:
        places = ", ".join(".".join(map(str, item["loc"])) for item in error.errors())
        raise SchemaError(f"$.settings cannot be read: {places}") from None
