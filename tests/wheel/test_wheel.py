"""The built wheel works alone: the light core, no extras, no torch, no source tree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from metastra.synthetic.generate import synthetic_study

REPOSITORY = Path(__file__).resolve().parents[2]

# one environment for all of them, not one in each process of the suite
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Path:
    """A fresh environment with the wheel and nothing else; gives its bin folder."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, REPOSITORY)
    assert built.returncode == 0, built.stderr
    wheel = next(folder.glob("*.whl"))
    run(sys.executable, "-m", "venv", folder / "env")
    command = ["-m", "pip", "install", "--quiet", "-c", REPOSITORY / "constraints-cpu.txt", wheel]
    installed = run(folder / "env" / "bin" / "python", *command)
    assert installed.returncode == 0, installed.stderr
    return folder / "env" / "bin"


@pytest.mark.slow
def test_the_core_has_no_torch_and_still_checks_runs_and_judges(core, tmp_path):
    """`check`, `run` and `evaluate` work from the core alone."""
    assert run(core / "python", "-c", "import torch").returncode != 0
    for name, content in synthetic_study(n_patients=200, seed=1).items():
        path = tmp_path / "study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    checked = run(core / "metastra", "check", tmp_path / "study", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["refused"] is False
    assert run(core / "metastra", "run", tmp_path / "study").returncode == 0
    table = tmp_path / "p.csv"
    rows = [
        f"p{i},{1 + i % 37},{int(i % 3 == 0)},{0.1 + 0.8 * ((i * 7) % 50) / 50:.3f}"
        for i in range(200)
    ]
    table.write_text("PATIENT,t,e,risk\n" + "\n".join(rows) + "\n")
    options = ["--time", "t", "--event", "e", "--risk", "risk", "--horizon", "24"]
    options += ["--time-unit", "months", "--bootstrap", "100", "--out", tmp_path / "out"]
    judged = run(core / "metastra", "evaluate", table, *options)
    assert judged.returncode == 0, judged.stderr
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["n"] == 200


@pytest.mark.slow
def test_a_missing_extra_is_named_with_its_command(core, tmp_path):
    """A workbook without the extra gives the exact install command and exit code 2."""
    (tmp_path / "study.toml").write_text(
        '[study]\nname = "x"\n[endpoint]\nname = "overall-survival"\n[clock]\nlast_contact = "T"\n'
        '[[cohort]]\nname = "a"\nrole = "development"\nclini_table = "t.xlsx"\n'
    )
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04 not a workbook")

    result = run(core / "metastra", "check", tmp_path)

    assert result.returncode == 2
    assert "pip install 'metastra[xlsx]'" in result.stderr
