"""The study file of the synthetic study, commented as a worked example."""

from __future__ import annotations

from collections.abc import Sequence

from metastra.study.sections import TableFormatSection
from metastra.synthetic.case_mix import HORIZON_MONTHS, WINDOW_MONTHS, CohortPlan
from metastra.synthetic.writing import WRITINGS, Writing

__all__ = ["overall_survival_file", "study_file"]

_MAIN_HEAD = """\
# A study file is a promise: it says what is predicted, for whom, from what and how it is judged,
# before anybody looks at the outcome.  `metastra check` reads it and refuses what does not hold.
#
# The patients of this study are drawn from known hazards: docs/explanation/synthetic-cohort.md.

[study]
name = "synthetic-crc-liver"                 # used in file names
title = "Metachronous liver metastasis after resection of colorectal cancer (synthetic)"
seed = {seed}                              # seeds splits and resampling
primary_tumour = "colorectal"                # decides the staging tables

# What is predicted.  The dictionary (`metastra endpoints`) holds the definition: liver metastasis
# is the event, death without it competes, the others are censored.  The clock starts at the end
# of the synchronous window; patients with the event by then are not at risk and are counted.
[endpoint]
name = "metachronous-liver-metastasis"
time_unit = "months"
horizons = {horizons}
primary_horizon = 24                         # the one that decides
synchronous_window_months = {window}

# From when to when patients were watched: columns of the clinical tables.
[clock]
origin = "SURGERY_DATE"
last_contact = "LAST_CONTACT"
unit = "days"                                # of durations in the tables, here OS_DAYS

# A finished endpoint of the tables is compared with the recorded events: they must agree.
[[status]]
endpoint = "overall-survival"
time = "OS_DAYS"
event = "OS_STATUS"
codes = {codes}

# Words that are metastra's own need no entry; these are the German ones of cohort rhine.
[events.types]
"Metastase" = "metastasis"
"Rezidiv" = "recurrence"
"Tod durch Tumor" = "death-of-disease"
"Tod anderer Ursache" = "death-of-other-cause"
"Metastasenresektion" = "metastasis-procedure"

[events.sites]
"Leber" = "liver"
"Bauchfell" = "peritoneum"
"Lunge" = "lung"
"Anastomose" = "local"

# The stage that TNM implies is compared with the stage column, and M with the third.
[staging]
tnm = "TNM"
stage = "stage"
metastasis_at_diagnosis = "mets_at_diagnosis"
yes = ["yes", "ja"]
no = ["no", "nein"]
edition = "AJCC-8"

# Predictors that are known at surgery.  Nothing that is learned later may stand here.
[clinical]
age = {{ kind = "continuous", unit = "years", minimum = 18, maximum = 110 }}
sex = {{ kind = "binary", levels = ["F", "M"] }}
stage = {{ kind = "ordinal", coding = "AJCC-8", collapse_stage = true }}
grade = {{ kind = "ordinal", levels = ["G1", "G2", "G3"] }}
MMR = {{ kind = "binary", levels = ["pMMR", "dMMR"] }}
location = {{ kind = "categorical", levels = ["left", "right", "rectum"] }}
CEA.kind = "continuous"
CEA.unit = "ng/ml"
CEA.minimum = 0
CEA.transform = "log1p"                      # the model sees ln(1 + value)
CEA.measured = "CEA_DATE"                    # must not lie after surgery

# How the data were collected.  A model that can be made from these alone is a warning.
[metadata]
site = "site"                                # the hospital
scanner = "SCANNER"
scan_date = "SCAN_DATE"

{pixels}
[slides]
encoder = "morphology"
target_mpp = 0.5
tile_px = 224
per_patient = "all"
{model}
# No hospital stands on both sides of a fold, and each cohort is left out once.
[validation]
folds = 5
group = ["PATIENT", "site"]
leave_one_cohort_out = true

# Who is not analysed, in this order; the flow diagram counts them.
[[exclude]]
reason = "Metastases at diagnosis"
column = "@M"                                # derived from TNM
equals = ["1"]

[[exclude]]
reason = "Neoadjuvant treatment"
column = "@neoadjuvant"                      # derived from the y of TNM and from NEOADJUVANT
equals = ["1"]

# Only because these patients are drawn: what is true of them.  No model sees it; the finished run
# is compared with it.
[synthetic]
truth = "truth/truth.csv"
"""

_OS_HEAD = """\
# The same patients with an endpoint that the tables already hold: overall survival from a column
# of times and a column of statuses.  Every status that occurs must be in the code map.

[study]
name = "synthetic-crc-survival"
title = "Overall survival after resection of colorectal cancer (synthetic)"
seed = {seed}
primary_tumour = "colorectal"

[endpoint]
name = "overall-survival"
time = "OS_DAYS"
event = "OS_STATUS"
time_unit = "days"
horizons = [365.25, 730.5, 1095.75]
primary_horizon = 730.5

[endpoint.codes]
"alive" = "censored"
"dead" = "event"
"lebt" = "censored"
"verstorben" = "event"

[staging]
tnm = "TNM"
stage = "stage"

[clinical]
age = {{ kind = "continuous", minimum = 18, maximum = 110 }}
sex = {{ kind = "binary", levels = ["F", "M"] }}
stage = {{ kind = "ordinal", coding = "AJCC-8", collapse_stage = true }}

[metadata]
site = "site"

[validation]
folds = 5
group = ["PATIENT", "site"]
leave_one_cohort_out = true
"""

