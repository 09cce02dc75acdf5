"""`python -m offline`: build the folder of an offline installation (`make wheelhouse`)."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from offline.folder import INSTALLER, fill_folder
from offline.wheels import WheelError, sha256_of

_REPOSITORY = Path(__file__).resolve().parents[1]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _names(text: str) -> list[str]:
    return sorted({name.strip() for name in text.split(",") if name.strip()})


def _source_time_s() -> int:
    """Time of the last commit: equal sources then give equal bytes."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    with contextlib.suppress(FileNotFoundError, subprocess.CalledProcessError):
        done = subprocess.run(
            ["git", "log", "-1", "--format=%ct"],
            cwd=_REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)
    # no repository or no git: an unpacked source archive, whose files are as old as it is
    return int((_REPOSITORY / "LICENSE").stat().st_mtime)


def _collect(wheels: Path, extras: list[str], made_s: int) -> None:
    """Build metastra's wheel and fetch the others from the index that pip is set up with."""
    own = f"{_REPOSITORY}[{','.join(extras)}]" if extras else str(_REPOSITORY)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--constraint", str(_REPOSITORY / "constraints-cpu.txt")),
            *("--wheel-dir", str(wheels), own, INSTALLER),
        ],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(made_s)},
        check=False,
    )
    if done.returncode:
        raise WheelError("pip could not get every wheel; its message stands above")


def _free(out: Path) -> None:
    """Take away an older folder of ours; anything else is left where it is."""
    if not out.exists():
        return
    if not (out / "about.json").is_file() or not (out / "requirements.lock").is_file():
        raise WheelError(f"{out} is there and is no offline installation: name another with --out")
    shutil.rmtree(out)


def _build(out: Path, extras: list[str], accepted: list[str]) -> None:
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "wheels").mkdir(parents=True)
    try:
        made_s = _source_time_s()
        _say("collecting wheels (a minute or two, most of it torch)")
        _collect(part / "wheels", extras, made_s)
        about = fill_folder(part, extras, accepted, made_s)
        _free(out)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    files = [path for path in out.rglob("*") if path.is_file()]
    size_mb = sum(path.stat().st_size for path in files) / 1e6
    print(f"{out}: metastra {about['metastra']}, {len(files)} files, {size_mb:.0f} MB")
    print(f"for Python {about['python']}, {about['machine']}, GNU libc {about['glibc']} or newer")
    print(f"SHA-256 of SHA256SUMS, to be told by another way: {sha256_of(out / 'SHA256SUMS')}")
    print(f"next, on the machine inside: {out.name}/install.sh metastra-env")


def main() -> int:
    """Read the options and build.

    Returns
    -------
    int
        0, or 2 when the folder could not be made.
    """
    parser = argparse.ArgumentParser(prog="python -m offline", description=__doc__)
    parser.add_argument("--out", type=Path, default=_REPOSITORY / "wheelhouse")
    parser.add_argument("--extras", type=_names, default=["learn", "xlsx"], metavar="NAME,NAME")
    parser.add_argument("--accept", type=_names, default=[], metavar="PACKAGE,PACKAGE")
    given = parser.parse_args()
    try:
        _build(given.out.resolve(), given.extras, given.accept)
    except WheelError as error:
        _say(f"no offline installation was made: {error}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
