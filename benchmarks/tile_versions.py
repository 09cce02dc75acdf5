"""`python -m benchmarks.tile_versions SRC...`: `morphology` of several checkouts, in turn.

Each ``src`` folder is served by a process of its own that waits for its turn; CPU times of one
thread, the first folder against all others, with how many numbers differ.  Tiles are every eighth
ORION tile of 224 px, and the same mirrored to 256 px.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.cases import REPOSITORY
from benchmarks.machine import cpu_model, load
from metastra.encoders.morphology import Morphology

_ROUNDS = 25
_SIDES_PX = (224, 256)


def _tiles(side_px: int) -> NDArray[np.uint8]:
    shared = Path(os.environ.get("METASTRA_SHARED", REPOSITORY.parent / "shared"))
    paths = sorted((shared / "data" / "tiles" / "orion_crc_he").glob("*.png"))[::8]
    whole = [np.asarray(Image.open(path).convert("RGB"))[:224, :224] for path in paths]
    more = side_px - 224
    return np.stack(
        [np.pad(tile, ((0, more), (0, more), (0, 0)), mode="reflect") for tile in whole]
    )


def serve() -> None:
    """Write the features, then for each line that comes in the CPU seconds of each tile."""
    sets = [_tiles(side_px) for side_px in _SIDES_PX]
    encoders = [Morphology(tile_px=side_px) for side_px in _SIDES_PX]
    found = [one.encode(tiles) for one, tiles in zip(encoders, sets, strict=True)]
    sys.stdout.write(np.concatenate(found).tobytes().hex() + "\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        taken = []
        for one, tiles in zip(encoders, sets, strict=True):
            for tile in tiles:
                start = time.process_time()
                one.encode(tile[None])
                taken.append(time.process_time() - start)
        sys.stdout.write(" ".join(map(repr, taken)) + "\n")
        sys.stdout.flush()


def _start(source: str) -> subprocess.Popen[str]:
    here = os.environ | {"PYTHONPATH": f"{source}{os.pathsep}{REPOSITORY}"}
    here |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.tile_versions", "--serve"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=here
    )


def _line(server: subprocess.Popen[str], *, go: bool = True) -> str:
    if server.stdin is None or server.stdout is None:
        raise RuntimeError("a server without pipes")
    if go:
        server.stdin.write("go\n")
        server.stdin.flush()
    return server.stdout.readline()


def main(sources: list[str]) -> None:
    """Measure and print.

    Parameters
    ----------
    sources : list of str
        Folders that hold the package, the one of interest first.
    """
    servers = {source: _start(source) for source in sources}
    features = {
        source: np.frombuffer(bytes.fromhex(_line(one, go=False)), np.float32)
        for source, one in servers.items()
    }
    laps: dict[str, list[list[float]]] = {source: [] for source in sources}
    for _ in range(_ROUNDS):
        for source, server in servers.items():
            laps[source].append([1000.0 * float(one) for one in _line(server).split()])
    for server in servers.values():
        server.communicate()
    print(f"- Machine: {cpu_model()}; load {load()} at the end; {_ROUNDS} rounds.\n")
    print("| source | tile | median | best | tiles/s of the best | numbers that differ |")
    print("| --- | --: | --: | --: | --: | --: |")
    for source in sources:
        of_sides = np.array(laps[source]).reshape(_ROUNDS, len(_SIDES_PX), -1)
        differ = int((features[source].view(np.int32) != features[sources[0]].view(np.int32)).sum())
        for side, side_px in enumerate(_SIDES_PX):
            median, best = (
                float(how(of_sides[:, side], axis=0).mean()) for how in (np.median, np.min)
            )
            print(
                f"| {source} | {side_px} px | {median:.2f} ms | {best:.2f} ms | {1000 / best:.0f} "
                f"| {differ} of {features[source].size} |"
            )


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        main(sys.argv[1:])
