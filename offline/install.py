"""Install metastra from this folder: no network, no root, nothing written outside the target.

Needs a Python of the version that ``about.json`` names and nothing else: the installer lies among
the wheels.  First every file is held against SHA256SUMS, then pip takes only wheels whose digest
stands in ``requirements.lock``.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUMS = "SHA256SUMS"
OK, UNFIT, DAMAGED, FAILED = 0, 2, 5, 1


def digest_of(path):
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def damage_of(folder):
    """Every difference between the folder and its SHA256SUMS, in words."""
    sums = folder / SUMS
    if not sums.is_file():
        return ["%s is missing: the folder was not copied whole" % SUMS]
    found, told = [], set()
    for number, line in enumerate(sums.read_text(encoding="utf-8").splitlines(), 1):
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name:
            found.append("%s, line %d: not a digest and a name" % (SUMS, number))
            continue
        told.add(name)
        path = folder / name
        if not path.is_file():
            found.append("%s: missing" % name)
        elif digest_of(path) != digest:
            found.append("%s: changed (its SHA-256 is not the one in %s)" % (name, SUMS))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in told and name != SUMS:
            found.append("%s: not listed in %s" % (name, SUMS))
    return found


def unfit(about):
    """Say what of this machine does not suit the wheels."""
    found = []
    here = "%d.%d" % sys.version_info[:2]
    if here != about["python"]:
        found.append(
            "this is Python %s, the wheels are for %s: PYTHON=python%s ./install.sh ..."
            % (here, about["python"], about["python"])
        )
    if platform.machine() != about["machine"]:
        found.append("this is a %s, the wheels are for %s" % (platform.machine(), about["machine"]))
    library, version = platform.libc_ver()
    if library != "glibc":
        found.append("the wheels need GNU libc %s, which is not here" % about["glibc"])
    elif _numbers(version) < _numbers(about["glibc"]):
        found.append(
            "GNU libc is %s here, %s needs %s" % (version, about["glibc_because"], about["glibc"])
        )
    return found


def _numbers(version):
    return [int(part) for part in version.split(".")]


def environment():
    """Take the caller's environment without what steers pip or Python, or what pip would start."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PATH": "/usr/bin:/bin"}


def install(target):
    """Make the environment and fill it from the wheels."""
    (pip,) = (HERE / "wheels").glob("pip-*.whl")
    python = target / "bin" / "python"
    subprocess.run(
        [sys.executable, "-I", "-m", "venv", "--without-pip", str(target)],
        env=environment(),
        check=True,
    )
    installer = [str(python), "-I", str(pip / "pip")]
    options = [
        "--isolated",
        "--no-index",
        "--find-links",
        str(HERE / "wheels"),
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--no-warn-script-location",
        "--root-user-action=ignore",
        "--quiet",
    ]
    lock = ["--requirement", str(HERE / "requirements.lock")]
    subprocess.run([*installer, "install", *options, *lock], env=environment(), check=True)
    subprocess.run([*installer, "check"], env=environment(), check=True, stdout=subprocess.DEVNULL)


def main(arguments=None):
    """Verify, install, say what comes next; gives the exit code."""
    parser = argparse.ArgumentParser(prog="install.sh", description=__doc__)
    parser.add_argument("target", type=Path, nargs="?", help="folder that is made")
    parser.add_argument(
        "--verify", action="store_true", help="only hold the folder against its sums"
    )
    given = parser.parse_args(arguments)
    if given.target is None and not given.verify:
        parser.error("name the folder that is to be made, for instance metastra-env")

    damage = damage_of(HERE)
    if damage:
        return _refuse("this folder is not the one that was built", damage, DAMAGED)
    print("%s: every file is the one that was built" % HERE, flush=True)
    if given.verify:
        return OK
    target = given.target.absolute()
    problems = unfit(json.loads((HERE / "about.json").read_text(encoding="utf-8")))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        problems.append("%s is there and not empty: name another folder" % target)
    if target == HERE or HERE in target.parents:
        problems.append("%s lies in the folder of the wheels: name one outside" % target)
    if problems:
        return _refuse("nothing was installed", problems, UNFIT)
    try:
        install(target)
    except (OSError, subprocess.CalledProcessError, KeyboardInterrupt) as error:
        shutil.rmtree(str(target), ignore_errors=True)
        return _refuse("nothing was installed", [str(error) or "interrupted"], FAILED)
    print("installed in %s. Research use only: not for diagnosis or treatment." % target)
    print("next: %s/bin/metastra doctor" % target)
    print("then: %s/bin/metastra demo demo" % target)
    return OK


def _refuse(what, problems, code):
    print("%s:" % what, file=sys.stderr)
    for problem in problems:
        print("  %s" % problem, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
