"""The pages about features: their commands run, their examples work, their table is true."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from extraction.small_slides import write_slide
from features.bags import make_bag, store
from metastra.executor import Serial
from metastra.features.writing import write_own
from metastra.pipeline.extract import ExtractRequest, extract

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page, language):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_reading_example_runs(tmp_path, monkeypatch, capsys):
    """Twenty words of Python from the reference page."""
    store(tmp_path / "features/slide-7.h5", write_own(make_bag(9)))
    monkeypatch.chdir(tmp_path)
    (text,) = blocks("reference/feature-files.md", "python reading")
    names: dict[str, object] = {}
    exec(text, names)

    assert names["some"].shape == (2, 5)
    assert names["middle_um"].shape == (9, 2)
    assert "morphology" in capsys.readouterr().out


@pytest.mark.slow
def test_the_commands_of_the_pages_run(tmp_path):
    """Extract, then convert there and back, as the pages say it and with what they show."""
    (tmp_path / "slides").mkdir()
    for number in (7, 8):
        write_slide(tmp_path / f"slides/slide-{number}.tif", side=700, seed=number)
    shown = []
    for page in ("how-to/extract-features.md", "how-to/convert-features.md"):
        for line in "".join(blocks(page, "sh")).splitlines():
            program, *rest = shlex.split(line)
            assert program == "metastra"
            made = subprocess.run(
                [sys.executable, "-m", "metastra", *rest],
                capture_output=True,
                text=True,
                check=False,
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            )
            assert made.returncode == 0, (line, made.stderr)
            shown.append(made.stdout)

    told, pace = blocks("how-to/extract-features.md", "text")
    assert shown[0].startswith(told)
    # numbers differ, words do not
    assert re.sub(r"[\d.,]+", "", pace).splitlines()[1] in re.sub(r"[\d.,]+", "", shown[0])
    assert (tmp_path / "stamp/slide-8.h5").is_file()
    assert (tmp_path / "back.h5").is_file()


def test_the_table_of_real_files_is_true(tmp_path, shared):
    """Each file of shared/data/wsi has its row, and the row says what becomes of it."""
    wsi = shared / "data/wsi"
    text = (DOCS / "how-to/extract-features.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+\.\w+)` \| (\w+) \| ([A-Z0-9]*) ?\|$", text, flags=re.MULTILINE)
    found = []
    for folder in (wsi, wsi / "converted"):
        request = ExtractRequest(slides=(folder,), out=tmp_path / folder.name)
        for fate in extract(request, executor=Serial()).fates:
            code = fate.failure.problems[0].code if fate.failure else ""
            name = Path(fate.job.path).relative_to(wsi).as_posix()
            found.append((name, fate.state, code))

    assert len(found) == 8
    assert sorted(rows) == sorted(found)


def test_pictures_without_a_scale_are_extracted_when_it_is_given(tmp_path, shared):
    """Tiles of other people: refused as they are, one tile each at 0.5 µm per pixel."""
    tiles = shared / "data/tiles"
    picked = [
        *sorted((tiles / "orion_crc_he").glob("topic1*.png"))[:2],
        *sorted((tiles / "nct_crc_he").glob("kather*.tif")),
        *sorted((tiles / "tcga_crc_msih").glob("*.jpg"))[:1],
        sorted((tiles / "monuseg_256").glob("img_*.png"))[0],
    ]
    as_they_are = extract(
        ExtractRequest(slides=tuple(picked), out=tmp_path / "a"), executor=Serial()
    )
    told = extract(
        ExtractRequest(slides=tuple(picked), out=tmp_path / "b", slide_mpp=0.5), executor=Serial()
    )

    assert {fate.failure.problems[0].code for fate in as_they_are.fates} <= {"SL007", "SL008"}
    assert told.counts["failed"] == 0
    assert [fate.outcome.n_grid for fate in told.fates] == [1, 1, 1, 1, 4, 1]
