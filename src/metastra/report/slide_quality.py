"""What became of a study's slides, as the report shows it."""

from __future__ import annotations

import base64
from dataclasses import dataclass

__all__ = ["CodeCount", "QualityPicture", "SlideQuality"]


@dataclass(frozen=True, kw_only=True)
class CodeCount:
    """How many slides a code was found on.

    Parameters
    ----------
    code, title : str
        As in the catalogue.
    n : int
        Slides.
    """

    code: str
    title: str
    n: int


@dataclass(frozen=True, kw_only=True)
class QualityPicture:
    """One slide of the strip.

    Parameters
    ----------
    name : str
        Its pseudonym.
    picture : bytes
        JPEG with tissue and artefacts outlined.
    status : str
        ``assessed``, ``not assessable`` or ``failed``.
    use : bool
        Whether it goes on.
    codes : tuple of str
        That were found.
    """

    name: str
    picture: bytes
    status: str
    use: bool
    codes: tuple[str, ...]

    @property
    def source(self) -> str:
        """The picture as a data address."""
        return "data:image/jpeg;base64," + base64.b64encode(self.picture).decode()


@dataclass(frozen=True, kw_only=True)
class SlideQuality:
    """The slides of a study in counts, and some of them in pictures.

    Parameters
    ----------
    assessed, not_assessable, failed, used : int
        Slides whose pixels were looked at; all 0 for a study of feature files.
    reviewed : int
        Slides that a person decided about.
    codes : tuple of CodeCount
        Most frequent first.
    strip : tuple of QualityPicture
        Those a reader should see first.
    n_pictured : int
        Slides that have a picture.
    extracted, excluded, features_failed : int
        Feature files that were made, that have no tile, that could not be made.
    tiles, grid : int
        Tiles that are used, and that the grid had.
    encoder : str
        Name of the encoder.
    """

    assessed: int = 0
    not_assessable: int = 0
    failed: int = 0
    used: int = 0
    reviewed: int = 0
    codes: tuple[CodeCount, ...] = ()
    strip: tuple[QualityPicture, ...] = ()
    n_pictured: int = 0
    extracted: int = 0
    excluded: int = 0
    features_failed: int = 0
    tiles: int = 0
    grid: int = 0
    encoder: str = ""

    @property
    def looked_at(self) -> int:
        """Slides whose pixels were looked at."""
        return self.assessed + self.not_assessable + self.failed
