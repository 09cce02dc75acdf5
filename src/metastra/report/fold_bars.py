"""Events per fold and group: whether a split is balanced enough to be believed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metastra.errors import ConfigError
from metastra.report.wording import count, plural

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["FoldBars", "FoldGroup"]

_OTHERS = "other groups"


@dataclass(frozen=True, kw_only=True)
class FoldGroup:
    """Patients of one group who are tested on in one fold.

    Parameters
    ----------
    fold : str
        Name of the fold.
    group : str
        Name of the group, for instance a site or a cohort.
    n, events, competing : int
        Patients, and those with the event and with a competing event.
    """

    fold: str
    group: str
    n: int
    events: int
    competing: int = 0


@dataclass(frozen=True, kw_only=True)
class FoldBars:
    """Stacked bars of the events in each fold, by group.

    Parameters
    ----------
    parts : tuple of FoldGroup
        One for each fold and group; folds and groups in the order in which they first appear.
    most_groups : int
        The largest groups keep their own hatch; the rest are drawn together.

    Raises
    ------
    ConfigError
        Without parts.

    Examples
    --------
    >>> bars = FoldBars(parts=(FoldGroup(fold="fold-0", group="north", n=30, events=6),))
    >>> bars.frame()["events"].tolist()
    [6]
    """

    parts: tuple[FoldGroup, ...]
    most_groups: int = 5

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError("bars per fold need at least one fold")

    def frame(self) -> pd.DataFrame:
        """Give the numbers.

        Returns
        -------
        pandas.DataFrame
            fold, group, n, events, competing; every group on its own.
        """
        import pandas as pd

        names = ("fold", "group", "n", "events", "competing")
        return pd.DataFrame([{name: getattr(part, name) for name in names} for part in self.parts])

    def plot(self) -> Figure:
        """Draw the bars.

        Returns
        -------
        matplotlib.figure.Figure
            170 mm wide.
        """
        return _draw(self)

    def explain(self) -> str:
        """Say what the bars show.

        Returns
        -------
        str
            One paragraph.
        """
        events: Counter[str] = Counter()
        for part in self.parts:
            events[part.fold] += part.events
        few, many = min(events.values()), max(events.values())
        text = (
            f"Events among the patients tested on in each of {plural(len(events), 'fold')}, by "
            f"group. "
        )
        text += (
            f"Every fold has {plural(few, 'event')}. "
            if few == many
            else f"The fold with the fewest has {plural(few, 'event')}, the one with the most "
            f"{count(many)}. "
        )
        if few == 0:
            text += "A fold without an event has no concordance. "
        return text + "Above each bar stand its events and its patients."


def _draw(bars: FoldBars) -> Figure:
    from matplotlib.ticker import MaxNLocator

    from metastra.report.lettering import drawable
    from metastra.report.theme import FAINT, TEXT_PT, new_figure, styles_for, theme

    folds = list(dict.fromkeys(part.fold for part in bars.parts))
    groups = _groups(bars)
    heights = {(fold, group): 0 for fold in folds for group in groups}
    patients: Counter[str] = Counter()
    for part in bars.parts:
        group = part.group if part.group in groups else _OTHERS
        heights[part.fold, group] += part.events
        patients[part.fold] += part.n
    with theme():
        figure = new_figure(width_mm=170.0, height_mm=62.0)
        axes = figure.add_axes((0.075, 0.17, 0.64, 0.72))
        foot = dict.fromkeys(folds, 0)
        for group, style in zip(groups, styles_for(len(groups)), strict=True):
            values = [heights[fold, group] for fold in folds]
            axes.bar(
                range(len(folds)),
                values,
                bottom=[foot[fold] for fold in folds],
                width=0.62,
                color="white" if style.hatch else style.colour,
                edgecolor=style.colour,
                hatch=style.hatch,
                linewidth=0.8,
                label=drawable(group, 28),
            )
            for fold, value in zip(folds, values, strict=True):
                foot[fold] += value
        for place, fold in enumerate(folds):
            axes.annotate(
                f"{count(foot[fold])} of {count(patients[fold])}",
                xy=(place, foot[fold]),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=TEXT_PT - 1,
                color=FAINT,
            )
        axes.set_xticks(range(len(folds)), [drawable(fold, 16) for fold in folds])
        axes.tick_params(axis="x", length=0)
        if len(folds) > 6:
            axes.tick_params(axis="x", rotation=45)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.set_ylim(0, max(*foot.values(), 1) * 1.15)
        axes.set_ylabel("Events tested on")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), handlelength=1.6)
    return figure


def _groups(bars: FoldBars) -> list[str]:
    """Choose the groups that keep their own hatch; the rest go under one name."""
    names = list(dict.fromkeys(part.group for part in bars.parts))
    if len(names) <= bars.most_groups + 1:
        return names
    events: Counter[str] = Counter()
    for part in bars.parts:
        events[part.group] += part.events
    largest = {name for name, _ in events.most_common(bars.most_groups)}
    return [*(name for name in names if name in largest), _OTHERS]
