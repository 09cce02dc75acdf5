"""A model that is not ours: locked, verified through its own program, judged the same way."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from metastra.bundle.columns import table_in_memory
from metastra.bundle.foreign import external_bundle_files
from metastra.bundle.layout import EXTERNAL
from metastra.bundle.loading import open_bundle
from metastra.bundle.locking import lock_bundle
from metastra.bundle.opened import Bundle
from metastra.bundle.predicting import predict
from metastra.bundle.verifying import verify_bundle
from metastra.bundle.writing import write_bundle
from metastra.errors import BundleError, ConfigError, DataError
from metastra.signing import PrivateKey, TrustList

PROGRAM = Path(__file__).with_name("foreign_model.py")

DESCRIPTION = """
name = "foreign"
time_unit = "months"
horizons = [12, 24]
primary_horizon = 24
cutpoints = [0.15]
self_test = "cases.csv"

[endpoint]
name = "liver metastasis"
definition = "first liver metastasis"
time_zero = "surgery"
competing = true

[input.age]
kind = "continuous"
unit = "years"
minimum = 18
maximum = 110

[input.stage]
kind = "categorical"
levels = ["I", "II", "III"]

[program]
command = ["{python}", "foreign_model.py", "{{input}}", "{{output}}", "{mode}"]
program_files = ["foreign_model.py"]
input_description = "one row per patient"
output_description = "risks by 12 and 24 months"
risk_columns = ["risk_12", "risk_24"]
score_column = "score"
timeout_s = {timeout}
"""


def expected(age: float, stage: str) -> tuple[float, float]:
    score = 0.05 * (age - 60) + 0.8 * (stage == "III")
    return 1 / (1 + math.exp(2.0 - score)), score


def describe(folder: Path, mode: str = "good", timeout: float = 60.0) -> Path:
    folder.mkdir(exist_ok=True)
    shutil.copy(PROGRAM, folder / "foreign_model.py")
    lines = ["age,stage,risk_12,risk_24,score"]
    for age, stage in ((55, "I"), (70, "III"), (80, "II")):
        risk, score = expected(age, stage)
        lines.append(f"{age},{stage},{risk / 2!r},{risk!r},{score!r}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    text = DESCRIPTION.format(python=sys.executable, mode=mode, timeout=timeout)
    (folder / "foreign.toml").write_text(text)
    return folder / "foreign.toml"


def lock(folder: Path, key: PrivateKey, **options: object) -> Path:
    files = external_bundle_files(describe(folder, **options))
    write_bundle(folder / "draft", files)
    locked = lock_bundle(open_bundle(folder / "draft")).files(
        files, key, locked_at="2026-01-30T08:00:00Z"
    )
    write_bundle(folder / "locked", locked)
    return folder / "locked"


def patients(bundle: Bundle):
    rows = [{"age": "61", "stage": "III"}, {"age": "77", "stage": "I"}]
    return table_in_memory(rows, [one.name for one in bundle.contract.predictors])


def test_its_program_is_run_and_its_self_test_passes(tmp_path, signer):
    """Verified through the declared command; risks are the program's, in the order given."""
    folder = lock(tmp_path / "m", signer)
    verdict = verify_bundle(folder, trusted=TrustList((signer.public,)))
    assert verdict.sound
    assert verdict.self_test == "passed"
    assert verdict.problems == ()
    bundle = open_bundle(folder)
    assert bundle.kind == "external"
    made = predict(bundle, patients(bundle), run_programs=True)
    wanted = [expected(61, "III"), expected(77, "I")]
    np.testing.assert_allclose(made.risks[:, 1], [risk for risk, _ in wanted], rtol=1e-12)
    np.testing.assert_allclose(made.scores, [score for _, score in wanted], rtol=1e-12)
    assert made.groups == ("high", "high")


def test_without_a_trusted_signer_nothing_is_started(tmp_path, signer, stranger):
    """ "Not run", never "passed", and prediction is refused with the way out."""
    folder = lock(tmp_path / "m", signer, mode="hang")
    verdict = verify_bundle(folder)
    assert verdict.sound
    assert verdict.self_test == "not run"
    assert {one.code for one in verdict.problems} == {"BU016"}
    assert "given with --trust" in verdict.self_test_why
    other = verify_bundle(folder, trusted=TrustList((stranger.public,)))
    assert not other.sound
    assert other.self_test == "not run"
    with pytest.raises(ConfigError, match="started for a trusted signer only"):
        predict(open_bundle(folder), patients(open_bundle(folder)))


