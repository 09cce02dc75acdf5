"""The files of a bundle, their limits, and the one form in which its JSON is written.

::

    bundle/
    ├── bundle.json        the manifest: SHA-256 and size of every file below
    ├── contract.json      intended use, endpoint, predictors, horizons, cut-points, missing values
    ├── plan.json          how it will be judged
    ├── change_plan.json   what may change afterwards, and how that is tested
    ├── development.json   on whom it was fitted, for people
    ├── selftest.json      stored inputs and the outputs that belong to them
    ├── model.safetensors  the numbers (kind ``linear``; of the risk layer in kind ``slides``), or
    ├── external.json      the command (kind ``external``)
    ├── slide_model.safetensors   from tiles to a slide score (kind ``slides``)
    ├── pooled_model.safetensors  the linear one on pooled features, for comparison
    ├── companions.safetensors    the other models' risk layers, the clinical baseline among them
    ├── encoder.json       the card of the encoder whose features are read
    └── signature.json     over the bytes of bundle.json, once it is locked
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from metastra.catalogue import problem
from metastra.errors import BundleError, Problem, Where
from metastra.storage.encode import json_bytes, parse_json

__all__ = [
    "CHANGE_PLAN",
    "COMPANIONS",
    "CONTRACT",
    "DEVELOPMENT",
    "ENCODER",
    "EXTERNAL",
    "FILES_OF_KIND",
    "LARGEST_JSON_BYTES",
    "LARGEST_TENSOR_BYTES",
    "MANIFEST",
    "MODEL",
    "MOST_ENTRIES",
    "PLAN",
    "POOLED_MODEL",
    "SELFTEST",
    "SIGNATURE",
    "SLIDE_MODEL",
    "Part",
    "canonical_json_value",
    "part_bytes",
    "read_part",
]

MANIFEST = "bundle.json"
SIGNATURE = "signature.json"
CONTRACT = "contract.json"
PLAN = "plan.json"
CHANGE_PLAN = "change_plan.json"
DEVELOPMENT = "development.json"
SELFTEST = "selftest.json"
MODEL = "model.safetensors"
EXTERNAL = "external.json"
SLIDE_MODEL = "slide_model.safetensors"
POOLED_MODEL = "pooled_model.safetensors"
COMPANIONS = "companions.safetensors"
ENCODER = "encoder.json"

_COMMON = (CONTRACT, PLAN, CHANGE_PLAN, DEVELOPMENT, SELFTEST)
FILES_OF_KIND: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "linear": frozenset({*_COMMON, MODEL}),
        "external": frozenset({*_COMMON, EXTERNAL}),
        "slides": frozenset({*_COMMON, MODEL, SLIDE_MODEL, POOLED_MODEL, COMPANIONS, ENCODER}),
    }
)
"""Exactly these files stand in the manifest of each kind of bundle."""

LARGEST_JSON_BYTES = 8 << 20
LARGEST_TENSOR_BYTES = 256 << 20
MOST_ENTRIES = 64
"""Of the folder; a listing is not read further."""

_P = TypeVar("_P", bound="Part")


class Part(BaseModel):
    """A frozen piece of a bundle's JSON that knows exactly its own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def part_bytes(part: Part) -> bytes:
    """Write a piece in its one form.

    Parameters
    ----------
    part : Part
        A whole file of the bundle.

    Returns
    -------
    bytes
        Strict JSON, keys sorted.
    """
    return json_bytes(part.model_dump(mode="json"))


def canonical_json_value(name: str, data: bytes) -> Any:
    r"""Read JSON that must be written in its one form.

    Parameters
    ----------
    name : str
        Of the file.
    data : bytes
        Its content.

    Returns
    -------
    object
        As parsed.

    Raises
    ------
    BundleError
        With BU008, if it is no strict JSON or written in another form.

    Examples
    --------
    >>> canonical_json_value("x.json", b'{\n "a": 1\n}\n')
    {'a': 1}
    """
    try:
        value = parse_json(data)
        same = json_bytes(value) == data
    except (ValueError, TypeError, RecursionError) as error:
        raise _layout(name, f"no strict JSON: {_short(error)}") from None
    if not same:
        raise _layout(name, "the JSON is not written in its canonical form")
    return value


def read_part(kind: type[_P], name: str, data: bytes) -> _P:
    """Read a piece and hold it against its layout.

    Parameters
    ----------
    kind : type of Part
        What it must be.
    name : str
        Of the file.
    data : bytes
        Its content.

    Returns
    -------
    Part
        Of that kind.

    Raises
    ------
    BundleError
        With BU008 for each key that is missing, unknown or of another kind.
    """
    canonical_json_value(name, data)
    try:
        return kind.model_validate_json(data, strict=True)
    except ValidationError as error:
        problems = [
            _problem(name, f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}")
            for item in error.errors()[:20]
        ]
        raise BundleError("the bundle cannot be read", problems) from None


def _layout(name: str, found: str) -> BundleError:
    return BundleError("the bundle cannot be read", [_problem(name, found)])


def _problem(name: str, found: str) -> Problem:
    return problem("BU008", found, where=Where(file=name))


def _short(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"
