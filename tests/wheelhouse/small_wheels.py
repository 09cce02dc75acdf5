"""Small wheels and a small offline folder, made without a network."""

from __future__ import annotations

import base64
import ensurepip
import hashlib
import shutil
import sysconfig
import zipfile
from pathlib import Path

from offline.folder import fill_folder

MADE_S = 1_760_000_000


def make_wheel(
    folder: Path,
    name: str,
    *headers: str,
    tag: str = "py3-none-any",
    version: str = "1.0",
    script: bool = False,
) -> Path:
    """Write a wheel of one module that `pip` installs."""
    files = {f"{name}.py": f"def main():\n    print('{name} {version}')\n"}
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *headers]
    files[f"{info}/METADATA"] = "\n".join(lines) + "\n\nText: no header.\n"
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
    if script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {name}:main\n"
    record = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


def _digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def add_pip(wheels: Path) -> Path:
    """Copy the installer that comes with Python; some systems keep it elsewhere."""
    folder = sysconfig.get_config_var("WHEEL_PKG_DIR")
    place = Path(folder) if folder else Path(ensurepip.__file__).parent / "_bundled"
    (bundled,) = place.glob("pip-*.whl")
    return Path(shutil.copy(bundled, wheels))


def make_wheels(folder: Path) -> Path:
    """A folder `wheels` with metastra, a package that it needs, one of an extra, and pip."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    make_wheel(
        wheels,
        "metastra",
        "License-Expression: Apache-2.0",
        "Requires-Dist: helper>=1",
        "Requires-Dist: sheets; extra == 'xlsx'",
        "Requires-Dist: elsewhere; sys_platform == 'win32'",
        script=True,
    )
    make_wheel(wheels, "helper", "Classifier: License :: OSI Approved :: MIT License")
    make_wheel(wheels, "sheets", "License: MIT")
    add_pip(wheels)
    return wheels


def make_folder(folder: Path) -> Path:
    """A whole offline folder."""
    make_wheels(folder)
    fill_folder(folder, ["xlsx"], [], MADE_S)
    return folder
