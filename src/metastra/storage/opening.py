"""The record of a product that is being written: which files may lie there half of a set.

It stands in the place of the completion record from before the first file gets its name until the
completion record replaces it.  After a kill it tells the next writer which files to remove, also
where that writer makes other files than the killed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metastra.digest import digest_value
from metastra.storage.encode import json_bytes, parse_json
from metastra.storage.failures import explained
from metastra.storage.names import clean_name, record_path

__all__ = ["Opening", "read_opening"]

_LAYOUT = 1


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A product that is being written.

    Parameters
    ----------
    name : str
        The product.
    files : tuple of str
        Every file that belongs or belonged to it, relative to the run folder, sorted.

    Examples
    --------
    >>> opening = Opening(name="table", files=("table.csv",))
    >>> Opening.from_bytes(opening.to_bytes()) == opening
    True
    """

    name: str
    files: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Write it as strict JSON, sealed with its own digest.

        Returns
        -------
        bytes
            What `from_bytes` reads.
        """
        opening = {"name": self.name, "files": list(self.files)}
        return json_bytes({"layout": _LAYOUT, "opening": opening, "sha256": digest_value(opening)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Opening | None:
        """Read it.

        Parameters
        ----------
        data : bytes
            Any bytes.

        Returns
        -------
        Opening or None
            None if the bytes are not exactly those of an opening.
        """
        if b'"opening"' not in data:
            return None  # tens of thousands of completion records are looked at this way
        try:
            document = parse_json(data)["opening"]
            # Cleaned, because these files will be removed: no way may lead out of the run.
            files = tuple(clean_name(file, what="file") for file in document["files"])
            opening = cls(name=clean_name(document["name"]), files=files)
            return opening if opening.to_bytes() == data else None
        except (ValueError, KeyError, TypeError):
            return None


def read_opening(run_dir: Path, name: str) -> Opening | None:
    """Look whether a product is being written, or was when a process was killed.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    name : str
        The product.

    Returns
    -------
    Opening or None
        None where there is no record, or a completion record.

    Raises
    ------
    ConfigError
        If the name is refused or the record may not be read.

    Examples
    --------
    >>> read_opening(Path("no such run"), "cohort") is None
    True
    """
    path = record_path(run_dir, name)
    with explained(path):
        opening = Opening.from_bytes(path.read_bytes()) if path.is_file() else None
    return opening if opening is not None and opening.name == name else None
