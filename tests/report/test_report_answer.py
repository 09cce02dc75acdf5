"""The answer is worded by its interval: yes, not shown, no, or no answer."""

from __future__ import annotations

from typing import Any

import pytest

from metastra.report.report_answer import answer_of, deciding_groups
from metastra.report.report_models import judged_groups, model_words, models_in


def number(estimate, lower=None, upper=None, **more) -> dict[str, Any]:
    return {
        "horizon": 24.0,
        "estimate": estimate,
        "lower": lower,
        "upper": upper,
        "n": 81,
        "events": 13,
    } | more


def part(difference=None, auc=None, reason="", n=81, events=13) -> dict[str, Any]:
    """One cohort's numbers."""
    auc = auc or number(0.72, 0.60, 0.82)
    pairs = [{"measure": "brier", **number(-0.01)}]
    if difference is not None:
        pairs.append({"measure": "auc", "baseline": 0.65, "model": 0.72, **difference})
    return {
        "n": n,
        "events": events,
        "discrimination": {"auc": [number(0.9, 0.8, 0.95, horizon=12.0), auc]},
        "added_value": {"differences": pairs}
        if difference
        else {"differences": [], "reason": reason},
    }


def evaluation(models=("clinical", "slides", "combined"), **cohorts) -> dict[str, Any]:
    document = {**part(), "cohorts": cohorts}
    return document | {"models": {name: {**part(), "cohorts": cohorts} for name in models}}


def said(document, roles, primary="combined"):
    return answer_of(
        judged_groups(document, roles),
        primary=primary,
        event="liver metastasis",
        horizon=24.0,
        time_unit="months",
    )


OUTSIDE = {"north": "development", "south": "external", "east": "temporal"}


@pytest.mark.parametrize(
    ("limits", "kind", "head", "words"),
    [
        ((0.01, 0.13), "yes", "Yes, in these patients.", "raised the AUC from 0.65 to 0.72"),
        ((-0.05, 0.19), "open", "Not shown.", "neither that the slides add something nor that"),
        ((0.0, 0.19), "open", "Not shown.", "The interval holds no difference"),
        ((-0.2, -0.01), "no", "No, worse in these patients.", "lowered the AUC"),
    ],
)
def test_the_words_follow_the_interval(limits, kind, head, words):
    """Patients, events, horizon and interval stand in the sentence whatever it says."""
    document = evaluation(north=part(), south=part(number(0.07, *limits)))
    found = said(document, OUTSIDE)
    assert (found.kind, found.head) == (kind, head)
    assert words in found.text
    whom = "In the 81 patients of the external cohort south, with 13 events (liver metastasis) by"
    assert found.text.startswith(f"{whom} 24 months, ")
    assert f"95% interval {limits[0]:.2f} to {limits[1]:.2f}".replace("-", "−") in found.text
    half = (limits[1] - limits[0]) / 2
    assert found.more == (f"With 13 events nothing finer than about ±{half:.2f} could be seen.",)


def test_a_difference_without_an_interval_or_without_a_number_is_no_answer():
    bare = said(evaluation(south=part(number(0.07))), OUTSIDE)
    assert (bare.kind, bare.head) == ("none", "No answer.")
    assert "without an interval" in bare.text
    none = said(evaluation(south=part(number(None, reason="2 events"))), OUTSIDE)
    assert none.text == "Whether the slides add anything cannot be said: 2 events."
    lacking = part(reason="3 predictions of patients without a clinical risk")
    assert "without a clinical risk" in said(evaluation(south=lacking), OUTSIDE).text


def test_cohorts_that_the_models_never_saw_decide_the_one_with_most_events_first():
    """The development cohorts do not speak where there is another one; others are named beside."""
    document = evaluation(
        north=part(number(0.2, 0.1, 0.3)),
        south=part(number(0.01, -0.1, 0.1), events=9),
        east=part(number(0.05, 0.01, 0.09), events=20),
    )
    groups = judged_groups(document, OUTSIDE)
    assert [group.name for group in groups] == ["north", "south", "east"]
    assert [group.name for group in deciding_groups(groups)] == ["east", "south"]
    found = said(document, OUTSIDE)
    assert found.kind == "yes"
    assert "temporal cohort east" in found.text
    assert found.more[-1] == "In south the difference is +0.01 (−0.10 to 0.10)."


def test_without_such_a_cohort_all_development_patients_decide_together():
    """One cohort stands alone; several are also judged together, out of fold."""
    roles = {"north": "development", "rhine": "development"}
    document = evaluation(north=part(), rhine=part()) | part(number(0.03, -0.02, 0.08))
    groups = judged_groups(document, roles)
    assert [group.name for group in groups] == ["north", "rhine", "all development cohorts"]
    found = said(document, roles)
    assert "patients of all development cohorts (each predicted by models that had" in found.text
    alone = judged_groups(evaluation(north=part()), roles)
    assert [group.name for group in alone] == ["north"]
    text = said(evaluation(north=part(number(0.1, 0.05, 0.2))), roles).text
    assert "patients of the development cohort north (each" in text


def test_one_model_is_held_against_chance():
    """No slides, or no clinical baseline: the answer is about order and says what it is not."""
    plain = {**part(), "cohorts": {"south": part()}}
    found = said(plain, OUTSIDE, "clinical")
    assert found.kind == "yes"
    assert "AUC of 0.72 (95% interval 0.60 to 0.82; 0.5 is chance)." in found.text
    assert found.more[0] == "No slide model was fitted: nothing is said about slides."
    weak = {**part(), "cohorts": {"south": part(auc=number(0.55, 0.4, 0.7))}}
    assert said(weak, OUTSIDE, "clinical").kind == "open"
    turned = {**part(), "cohorts": {"south": part(auc=number(0.3, 0.2, 0.4))}}
    assert said(turned, OUTSIDE, "clinical").kind == "no"
    slides = said(evaluation(models=("pooled", "slides"), south=part()), OUTSIDE, "slides")
    assert "the slides ordered the patients" in slides.text
    assert "no clinical baseline" in slides.more[0]


def test_models_stand_in_their_order_and_say_what_they_look_at():
    document = evaluation(models=("combined", "slides", "clinical"), south=part())
    assert models_in(document) == ("clinical", "slides", "combined")
    assert models_in(part()) == ("clinical",)
    assert model_words("combined") == "clinical columns and slides"
    failed = document | {"models": {"clinical": {"reason": "it cannot be judged: x"}}}
    (group,) = judged_groups(failed, {"south": "external"})
    assert group.models["clinical"]["reason"].endswith("x")
    absent = document | {"models": {"slides": {**part(), "cohorts": {}}}}
    (group,) = judged_groups(absent, {"south": "external"})
    assert "gives no patient of the cohort a risk" in group.models["slides"]["reason"]
