"""Open a bundle: every digest recomputed, the signature checked, the self-test run."""

from __future__ import annotations

from pathlib import Path

from metastra.bundle.folder import read_folder
from metastra.bundle.layout import SIGNATURE
from metastra.bundle.opened import Bundle, assemble
from metastra.bundle.selftesting import run_self_test
from metastra.catalogue import problem
from metastra.errors import BundleError, Where
from metastra.signing import TrustList

__all__ = ["open_bundle"]


def open_bundle(
    path: Path,
    *,
    trusted: TrustList | None = None,
    locked: bool = False,
    self_test: bool = True,
    program_dir: Path | None = None,
) -> Bundle:
    """Open a bundle.

    Parameters
    ----------
    path : Path
        Its folder.
    trusted : TrustList, optional
        Keys whose signature is required; without them any sound signature is accepted, and a
        draft too.
    locked : bool
        Refuse a draft.
    self_test : bool
        Run the numeric self-test, which takes milliseconds.  The program of a
        foreign model is never started here.
    program_dir : Path, optional
        Where a foreign program lies on this machine; by default the folder that was recorded.

    Returns
    -------
    Bundle
        Read once: what was checked is what is used.

    Raises
    ------
    BundleError
        With every problem and the file it is in.
    ConfigError
        If there is no `program_dir`, or the bundle runs no program.

    Notes
    -----
    Nothing in a bundle is code: JSON in one canonical form and safetensors of known names, types
    and shapes.  Links, folders, archives and unknown files are refused.
    """
    bundle = assemble(path, read_folder(path)).with_program_dir(program_dir)
    problems = []
    if bundle.signature is None and (locked or trusted is not None):
        problems.append(problem("BU011", "it is a draft", where=Where(file=SIGNATURE)))
    elif bundle.signature is not None and trusted is not None:
        found = f"signed by {bundle.key_id}"
        if trusted.find(bundle.signature.key_id) is None:
            problems.append(problem("BU013", found, where=Where(file=SIGNATURE)))
    if self_test and bundle.kind != "external" and not problems:
        problems = run_self_test(bundle)
    if problems:
        raise BundleError(f"the bundle {path.name!r} is refused", problems)
    return bundle