def test_a_program_that_is_not_here_is_refused_for_a_trusted_signer(tmp_path, signer):
    """With a key the missing file is a named problem; without one the self-test is "not run"."""
    folder = lock(tmp_path / "m", signer)
    (tmp_path / "m" / "foreign_model.py").unlink()
    verdict = verify_bundle(folder, trusted=TrustList((signer.public,)))
    assert not verdict.sound
    assert verdict.self_test == "not run"
    assert [one.code for one in verdict.problems] == ["BU019"]
    assert f"{tmp_path / 'm' / 'foreign_model.py'} is not" in verdict.problems[0].found
    assert verdict.problems[0].where.file == EXTERNAL
    unknown = verify_bundle(folder)
    assert unknown.sound
    assert unknown.self_test == "not run"
    assert "foreign_model.py is not on this machine" in unknown.self_test_why
    bundle = open_bundle(folder)
    with pytest.raises(BundleError, match=r"BU019 external\.json.*not on this machine"):
        predict(bundle, patients(bundle), run_programs=True)


def test_an_interpreter_that_is_not_here_is_refused_too(tmp_path, signer, monkeypatch):
    """The first word of the command is looked for as well."""
    monkeypatch.setattr(sys, "executable", "python-of-elsewhere")
    folder = lock(tmp_path / "m", signer)
    verdict = verify_bundle(folder, trusted=TrustList((signer.public,)))
    assert [one.code for one in verdict.problems] == ["BU019"]
    assert "python-of-elsewhere" in verdict.problems[0].found


def test_a_model_is_verified_and_used_where_its_program_lies_elsewhere(tmp_path, signer):
    """The names are locked, not the machine's paths; another folder is stated."""
    folder = lock(tmp_path / "m", signer)
    stored = json.loads((folder / EXTERNAL).read_text())
    assert stored["program_files"][0]["path"] == "foreign_model.py"
    assert stored["command"][1] == "foreign_model.py"
    moved = (tmp_path / "m").rename(tmp_path / "moved")
    trusted = TrustList((signer.public,))
    assert [one.code for one in verify_bundle(moved / "locked", trusted=trusted).problems] == [
        "BU019"
    ]
    verdict = verify_bundle(moved / "locked", trusted=trusted, program_dir=moved)
    assert (verdict.sound, verdict.self_test) == (True, "passed")
    bundle = open_bundle(moved / "locked", trusted=trusted, program_dir=moved)
    made = predict(bundle, patients(bundle), run_programs=True)
    assert made.risks[0, 1] == pytest.approx(expected(61, "III")[0], rel=1e-12)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "foreign_model.py").write_text("print('another')\n")
    other = verify_bundle(moved / "locked", trusted=trusted, program_dir=tmp_path / "other")
    assert [one.code for one in other.problems] == ["BU017"]
    with pytest.raises(ConfigError, match="no such folder"):
        verify_bundle(moved / "locked", trusted=trusted, program_dir=tmp_path / "none")


def test_a_container_is_declared_and_said_not_to_be_checked(tmp_path, signer):
    """No image is looked at, so the verdict says so; without one it says nothing."""
    path = describe(tmp_path / "m")
    assert verify_bundle(lock(tmp_path / "n", signer)).to_json()["container_digest"] is None
    path.write_text(
        path.read_text().replace("[program]", f'[program]\ncontainer = "sha256:{"0" * 64}"')
    )
    write_bundle(tmp_path / "draft", external_bundle_files(path))
    verdict = verify_bundle(tmp_path / "draft", allow_unsigned=True)
    assert verdict.to_json()["container_digest"] == "declared, not checked"


