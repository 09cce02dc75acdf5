"""`Fold`: who is trained on, tuned on and tested on in one fold, and its JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from metastra.errors import SchemaError

__all__ = ["Fold", "expect_keys", "text_list"]

_PARTS = ("train", "tune", "test")


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One fold of a split.

    Parameters
    ----------
    name : str
        Unique in the split; fit for a file name.
    train : tuple of str
        Study ids of the patients whom a model may be fitted on.
    test : tuple of str
        Study ids of the patients whose predictions are reported.
    tune : tuple of str
        Study ids of patients set aside for choosing settings and stopping; often nobody.
    inner : tuple of Fold
        Folds inside `train`, for choosing settings without a glance at `test`.
    repeat : int
        Which repeat of a repeated k-fold split it belongs to, from 0.

    Examples
    --------
    >>> fold = Fold(name="fold-0", train=("a", "b"), test=("c",))
    >>> Fold.from_payload(fold.payload(), where="fold") == fold
    True
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    tune: tuple[str, ...] = ()
    inner: tuple[Fold, ...] = ()
    repeat: int = 0

    @property
    def fitted_on(self) -> tuple[str, ...]:
        """Everybody whom the model may have seen: training and tuning patients."""
        return self.train + self.tune

    def walk(self) -> Iterator[Fold]:
        """Go over this fold and the folds inside it.

        Yields
        ------
        Fold
            This one first.
        """
        yield self
        for fold in self.inner:
            yield from fold.walk()

    def payload(self) -> dict[str, Any]:
        """Write the fold as plain JSON values.

        Returns
        -------
        dict
            Study ids included; empty optional parts are written too, so the layout is one.
        """
        return {
            "name": self.name,
            "repeat": self.repeat,
            "train": list(self.train),
            "tune": list(self.tune),
            "test": list(self.test),
            "inner": [fold.payload() for fold in self.inner],
        }

    @classmethod
    def from_payload(cls, value: object, *, where: str) -> Fold:
        """Read what `payload` gave.

        Parameters
        ----------
        value : object
            As parsed from JSON.
        where : str
            Its place in the file, for messages.

        Returns
        -------
        Fold
            The fold.

        Raises
        ------
        SchemaError
            If keys are missing, unknown or of another kind.
        """
        entry = expect_keys(
            value, required={"name", "train", "test"}, known={"tune", "inner", "repeat"}, at=where
        )
        name, repeat = entry["name"], entry.get("repeat", 0)
        if not isinstance(name, str) or not name:
            raise SchemaError(f"{where}.name is not text")
        if type(repeat) is not int or repeat < 0:
            raise SchemaError(f"{where}.repeat is not a number from 0")
        parts = {part: text_list(entry.get(part, []), at=f"{where}.{part}") for part in _PARTS}
        inner = entry.get("inner", [])
        if not isinstance(inner, list):
            raise SchemaError(f"{where}.inner is not a list")
        folds = tuple(
            cls.from_payload(item, where=f"{where}.inner[{index}]")
            for index, item in enumerate(inner)
        )
        return cls(name=name, repeat=repeat, inner=folds, **parts)


def expect_keys(value: object, *, required: set[str], known: set[str], at: str) -> dict[str, Any]:
    """Demand a JSON object with certain keys and no others.

    Parameters
    ----------
    value : object
        As parsed from JSON.
    required, known : set of str
        Keys that must and that may stand there.
    at : str
        Its place in the file, for messages.

    Returns
    -------
    dict
        The object.

    Raises
    ------
    SchemaError
        If it is no object, lacks a key or has an unknown one.

    Examples
    --------
    >>> expect_keys({"a": 1}, required={"a"}, known=set(), at="$")
    {'a': 1}
    """
    if not isinstance(value, dict):
        raise SchemaError(f"{at} is not a JSON object")
    lacking = sorted(required - set(value))
    if lacking:
        raise SchemaError(f"{at} has no {', '.join(lacking)}")
    unknown = sorted(set(value) - required - known)
    if unknown:
        raise SchemaError(f"{at} has the unknown key {unknown[0]!r}")
    return value


def text_list(value: object, *, at: str) -> tuple[str, ...]:
    """Demand a JSON list of texts, each of them once.

    Parameters
    ----------
    value : object
        As parsed from JSON.
    at : str
        Its place in the file, for messages; the texts themselves are study ids and are not shown.

    Returns
    -------
    tuple of str
        In the order of the list.

    Raises
    ------
    SchemaError
        If it is anything else.

    Examples
    --------
    >>> text_list(["b", "a"], at="$.train")
    ('b', 'a')
    """
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise SchemaError(f"{at} is not a list of ids")
    if len(set(value)) != len(value):
        raise SchemaError(f"{at} names a patient twice")
    return tuple(value)
