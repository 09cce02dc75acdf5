"""What an error of the operating system means for the person who runs metastra."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metastra.errors import ConfigError, MetastraError, ResourceError

__all__ = ["explained", "human_bytes"]

_PLACE_IS_WRONG = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENOTEMPTY,
        errno.EPERM,
        errno.EROFS,
    }
)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@contextmanager
def explained(path: Path, *, needed_bytes: int = 0) -> Iterator[None]:
    """Turn an error of the operating system into one that says what to do.

    Parameters
    ----------
    path : Path
        The file or folder that the block works on, as the user knows it.
    needed_bytes : int
        How many bytes the file needs at least; 0 where that is not known.

    Raises
    ------
    ResourceError
        If disk or memory ran out or the disk failed (``errno`` is kept); exit code 7.
    ConfigError
        If the place cannot be used (rights, read-only, a folder in the way); exit code 2.

    Examples
    --------
    >>> with explained(Path("out/table.csv")):
    ...     raise OSError(errno.EIO, "Input/output error")
    Traceback (most recent call last):
    ...
    metastra.errors.ResourceError: out/table.csv: the disk or network drive failed ...
    """
    try:
        yield
    except MetastraError:
        raise
    except MemoryError as error:
        raise _ran_out(errno.ENOMEM, path, needed_bytes) from error
    except OSError as error:
        if error.errno in _PLACE_IS_WRONG:
            raise ConfigError(_place_text(error, path)) from error
        raise _ran_out(error.errno or errno.EIO, path, needed_bytes) from error


def human_bytes(n_bytes: float) -> str:
    """Write a number of bytes as a person reads it, in decimal units.

    Parameters
    ----------
    n_bytes : float
        Bytes, not negative.

    Returns
    -------
    str
        For instance ``"1.5 GB"``.

    Examples
    --------
    >>> human_bytes(999), human_bytes(1_500_000_000)
    ('999 bytes', '1.5 GB')
    """
    for unit in _UNITS:
        if n_bytes < 1000 or unit == _UNITS[-1]:
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"


def _ran_out(code: int, path: Path, needed_bytes: int) -> ResourceError:
    if code in _NO_ROOM:
        text = _no_room_text(code, path, needed_bytes)
    elif code == errno.ENOMEM:
        text = "memory ran out; use fewer workers or a machine with more memory"
    elif code in (errno.EMFILE, errno.ENFILE):
        text = "too many files are open; raise the limit (`ulimit -n`) or use fewer workers"
    else:
        text = (
            f"the disk or network drive failed ({os.strerror(code)}); "
            "check the drive and its connection"
        )
    error = ResourceError(
        f"{path}: {text}. No half-written file has this name; run the same command again to go on"
    )
    error.errno = code
    return error


def _no_room_text(code: int, path: Path, needed_bytes: int) -> str:
    needed = f"at least {human_bytes(needed_bytes)} needed" if needed_bytes else "more needed"
    if code == errno.EFBIG:
        return (
            f"the file may not grow that large ({needed}); raise the file-size limit (`ulimit -f`)"
        )
    if code == errno.EDQUOT:
        return f"your disk quota is used up ({needed}); free space or ask for more"
    folder = _nearest_folder(path)
    room = os.statvfs(folder)
    if room.f_files and not room.f_favail:
        return f"the disk has no room for more files (inodes) in {folder}; remove some files"
    free = human_bytes(room.f_bavail * room.f_frsize)
    return (
        f"the disk is full ({needed}, {free} free in {folder}); free space or choose another folder"
    )


def _place_text(error: OSError, path: Path) -> str:
    folder = _nearest_folder(path)
    facts = folder.stat()
    return (
        f"{path}: cannot be used ({os.strerror(error.errno or 0)}); "
        f"the folder {folder} belongs to {_user_name(facts.st_uid)} "
        f"(mode {facts.st_mode & 0o7777:03o}), you are {_user_name(os.geteuid())}; "
        "choose another output folder or mend its rights"
    )


def _nearest_folder(path: Path) -> Path:
    """Find the first folder upwards that can be looked at."""
    for folder in path.absolute().parents:
        if os.access(folder, os.F_OK) and folder.is_dir():
            return folder
    return Path("/")


def _user_name(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
