"""`python -m benchmarks.record`: the long statistical checks, written into docs/records/."""

from __future__ import annotations

import argparse
import math
import sys
import time

import numpy as np

from benchmarks.cases import REPOSITORY
from benchmarks.coverage import Covered, Rejected, Study, simulate
from benchmarks.machine import cpu_model, today, versions
from benchmarks.simulation import Model

__all__ = ["main"]

_DESIGNS = (160, 400, 1_000)
_EVENT_SHARE = 0.10
_COHORTS = 10_000
_REDRAWN = 1_000
_FEWEST = 100


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def _covered_row(covered: Covered) -> str:
    if not covered.estimates:
        return f"| {covered.name} | {covered.truth:.4f} | – | – | – | – | – | {covered.refused} |"
    inside = 1.0 - covered.all_below - covered.all_above
    cells = (
        covered.name,
        f"{covered.truth:.4f}",
        f"{np.mean(covered.estimates):.4f}",
        _percent(inside),
        _percent(covered.all_below),
        _percent(covered.all_above),
        f"{covered.width:.3f}",
        str(covered.refused),
    )
    return f"| {' | '.join(cells)} |"


def _rejected_row(rejected: Rejected) -> str:
    if not rejected.p_values:
        return f"| {rejected.name} | – | – | {rejected.refused} |"
    at_five, at_one = _percent(rejected.rate(0.05)), _percent(rejected.rate(0.01))
    return f"| {rejected.name} | {at_five} | {at_one} | {rejected.refused} |"


def _design(study: Study) -> str:
    low, middle, high = (round(value) for value in np.quantile(study.events, [0.05, 0.5, 0.95]))
    covered = "\n".join(_covered_row(row) for row in study.covered)
    rejected = "\n".join(_rejected_row(row) for row in study.rejected)
    return f"""## n = {study.n}, {middle} events by the horizon (5 % to 95 %: {low} to {high})

| 95 % interval | truth | mean estimate | covers | lies below | lies above | width | refused |
| --- | --: | --: | --: | --: | --: | --: | --: |
{covered}

| no true difference in AUC | p < 0.05 | p < 0.01 | refused |
| --- | --: | --: | --: |
{rejected}
"""


def _beyond(studies: list[Study], chance: float) -> str:
    """List what misses its level on the unsafe side by more than chance."""
    found = []
    for study in studies:
        where = f"n = {study.n}"
        for row in study.covered:
            inside = 1.0 - row.all_below - row.all_above
            spread = 2.0 * math.sqrt(0.95 * 0.05 / max(len(row.estimates), 1))
            if row.estimates and inside < 0.95 - spread:
                found.append(f"- {where}: {row.name} covers {_percent(inside)}.")
        for test in study.rejected:
            if test.p_values and test.rate(0.05) > 0.05 + chance:
                rate = _percent(test.rate(0.05))
                found.append(f"- {where}: delta AUC, {test.name}: {rate} have p < 0.05.")
    return "\n".join(found) if found else "Nothing."


def _page(model: Model, studies: list[Study], cohorts: int, cpu_s: float) -> str:
    hazard = f"{model.base:.4f} exp({model.slope:.1f} x)"
    thousands = f"{cohorts:,}".replace(",", " ")
    error = math.sqrt(0.95 * 0.05 / cohorts)
    designs = "\n".join(_design(study) for study in studies)
    return f"""# Coverage of intervals, {today()}

{thousands} simulated cohorts for each size. The Monte-Carlo standard error of a coverage of 95 %,
or of a rejection rate of 5 %, is {100.0 * error:.2f} points; up to twice that may be chance.

- Truth: score x standard normal; hazard of the event {hazard} a year, of
  the competing event {model.competing:g} a year; follow-up ends uniformly between 1 and 5 years,
  whatever the score; horizon 2 years; {_percent(_EVENT_SHARE)} of the patients are expected to have
  the event seen by then.
- The model that is judged is the true one, so O/E is 1. The true AUC and C are integrals; C is the
  value that Harrell's C up to the horizon tends to under this censoring.
- AUC counts patients with the competing event as controls; C censors it. AUC and C have limits from
  the logit scale, O/E from the log scale, slope and IPA as they are. *Student's t*: with one degree
  of freedom less than events by the horizon, which `metastra evaluate` takes below 100 events.
- The bootstrap (percentiles of 400 draws of patients) is judged on the first {_REDRAWN} cohorts
  of each size; its coverage has a Monte-Carlo standard error of 0.7 points.
- O/E takes the mean of the risks as fixed, although it varies with the patients.
- *Lies below*: the whole interval is below the truth. *Refused*: `NotEstimable`, not counted in the
  shares. *Width*: the median.
- Limits: one hazard, censoring that depends on nothing, and no tied times.

## Less safe than it says, by more than chance

{_beyond(studies, 2.0 * error)}

{designs}
## Made with

`python -m benchmarks.record --cohorts {cohorts}`; {cpu_s:.0f} s of CPU time.
Machine: {cpu_model()}; shared with other work, which changes no number here.
Versions: {versions()}.
"""


def main(arguments: list[str]) -> None:
    """Simulate and write the record.

    Parameters
    ----------
    arguments : list of str
        From the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.record", description=__doc__)
    parser.add_argument("--cohorts", type=int, default=_COHORTS, help="for each size")
    options = parser.parse_args(arguments)
    if options.cohorts < _FEWEST:
        parser.error(f"--cohorts {options.cohorts}; expected {_FEWEST} or more")
    start = time.process_time()
    model = Model.with_events(_EVENT_SHARE)
    studies = []
    for n in _DESIGNS:
        print(f"n = {n}: {options.cohorts} cohorts", file=sys.stderr, flush=True)
        redrawn = min(_REDRAWN, options.cohorts)
        studies.append(simulate(model, n=n, cohorts=options.cohorts, redrawn=redrawn))
    page = _page(model, studies, options.cohorts, time.process_time() - start)
    target = REPOSITORY / "docs" / "records" / f"{today()}-coverage.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main(sys.argv[1:])
