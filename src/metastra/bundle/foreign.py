"""A model that is not ours, from its description to the files of a draft that can be locked."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from metastra.bundle.contract import (
    Contract,
    Cutpoints,
    EndpointStatement,
    IntendedUse,
    MissingRule,
    Positive,
    Predictor,
    Probability,
    SlideContract,
    Words,
)
from metastra.bundle.layout import Part
from metastra.bundle.manifest import Digest, Name
from metastra.bundle.parts import Argument, Development, ExternalModel, ProgramFile, SelfTest
from metastra.bundle.plans import AnalysisPlan, ChangePlan, PrimaryMeasure
from metastra.bundle.writing import bundle_files
from metastra.cohort.tables import Table, read_table, require_columns
from metastra.cohort.values import numbers
from metastra.digest import digest_file, digest_value
from metastra.errors import ConfigError, DataError

__all__ = ["external_bundle_files"]

_GROUPS = {1: ("low", "high"), 2: ("low", "intermediate", "high")}


class _Input(Part):
    """One column that the program reads."""

    kind: Literal["continuous", "ordinal", "categorical", "binary"]
    levels: tuple[str, ...] = ()
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    validated_low: float | None = None
    validated_high: float | None = None
    missing: Literal["refuse", "pass"] = "refuse"


class _Program(Part):
    command: Annotated[tuple[Argument, ...], Field(min_length=1)]
    container: Digest | None = None
    program_files: tuple[Argument, ...] = ()
    input_description: Words
    output_description: Words
    id_column: Words = "PATIENT"
    risk_columns: tuple[str, ...]
    score_column: str | None = None
    timeout_s: Positive = 600.0


class _Description(Part):
    """The TOML file that describes a foreign model."""

    name: Name
    version: Annotated[int, Field(ge=1)] = 1
    time_unit: Literal["days", "months", "years"]
    horizons: tuple[Positive, ...]
    primary_horizon: Positive
    cutpoints: tuple[Probability, ...] = ()
    endpoint: EndpointStatement
    intended_use: IntendedUse = IntendedUse()
    input: dict[str, _Input]
    slides: SlideContract | None = None
    preprocessing: Words = "inside the program"
    program: _Program
    self_test: str
    """Path of a table: the input columns and the outputs that belong to them."""
    tolerance: Annotated[float, Field(gt=0, le=1e-2)] = 1e-6


def external_bundle_files(path: Path) -> dict[str, bytes]:
    """Make the draft of a foreign model from its description.

    Parameters
    ----------
    path : Path
        TOML; ``self_test`` and ``program_files`` are relative to it or absolute.

    Returns
    -------
    dict of str to bytes
        A draft of kind ``external``.

    Raises
    ------
    ConfigError
        If the description cannot be read or contradicts itself, or a program file is not here.
    DataError
        If the table of the self-test cannot be used.
    """
    said = _read(path)
    predictors = tuple(_predictor(name, column) for name, column in said.input.items())
    cuts = None
    if said.cutpoints:
        k = len(said.cutpoints)
        names = _GROUPS.get(k, tuple(f"group {i + 1}" for i in range(k + 1)))
        cuts = Cutpoints(
            horizon=said.primary_horizon,
            values=said.cutpoints,
            names=names,
            source="stated by the model's developers",
        )
    contract = Contract(
        intended_use=said.intended_use,
        endpoint=said.endpoint,
        time_unit=said.time_unit,
        horizons=said.horizons,
        primary_horizon=said.primary_horizon,
        cutpoints=cuts,
        predictors=predictors,
        slides=said.slides,
        preprocessing=said.preprocessing,
        missing_rule="the foreign program decides where `pass` is declared; else there is no risk",
    )
    model = _model(said, path.parent)
    found = [*contract.contradictions(), *model.contradictions(len(said.horizons))]
    if found:
        raise ConfigError(f"{path.name}: {'; '.join(found)}")
    return bundle_files(
        name=said.name,
        version=said.version,
        contract=contract,
        plan=_plan(contract),
        change_plan=ChangePlan(),
        development=Development(statement="developed by others; their data were not seen here"),
        self_test=_self_test(said, path.parent / said.self_test),
        model=model,
        parents={"description": digest_value(said.model_dump(mode="json"))},
    )


def _read(path: Path) -> _Description:
    try:
        value = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path.name}: {error}") from None
    try:
        return _Description.model_validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        words = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:10]]
        raise ConfigError(f"{path.name}: {'; '.join(words)}") from None


def _predictor(name: str, column: _Input) -> Predictor:
    given = column.model_dump()
    given["missing"] = MissingRule(rule=column.missing)
    return Predictor(name=name, **given)


def _model(said: _Description, folder: Path) -> ExternalModel:
    files = []
    folder = folder.resolve()
    for name in said.program.program_files:
        place = folder / name
        if not place.is_file():
            raise ConfigError(f"program_files: {place} is no file here; lock where the program is")
        files.append(ProgramFile(path=name, sha256=digest_file(place)))
    given = said.program.model_dump()
    given["program_files"] = tuple(files)
    return ExternalModel(**given, program_dir=str(folder))


def _plan(contract: Contract) -> AnalysisPlan:
    return AnalysisPlan(
        primary=PrimaryMeasure(measure="auc", horizon=contract.primary_horizon),
        cutpoints=contract.cutpoints.values if contract.cutpoints else (),
        missing_data="predictors as the contract says; outcomes are never imputed",
        ties="equal risks count one half",
        competing_risks=(
            "competing events are not censored: Aalen-Johansen for observed risks; in the AUC a "
            "patient with a competing event by the horizon is a control"
        ),
    )


def _self_test(said: _Description, path: Path) -> SelfTest:
    outputs = [*said.program.risk_columns]
    outputs += [said.program.score_column] if said.program.score_column else []
    table, problems = read_table(path)
    if table is not None:
        problems += require_columns(table, [*said.input, *outputs])
    if table is None or problems:
        raise DataError(f"the self-test {path.name} cannot be used", problems)
    found = {name: _numbers(table, name) for name in outputs}
    cells = [table.column(name) for name in said.input]
    scores = found[said.program.score_column] if said.program.score_column else []
    return SelfTest(
        tolerance=said.tolerance,
        columns=tuple(said.input),
        rows=tuple(zip(*cells, strict=True)),
        risks=tuple(zip(*(found[name] for name in said.program.risk_columns), strict=True)),
        risk_scores=tuple(scores),
    )


def _numbers(table: Table, name: str) -> list[float]:
    values, problems = numbers(table, name)
    if problems or values.size != len(table) or not (values == values).all():
        raise DataError(f"the self-test's column {name!r} must hold a number in each row", problems)
    return [float(value) for value in values]
