"""What was declared before looking: the plan file, and what it makes of a result."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from metastra.digest import digest_bytes, digest_value
from metastra.errors import ConfigError

__all__ = ["MEASURES", "SIDES", "Declared", "Plan", "read_plan"]

MEASURES: dict[str, str] = {
    "auc": "AUC",
    "harrell": "Harrell's concordance",
    "uno": "Uno's concordance",
    "brier": "Brier score",
    "ipa": "IPA",
    "oe_ratio": "O/E",
    "slope": "calibration slope",
    "slope_hazard": "calibration slope of a proportional-hazards model",
    "intercept": "calibration intercept",
    "ici": "ICI",
    "e50": "E50",
    "e90": "E90",
    "sensitivity": "sensitivity at the highest cutpoint",
    "specificity": "specificity at the highest cutpoint",
    "ppv": "positive predictive value at the highest cutpoint",
    "npv": "negative predictive value at the highest cutpoint",
    "hazard_ratio": "hazard ratio, highest against lowest risk group",
    "adjusted_hazard_ratio": "adjusted hazard ratio, highest against lowest risk group",
    "low_risk": "risk of the lowest risk group",
    "pooled_auc": "AUC pooled over cohorts",
    "pooled_oe_ratio": "O/E pooled over cohorts",
}
"""What a plan can name."""

SIDES = ("above", "below", "holds")
"""The lower end above the bound, the upper end below it, or the bound inside the interval."""

_KEYS = frozenset(
    {
        "name",
        "primary",
        "secondary",
        "subgroups",
        "cutpoints",
        "thresholds",
        "adjust",
        "landmarks",
        "low_risk_limit",
        "recalibrate",
    }
)
_ITEM_KEYS = frozenset({"measure", "horizon", "bound", "side", "cohort"})


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One declared number.

    Parameters
    ----------
    measure : str
        A key of `MEASURES`.
    horizon : float or None
        None for measures without one and for the last horizon.
    bound : float or None
        What the interval is held against; None to report only.
    side : str
        One of `SIDES`.
    cohort : str
        Of this cohort only; empty for all patients.
    """

    measure: str
    horizon: float | None = None
    bound: float | None = None
    side: str = "above"
    cohort: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan of analysis.

    Parameters
    ----------
    primary : Declared
        The one number that decides.
    secondary : tuple of Declared
        Declared, and not decisive.
    subgroups, adjust : tuple of str
        Columns.
    cutpoints, thresholds, landmarks : tuple of float
        Fixed beforehand.
    low_risk_limit : float or None
        Of the low-risk claim.
    recalibrate : bool
        Whether updating was declared.
    name : str
        Of the protocol, as the file has it.
    digest : str
        Of the file or of the values.
    """

    primary: Declared
    secondary: tuple[Declared, ...] = ()
    subgroups: tuple[str, ...] = ()
    adjust: tuple[str, ...] = ()
    cutpoints: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    landmarks: tuple[float, ...] = ()
    low_risk_limit: float | None = None
    recalibrate: bool = False
    name: str = ""
    digest: str = field(default="")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, digest: str = "") -> Plan:
        """Read a plan from plain values; everything wrong is said at once.

        Parameters
        ----------
        values : mapping
            As the file has them.
        digest : str
            Of the file; of the values when left out.

        Returns
        -------
        Plan
            Checked.

        Raises
        ------
        ConfigError
            With every key and value that is wrong, and the nearest known one.

        Examples
        --------
        >>> plan = Plan.from_mapping({"primary": {"measure": "auc", "horizon": 24, "bound": 0.65}})
        >>> plan.primary.side
        'above'
        """
        wrong = _unknown(values, _KEYS, "the plan")
        if not isinstance(values.get("primary"), Mapping):
            wrong.append("`primary` is missing: a table with `measure`, `horizon` and `bound`")
        items = values.get("secondary", [])
        if not isinstance(items, list) or not all(isinstance(one, Mapping) for one in items):
            wrong.append("`secondary` must be a list of tables")
            items = []
        primary = _declared(values.get("primary"), "primary", wrong)
        secondary = tuple(
            _declared(one, f"secondary {k}", wrong) for k, one in enumerate(items, start=1)
        )
        lists = {
            key: _list(values, key, kind, wrong)
            for key, kind in (
                ("subgroups", str),
                ("adjust", str),
                ("cutpoints", float),
                ("thresholds", float),
                ("landmarks", float),
            )
        }
        limit = _number(values, "low_risk_limit", "the plan", wrong)
        if not isinstance(values.get("recalibrate", False), bool):
            wrong.append("`recalibrate` must be true or false")
        if wrong:
            raise ConfigError("the plan cannot be read: " + "; ".join(wrong))
        return cls(
            primary=primary,
            secondary=secondary,
            low_risk_limit=limit,
            recalibrate=bool(values.get("recalibrate", False)),
            name=str(values.get("name", "")),
            digest=digest or f"sha256:{digest_value(dict(values))}",
            **lists,
        )


def read_plan(path: Path) -> Plan:
    """Read a plan from a TOML or JSON file.

    Parameters
    ----------
    path : Path
        By its extension; anything but ``.json`` is TOML.

    Returns
    -------
    Plan
        With the digest of the file.

    Raises
    ------
    ConfigError
        When the file cannot be read, or something in it is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--plan {path.name}: {error.strerror}") from error
    try:
        text = data.decode("utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--plan {path.name} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"--plan {path.name} holds no table of keys")
    return Plan.from_mapping(values, digest=f"sha256:{digest_bytes(data)}")


def _unknown(values: Mapping[str, Any], known: frozenset[str], what: str) -> list[str]:
    found = []
    for key in sorted(set(values) - known):
        near = get_close_matches(key, known, 1)
        hint = f"; did you mean `{near[0]}`?" if near else f"; known: {', '.join(sorted(known))}"
        found.append(f"{what} has an unknown key `{key}`{hint}")
    return found


def _declared(values: object, what: str, wrong: list[str]) -> Declared:
    if not isinstance(values, Mapping):
        return Declared(measure="auc")
    wrong += _unknown(values, _ITEM_KEYS, what)
    measure = values.get("measure")
    if measure not in MEASURES:
        wrong.append(f"{what}: measure {measure!r} is unknown; one of {', '.join(MEASURES)}")
        measure = "auc"
    side = values.get("side", "above")
    if side not in SIDES:
        wrong.append(f"{what}: side {side!r} is unknown; one of {', '.join(SIDES)}")
        side = "above"
    return Declared(
        measure=str(measure),
        horizon=_number(values, "horizon", what, wrong),
        bound=_number(values, "bound", what, wrong),
        side=str(side),
        cohort=str(values.get("cohort", "")),
    )


def _number(values: Mapping[str, Any], key: str, what: str, wrong: list[str]) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong.append(f"{what}: `{key}` is {value!r}; expected a number")
        return None
    return float(value)


def _list(values: Mapping[str, Any], key: str, kind: type, wrong: list[str]) -> tuple[Any, ...]:
    found = values.get(key, [])
    allowed = (int, float) if kind is float else (str,)
    if not isinstance(found, list) or any(
        isinstance(one, bool) or not isinstance(one, allowed) for one in found
    ):
        wrong.append(f"`{key}` must be a list of {'numbers' if kind is float else 'columns'}")
        return ()
    return tuple(kind(one) for one in found)
