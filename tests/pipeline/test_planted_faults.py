"""Every fault that can be planted in the synthetic study is found under its code and rows."""

from __future__ import annotations

import pytest

from metastra.cohort.check import check_study
from metastra.errors import MetastraError, Problem, Severity
from metastra.pseudonyms import Pseudonyms, SecretKey
from metastra.study.load import load_study
from metastra.synthetic.faults import FAULTS
from metastra.synthetic.generate import synthetic_study

PSEUDONYMS = Pseudonyms(SecretKey(bytes(32)))


def problems_of(folder, *, faults=(), study_file="study.toml") -> tuple[Problem, ...]:
    files = synthetic_study(n_patients=300, seed=3, faults=faults)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        return check_study(load_study(folder / study_file), PSEUDONYMS).problems
    except MetastraError as error:
        return getattr(error, "problems", ())


def test_the_study_without_faults_is_accepted(tmp_path):
    """What is found below is the fault."""
    refused = [str(p) for p in problems_of(tmp_path) if p.severity is Severity.REFUSE]

    assert refused == []


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_planted_fault_is_found(name, tmp_path):
    """Its code is among the problems, and its remedy is not empty."""
    fault = FAULTS[name]
    told = {
        (p.code, str(p.where), p.found)
        for p in problems_of(tmp_path / "clean", study_file=fault.study_file)
    }

    found = [
        p
        for p in problems_of(tmp_path / "faulty", faults=[name], study_file=fault.study_file)
        if p.code == fault.code and (p.code, str(p.where), p.found) not in told
    ]

    assert found
    assert all(problem.hint for problem in found)
