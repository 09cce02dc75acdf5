"""A slide of any size in bounded memory: from its file to its features."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from benchmarks.large_file import DOWNS, MPP, large_slide, tissue_cells

from metastra.slides.opening import open_slide
from metastra.slides.scaled import read_scaled

SOURCE = "data/wsi/CMU-1-Small-Region.svs"

EXTRACTED = """
    import json, resource, sys
    from pathlib import Path
    from metastra.executor import Serial
    from metastra.pipeline.extract import ExtractRequest, extract

    slide, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    summary = extract(ExtractRequest(slides=(slide,), out=out), executor=Serial())
    lines = Path("/proc/self/status").read_text().splitlines()
    space = next(int(line.split()[1]) for line in lines if line.startswith("VmPeak"))
    fate = summary.fates[0]
    found = None if fate.outcome is None else [fate.outcome.n_tiles, fate.outcome.n_grid]
    print(json.dumps([1024 * space, found, summary.lines()[0]]))
"""

MAP_PX_BYTES = 80
"""Declared: what quality takes for a pixel of its maps, of 8 µm and at most six million."""
GRID_BYTES = 250
"""Declared: what the choice of tiles takes for one of the grid."""


def extracted(slide, out, limit=0):
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(EXTRACTED), str(slide), str(out), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        # as a pool starts its workers: a further arena takes 64 MB of the address space
        env={**os.environ, "MALLOC_ARENA_MAX": "2", "NUMBA_NUM_THREADS": "1"},
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_a_large_slide_is_one_picture_at_every_level(shared, tmp_path):
    """Tissue and glass lie at the same places, and both readers agree on the pixels."""
    path = large_slide(tmp_path / "a.tif", shared / SOURCE, 9_216)
    assert path.stat().st_size < 6_000_000
    with open_slide(path) as slide:
        assert slide.info.mpp_x == pytest.approx(MPP)
        assert [level.downsample for level in slide.info.levels] == pytest.approx(DOWNS, rel=0.01)
        assert slide.reading(0).direct
        fine = read_scaled(slide, 0, 0, 8_192, 8_192, 1_024, 1_024)
        small = read_scaled(slide, 0, 0, 8_192, 8_192, 256, 256)
    mean = fine.reshape(256, 4, 256, 4, 3).mean(axis=(1, 3))
    assert np.abs(mean - small).mean() < 3.0
    cells = tissue_cells(9, 0.3)
    assert np.count_nonzero(cells) / cells.size == pytest.approx(0.3, abs=0.02)
    stained = small.reshape(8, 32, 8, 32, 3).std(axis=(1, 3)).max(axis=2) > 10
    assert np.array_equal(stained, cells[:8, :8])


@pytest.mark.slow
def test_memory_does_not_go_with_the_area_of_a_slide(shared, tmp_path):
    """Sixteen times the area, in the address space of the small one and what is declared."""
    small, large = (
        large_slide(tmp_path / f"{side}.tif", shared / SOURCE, side) for side in (10_000, 40_000)
    )
    space, (few, _), _ = extracted(small, tmp_path / "small")
    maps = MAP_PX_BYTES * (round(40_000 * MPP / 8) ** 2 - 512**2)
    grid = GRID_BYTES * int(40_000 * MPP / 112) ** 2
    _, found, told = extracted(large, tmp_path / "large", space + maps + grid)
    assert found is not None, told
    kept, of = found
    assert of == int(40_000 * MPP / 112) ** 2
    assert kept > 10 * few > 1_000
