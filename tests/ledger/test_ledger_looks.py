"""An interim look cannot be peeked at for nothing: what is begun has spent its error."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ledger.ledger_study import PROTOCOL, played
from metastra.errors import LockedError, NotEstimable, ResourceError
from metastra.evaluation.patients import Patients
from metastra.ledger.entry import Kind
from metastra.ledger.opening import opened
from metastra.ledger.protocol import AnalysisSection
from metastra.ledger.state import replay
from metastra.ledger.store import Ledger
from metastra.ledger.verifying import verify_ledger
from metastra.pipeline.prospective import Writer
from metastra.pipeline.prospective_analysis import look_at_study
from metastra.pipeline.prospective_looks import past_looks
from metastra.pipeline.prospective_primary import primary_test
from metastra.pipeline.prospective_status import study_status
from metastra.survival.outcome import Outcome

LOOKS = PROTOCOL.replace(
    "[design]",
    'events = 4\n[[analysis.interim]]\nname = "half way"\nnot_before = 2028-07-31\n[design]',
)


@pytest.fixture
def study(tmp_path) -> Path:
    """Two events, two controls, and a planned look."""
    return played(tmp_path, text=LOOKS)


def look(study: Path, day: str = "2028-08-01"):
    """Take the look."""
    writer = Writer(actor="committee", at=day)
    return look_at_study(
        study, study.parent / "out", study.parent / "custodian.pem", writer, look=1
    )


def interrupted(study: Path, monkeypatch) -> None:
    """Take the look and fail where its report would be recorded."""
    append = Ledger.append

    def failing(self, chain, drafts, author):
        if any(draft.kind is Kind.REPORT for draft in drafts):
            raise ResourceError("the disk is full")
        return append(self, chain, drafts, author)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", failing)
        with pytest.raises(ResourceError, match="full"):
            look(study)


def codes(study: Path) -> list[str]:
    """What `verify` finds; the ledger itself holds."""
    found = verify_ledger(study)
    assert found.holds, found.problems
    return [one.code for one in found.problems]


def test_an_interrupted_look_shows_nothing_and_has_spent(study, monkeypatch):
    """No file, a warning, and its events and error in the entry that began it."""
    interrupted(study, monkeypatch)

    state = replay(opened(study))
    begun = state.analyses[0]
    assert not list((study.parent / "out").iterdir())
    assert begun.facts["events"] == 2
    assert 0 < float(begun.facts["spent"]) < 0.025
    assert codes(study) == ["PR121"]
    due = study_status(study, at="2028-08-02")["due"]
    assert any(begun.name in line and "spent" in line for line in due)
    assert not any("planned from" in line for line in due)


def test_a_look_that_was_never_repeated_makes_the_last_bound_dearer(study, monkeypatch):
    """The final test has the same bound as after a look that was reported."""
    interrupted(study, monkeypatch)
    peeked = past_looks(replay(opened(study)))
    look(study, "2028-08-02")
    reported = past_looks(replay(opened(study)))

    rng = np.random.default_rng(5)
    risk = rng.uniform(0.1, 0.9, 60)
    y = Outcome(time=np.where(rng.uniform(size=60) < risk, 1.0, 3.0), event=np.ones(60, int))
    patients = Patients(outcome=y, horizons=(2.0,), risks=risk[:, None])
    plan = AnalysisSection(bound=0.6, not_before=date(2029, 1, 30), events=4)
    bounds = [primary_test(patients, plan, past=past)["z_bound"] for past in ([], peeked, reported)]
    assert (peeked[0].reported, peeked[0].reached) == (False, None)
    assert bounds[0] == pytest.approx(1.95996, abs=1e-4)
    assert bounds[1] > bounds[0] + 1e-4
    assert bounds[2] == bounds[1]


def test_a_second_attempt_is_named_and_a_third_is_refused(study, monkeypatch):
    """Whoever begins again leaves that in the ledger, and `verify` says it."""
    interrupted(study, monkeypatch)
    done = look(study, "2028-08-02")

    assert (study.parent / "out" / "look-1.json").is_file()
    assert done.document["primary"]["spent"] == float(done.entry.facts["spent"])
    assert codes(study) == ["PR121", "PR122"]
    (past,) = past_looks(replay(opened(study)))
    assert (past.attempts, past.reported, past.events) == (2, True, 2)
    with pytest.raises(LockedError, match="taken already"):
        look(study, "2028-08-03")


def test_a_look_at_nobody_leaves_no_entry(tmp_path):
    """Without an outcome nothing is begun, and nothing is spent."""
    study = played(tmp_path, outcomes=False, text=LOOKS)
    with pytest.raises(NotEstimable, match="nobody"):
        look(study)

    assert codes(study) == []
    assert replay(opened(study)).analyses == []