_PIXELS = {
    False: "# There are no pixels yet, so these only say what would be done with them.",
    True: "# What is done with the painted slides.",
}
_MODEL = """
# How slides become a risk.  In so few patients a linear model of a patient's mean features finds
# more than one with attention, which is the default and wants hundreds of events.
[model]
primary = "combined"                         # declared before anybody looks; judged and locked
aggregator = "linear"                        # or "attention", "mean"
"""
_CODES = '{ alive = "censored", dead = "event", lebt = "censored", verstorben = "event" }'


def study_file(plans: Sequence[CohortPlan], *, seed: int, slides: bool = False) -> str:
    """Write the study file for metachronous liver metastasis.

    Parameters
    ----------
    plans : sequence of CohortPlan
        Cohorts, in the order in which they shall stand.
    seed : int
        Of splits and resampling.
    slides : bool
        Whether there are slide files, in ``NAME/slides``.

    Returns
    -------
    str
        TOML with comments.

    Examples
    --------
    >>> from metastra.study.load import parse_study
    >>> from metastra.synthetic.case_mix import COHORTS
    >>> study = parse_study(study_file(COHORTS, seed=7))
    >>> [section.name for section in study.cohort], study.endpoint.horizons
    (['north', 'rhine', 'south'], (12.0, 24.0, 36.0))
    """
    head = _MAIN_HEAD.format(
        seed=seed,
        horizons=list(HORIZON_MONTHS),
        window=WINDOW_MONTHS,
        codes=_CODES,
        pixels=_PIXELS[slides],
        model=_MODEL if slides else "",
    )
    kinds = ("clini", "slide", "specimen", "event")
    return "\n".join([head, *(_cohort(plan, kinds, slides=slides) for plan in plans)])


def overall_survival_file(plans: Sequence[CohortPlan], *, seed: int) -> str:
    """Write a study file whose endpoint stands in finished columns.

    Parameters
    ----------
    plans : sequence of CohortPlan
        Cohorts, in the order in which they shall stand.
    seed : int
        Of splits and resampling.

    Returns
    -------
    str
        TOML with comments.
    """
    return "\n".join([_OS_HEAD.format(seed=seed), *(_cohort(plan, ("clini",)) for plan in plans)])


_FILES = {"clini": "clini", "slide": "slides", "specimen": "specimens", "event": "events"}
_NOTES = {
    "development": "models may be fitted on it",
    "external": "only ever predicted",
    "temporal": "only ever predicted",
}


def _cohort(plan: CohortPlan, kinds: Sequence[str], *, slides: bool = False) -> str:
    writing = WRITINGS[plan.style]
    lines = [
        "[[cohort]]",
        f'name = "{plan.name}"',
        f'role = "{plan.role}"'.ljust(44) + f" # {_NOTES[plan.role]}",
        f"data_cut = {plan.data_cut.isoformat()}".ljust(44) + " # dates after it are refused",
    ]
    layout = _layout(writing)
    for kind in kinds:
        lines.append(f'{kind}_table = "{plan.name}/{_FILES[kind]}{writing.suffix}"')
        if layout:
            lines.append(f"{kind}_format = {layout}")
    if slides:
        lines.append(f'slide_dir = "{plan.name}/slides"'.ljust(44) + " # every file must be there")
    elif "slide" in kinds:
        lines.append(
            "require_slides = false".ljust(44) + " # tables only: no slide files are there"
        )
    if writing.headers:
        lines += ["# the name that metastra and the sections above use = the name in these tables"]
        lines += ["[cohort.columns]"]
        lines += [f'{name} = "{written}"' for name, written in writing.headers.items()]
    return "\n".join(lines) + "\n"


def _layout(writing: Writing) -> str:
    """Say how tables are written, as far as the extension does not."""
    parts = []
    if writing.encoding not in ("utf-8", "utf-8-sig"):
        parts.append(f'encoding = "{writing.encoding}"')
    if writing.delimiter not in (",", "\t"):
        parts.append(f'delimiter = "{writing.delimiter}"')
    if writing.decimal != ".":
        parts.append(f'decimal = "{writing.decimal}"')
    if writing.date_format != "%Y-%m-%d":
        parts.append(f'date_format = "{writing.date_format}"')
    known = TableFormatSection.model_fields["missing"].default
    if writing.missing not in known:
        parts.append(f'missing = ["", "{writing.missing}"]')
    return "{ " + ", ".join(parts) + " }" if parts else ""
