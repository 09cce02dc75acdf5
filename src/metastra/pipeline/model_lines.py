"""What a run prints of its models: the baseline first, the others against it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metastra.storage import completeness, parse_json

__all__ = ["model_lines"]


def model_lines(run_dir: Path) -> list[str]:
    """Say how well each model does, cohort by cohort.

    Parameters
    ----------
    run_dir : Path
        The run folder.

    Returns
    -------
    list of str
        For a person; empty where the run has no evaluation, or one model alone.

    Notes
    -----
    The AUC at the last horizon with its interval; the baseline stands first, and the primary
    model's difference to it last.
    """
    if completeness(run_dir, "evaluation").reasons:
        return []
    document: Mapping[str, Any] = parse_json((run_dir / "evaluation.json").read_bytes())
    models: Mapping[str, Mapping[str, Any]] = document.get("models", {})
    order, primary = document.get("model_order", ()), document.get("primary_model", "")
    if not models:
        return []
    lines = []
    for cohort in document["cohorts"]:
        kind = document["validation"].get(cohort, "")
        horizon = f"{document['horizons'][-1]:g} {document['time_unit']}"
        lines.append(f"{cohort} ({kind}), AUC at {horizon}")
        lines += [f"  {_label(name, primary):<24}{_auc(models[name], cohort)}" for name in order]
        if (gained := _gained(document["cohorts"][cohort])) is not None and primary != "clinical":
            label = f"{primary} less clinical"
            lines.append(f"  {label:<24}{_interval(gained, signed=True)}")
    return lines


def _label(name: str, primary: str) -> str:
    words = {"baseline": name == "clinical", "primary": name == primary}
    said = ", ".join(word for word, holds in words.items() if holds)
    return f"{name} ({said})" if said else name


def _auc(model: Mapping[str, Any], cohort: str) -> str:
    part = model.get("cohorts", {}).get(cohort)
    if part is None:
        return f"not estimable: {model.get('reason', 'nobody of this cohort is judged')}"
    found: Mapping[str, Any] = part["discrimination"]["auc"][-1]
    return f"{_interval(found)}, {part['n']} patients, {part['events']} events"


def _gained(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Find the difference in the AUC at the last horizon."""
    differences = [one for one in part["added_value"]["differences"] if one["measure"] == "auc"]
    return differences[-1] if differences else None


def _interval(found: Mapping[str, Any], *, signed: bool = False) -> str:
    if found["estimate"] is None:
        return f"not estimable: {found.get('reason')}"
    sign = "+" if signed else ""
    number = f"{found['estimate']:{sign}.3f}"
    if found["lower"] is None:
        return f"{number} (no interval: {found.get('reason')})"
    return f"{number} ({found['lower']:{sign}.3f} to {found['upper']:{sign}.3f})"
