"""What a product of a run was made from, whether it is whole, and why it is stale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metastra.errors import ConfigError
from metastra.storage import Explanation, Origin, ParentNow, State, explain
from metastra.study.load import load_study

__all__ = ["ProductStory", "explain_product"]


@dataclass(frozen=True, kw_only=True)
class ProductStory:
    """An explanation that also knows the study file beside the run.

    Parameters
    ----------
    explanation : Explanation
        As the run's records tell it.
    study_reason : str
        Why the study itself makes the product stale; empty when it does not.
    """

    explanation: Explanation
    study_reason: str = ""

    @property
    def stale(self) -> tuple[str, ...]:
        """Every reason why the product would be made again."""
        extra = (self.study_reason,) if self.study_reason else ()
        return (*self.explanation.stale, *extra)

    def to_json(self) -> dict[str, Any]:
        """Write the story as plain values.

        Returns
        -------
        dict
            Strict JSON.
        """
        told = self.explanation
        return {
            "product": told.name,
            "kind": told.kind,
            "digest": told.digest,
            "made_at": told.created_at,
            "tools": dict(told.tools),
            "complete": told.complete,
            "damage": list(told.damage),
            "stale": list(self.stale),
            "parents": [
                {
                    "role": item.role,
                    "origin": item.parent.origin.value,
                    "ref": item.parent.ref,
                    "digest": item.parent.digest,
                    "state": item.state.value,
                }
                for item in told.parents
            ],
        }

    def text(self) -> str:
        """Tell the story to a person.

        Returns
        -------
        str
            Several lines.
        """
        told = self.explanation
        tools = ", ".join(f"{name} {version}" for name, version in told.tools.items())
        lines = [f"{told.name} ({told.kind}), made {told.created_at} with {tools}"]
        lines.append(f"digest {told.digest}")
        lines.append("made from")
        lines += [f"  {_parent_line(item)}" for item in told.parents]
        for reason in told.damage:
            lines.append(f"not whole: {reason}")
        for reason in self.stale:
            lines.append(f"stale: {reason}")
        if not self.stale and not told.damage:
            lines.append("whole and up to date")
        return "\n".join(lines)


def _parent_line(item: ParentNow) -> str:
    state = "" if item.state is State.NOT_HERE else f"  [{item.state.value}]"
    return f"{item.role}: {item.parent.ref} {item.parent.digest[:12]}{state}"


def explain_product(path: Path) -> ProductStory:
    """Explain a file of a run folder.

    Parameters
    ----------
    path : Path
        The file, or ``run/NAME`` for a product's name.

    Returns
    -------
    ProductStory
        What it was made from, and how that stands now.

    Raises
    ------
    ConfigError
        If the path is in no run folder, or no product has it.
    """
    for run_dir in path.absolute().parents:
        if (run_dir / ".records").is_dir():
            break
    else:
        raise ConfigError(
            f"{path} is in no run folder; a run folder stands beside a study file and is made by "
            "`metastra run`"
        )
    told = explain(run_dir, str(path.absolute().relative_to(run_dir)))
    return ProductStory(explanation=told, study_reason=_study_reason(run_dir, told))


def _study_reason(run_dir: Path, told: Explanation) -> str:
    """Compare the study's digest with the study file beside the run folder."""
    recorded = next(
        (p for p in told.parents if p.role == "study" and p.parent.origin is Origin.VALUE), None
    )
    study_file = run_dir.parent / "study.toml"
    if recorded is None or not study_file.exists():
        return ""
    now = load_study(study_file).digest
    if now == recorded.parent.digest:
        return ""
    return f"the study file has changed: was {recorded.parent.digest[:12]}…, is {now[:12]}…"
