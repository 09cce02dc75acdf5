"""The kind ``linear``: cause-specific proportional hazards with their baselines, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.bundle.contract import Contract
from metastra.bundle.layout import MODEL
from metastra.bundle.tensors import read_tensors, tensor_bytes
from metastra.catalogue import problem
from metastra.errors import BundleError, DataError, NotEstimable, Where
from metastra.survival.absolute_risk import risk_from_hazards
from metastra.units import to_days

__all__ = ["CAUSES", "LinearModel"]

_Array = NDArray[np.float64]

CAUSES: Mapping[int, str] = {1: "event", 2: "competing"}
"""Code of a cause → its word in the names of tensors."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearModel:
    """Cause-specific Cox models in p columns.

    Parameters
    ----------
    centre, scale : ndarray of shape (p,)
        A column enters as ``(x - centre) / scale``.
    coef : mapping of int to ndarray of shape (p,)
        Log hazard ratios per `scale`, by cause: 1, and 2 where competing events were modelled.
    times_days : ndarray of shape (m,)
        Ascending times at which a baseline hazard jumps.
    jumps : mapping of int to ndarray of shape (m,)
        Jumps of the baseline hazards at `centre`, by cause.
    last_time_days : float
        End of the development cohorts' follow-up; nothing is predicted past it.
    """

    centre: _Array
    scale: _Array
    coef: Mapping[int, _Array]
    times_days: _Array
    jumps: Mapping[int, _Array]
    last_time_days: float

    def scores(self, columns: ArrayLike) -> _Array:
        """Linear predictor of the event.

        Parameters
        ----------
        columns : array_like of shape (n, p)
            None missing.

        Returns
        -------
        ndarray of shape (n,)
            Higher is worse; 0 for a patient at `centre`.

        Raises
        ------
        DataError
            When the shape is wrong or a value is missing.
        """
        return self._standardised(columns) @ self.coef[1]

    def risks(self, columns: ArrayLike, horizons_days: ArrayLike) -> _Array:
        """Probability of the event by horizons, competing events taken into account.

        Parameters
        ----------
        columns : array_like of shape (n, p)
            None missing.
        horizons_days : array_like of shape (t,)
            In days.

        Returns
        -------
        ndarray of shape (n, t)
            As `metastra.survival.absolute_risk.absolute_risk` defines it.

        Raises
        ------
        DataError
            When the shape is wrong or a value is missing.
        NotEstimable
            When a horizon lies past the development cohorts' follow-up.
        """
        at = np.atleast_1d(np.asarray(horizons_days, dtype=np.float64))
        if at.size and at.max() > self.last_time_days:
            raise NotEstimable(
                f"nothing is known at {at.max():g} days: the development cohorts' follow-up ends "
                f"at {self.last_time_days:g}"
            )
        x = self._standardised(columns)
        relative = {cause: np.exp(x @ coef) for cause, coef in self.coef.items()}
        return risk_from_hazards(relative, self.times_days, self.jumps, at, cause=1)

    def tensors(self) -> dict[str, _Array]:
        """Name the numbers of the model.

        Returns
        -------
        dict of str to ndarray of float64
            As they stand in a bundle.
        """
        tensors = {
            "centre": self.centre,
            "scale": self.scale,
            "times_days": self.times_days,
            "last_time_days": np.array([self.last_time_days]),
        }
        for cause, coef in self.coef.items():
            tensors[f"coef_{CAUSES[cause]}"] = coef
            tensors[f"jumps_{CAUSES[cause]}"] = self.jumps[cause]
        return tensors

    def to_bytes(self) -> bytes:
        """Write the model as safetensors.

        Returns
        -------
        bytes
            Equal models give equal bytes.
        """
        return tensor_bytes(self.tensors())

    @classmethod
    def from_bytes(
        cls, data: bytes, contract: Contract, *, n_columns: int | None = None
    ) -> LinearModel:
        """Read a model and hold it against its contract.

        Parameters
        ----------
        data : bytes
            Safetensors.
        contract : Contract
            Names the columns, the causes and the horizons.
        n_columns : int, optional
            Of the model; those of the contract's predictors when left out.

        Returns
        -------
        LinearModel
            That fits the contract.

        Raises
        ------
        BundleError
            BU008 for another layout, BU010 for numbers that cannot be a model.
        """
        p = sum(len(predictor.columns) for predictor in contract.predictors)
        widths = {"": p if n_columns is None else n_columns}
        return cls.several(data, contract, widths, file=MODEL)[""]

    @classmethod
    def several(
        cls, data: bytes, contract: Contract, widths: Mapping[str, int], *, file: str
    ) -> dict[str, LinearModel]:
        """Read models that stand in one file and hold each against the contract.

        Parameters
        ----------
        data : bytes
            Safetensors.
        contract : Contract
            Names the causes and the horizons.
        widths : mapping of str to int
            What stands before the names of a model's tensors, and how many columns it has.
        file : str
            What the file is called in an error.

        Returns
        -------
        dict of str to LinearModel
            By what stands before their names.

        Raises
        ------
        BundleError
            BU008 for another layout, BU010 for numbers that cannot be a model.
        """
        causes = [1, 2] if contract.endpoint.competing else [1]
        expected: dict[str, tuple[int | str, ...]] = {}
        for prefix, p in widths.items():
            expected |= _shapes(prefix, p, causes)
        tensors = read_tensors(data, expected, file=file)
        models = {prefix: cls._of(tensors, prefix, causes) for prefix in widths}
        where = Where(file=file)
        problems = [
            problem("BU010", f"{prefix.rstrip('.')}: {text}" if prefix else text, where=where)
            for prefix, model in models.items()
            for text in model.contradictions(contract)
        ]
        if problems:
            raise BundleError("the bundle contradicts itself", problems)
        return models

    @classmethod
    def _of(cls, tensors: Mapping[str, _Array], prefix: str, causes: list[int]) -> LinearModel:
        return cls(
            centre=tensors[f"{prefix}centre"],
            scale=tensors[f"{prefix}scale"],
            coef={cause: tensors[f"{prefix}coef_{CAUSES[cause]}"] for cause in causes},
            times_days=tensors[f"{prefix}times_days"],
            jumps={cause: tensors[f"{prefix}jumps_{CAUSES[cause]}"] for cause in causes},
            last_time_days=float(tensors[f"{prefix}last_time_days"][0]),
        )

    def contradictions(self, contract: Contract) -> list[str]:
        """Look for numbers that cannot be a model of this contract.

        Parameters
        ----------
        contract : Contract
            With the horizons.

        Returns
        -------
        list of str
            Empty for a sound model.
        """
        found = []
        if (self.scale <= 0.0).any():
            found.append("a scale is not above 0")
        if (np.diff(self.times_days) <= 0.0).any() or (self.times_days < 0.0).any():
            found.append("the times do not ascend from 0")
        if any((jumps < 0.0).any() for jumps in self.jumps.values()):
            found.append("a baseline hazard falls")
        if self.times_days.size and self.times_days[-1] > self.last_time_days:
            found.append("a baseline hazard jumps after the end of follow-up")
        last = to_days(contract.horizons[-1], contract.time_unit)
        if last > self.last_time_days:
            found.append(
                f"the horizon at {last:g} days lies past the follow-up of {self.last_time_days:g}"
            )
        return found

    def _standardised(self, columns: ArrayLike) -> _Array:
        x = np.asarray(columns, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != self.centre.size:
            raise DataError(f"columns have shape {x.shape}; expected (n, {self.centre.size})")
        if not np.isfinite(x).all():
            raise DataError("columns hold a missing value; the rule for missing values comes first")
        return (x - self.centre) / self.scale


def _shapes(prefix: str, p: int, causes: list[int]) -> dict[str, tuple[int | str, ...]]:
    """Say which tensors a model of p columns has."""
    jumps = f"{prefix}m"
    shapes: dict[str, tuple[int | str, ...]] = {
        f"{prefix}centre": (p,),
        f"{prefix}scale": (p,),
        f"{prefix}times_days": (jumps,),
        f"{prefix}last_time_days": (1,),
    }
    for cause in causes:
        shapes[f"{prefix}coef_{CAUSES[cause]}"] = (p,)
        shapes[f"{prefix}jumps_{CAUSES[cause]}"] = (jumps,)
    return shapes
