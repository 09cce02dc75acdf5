"""`Bundle`: a bundle that was read, with all its parts checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from metastra.bundle.contract import Contract
from metastra.bundle.folder import FolderReading
from metastra.bundle.layout import (
    CHANGE_PLAN,
    COMPANIONS,
    CONTRACT,
    DEVELOPMENT,
    ENCODER,
    EXTERNAL,
    MODEL,
    PLAN,
    POOLED_MODEL,
    SELFTEST,
    SLIDE_MODEL,
    Part,
    read_part,
)
from metastra.bundle.linear import LinearModel
from metastra.bundle.manifest import Manifest, Signature
from metastra.bundle.parts import Development, ExternalModel, SelfTest
from metastra.bundle.plans import AnalysisPlan, ChangePlan
from metastra.bundle.slide_model import SlideModel
from metastra.bundle.slide_parts import (
    EncoderStatement,
    SlideDevelopment,
    SlideParts,
    SlideSelfTest,
    companions_of,
    n_inputs,
    parts_contradictions,
    read_companions,
    refused,
)
from metastra.catalogue import problem
from metastra.errors import BundleError, ConfigError, Problem, Where

__all__ = ["Bundle", "assemble"]

_P = TypeVar("_P", bound=Part)


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """A model with everything that was promised about it.

    Parameters
    ----------
    path : Path
        The folder it was read from.
    manifest : Manifest
        Files, parents, version.
    signature : Signature or None
        None for a draft; it holds.
    contract : Contract
        What goes in and what comes out.
    plan : AnalysisPlan
        How it will be judged.
    change_plan : ChangePlan
        What may change.
    development : Development
        On whom it was fitted.
    self_test : SelfTest
        Stored inputs and outputs.
    model : LinearModel or ExternalModel
        The numbers, or the command; of kind ``slides`` the numbers of the primary risk layer.
    slides : SlideParts or None
        What reads the slides, with kind ``slides``.
    program_dir : Path or None
        Where a foreign program lies on this machine; None for the folder that was recorded.
    """

    path: Path
    manifest: Manifest
    signature: Signature | None
    contract: Contract
    plan: AnalysisPlan
    change_plan: ChangePlan
    development: Development
    self_test: SelfTest
    model: LinearModel | ExternalModel = field(repr=False)
    slides: SlideParts | None = field(default=None, repr=False)
    program_dir: Path | None = None

    @property
    def digest(self) -> str:
        """``"sha256:…"`` over the manifest, and so over every file but the signature."""
        return self.manifest.digest

    @property
    def kind(self) -> str:
        """``"linear"``, ``"external"`` or ``"slides"``."""
        return self.manifest.kind

    @property
    def name(self) -> str:
        """Of the study or model."""
        return self.manifest.name

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self.manifest.version

    @property
    def locked(self) -> bool:
        """Whether it is signed."""
        return self.signature is not None

    @property
    def key_id(self) -> str | None:
        """Id of the signer's key; None for a draft."""
        return None if self.signature is None else self.signature.key_id

    def with_program_dir(self, program_dir: Path | None) -> Bundle:
        """Say where the foreign program lies on this machine.

        Parameters
        ----------
        program_dir : Path or None
            Its folder; None leaves the one that was recorded.

        Returns
        -------
        Bundle
            Otherwise the same.

        Raises
        ------
        ConfigError
            If there is no such folder, or the bundle runs no program.
        """
        if program_dir is None:
            return self
        if self.kind != "external":
            raise ConfigError(f"--program-dir {program_dir}: a {self.kind} bundle runs no program")
        if not program_dir.is_dir():
            raise ConfigError(f"--program-dir {program_dir}: there is no such folder")
        return replace(self, program_dir=program_dir)


def assemble(path: Path, reading: FolderReading) -> Bundle:
    """Build a bundle from what was read.

    Parameters
    ----------
    path : Path
        The folder, for reference.
    reading : FolderReading
        Its bytes.

    Returns
    -------
    Bundle
        Sound.

    Raises
    ------
    BundleError
        With every problem of every file.
    """
    problems = list(reading.problems)
    manifest = reading.manifest
    if problems or manifest is None:
        raise BundleError(f"the bundle {path.name!r} is refused", problems)

    def part(kind: type[_P], name: str) -> _P | None:
        return _try(lambda: read_part(kind, name, reading.files[name]), problems)

    on_slides = manifest.kind == "slides"
    contract = part(Contract, CONTRACT)
    plan = part(AnalysisPlan, PLAN)
    change_plan = part(ChangePlan, CHANGE_PLAN)
    development = part(SlideDevelopment if on_slides else Development, DEVELOPMENT)
    self_test = part(SlideSelfTest if on_slides else SelfTest, SELFTEST)
    if contract is not None:
        problems += _contradictions(manifest, contract, plan, self_test)
    model: LinearModel | ExternalModel | None = None
    slides: SlideParts | None = None
    if contract is not None and not problems:
        model = _try(lambda: _model(manifest, contract, reading.files), problems)
        if on_slides:
            slides = _try(lambda: _slide_parts(contract, reading.files), problems)
    if (
        problems
        or contract is None
        or plan is None
        or change_plan is None
        or development is None
        or self_test is None
        or model is None
    ):
        raise BundleError(f"the bundle {path.name!r} is refused", problems)
    return Bundle(
        path=path,
        manifest=manifest,
        signature=reading.signature,
        contract=contract,
        plan=plan,
        change_plan=change_plan,
        development=development,
        self_test=self_test,
        model=model,
        slides=slides,
    )


