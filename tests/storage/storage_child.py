"""Work that the storage tests run in processes of their own, to be killed or starved there."""

from __future__ import annotations

import json
import os
import pwd  # noqa: F401 - loaded before the rights to load it are given up
import resource
import sys
import time
from pathlib import Path

from metastra.errors import MetastraError
from metastra.storage import (
    Recipe,
    hold,
    is_complete,
    read_product_bytes,
    sweep_orphans,
    use_file_ops,
    write_product,
)
from metastra.testing.faulty_ops import CountingOps, KillingOps

NOBODY = 65534
PRODUCTS = [f"part/p{number}" for number in range(4)]


def content(name: str, version: int) -> dict[str, bytes]:
    """Three files; version 1 has one that version 2 has not, and the other way round."""
    seed = f"{name} {version} ".encode()
    base = f"out/{name}"
    return {
        f"{base}/table.csv": seed * 50,
        f"{base}/weights.bin": seed * 5000,
        f"{base}/only-{version}.txt": seed,
    }


def recipe(version: int) -> Recipe:
    return Recipe(kind="trial", settings={"version": version})


def write(run: Path, name: str, version: int) -> None:
    write_product(run, name, recipe(version), content(name, version))


def bring_to(run: Path, version: int, *, say: bool = False) -> None:
    """What a resumable step does: sweep, then make what is not complete."""
    sweep_orphans(run, older_than_s=0)
    for name in PRODUCTS:
        if not is_complete(run, name, recipe(version)):
            write(run, name, version)
            if say:
                sys.stdout.write(f"{name} {version}\n")
                sys.stdout.flush()


def look(run: Path, names: list[str]) -> dict[str, int]:
    """Version of each complete product; raises if anything is half-written or mixed.

    Every file that has its final name must be whole, and a product that counts as complete must
    have exactly the files of one version.
    """
    complete = {}
    for name in names:
        allowed = {**content(name, 1), **content(name, 2)}
        for file in allowed:
            if (run / file).exists():
                whole = {content(name, version).get(file) for version in (1, 2)}
                if (run / file).read_bytes() not in whole:
                    raise AssertionError(f"{file} is half-written")
        versions = [version for version in (1, 2) if is_complete(run, name, recipe(version))]
        for version in versions:
            for file, expected in content(name, version).items():
                if read_product_bytes(run, name, file) != expected:
                    raise AssertionError(f"{name} counts as version {version} and is not")
            complete[name] = version
        if len(versions) > 1:
            raise AssertionError(f"{name} counts as two versions")
        if not versions and is_complete(run, name):
            raise AssertionError(f"{name} counts as complete, but as no known version")
    return complete


def kill_steps(folder: Path, start: int) -> None:
    """Kill before each operation of a write; `start` 0 writes anew, 1 replaces version 1."""
    # Not above: the process that is started 200 times does without it.
    from metastra.testing.faults import kill_at_every_step

    def prepare(run: Path) -> None:
        if start:
            write(run, "one", 1)

    def action(run: Path) -> None:
        sweep_orphans(run, older_than_s=0)
        if not is_complete(run, "one", recipe(2)):
            write(run, "one", 2)

    steps = kill_at_every_step(
        action, folder, prepare=prepare, check=lambda run: look(run, ["one"])
    )
    sys.stdout.write(json.dumps(steps))


def loop(run: Path) -> None:
    """Make all products, then make them again in another version."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    bring_to(run, 1, say=True)
    bring_to(run, 2, say=True)


def same(run: Path) -> None:
    """Write the same products as others do at the same time, and read each back at once."""
    for number in range(25):
        name = f"same-{number}"
        write(run, name, 1)
        for file, expected in content(name, 1).items():
            if read_product_bytes(run, name, file) != expected:
                raise AssertionError(f"{file} is not what was just written")


def prepare_a(run: Path) -> None:
    """Make the small product that has to survive."""
    write_product(run, "a", recipe(1), {"a.bin": b"s" * 100_000})


def starve(run: Path) -> None:
    """Replace the small product by one that does not fit; tell what happened."""
    large = {"a.bin": b"l" * 3_000_000}
    _tell(run, lambda: write_product(run, "a", recipe(2), large))


def small_files(run: Path) -> None:
    """Write small products until something refuses."""

    def fill() -> None:
        for number in range(100):
            write_product(run, f"n{number}", recipe(1), {f"n{number}.txt": b"x"})

    _tell(run, fill)


def limited(run: Path) -> None:
    """As `starve`, with a limit on the size of a file instead of a full disk."""
    prepare_a(run)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    starve(run)


def one_more(run: Path) -> None:
    """Try to write one product where that may not be allowed."""
    _tell(run, lambda: write_product(run, "b", recipe(1), {"b.bin": b"b"}))


def one_more_as_nobody(run: Path) -> None:
    """As `one_more`, without the rights that root has."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    one_more(run)


def hold_lock(run: Path) -> None:
    """Hold the run and a forked worker, and wait to be killed."""
    with hold(run):
        if not os.fork():
            # Said by the worker itself: only now it has let go of what it inherited.
            sys.stdout.write(f"{os.getpid()}\n")
            sys.stdout.flush()
            time.sleep(60)
            os._exit(0)
        time.sleep(60)


def die_in_commit(run: Path) -> None:
    """Be killed while the records are locked: right after the rename that retires the old one."""
    for trial in (run / "counted", run):
        write(trial, "one", 1)
    with use_file_ops(CountingOps()) as ops:
        write(run / "counted", "one", 2)
    with use_file_ops(KillingOps(ops.steps.index("replace") + 2)) as ops:
        write(run, "one", 2)
    raise AssertionError(f"still alive after {ops.steps}")


def _tell(run: Path, action: object) -> None:
    error: MetastraError | None = None
    try:
        action()
    except MetastraError as caught:
        error = caught
    facts = {
        "error": type(error).__name__,
        "errno": getattr(error, "errno", None),
        "text": str(error),
        "old_complete": is_complete(run, "a", recipe(1)),
        "parts": len(list(run.rglob(".part-*"))),
    }
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    mode, where, *rest = sys.argv[1:]
    globals()[mode](Path(where), *map(int, rest))
