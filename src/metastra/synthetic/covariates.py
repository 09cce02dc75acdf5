"""What is known of synthetic patients at surgery, and how each item enters the hazards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["TERMS", "Covariates", "Term"]

_Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Covariates:
    """Covariates of n patients at surgery; one entry per patient in each array.

    Parameters
    ----------
    age_years : ndarray of shape (n,), float
        At surgery.
    male : ndarray of shape (n,), bool
        Sex.
    pt : ndarray of shape (n,), int
        1 to 4.
    pn : ndarray of shape (n,), int
        0 to 2.
    grade : ndarray of shape (n,), int
        1 to 3.
    dmmr : ndarray of shape (n,), bool
        Deficient mismatch repair.
    cea_ng_ml : ndarray of shape (n,), float
        Carcinoembryonic antigen before surgery, ng/ml.
    right : ndarray of shape (n,), bool
        Caecum to transverse colon.
    rectum : ndarray of shape (n,), bool
        Rectum; neither right nor rectum is the left colon.
    tumour_fraction, stroma_fraction, lymphocyte_fraction, necrosis_fraction : ndarray, float
        Shares of the tumour area, each of shape (n,); their sum is below 1, the rest is mucus and
        muscle.
    budding : ndarray of shape (n,), int
        Tumour buds per 0.785 mm² in the hot spot.
    """

    age_years: _Vector
    male: NDArray[np.bool_]
    pt: NDArray[np.int64]
    pn: NDArray[np.int64]
    grade: NDArray[np.int64]
    dmmr: NDArray[np.bool_]
    cea_ng_ml: _Vector
    right: NDArray[np.bool_]
    rectum: NDArray[np.bool_]
    tumour_fraction: _Vector
    stroma_fraction: _Vector
    lymphocyte_fraction: _Vector
    necrosis_fraction: _Vector
    budding: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of patients."""
        return int(self.age_years.size)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Covariates:
        """Select patients.

        Parameters
        ----------
        index : ndarray
            Positions (repeats allowed) or a mask of shape (n,).

        Returns
        -------
        Covariates
            Of the selected patients.
        """
        return Covariates(**{item.name: getattr(self, item.name)[index] for item in fields(self)})

    def design(self) -> _Vector:
        """Put the covariates on the scale of the log hazards.

        Returns
        -------
        ndarray of shape (n, len(TERMS))
            One column for each term; all zero for the reference patient.

        Examples
        --------
        >>> Covariates.reference().design().any()
        np.False_
        """
        return np.column_stack([np.asarray(term.value(self), dtype=np.float64) for term in TERMS])

    @classmethod
    def reference(cls, n: int = 1) -> Covariates:
        """Make patients for whom every term is zero.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        Covariates
            Women of 70 with a pT3 pN0 G2 pMMR cancer of the left colon, CEA 4 ng/ml, 40 % tumour,
            35 % stroma, 8 % lymphocytes, 5 % necrosis and three buds.
        """
        no, two = np.zeros(n, dtype=np.bool_), np.full(n, 2, dtype=np.int64)
        return cls(
            age_years=np.full(n, 70.0),
            male=no,
            pt=two + 1,
            pn=two - 2,
            grade=two,
            dmmr=no,
            cea_ng_ml=np.full(n, 4.0),
            right=no,
            rectum=no,
            tumour_fraction=np.full(n, 0.40),
            stroma_fraction=np.full(n, 0.35),
            lymphocyte_fraction=np.full(n, 0.08),
            necrosis_fraction=np.full(n, 0.05),
            budding=two + 1,
        )


@dataclass(frozen=True, kw_only=True)
class Term:
    """One column of the design.

    Parameters
    ----------
    name : str
        Its name, under which the hazard model holds its coefficients.
    unit : str
        What one unit of it is, in words.
    value : callable
        Covariates → array of shape (n,).
    """

    name: str
    unit: str
    value: Callable[[Covariates], NDArray[np.generic]]


TERMS: tuple[Term, ...] = (
    Term(name="age", unit="10 years above 70", value=lambda x: (x.age_years - 70.0) / 10.0),
    Term(name="male", unit="men against women", value=lambda x: x.male),
    Term(name="pT1", unit="pT1 against pT3", value=lambda x: x.pt == 1),
    Term(name="pT2", unit="pT2 against pT3", value=lambda x: x.pt == 2),
    Term(name="pT4", unit="pT4 against pT3", value=lambda x: x.pt == 4),
    Term(name="pN1", unit="pN1 against pN0", value=lambda x: x.pn == 1),
    Term(name="pN2", unit="pN2 against pN0", value=lambda x: x.pn == 2),
    Term(name="G3", unit="G3 against G1 and G2", value=lambda x: x.grade == 3),
    Term(name="dMMR", unit="dMMR against pMMR", value=lambda x: x.dmmr),
    Term(name="CEA", unit="doubling above 4 ng/ml", value=lambda x: np.log2(x.cea_ng_ml / 4.0)),
    Term(name="right", unit="right against left colon", value=lambda x: x.right),
    Term(name="rectum", unit="rectum against left colon", value=lambda x: x.rectum),
    Term(
        name="tumour",
        unit="10 percentage points above 40 %",
        value=lambda x: (x.tumour_fraction - 0.40) / 0.10,
    ),
    Term(
        name="stroma",
        unit="10 percentage points above 35 %",
        value=lambda x: (x.stroma_fraction - 0.35) / 0.10,
    ),
    Term(
        name="lymphocytes",
        unit="5 percentage points above 8 %",
        value=lambda x: (x.lymphocyte_fraction - 0.08) / 0.05,
    ),
    Term(
        name="necrosis",
        unit="5 percentage points above 5 %",
        value=lambda x: (x.necrosis_fraction - 0.05) / 0.05,
    ),
    Term(
        name="budding",
        unit="doubling of buds + 1 above 4",
        value=lambda x: np.log2((x.budding + 1) / 4.0),
    ),
)
"""Every term, in the order of the design's columns."""