def test_a_changed_program_is_refused_before_it_is_started(tmp_path, signer):
    """One more line in the program, and the bundle no longer holds."""
    folder = lock(tmp_path / "m", signer)
    program = tmp_path / "m" / "foreign_model.py"
    program.write_text(program.read_text() + "\n# later\n")
    verdict = verify_bundle(folder, trusted=TrustList((signer.public,)))
    assert not verdict.sound
    assert verdict.self_test == "failed"
    assert {one.code for one in verdict.problems} == {"BU017"}
    assert {one.where.file for one in verdict.problems} == {EXTERNAL}


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("crash", "ended with code 3: no licence found"),
        ("silent", "wrote no output table"),
        ("beyond", "lies outside 0 to 1"),
        ("stranger", "rows that are not the 3 given"),
    ],
)
def test_a_program_that_fails_says_how(tmp_path, signer, mode, said):
    """Exit code, no output, impossible risks, other patients: each is refused by name."""
    folder = lock(tmp_path / "m", signer, mode=mode)
    verdict = verify_bundle(folder, trusted=TrustList((signer.public,)))
    assert verdict.self_test == "failed"
    assert said in verdict.problems[0].found
    assert verdict.problems[0].code == "BU018"


def test_a_program_that_hangs_is_stopped(tmp_path, signer):
    """Its time is over after a second, and it is gone."""
    folder = lock(tmp_path / "m", signer, mode="hang", timeout=1.0)
    verdict = verify_bundle(folder, trusted=TrustList((signer.public,)))
    assert "still running after 1 s" in verdict.problems[0].found
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            assert str(tmp_path / "m" / "foreign_model.py").encode() not in words


def test_the_program_sees_neither_environment_nor_ids(tmp_path, signer, monkeypatch):
    """PATH and HOME are all it gets; patients are numbered."""
    monkeypatch.setenv("HOSPITAL_PASSWORD", "secret")
    bundle = open_bundle(lock(tmp_path / "m", signer, mode="environment"))
    made = predict(bundle, patients(bundle), run_programs=True)
    assert made.risks[:, 1].tolist() == [0.25, 0.25]


def test_another_self_test_than_the_program_gives_is_found(tmp_path, signer):
    """Stored outputs that the program does not give fail with the largest difference."""
    path = describe(tmp_path / "m")
    cases = tmp_path / "m" / "cases.csv"
    lines = cases.read_text().splitlines()
    cells = lines[1].split(",")
    cells[3] = repr(float(cells[3]) + 0.01)
    cases.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    files = external_bundle_files(path)
    write_bundle(tmp_path / "m" / "draft", files)
    locked = lock_bundle(open_bundle(tmp_path / "m" / "draft")).files(files, signer)
    write_bundle(tmp_path / "m" / "locked", locked)
    verdict = verify_bundle(tmp_path / "m" / "locked", trusted=TrustList((signer.public,)))
    assert verdict.self_test == "failed"
    assert "largest difference is 0.01 (case 1)" in verdict.problems[0].found


def test_descriptions_that_cannot_be_are_refused(tmp_path):
    """Unknown keys, a command without its tables, files that are not here, a bad self-test."""
    path = describe(tmp_path / "m")
    good = path.read_text()
    for old, new, said in (
        ('name = "foreign"', 'nmae = "foreign"', "nmae"),
        ('"{input}", ', "", r"does not name \{input\}"),
        ('program_files = ["foreign_model.py"]', 'program_files = ["x.py"]', "no file here"),
        ('risk_columns = ["risk_12", "risk_24"]', 'risk_columns = ["risk_24"]', "for 2 horizons"),
        ("primary_horizon = 24", "primary_horizon = 36", "not among the horizons"),
    ):
        assert old in good
        path.write_text(good.replace(old, new))
        with pytest.raises(ConfigError, match=said):
            external_bundle_files(path)
    path.write_text(good)
    (tmp_path / "m" / "cases.csv").write_text("age,stage,risk_12,risk_24,score\n55,I,,0.1,1\n")
    with pytest.raises(DataError, match="must hold a number in each row"):
        external_bundle_files(path)
    (tmp_path / "m" / "cases.csv").unlink()
    with pytest.raises(DataError, match="self-test"):
        external_bundle_files(path)


def test_equal_descriptions_give_equal_drafts(tmp_path):
    """Nothing of the day or the machine enters, but the program's folder."""
    path = describe(tmp_path / "m")
    assert external_bundle_files(path) == external_bundle_files(path)
    stored = json.loads(external_bundle_files(path)[EXTERNAL])
    assert stored["program_dir"] == str(tmp_path / "m")
