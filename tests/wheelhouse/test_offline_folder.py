"""The folder of an offline installation: lock, lists, bill, sums, and what stops it."""

from __future__ import annotations

import csv
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from offline.folder import CARRIED, fill_folder
from offline.wheels import WheelError, glibc_needed, read_wheels, sha256_of

from metastra.version import VERSION
from wheelhouse.small_wheels import MADE_S, make_folder, make_wheel, make_wheels

REPOSITORY = Path(__file__).resolve().parents[2]


def packages_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "packages.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_lock_lists_and_sums_agree(tmp_path):
    """Every wheel stands in all of them with its digest; pip is carried and not locked."""
    folder = make_folder(tmp_path / "w")
    wheels = {path.name.partition("-")[0]: path for path in (folder / "wheels").iterdir()}

    lock = (folder / "requirements.lock").read_text().splitlines()
    rows = packages_of(folder)
    sums = dict(
        reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines()
    )

    assert [line.partition("==")[0] for line in lock] == ["helper", "metastra", "sheets"]
    assert f"helper==1.0 --hash=sha256:{sha256_of(wheels['helper'])}" in lock
    assert [row["package"] for row in rows] == ["helper", "metastra", "pip", "sheets"]
    assert {row["licence"] for row in rows} == {"MIT", "Apache-2.0"}
    assert all((folder / row["file"]).stat().st_size == int(row["bytes"]) for row in rows)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        *sums,
        "SHA256SUMS",
    }
    assert set(CARRIED) < set(sums)
    checked = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, check=False)
    assert checked.returncode == 0
    about = json.loads((folder / "about.json").read_text())
    assert about["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert about["machine"] == platform.machine()


def test_the_bill_is_valid_cyclonedx(tmp_path):
    """The library of CycloneDX finds nothing wrong; what needs what is in it."""
    folder = make_folder(tmp_path / "w")
    text = (folder / "sbom.cdx.json").read_text()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    assert needs["pkg:pypi/metastra@1.0"] == ["pkg:pypi/helper@1.0", "pkg:pypi/sheets@1.0"]
    parts = {part["name"]: part for part in bill["components"]}
    assert parts["pip"]["scope"] == "excluded"
    assert parts["helper"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert bill["metadata"]["component"]["name"] == "metastra"


def test_equal_wheels_give_equal_folders(tmp_path):
    """Nothing in the folder tells when it was made."""
    one, two = make_folder(tmp_path / "a"), make_folder(tmp_path / "b")
    for wheel in (one / "wheels").iterdir():
        (two / "wheels" / wheel.name).write_bytes(wheel.read_bytes())
    fill_folder(two, ["xlsx"], [], MADE_S)

    for name in ("about.json", "requirements.lock", "packages.csv", "sbom.cdx.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_licences_stop_it_all_at_once(tmp_path):
    """The GPL is never accepted; an unknown licence is once somebody has read it."""
    wheels = make_wheels(tmp_path)
    make_wheel(wheels, "viral", "License-Expression: GPL-3.0-or-later")
    make_wheel(wheels, "closed", "License: LicenseRef-Vendor")

    with pytest.raises(WheelError) as stopped:
        fill_folder(tmp_path, ["xlsx"], ["viral"], MADE_S)

    told = str(stopped.value)
    assert re.search(r"GPL or AGPL.*\n  viral 1\.0: GPL-3\.0-or-later", told)
    assert "closed 1.0: LicenseRef-Vendor" in told
    assert not (tmp_path / "SHA256SUMS").exists()

    (wheels / "viral-1.0-py3-none-any.whl").unlink()
    fill_folder(tmp_path, ["xlsx"], ["closed"], MADE_S)
    rows = {row["package"]: row for row in packages_of(tmp_path)}
    assert rows["closed"]["judged"] == "accepted by who built this folder"


@pytest.mark.parametrize("lost", ["helper", "sheets", "pip", "metastra"])
def test_a_missing_wheel_is_named(tmp_path, lost):
    """What metastra or one of its packages needs has to be there."""
    wheels = make_wheels(tmp_path)
    for path in wheels.glob(f"{lost}-*.whl"):
        path.unlink()

    with pytest.raises(WheelError, match=rf"no wheel of {lost}"):
        fill_folder(tmp_path, ["xlsx"], [], MADE_S)


def test_two_versions_and_other_files_are_refused(tmp_path):
    """One wheel of each package, and wheels only."""
    wheels = make_wheels(tmp_path)
    make_wheel(wheels, "helper", version="2.0")
    with pytest.raises(WheelError, match="more than one wheel of helper"):
        read_wheels(wheels)
    (wheels / "helper.tar.gz").write_text("")
    with pytest.raises(WheelError, match=r"not wheels: helper\.tar\.gz"):
        read_wheels(wheels)


def test_the_oldest_c_library_is_found(tmp_path):
    """A wheel's least demanding tag counts, and the most demanding wheel."""
    make_wheel(tmp_path, "old", tag="cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64")
    make_wheel(tmp_path, "new", tag="cp311-abi3-manylinux_2_28_x86_64.manylinux_2_34_x86_64")
    make_wheel(tmp_path, "pure")

    assert glibc_needed(read_wheels(tmp_path)) == ((2, 28), "new")


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path):
    """`--out` takes the place of an older offline folder only."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data.csv").write_text("x")
    code = "import sys, offline.__main__ as m; m._collect = lambda *a: None\n"
    code += "m.fill_folder = lambda *a: {}\n"
    code += f"sys.argv = ['x', '--out', {str(tmp_path / 'mine')!r}]; sys.exit(m.main())"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "is no offline installation" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "data.csv"]


def test_the_recipe_of_the_container_keeps_its_promises():
    """No default base, no network, no shell, a number for a user, the version of the package."""
    lines = (REPOSITORY / "offline" / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(None, 1) for line in lines if line and not line.startswith("#")]

    assert ["ARG", "BASE"] in steps
    assert [rest for word, rest in steps if word == "FROM"] == ["${BASE} AS install", "${BASE}"]
    assert [json.loads(rest) for word, rest in steps if word == "RUN"] == [
        ["/wheelhouse/install.sh", "/opt/metastra"]
    ]
    assert {word for word, _ in steps} == {
        *("ARG", "FROM", "COPY", "RUN", "LABEL", "ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD")
    }
    said = dict(steps)
    uid, gid = said["USER"].split(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert json.loads(said["ENTRYPOINT"]) == ["/opt/metastra/bin/metastra"]
    assert f'org.opencontainers.image.version="{VERSION}"' in said["LABEL"]
    assert "Research use only" in said["LABEL"]
