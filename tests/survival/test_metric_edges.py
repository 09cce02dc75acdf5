"""Tiny and degenerate data: every metric gives a finite number or a reason, never a NaN."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from metastra.errors import NotEstimable
from metastra.survival.brier import brier_score, delta_brier, integrated_brier
from metastra.survival.calibration import observed_expected, weak_calibration
from metastra.survival.calibration_curve import calibration_groups, loess_curve
from metastra.survival.classification import classification_at
from metastra.survival.concordance import ConcordanceMethod, concordance, delta_concordance
from metastra.survival.dynamic_auc import delta_auc, dynamic_auc, roc_curve
from metastra.survival.net_benefit import net_benefit
from metastra.survival.outcome import Outcome
from metastra.survival.paired import PairedDifference, logit_interval
from metastra.survival.pseudo_values import pseudo_observations

METRICS = {
    "concordance": lambda y, x, r, h: [concordance(y, x, method=m) for m in ConcordanceMethod],
    "concordance interval": lambda y, x, r, h: concordance(y, x).interval(),
    "delta concordance": lambda y, x, r, h: delta_concordance(y, x, r).p_value(),
    "auc": lambda y, x, r, h: [dynamic_auc(y, x, h), dynamic_auc(y, x, h, controls="event-free")],
    "auc interval": lambda y, x, r, h: dynamic_auc(y, x, h).interval(),
    "delta auc": delta_auc,
    "roc": lambda y, x, r, h: roc_curve(y, x, h).area(),
    "brier": lambda y, x, r, h: brier_score(y, r, h),
    "ipa interval": lambda y, x, r, h: brier_score(y, r, h).ipa_interval(),
    "delta ipa": lambda y, x, r, h: delta_brier(y, r, r[::-1], h, scaled=True),
    "ibs": lambda y, x, r, h: integrated_brier(y, np.column_stack([r, r]), [0.5, h]),
    "o/e": lambda y, x, r, h: observed_expected(y, r, h),
    "o/e interval": lambda y, x, r, h: observed_expected(y, r, h).interval(),
    "slope": lambda y, x, r, h: weak_calibration(y, r, h),
    "loess": lambda y, x, r, h: loess_curve(y, r, h, span=0.6),
    "groups": lambda y, x, r, h: calibration_groups(y, r, h, n_groups=3),
    "classification": lambda y, x, r, h: classification_at(y, r, 0.5, h),
    "net benefit": lambda y, x, r, h: net_benefit(y, r, h, [0.2, 0.5]),
    "pseudo": lambda y, x, r, h: pseudo_observations(y, h),
    "derivative": lambda y, x, r, h: pseudo_observations(y, h, method="infinitesimal"),
}


def tiny(rng: np.random.Generator):
    """Up to eleven patients with few distinct times, scores and risks; sometimes all alike."""
    n = int(rng.integers(1, 12))
    time = rng.integers(0, 8, n).astype(float)
    event = rng.integers(0, 3, n) * (rng.random() > 0.1)
    risk = rng.choice([0.0, 0.1, 0.3, 0.6, 1.0], n) if rng.random() < 0.3 else rng.uniform(size=n)
    score = rng.integers(0, 3, n).astype(float)
    if rng.random() < 0.1:
        risk[:], score[:] = 0.3, 1.0
    return Outcome(time=time, event=event), score, risk, float(rng.choice([1, 2.5, 5, 7]))


def numbers(value: object):
    """Every number inside a result."""
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, np.ndarray):
        yield from value.ravel().tolist()
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, float):
        yield value


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_gives_a_number_or_a_reason(name: str):
    """On five hundred degenerate data sets: finite, or NotEstimable; no warning, no other error."""
    rng = np.random.default_rng(1)
    seen: Counter[str] = Counter()
    for _ in range(500):
        y, score, risk, horizon = tiny(rng)
        try:
            found = list(numbers(METRICS[name](y, score, risk, horizon)))
        except NotEstimable:
            seen["reason"] += 1
            continue
        assert np.isfinite(found).all(), (y, score, risk, horizon)
        seen["number"] += 1
    assert min(seen["number"], seen["reason"]) > 15


def test_difference_without_spread_but_with_a_gap_has_no_p_value():
    """A standard error of 0 beside a difference is named, not divided by."""
    difference = PairedDifference(
        reference=0.5, candidate=1.0, estimate=0.5, std_error=0.0, measure="auc", n=2, events=1
    )

    with pytest.raises(NotEstimable, match="standard error of 0"):
        difference.p_value()
    assert difference.interval() == (0.5, 0.5)


def test_logit_interval_is_symmetric_on_its_scale():
    """The limits are equally far on the logit scale and stay inside (0, 1)."""
    lower, upper = logit_interval(0.9, 0.05)

    assert (lower / (1 - lower)) * (upper / (1 - upper)) == pytest.approx(81.0)
    assert upper < 1
    with pytest.raises(NotEstimable, match="exactly 0"):
        logit_interval(0.0, 0.0)
