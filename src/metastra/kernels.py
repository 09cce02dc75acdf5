"""A place for compiled kernels where neither the installation nor the home folder can be written.

Numba keeps what it compiled beside the source, else in the user's cache folder, and refuses to load
a kernel when it may write to neither: on a shared installation with a read-only home, or in a
container with a read-only root.  There the kernels go to a private folder among the temporary
files.  Numba's cache holds pickles, so a folder that another user could write is never taken.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["VARIABLE", "KernelRoom", "find_room", "settle"]

VARIABLE = "NUMBA_CACHE_DIR"
"""Where a person says where the kernels are kept."""


@dataclass(frozen=True, kw_only=True)
class KernelRoom:
    """Where compiled kernels are kept.

    Parameters
    ----------
    folder : Path or None
        None when no folder can be written at all.
    passing : bool
        True for a folder among the temporary files, which the machine may clear.
    """

    folder: Path | None
    passing: bool = False


def find_room(package: Path, environment: Mapping[str, str]) -> KernelRoom:
    """Find the folder that numba will take, or make one that it can be given.

    Parameters
    ----------
    package : Path
        Folder of the installed package.
    environment : mapping
        Environment variables.

    Returns
    -------
    KernelRoom
        The first that can be written of the folder that was named, the package, the user's cache
        and a private folder among the temporary files.
    """
    named = environment.get(VARIABLE)
    home = environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (as numba)
    places = [Path(named)] if named else []
    for place in (*places, package / "__pycache__", Path(home) / "numba"):
        if _can_hold(place):
            return KernelRoom(folder=place)
    return KernelRoom(folder=_private_folder(), passing=True)


def settle(package: Path) -> None:
    """See to it that kernels can be loaded; says so once where it had to choose a folder.

    Parameters
    ----------
    package : Path
        Folder of the installed package.
    """
    room = find_room(package, os.environ)
    if not room.passing:
        return
    import logging

    log = logging.getLogger("metastra")
    if room.folder is None:
        log.warning("no folder can be written for compiled kernels: set %s to one", VARIABLE)
        return
    # workers inherit it, find it in order and say nothing
    os.environ[VARIABLE] = str(room.folder)
    if "numba" in sys.modules:
        from numba.core import config

        config.reload_config()  # type: ignore[no-untyped-call]
    log.warning(
        "neither the installation nor ~/.cache can be written: compiled kernels are kept in %s; "
        "set %s to a folder that only you may write to keep them longer",
        room.folder,
        VARIABLE,
    )


def _can_hold(folder: Path) -> bool:
    """Say whether a folder could be written, or made, without touching anything."""
    try:
        while not folder.exists():
            if folder == folder.parent:
                return False
            folder = folder.parent
    except OSError:
        return False
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _private_folder() -> Path | None:
    """Make or take up the folder of this user; another one when it is not his alone."""
    import tempfile

    try:
        folder = Path(tempfile.gettempdir()) / f"metastra-kernels-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if mine and not status.st_mode & 0o077:
            return folder
        return Path(tempfile.mkdtemp(prefix="metastra-kernels-"))
    except FileExistsError:
        return Path(tempfile.mkdtemp(prefix="metastra-kernels-"))
    except OSError:
        return None
