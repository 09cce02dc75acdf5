"""Verify a bundle and say exactly what was checked, what was found and what was not run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from metastra.bundle.folder import FolderReading, read_folder
from metastra.bundle.history import SeenVersions
from metastra.bundle.layout import EXTERNAL, MANIFEST, SELFTEST, SIGNATURE
from metastra.bundle.opened import Bundle, assemble
from metastra.bundle.parts import ExternalModel
from metastra.bundle.running import program_state
from metastra.bundle.selftesting import run_self_test
from metastra.catalogue import problem
from metastra.errors import BundleError, Problem, Severity, Where
from metastra.signing import TrustList

__all__ = ["SelfTestResult", "Verdict", "verify_bundle"]

SelfTestResult = Literal["passed", "failed", "not run"]

_NOT_STARTED = (
    f"{EXTERNAL} names a program, and programs are started only for a signature that holds by a "
    "key given with --trust"
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a verification found.

    Parameters
    ----------
    path : Path
        The folder.
    bundle : Bundle or None
        None when it cannot be read.
    digest : str or None
        Of the bundle, where its manifest can be read.
    problems : tuple of Problem
        Refusals, and warnings about what was not checked.
    signer : str
        Who signed it and whether that key is trusted, in words.
    self_test : {"passed", "failed", "not run"}
        Never "passed" for what was not run.
    self_test_why : str
        Why it was not run.
    files : tuple of str
        Files whose digests were recomputed.
    """

    path: Path
    bundle: Bundle | None
    digest: str | None
    problems: tuple[Problem, ...]
    signer: str
    self_test: SelfTestResult
    self_test_why: str = ""
    files: tuple[str, ...] = ()

    @property
    def container(self) -> str | None:
        """What is known of the container's digest; None where none is declared."""
        model = None if self.bundle is None else self.bundle.model
        declared = isinstance(model, ExternalModel) and model.container is not None
        return "declared, not checked" if declared else None

    @property
    def sound(self) -> bool:
        """Whether nothing is refused."""
        return not any(one.severity is Severity.REFUSE for one in self.problems)

    def require(self) -> Bundle:
        """Give the bundle, or refuse it.

        Returns
        -------
        Bundle
            Sound.

        Raises
        ------
        BundleError
            With every problem.
        """
        if not self.sound or self.bundle is None:
            raise BundleError(f"the bundle {self.path.name!r} does not hold", self.problems)
        return self.bundle

    def to_json(self) -> Mapping[str, Any]:
        """Write the verdict as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        known = self.bundle
        return {
            "bundle": self.digest,
            "kind": known and known.kind,
            "name": known and known.name,
            "version": known and known.version,
            "locked": known is not None and known.locked,
            "signer": self.signer,
            "files": list(self.files),
            "self_test": self.self_test,
            "self_test_why": self.self_test_why or None,
            "container_digest": self.container,
            "sound": self.sound,
            "problems": [one.to_json() for one in self.problems],
        }


def verify_bundle(
    path: Path,
    *,
    trusted: TrustList | None = None,
    allow_unsigned: bool = False,
    at_least: int | None = None,
    seen: SeenVersions | None = None,
    program_dir: Path | None = None,
) -> Verdict:
    """Recompute everything that a bundle promises about itself.

    Parameters
    ----------
    path : Path
        Its folder.
    trusted : TrustList, optional
        Keys that are believed.  Without them the signature is checked, but whose key it is
        remains open, and the program of a foreign model is not started.
    allow_unsigned : bool
        Let a draft pass with a warning.
    at_least : int, optional
        Lowest version that is accepted.
    seen : SeenVersions, optional
        What was accepted before; an older or another bundle of the same version is refused.
    program_dir : Path, optional
        Where a foreign program lies on this machine; by default the folder that was recorded.

    Returns
    -------
    Verdict
        With all problems; it raises nothing about the bundle itself.

    Raises
    ------
    ConfigError
        If there is no `program_dir`, or the bundle runs no program.

    Notes
    -----
    For a trusted signer a foreign program that is not here is refused (BU019): who gave a key asks
    whether the model works.  The digest of a container is part of what was signed, but no image is
    looked at.
    """
    reading = read_folder(path)
    problems = list(reading.problems)
    bundle: Bundle | None = None
    if not problems:
        try:
            bundle = assemble(path, reading).with_program_dir(program_dir)
        except BundleError as error:
            problems += error.problems
    signer, found = _signer(reading, trusted, allow_unsigned=allow_unsigned)
    problems += found
    if bundle is not None:
        problems += _rollback(bundle, at_least, seen)
    believed = bool(trusted) and not found and reading.signature is not None
    result, why, found = _self_test(
        bundle, believed=believed, run_programs=believed and not problems
    )
    problems += found
    named = () if reading.manifest is None else tuple(sorted(reading.manifest.files))
    return Verdict(
        path=path,
        bundle=bundle,
        digest=None if reading.manifest is None else reading.manifest.digest,
        problems=tuple(problems),
        signer=signer,
        self_test=result,
        self_test_why=why,
        files=named,
    )


def _signer(
    reading: FolderReading, trusted: TrustList | None, *, allow_unsigned: bool
) -> tuple[str, list[Problem]]:
    where = Where(file=SIGNATURE)
    said = [one for one in reading.problems if one.where.file == SIGNATURE]
    if reading.signature is None:
        if reading.manifest is None or said:
            return "not known: manifest or signature cannot be read", []
        severity = Severity.WARN if allow_unsigned and trusted is None else None
        return "nobody: it is a draft", [
            problem("BU011", "it is a draft", where=where, severity=severity)
        ]
    key = reading.signature.key_id
    if said:
        return f"not known: the signature that names {key} does not hold", []
    if trusted is None:
        return f"{key}, not compared with any key you trust (give --trust KEY)", []
    if trusted.find(key) is None:
        return f"{key}, which is not trusted", [problem("BU013", f"signed by {key}", where=where)]
    return f"{key}, trusted", []


def _rollback(bundle: Bundle, at_least: int | None, seen: SeenVersions | None) -> list[Problem]:
    where = Where(file=MANIFEST)
    problems = []
    if at_least is not None and bundle.version < at_least:
        found = f"version {bundle.version}; at least {at_least} is expected"
        problems.append(problem("BU014", found, where=where))
    if seen is not None and (found := seen.objection(bundle)):
        problems.append(problem("BU014", found, where=where))
    return problems


def _self_test(
    bundle: Bundle | None, *, believed: bool, run_programs: bool
) -> tuple[SelfTestResult, str, list[Problem]]:
    if bundle is None:
        return "not run", "the bundle cannot be read", []
    if isinstance(bundle.model, ExternalModel):
        missing, found = program_state(bundle.model.placed(bundle.program_dir))
        if found:
            return "failed", "", [*found, *(missing if believed else [])]
        why = _why_not(missing, run_programs=run_programs)
        if missing and believed:
            return "not run", why, missing
        if why:
            warning = problem("BU016", why, where=Where(file=SELFTEST))
            return "not run", why, [warning]
    found = run_self_test(bundle, run_programs=run_programs)
    return ("failed" if found else "passed"), "", found


def _why_not(missing: list[Problem], *, run_programs: bool) -> str:
    """Say why a foreign program is not started; empty when it can be."""
    if missing:
        return "; ".join(one.found for one in missing)
    return "" if run_programs else _NOT_STARTED
