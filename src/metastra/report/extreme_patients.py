"""Patients of extreme risk with their slides, maps and tiles, as plain values and pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metastra.report.shown import ShownFigure
from metastra.report.theme import FAINT, STYLES, new_figure, theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ExtremePatient", "PictureTile", "flipping_figure"]

_MOST_PANELS = 9


@dataclass(frozen=True, kw_only=True)
class PictureTile:
    """One tile.

    Parameters
    ----------
    picture : bytes
        JPEG; empty where there is none.
    contribution : float
        Log relative hazard.
    words : tuple of str
        Named features in which it differs, each with its deviations.
    """

    picture: bytes
    contribution: float
    words: tuple[str, ...]

    @property
    def source(self) -> str:
        """The picture as a data address."""
        return _jpeg(self.picture)


@dataclass(frozen=True, kw_only=True)
class ExtremePatient:
    """One patient.

    Parameters
    ----------
    patient, cohort : str
        Pseudonym and cohort.
    which : {"highest", "lowest"}
        Of the risks of the cohort.
    risk : float
        By the primary horizon.
    slide : str
        Pseudonym of the slide that is shown.
    n_slides : int
        Slides of the patient.
    map_picture : bytes
        JPEG of the slide beside its map; empty where there is none.
    raising, lowering : tuple of PictureTile
        Of the slide.
    document : mapping
        The content of the slide's ``explanation.json``.
    note : str
        By which model it is explained.
    reason : str
        Why there is no explanation; empty where there is one.
    """

    patient: str
    cohort: str
    which: str
    risk: float | None
    slide: str = ""
    n_slides: int = 0
    map_picture: bytes = b""
    raising: tuple[PictureTile, ...] = ()
    lowering: tuple[PictureTile, ...] = ()
    document: Mapping[str, Any] | None = None
    note: str = ""
    reason: str = ""

    @property
    def source(self) -> str:
        """The map as a data address."""
        return _jpeg(self.map_picture)


def _jpeg(picture: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode() if picture else ""


def flipping_figure(patients: Sequence[ExtremePatient]) -> ShownFigure | None:
    """Draw how the score falls when tiles are taken away, a panel for each patient.

    Parameters
    ----------
    patients : sequence of ExtremePatient
        At most nine are drawn.

    Returns
    -------
    ShownFigure or None
        None where no map was tested.
    """
    tested = [
        (item, item.document["faithfulness"])
        for item in patients
        if item.document is not None and item.document["faithfulness"]["tested"]
    ][:_MOST_PANELS]
    if not tested:
        return None
    columns = min(3, len(tested))
    lines = -(-len(tested) // columns)
    with theme():
        figure = new_figure(width_mm=58.0 * columns, height_mm=52.0 * lines + 8.0)
        for place, (item, said) in enumerate(tested, start=1):
            axes = figure.add_subplot(lines, columns, place)
            _panel(axes, said["curves"])
            axes.set_title(f"{item.patient}, {item.which} in {item.cohort}", fontsize=7.0)
            if place > len(tested) - columns:
                axes.set_xlabel("Share of tiles taken away")
            if place % columns == 1 or columns == 1:
                axes.set_ylabel("Change, log relative hazard")
        figure.tight_layout(pad=0.8)
    beaten = sum(bool(said["beats_random"]) for _, said in tested)
    return ShownFigure(
        title="Are the maps true to the model?",
        explanation=(
            "Change of the log relative hazard when tiles are taken away: solid, those first that "
            "the map says raise the risk most; dotted, those that lower it most; broken with its "
            "band, the mean and range of random orders. A true map leaves the band. "
            f"{beaten} of {len(tested)} maps beat random order (one-sided, 5%)."
        ),
        figure=figure,
    )


def _panel(axes: Axes, curves: Mapping[str, Any]) -> None:
    shares = curves["shares"]
    axes.fill_between(shares, curves["random_low"], curves["random_high"], color="#d9d9d9", lw=0)
    axes.plot(shares, curves["random_mean"], color=FAINT, ls=(0, (4, 2)), lw=1.0)
    axes.plot(shares, curves["raising_first"], color=STYLES[2].colour)
    axes.plot(shares, curves["lowering_first"], color=STYLES[0].colour, ls=STYLES[2].line)
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
