"""Further pieces of a bundle: on whom it was fitted, its self-test, a foreign model's command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from metastra.bundle.contract import Words
from metastra.bundle.layout import Part
from metastra.bundle.manifest import Digest, Sha256

__all__ = [
    "Coefficient",
    "CohortFacts",
    "Development",
    "ExternalModel",
    "PenaltyChoice",
    "ProgramFile",
    "SelfTest",
]

Count = Annotated[int, Field(ge=0)]
Argument = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]


class CohortFacts(Part):
    """Patients and events of one development cohort."""

    n: Count
    events: Count
    competing: Count


class PenaltyChoice(Part):
    """How strongly one cause's coefficients are shrunk, and how that was chosen."""

    cause: Literal["event", "competing"]
    events: Count
    ridge: Annotated[float, Field(ge=0)]
    l1: Annotated[float, Field(ge=0)]
    cross_validated_gain: float | None
    """Cross-validated log partial likelihood above that of no predictors at all."""
    chosen_by: Words


class Coefficient(Part):
    """One column of the model."""

    column: str
    unit: str
    """What one unit of it is."""
    hazard_ratio_event: Annotated[float, Field(gt=0)]
    hazard_ratio_competing: Annotated[float, Field(gt=0)] | None = None


class Development(Part):
    """``development.json``: on whom the model was fitted, for people and model cards."""

    format: Literal["metastra-development-1"] = "metastra-development-1"
    statement: Words
    cohorts: dict[str, CohortFacts] = Field(default_factory=dict)
    observed_risk: dict[str, float] = Field(default_factory=dict)
    """Aalen-Johansen risk of the event by each horizon, all development cohorts together."""
    observed_competing: dict[str, float] = Field(default_factory=dict)
    lost: dict[str, float] = Field(default_factory=dict)
    """Share of patients censored before each horizon."""
    events_per_column: float | None = None
    penalties: tuple[PenaltyChoice, ...] = ()
    coefficients: tuple[Coefficient, ...] = ()


class SelfTest(Part):
    """``selftest.json``: made-up patients and the outputs that belong to them."""

    format: Literal["metastra-selftest-1"] = "metastra-selftest-1"
    tolerance: Annotated[float, Field(gt=0, le=1e-2)] = 1e-6
    columns: tuple[str, ...]
    rows: Annotated[tuple[tuple[str | None, ...], ...], Field(min_length=1, max_length=1000)]
    """Cells as text with decimal points; null where missing."""
    risks: tuple[tuple[float, ...], ...]
    """One row per patient, one number per horizon of the contract."""
    risk_scores: tuple[float, ...] = ()
    """Empty where the model gives none."""


class ProgramFile(Part):
    """A file of a foreign program, which must be as it was when the model was locked."""

    path: Argument
    """As the description named it: relative to the program's folder, or absolute."""
    sha256: Sha256


class ExternalModel(Part):
    """``external.json``: a model that is not ours, run as a program over a table."""

    format: Literal["metastra-external-1"] = "metastra-external-1"
    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=256)]
    """Program and arguments; ``{input}`` and ``{output}`` stand for the two tables.  No shell."""
    container: Digest | None = None
    """Digest of the container image, where the program runs in one; declared, never compared."""
    program_dir: Argument | None = None
    """Folder of the program where the model was locked; on another machine it is stated anew."""
    program_files: tuple[ProgramFile, ...] = ()
    input_description: Words
    output_description: Words
    id_column: Words = "PATIENT"
    risk_columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns of the output table, one for each horizon of the contract."""
    score_column: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=86400)] = 600.0

    def placed(self, program_dir: Path | None = None) -> ExternalModel:
        """Name the program's files in full, in the command too: it runs in an empty folder.

        Parameters
        ----------
        program_dir : Path, optional
            Where the program lies on this machine; by default the folder that was recorded.

        Returns
        -------
        ExternalModel
            Whose `program_files` are absolute; those that were locked absolute stay as they are.
        """
        folder = Path(self.program_dir or ".") if program_dir is None else program_dir
        known = {item.path: str(folder.absolute() / item.path) for item in self.program_files}
        files = tuple(
            item.model_copy(update={"path": known[item.path]}) for item in self.program_files
        )
        command = tuple(known.get(word, word) for word in self.command)
        return self.model_copy(update={"command": command, "program_files": files})

    def contradictions(self, n_horizons: int) -> list[str]:
        """Look for a command that cannot be run.

        Parameters
        ----------
        n_horizons : int
            Horizons of the contract.

        Returns
        -------
        list of str
            Empty for a sound declaration.
        """
        text = "\0".join(self.command)
        marks = ("{input}", "{output}")
        found = [f"the command does not name {mark}" for mark in marks if mark not in text]
        if len(self.risk_columns) != n_horizons:
            found.append(f"{len(self.risk_columns)} risk columns for {n_horizons} horizons")
        return found
