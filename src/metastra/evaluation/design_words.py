"""In plain words: what a study of this size cannot show."""

from __future__ import annotations

from collections.abc import Iterator

from metastra.evaluation.design import Design

__all__ = ["cannot_show"]

_ENOUGH_POWER = 0.8
_RIGHT_SLOPE = (0.8, 1.25)
_RIGHT_RATIO = (0.8, 1.25)
_FEWEST_EVENTS = 10
_FAIR_COVERAGE = 0.93
_NAMES = {
    "auc": "AUC",
    "oe_ratio": "O/E",
    "slope": "calibration slope",
    "ipa": "IPA",
    "net_benefit": "standardised net benefit",
}


def cannot_show(design: Design) -> tuple[str, ...]:
    """Say what the planned study cannot show.

    Parameters
    ----------
    design : Design
        Of the study.

    Returns
    -------
    tuple of str
        One sentence for each; every number stands in the design too.

    Examples
    --------
    >>> from metastra.evaluation.design import design_study
    >>> from metastra.evaluation.design_plan import DesignPlan
    >>> from metastra.units import TimeUnit
    >>> plan = DesignPlan(
    ...     n=160, risk=0.12, horizon=24, time_unit=TimeUnit.MONTHS, auc=0.8, replicates=100
    ... )
    >>> any("calibration slope" in sentence for sentence in cannot_show(design_study(plan)))
    True
    """
    return (
        *_discrimination(design),
        *_calibration(design),
        *_comparisons(design),
        *_smaller_parts(design),
        *_intervals(design),
    )


def _discrimination(design: Design) -> Iterator[str]:
    short = [item for item in design.chances if item.chance < _ENOUGH_POWER]
    if short:
        limits = _listed([f"{item.limit:g}" for item in short])
        shares = _listed([f"{100 * item.chance:.0f}" for item in short])
        yield (
            f"With a true AUC of {design.plan.auc:.2f}, an AUC above {limits} would be shown "
            f"(lower 95 % limit) in {shares} of 100 such studies."
        )
    ipa = design.measure("ipa")
    if ipa.range is not None and ipa.range[0] < 0.0:
        yield (
            f"The IPA of this useful model may come out as low as {ipa.range[0]:.2f}, worse than "
            "giving every patient the mean risk."
        )


def _calibration(design: Design) -> Iterator[str]:
    slope, ratio = design.measure("slope"), design.measure("oe_ratio")
    if slope.range is None:
        yield f"The calibration slope is {slope.reason}."
    elif slope.range[0] < _RIGHT_SLOPE[0] or slope.range[1] > _RIGHT_SLOPE[1]:
        yield (
            "The calibration slope of a perfectly calibrated model would come out between "
            f"{slope.range[0]:.2f} and {slope.range[1]:.2f}: whether risks are too extreme or too "
            "alike cannot be told."
        )
    if ratio.range is None:
        yield f"O/E is {ratio.reason}."
    elif ratio.range[0] < _RIGHT_RATIO[0] or ratio.range[1] > _RIGHT_RATIO[1]:
        yield (
            f"O/E of a perfectly calibrated model would come out between {ratio.range[0]:.2f} and "
            f"{ratio.range[1]:.2f}: a model that promises a quarter too much or too little would "
            "not stand out."
        )
    short = [
        f"{_NAMES[item.measure]} {item.width:g} ({item.n})"
        for item in design.needed
        if item.n > design.plan.n
    ]
    if short:
        yield (
            "Intervals as narrow as these need more patients than planned (number needed): "
            f"{', '.join(short)}."
        )


def _comparisons(design: Design) -> Iterator[str]:
    gain = design.added_value
    if gain is None:
        yield "Added value: no clinical model was stated, so its power is not known."
    elif gain.power < _ENOUGH_POWER:
        yield (
            f"A true gain in AUC of {gain.true_gain:.2f} over a clinical model with "
            f"{gain.baseline_auc:.2f} would be missed in {100 * (1 - gain.power):.0f} of 100 such "
            "studies."
        )
    if design.hazard_ratio is None or design.hazard_ratio_few is None:
        yield "A difference between risk groups: fewer than 5 events are possible."
    else:
        yield (
            f"A high-risk group ({design.plan.high_risk_share:.0%} of patients) with a hazard "
            f"ratio below {design.hazard_ratio:.1f} (below {design.hazard_ratio_few:.1f} if events "
            f"are as few as {design.events.lower:.0f}) would probably not be told from the rest."
        )


def _smaller_parts(design: Design) -> Iterator[str]:
    half = design.events.mean / 2
    if half < _FEWEST_EVENTS:
        yield (
            f"Subgroups: half of the patients hold about {half:.0f} events, fewer than "
            f"{_FEWEST_EVENTS}; measures by sex, stage or centre would say nothing."
        )
    planned = next((item for item in design.dates if item.planned), None)
    last = design.dates[-1] if design.dates else None
    if planned is not None and last is not None and planned.day < last.day:
        yield (
            f"On {planned.day}, {planned.at_risk.mean:.0f} of {design.plan.n} patients will be "
            f"under observation at the horizon and {planned.events.mean:.0f} have had the event; "
            f"on {last.day} it would be {last.at_risk.mean:.0f} and {last.events.mean:.0f}."
        )


def _intervals(design: Design) -> Iterator[str]:
    for item in design.measures:
        if item.coverage is not None and item.coverage < _FAIR_COVERAGE:
            yield (
                f"The 95 % interval of the {_NAMES[item.name]} would hold the truth in "
                f"{100 * item.coverage:.0f} of 100 such studies only."
            )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