_T = TypeVar("_T")


def _try(read: Callable[[], _T], problems: list[Problem]) -> _T | None:
    try:
        return read()
    except BundleError as error:
        problems += error.problems
        return None


def _model(
    manifest: Manifest, contract: Contract, files: dict[str, bytes]
) -> LinearModel | ExternalModel:
    if manifest.kind != "external":
        primary = "clinical" if contract.slides is None else contract.slides.primary
        return LinearModel.from_bytes(files[MODEL], contract, n_columns=n_inputs(primary, contract))
    model = read_part(ExternalModel, EXTERNAL, files[EXTERNAL])
    found = model.contradictions(len(contract.horizons))
    if found:
        raise BundleError("", [_contradiction(EXTERNAL, text) for text in found])
    return model


def _slide_parts(contract: Contract, files: dict[str, bytes]) -> SlideParts:
    slides = contract.slides
    if slides is None:
        raise refused(CONTRACT, ["it says nothing of slides"])
    encoder = read_part(EncoderStatement, ENCODER, files[ENCODER])
    if found := encoder.contradictions(slides):
        raise refused(ENCODER, found)
    parts = SlideParts(
        model=SlideModel.from_bytes(files[SLIDE_MODEL], slides.dimension),
        pooled=SlideModel.from_bytes(files[POOLED_MODEL], slides.dimension),
        companions=read_companions(files[COMPANIONS], contract),
        encoder=encoder,
    )
    if found := parts_contradictions(parts, slides):
        raise refused(POOLED_MODEL, found)
    return parts


def _contradictions(
    manifest: Manifest,
    contract: Contract,
    plan: AnalysisPlan | None,
    self_test: SelfTest | None,
) -> list[Problem]:
    """Compare the files with each other."""
    found = [(CONTRACT, text) for text in contract.contradictions()]
    found += [
        (CONTRACT, f"{predictor.name}: no program is there to pass cells to")
        for predictor in contract.predictors
        if manifest.kind != "external" and predictor.missing.rule == "pass"
    ]
    if (contract.slides is not None) != (manifest.kind == "slides"):
        said = "of slides" if contract.slides is not None else "nothing of slides"
        found.append((CONTRACT, f"it speaks {said} in a bundle of kind {manifest.kind}"))
    if plan is not None:
        found += [(PLAN, text) for text in plan.contradictions()]
        if plan.primary.horizon not in contract.horizons:
            text = f"the primary measure's horizon {plan.primary.horizon:g} is none of the contract"
            found.append((PLAN, text))
        cuts = contract.cutpoints.values if contract.cutpoints else ()
        if plan.cutpoints != cuts:
            found.append((PLAN, "its cut-points are not the contract's"))
    if self_test is not None:
        found += [(SELFTEST, text) for text in _selftest_contradictions(contract, self_test)]
    return [_contradiction(name, text) for name, text in found]


def _selftest_contradictions(contract: Contract, test: SelfTest) -> list[str]:
    found = []
    if set(test.columns) != {predictor.name for predictor in contract.predictors}:
        found.append("its columns are not the contract's predictors")
    if any(len(row) != len(test.columns) for row in test.rows):
        found.append("a row has another number of cells than there are columns")
    shape = (len(test.rows), len(contract.horizons))
    if len(test.risks) != shape[0] or any(len(row) != shape[1] for row in test.risks):
        found.append(f"its risks are not {shape[0]} rows of {shape[1]} horizons")
    if test.risk_scores and len(test.risk_scores) != shape[0]:
        found.append("it has not one score for each row")
    if isinstance(test, SlideSelfTest) and contract.slides is not None:
        found += test.contradictions(contract.slides, companions_of(contract))
    return found


def _contradiction(name: str, found: str) -> Problem:
    return problem("BU010", found, where=Where(file=name))
