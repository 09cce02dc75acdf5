"""Which versions were accepted before: an old bundle in place of a new one passes all else."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from metastra.bundle.layout import Part, part_bytes
from metastra.bundle.manifest import Digest
from metastra.bundle.opened import Bundle
from metastra.errors import ConfigError
from metastra.storage.whole import write_bytes

__all__ = ["SeenVersions"]


class _Seen(Part):
    version: Annotated[int, Field(ge=1)]
    digest: Digest
    key_id: str


class _Document(Part):
    format: Literal["metastra-bundle-history-1"] = "metastra-bundle-history-1"
    bundles: dict[str, _Seen] = Field(default_factory=dict)


@dataclass(kw_only=True)
class SeenVersions:
    """The highest version of each bundle that was accepted on this machine.

    Parameters
    ----------
    path : Path
        A JSON file; it need not exist yet.
    """

    path: Path
    _document: _Document = field(default_factory=_Document, init=False)

    def __post_init__(self) -> None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror or error}") from error
        try:
            self._document = _Document.model_validate_json(data, strict=True)
        except ValidationError:
            raise ConfigError(
                f"{self.path} is no history of bundles; restore it from a copy, or name another "
                "file (what was accepted before is not known then)"
            ) from None

    def objection(self, bundle: Bundle) -> str:
        """Compare a bundle with what was accepted before.

        Parameters
        ----------
        bundle : Bundle
            Read.

        Returns
        -------
        str
            What speaks against it; empty when nothing does.
        """
        before = self._document.bundles.get(bundle.name)
        if before is None:
            return ""
        if bundle.version < before.version:
            return f"version {bundle.version}; version {before.version} was accepted before"
        if bundle.version == before.version and bundle.digest != before.digest:
            return f"another bundle of version {bundle.version} was accepted before"
        return ""

    def accept(self, bundle: Bundle) -> None:
        """Remember a bundle that holds.

        Parameters
        ----------
        bundle : Bundle
            Verified.

        Raises
        ------
        ConfigError
            If the file cannot be written.
        """
        entry = _Seen(version=bundle.version, digest=bundle.digest, key_id=bundle.key_id or "")
        bundles = {**self._document.bundles, bundle.name: entry}
        self._document = _Document(bundles=bundles)
        write_bytes(self.path, part_bytes(self._document))
