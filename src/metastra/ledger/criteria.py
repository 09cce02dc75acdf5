"""Inclusion criteria as data: a machine checks them, and each refusal has its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

__all__ = ["Criterion", "failures"]

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Criterion(BaseModel):
    """``[[criterion]]``: a rule on one column of the screening table.

    A patient is eligible when every criterion holds; a missing value holds none.

    Examples
    --------
    >>> Criterion(name="age", column="age", minimum=18, maximum=75).failure("76")
    'age 76 is above 75'
    >>> Criterion(name="stage", column="stage", one_of=("I", "II", "III")).failure("IV")
    "stage 'IV' is not one of I, II, III"
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Text
    """In the flow diagram."""
    column: Text
    """Of the screening table."""
    minimum: float | None = None
    """Least value that is included."""
    maximum: float | None = None
    """Greatest value that is included."""
    one_of: tuple[str, ...] = ()
    """Words that are included, exactly as written."""

    @property
    def numeric(self) -> bool:
        """Whether the column holds numbers."""
        return not self.one_of

    def fault(self) -> str:
        """Say what is wrong with the rule itself.

        Returns
        -------
        str
            Empty where nothing is.
        """
        bounded = self.minimum is not None or self.maximum is not None
        if bounded == bool(self.one_of):
            return f"criterion {self.name!r} needs either minimum and maximum, or one_of"
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return f"criterion {self.name!r} holds for no value" if low > high else ""

    def readable(self, cell: str | None) -> bool:
        """Whether a cell can be held against the rule; a missing one can.

        Parameters
        ----------
        cell : str or None
            As the table has it.

        Returns
        -------
        bool
            False for text where a number is needed.
        """
        return cell is None or not self.numeric or bool(_NUMBER.fullmatch(cell.strip()))

    def failure(self, cell: str | None) -> str:
        """Say why a value does not hold the criterion.

        Parameters
        ----------
        cell : str or None
            As the table has it; readable.

        Returns
        -------
        str
            Empty where it holds.
        """
        if cell is None or not cell.strip():
            return f"{self.name} is not recorded"
        text = cell.strip()
        if self.one_of:
            if text in self.one_of:
                return ""
            return f"{self.name} {text!r} is not one of {', '.join(self.one_of)}"
        value = float(text)
        if self.minimum is not None and value < self.minimum:
            return f"{self.name} {text} is below {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"{self.name} {text} is above {self.maximum:g}"
        return ""


def failures(
    criteria: tuple[Criterion, ...], values: Mapping[str, str | None]
) -> list[dict[str, str]]:
    """Hold a patient against all criteria.

    Parameters
    ----------
    criteria : tuple of Criterion
        Of the protocol.
    values : mapping of str to (str or None)
        Cells by column.

    Returns
    -------
    list of dict
        ``criterion`` and ``reason`` of each that does not hold, in the protocol's order.

    Examples
    --------
    >>> rule = Criterion(name="age", column="age", minimum=18)
    >>> failures((rule,), {"age": "17"})
    [{'criterion': 'age', 'reason': 'age 17 is below 18'}]
    """
    held = ((rule.name, rule.failure(values.get(rule.column))) for rule in criteria)
    return [{"criterion": name, "reason": reason} for name, reason in held if reason]
