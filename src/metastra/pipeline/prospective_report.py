"""The signed report of a prospective study: numbers, pages, digests, signature."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metastra.digest import digest_bytes
from metastra.errors import ConfigError
from metastra.evaluation.evaluate import Evaluation
from metastra.ledger.reported import SIGNATURE, signed_message
from metastra.ledger.store import Author
from metastra.pipeline.evaluate import Judged, write_judged
from metastra.signing import sign
from metastra.storage import json_bytes, write_bytes

__all__ = ["write_report"]

_JUDGED = "evaluation"
_SHOWN = ("roc", "incidence")


def write_report(
    document: Mapping[str, Any],
    evaluation: Evaluation,
    tables: Mapping[str, bytes],
    folder: Path,
    author: Author,
) -> dict[str, str]:
    """Write the report and sign it.

    Parameters
    ----------
    document : mapping
        The content of ``prospective.json``.
    evaluation : Evaluation
        Of the primary analysis.
    tables : mapping of str to bytes
        Further files.
    folder : Path
        Made when it is missing.
    author : Author
        Whose key signs.

    Returns
    -------
    dict of str to str
        SHA-256 of every file, by name relative to the folder; ``signature.json`` among them.

    Raises
    ------
    ConfigError, ResourceError
        If the folder cannot be written to.
    """
    from metastra.report.evaluation_figures import evaluation_figures
    from metastra.report.prospective_page import render_prospective_page
    from metastra.report.shown import ShownFigure
    from metastra.report.study_flow import draw_study_flow
    from metastra.report.theme import to_png, to_svg

    if author.key is None:
        raise ConfigError("a report is signed: name an Ed25519 private key with --sign-key")
    boxes = document["flow"]["boxes"]
    figures = {
        "flow": ShownFigure(
            title="Flow of patients",
            explanation=(
                f"Flow of patients: of {boxes[0]['n']} who were screened {boxes[-1]['n']} are "
                "judged; beside the boxes who left, and why. Each patient counts once."
            ),
            figure=draw_study_flow(boxes),
        )
    }
    drawn = evaluation_figures(evaluation)
    figures |= {name: drawn[name] for name in _SHOWN if name in drawn}
    page = render_prospective_page(document, figures, evaluation_href=f"{_JUDGED}/report.html")
    files = {
        "prospective.json": json_bytes(dict(document)),
        "report.html": page.encode(),
        "figures/flow.svg": to_svg(figures["flow"].figure).encode(),
        "figures/flow.png": to_png(figures["flow"].figure),
        **tables,
    }
    digests = {name: write_bytes(folder / name, data) for name, data in files.items()}
    judged = write_judged(Judged(evaluation=evaluation, problems=()), folder / _JUDGED)
    for name in judged:
        path = folder / _JUDGED / name
        digests[f"{_JUDGED}/{name}"] = digest_bytes(path.read_bytes())
    listed = dict(sorted(digests.items()))
    signature = {
        "files": listed,
        "study": document["study"]["id"],
        "key": author.key.public.key_id,
        "public_key": author.key.public.pem,
        "signature": sign(author.key, signed_message(document["study"]["id"], listed)),
        "research_use": document["research_use"],
    }
    digest = write_bytes(folder / SIGNATURE, json_bytes(signature))
    return listed | {SIGNATURE: digest}
