"""How much there is of each tissue on a painted slide."""

from __future__ import annotations

from dataclasses import dataclass

from metastra.errors import ConfigError
from metastra.synthetic.covariates import Covariates

__all__ = ["Composition", "Surroundings"]

_MOST_BUDS = 200


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What lies around the tumour, as shares of the whole tissue.

    Parameters
    ----------
    mucosa : float
        Normal mucosa with crypts.
    muscle : float
        Smooth muscle outside the tumour.
    fat : float
        Fat.

    Raises
    ------
    ConfigError
        If a share is negative or they leave less than a fifth of the tissue to the tumour.
    """

    mucosa: float = 0.0
    muscle: float = 0.0
    fat: float = 0.0

    def __post_init__(self) -> None:
        parts = (self.mucosa, self.muscle, self.fat)
        if not min(parts) >= 0 or not sum(parts) <= 0.8:
            raise ConfigError(
                f"surroundings {parts}: expected shares of the tissue, none negative, 0.8 at most"
            )


@dataclass(frozen=True, kw_only=True)
class Composition:
    """Shares of the tumour area, as `metastra.synthetic.covariates.Covariates` has them.

    The tumour area is the tissue of the tumour without empty lumens.

    Parameters
    ----------
    tumour, stroma, lymphocytes, necrosis : float
        Shares; what they leave is mucus and muscle.
    grade : int
        1 to 3: how regular the glands are and how many of them have a lumen.
    budding : int
        Tumour buds per 0.785 mm² of the tumour area.

    Raises
    ------
    ConfigError
        If a share is out of range, they add up to more than 1, or there is no tumour or stroma.

    Examples
    --------
    >>> Composition(tumour=0.4, stroma=0.35, lymphocytes=0.08, necrosis=0.05).rest
    0.12
    """

    tumour: float = 0.40
    stroma: float = 0.35
    lymphocytes: float = 0.08
    necrosis: float = 0.05
    grade: int = 2
    budding: int = 3

    def __post_init__(self) -> None:
        wrong = []
        for name, least in (
            ("tumour", 0.02),
            ("stroma", 0.02),
            ("lymphocytes", 0.0),
            ("necrosis", 0.0),
        ):
            value = getattr(self, name)
            if not least <= value <= 1:
                wrong.append(f"{name} {value} is not within {least:g} to 1")
        if not wrong and self.rest < -1e-9:
            wrong.append(f"the shares add up to {1 - self.rest:g}, more than 1")
        if self.grade not in (1, 2, 3):
            wrong.append(f"grade {self.grade} is none of 1, 2, 3")
        if not 0 <= self.budding <= _MOST_BUDS:
            wrong.append(f"budding {self.budding} is not within 0 to {_MOST_BUDS}")
        if wrong:
            raise ConfigError("composition: " + "; ".join(wrong))

    @property
    def rest(self) -> float:
        """Share of mucus and muscle."""
        return round(1.0 - self.tumour - self.stroma - self.lymphocytes - self.necrosis, 9)

    @classmethod
    def of_patient(cls, covariates: Covariates, row: int) -> Composition:
        """Take the composition of a patient of the synthetic study.

        Parameters
        ----------
        covariates : Covariates
            Of n patients.
        row : int
            Which one.

        Returns
        -------
        Composition
            With exactly the fractions on which the patient's hazards depend; more buds than can be
            told apart are cut off at 200.
        """
        shares = {
            name: float(getattr(covariates, f"{long}_fraction")[row])
            for name, long in _LONG_NAMES.items()
        }
        return cls(
            **shares,
            grade=int(covariates.grade[row]),
            budding=min(int(covariates.budding[row]), _MOST_BUDS),
        )


_LONG_NAMES = {
    "tumour": "tumour",
    "stroma": "stroma",
    "lymphocytes": "lymphocyte",
    "necrosis": "necrosis",
}
