"""What a package states of its licence, and what is refused."""

from __future__ import annotations

from email.parser import HeaderParser

import pytest
from offline.licences import Verdict, judge, licence_of


@pytest.mark.parametrize(
    ("expression", "verdict"),
    [
        ("MIT", Verdict.PERMISSIVE),
        ("mit and bsd-3-clause", Verdict.PERMISSIVE),
        ("Apache-2.0 WITH LLVM-exception", Verdict.PERMISSIVE),
        ("LGPL-2.1-only AND MIT", Verdict.WEAK_COPYLEFT),
        ("MPL-2.0 AND MIT", Verdict.WEAK_COPYLEFT),
        ("GPL-3.0-or-later", Verdict.REFUSED),
        ("MIT AND AGPL-3.0-only", Verdict.REFUSED),
        ("MIT OR GPL-2.0-only", Verdict.PERMISSIVE),
        ("MIT AND (BSD-3-Clause OR GPL-2.0-only)", Verdict.PERMISSIVE),
        ("MIT OR BSD-3-Clause AND GPL-2.0-only", Verdict.PERMISSIVE),
        ("(MIT OR BSD-3-Clause) AND GPL-2.0-only", Verdict.REFUSED),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", Verdict.WEAK_COPYLEFT),
        ("GPL-3.0-or-later WITH Invented-exception", Verdict.REFUSED),
        ("LicenseRef-Proprietary", Verdict.UNKNOWN),
        ("MIT AND LicenseRef-Proprietary", Verdict.UNKNOWN),
        ("GPL-3.0-only AND LicenseRef-Proprietary", Verdict.REFUSED),
        ("(MIT", Verdict.UNKNOWN),
        ("MIT BSD-3-Clause", Verdict.UNKNOWN),
        ("MIT AND", Verdict.UNKNOWN),
        ("", Verdict.UNKNOWN),
    ],
)
def test_an_expression_is_judged(expression, verdict):
    """AND takes the strictest part, OR the freest, AND binds closer; what is unclear is unknown."""
    assert judge(expression) is verdict


_SPELLINGS = ("GPL", "GPLv3", "AGPLv3", "GNU GPL", "GNU General Public License v3")


@pytest.mark.parametrize(
    ("headers", "text", "verdict"),
    [
        (["License-Expression: MIT", "License: GPL-3.0-only"], "MIT", Verdict.PERMISSIVE),
        (["Classifier: License :: OSI Approved :: BSD License"], "BSD", Verdict.PERMISSIVE),
        (
            ["Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)"],
            "GNU General Public License v3 (GPLv3)",
            Verdict.REFUSED,
        ),
        (
            [
                "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
                "Classifier: License :: OSI Approved :: MIT License",
            ],
            "GNU Affero General Public License v3 AND MIT",
            Verdict.REFUSED,
        ),
        (
            ["Classifier: License :: OSI Approved :: GNU Lesser General Public License v3"],
            "GNU Lesser General Public License v3",
            Verdict.WEAK_COPYLEFT,
        ),
        (
            ["Classifier: License :: Other/Proprietary License"],
            "Other/Proprietary License",
            Verdict.UNKNOWN,
        ),
        (["Classifier: License :: OSI Approved", "License: ISC"], "ISC", Verdict.PERMISSIVE),
        (["License: Apache 2.0"], "Apache-2.0", Verdict.PERMISSIVE),
        (["License: " + "words of a licence " * 10], "not stated", Verdict.UNKNOWN),
        *((["License: " + name], name, Verdict.REFUSED) for name in _SPELLINGS),
        (["License: LGPLv3"], "LGPLv3", Verdict.UNKNOWN),
        ([], "not stated", Verdict.UNKNOWN),
    ],
)
def test_the_most_exact_statement_counts(headers, text, verdict):
    """Expression before classifiers before the old field; a text is no name."""
    metadata = HeaderParser().parsestr("\n".join(["Name: x", *headers]) + "\n\n")

    licence = licence_of(metadata)

    assert (licence.text, licence.verdict) == (text, verdict)
