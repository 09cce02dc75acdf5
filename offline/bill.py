"""The bill of materials in CycloneDX 1.6, as JSON."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from offline.licences import Licence
from offline.wheels import Wheel

__all__ = ["bill_of"]

_INSTALLER = "pip"


def bill_of(
    wheels: Sequence[Wheel], licences: Sequence[Licence], extras: Sequence[str], made_s: int
) -> dict[str, Any]:
    """Draw up the bill.

    Parameters
    ----------
    wheels : sequence of Wheel
        All of the folder, metastra's own included.
    licences : sequence of Licence
        In the same order.
    extras : sequence of str
        Extras of metastra that were asked for.
    made_s : int
        Seconds since 1970; the time of the sources, so that equal contents give equal bills.

    Returns
    -------
    dict
        Strict JSON.  The serial number is drawn from the digests of the wheels.
    """
    refs = {wheel.name: _purl(wheel) for wheel in wheels}
    parts = {
        wheel.name: _component(wheel, licence)
        for wheel, licence in zip(wheels, licences, strict=True)
    }
    own = parts.pop("metastra") | {"type": "application"}
    contents = "".join(wheel.sha256 for wheel in wheels)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, contents)}",
        "version": 1,
        "metadata": {
            "timestamp": dt.datetime.fromtimestamp(made_s, dt.UTC).isoformat(),
            "component": own,
        },
        "components": list(parts.values()),
        "dependencies": [
            {
                "ref": refs[wheel.name],
                "dependsOn": sorted(
                    refs[name]
                    for name in wheel.needs(extras if wheel.name == "metastra" else ())
                    if name in refs
                ),
            }
            for wheel in wheels
        ],
    }


def _purl(wheel: Wheel) -> str:
    return f"pkg:pypi/{wheel.name}@{quote(wheel.version, safe='')}"


def _component(wheel: Wheel, licence: Licence) -> dict[str, Any]:
    if licence.source == "License-Expression":
        stated: dict[str, Any] = {"expression": licence.text}
    else:
        stated = {"license": {"name": licence.text}}
    return {
        "type": "library",
        "bom-ref": _purl(wheel),
        "name": wheel.name,
        "version": wheel.version,
        # what installs the others is not installed itself
        "scope": "excluded" if wheel.name == _INSTALLER else "required",
        "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
        "licenses": [stated],
        "purl": _purl(wheel),
    }
