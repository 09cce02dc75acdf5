"""Reading ``protocol.toml``: every fault at once, with its line."""

from __future__ import annotations

import re
from pathlib import Path

from metastra.catalogue import problem
from metastra.errors import ConfigError
from metastra.ledger.entry import STUDY_CHAIN
from metastra.ledger.protocol import Protocol
from metastra.study.lines import KeyLines
from metastra.study.toml_problems import parse_toml, validated, where_of

__all__ = ["load_protocol", "parse_protocol"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_BYTES = 1 << 20


def load_protocol(path: Path) -> Protocol:
    """Read a protocol file; keys that are named by their files are read in.

    Parameters
    ----------
    path : Path
        ``protocol.toml``.

    Returns
    -------
    Protocol
        Frozen and complete in itself.

    Raises
    ------
    ConfigError
        With every problem and its line.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path.name} is too large for a protocol")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8: byte {error.start} cannot be read") from error
    return parse_protocol(text, name=path.name, folder=path.parent)


def parse_protocol(
    text: str, *, name: str = "protocol.toml", folder: Path | None = None
) -> Protocol:
    """Parse the text of a protocol.

    Parameters
    ----------
    text : str
        TOML.
    name : str
        Of the file, for messages.
    folder : Path, optional
        That paths of keys start from.

    Returns
    -------
    Protocol
        Frozen.

    Raises
    ------
    ConfigError
        With every problem and its line.
    """
    raw = parse_toml(text, name=name)
    protocol = validated(Protocol, raw, text=text, name=name)
    lines = KeyLines(text)
    wrong = [
        problem("PR001", found, where=where_of(name, lines, path))
        for path, found in _contradictions(protocol)
    ]
    if wrong:
        raise ConfigError(f"{name} cannot be used", wrong)
    return _with_keys(protocol, folder)


def _with_keys(protocol: Protocol, folder: Path | None) -> Protocol:
    """Put the text of keys in the place of the names of their files."""
    from metastra.ledger.sealing import load_custodian_public, public_text
    from metastra.signing import load_public

    start = folder or Path()
    sealed = _key_text(protocol.seal.public_key, start)
    pem = public_text(load_custodian_public(sealed))
    centres = tuple(
        centre.model_copy(
            update={"public_key": load_public(_key_text(centre.public_key, start)).pem}
        )
        if centre.public_key
        else centre
        for centre in protocol.centre
    )
    study = protocol.study
    if study.public_key:
        text = load_public(_key_text(study.public_key, start)).pem
        study = study.model_copy(update={"public_key": text})
    seal = protocol.seal.model_copy(update={"public_key": pem})
    return protocol.model_copy(update={"study": study, "seal": seal, "centre": centres})


def _key_text(given: str, folder: Path) -> str:
    if "-----BEGIN" in given:
        return given
    path = folder / given
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no PEM text"
        raise ConfigError(f"the public key {given!r} cannot be read: {reason}") from error


_Found = list[tuple[tuple[str | int, ...], str]]


def _contradictions(protocol: Protocol) -> _Found:
    return [
        *_wrong_names(protocol),
        *_wrong_calendar(protocol),
        *_wrong_endpoint(protocol),
        *_wrong_plan(protocol),
    ]


def _wrong_names(protocol: Protocol) -> _Found:
    wrong: _Found = []
    names = [centre.name for centre in protocol.centre]
    for position, name in enumerate(names):
        if name == STUDY_CHAIN:
            wrong.append((("centre", position, "name"), "'study' is the name of the joining chain"))
        if name.casefold() in [other.casefold() for other in names[:position]]:
            wrong.append((("centre", position, "name"), f"centre {name!r} stands twice"))
    rules = [rule.name for rule in protocol.criterion]
    for position, name in enumerate(rules):
        if name in rules[:position]:
            wrong.append((("criterion", position, "name"), f"criterion {name!r} stands twice"))
        if fault := protocol.criterion[position].fault():
            wrong.append((("criterion", position), fault))
    digest = protocol.bundle.digest
    if digest and not _DIGEST.fullmatch(digest):
        wrong.append((("bundle", "digest"), "expected sha256: and 64 hexadecimal digits"))
    return wrong


def _wrong_calendar(protocol: Protocol) -> _Found:
    wrong: _Found = []
    accrual, plan = protocol.accrual, protocol.analysis
    if accrual.last_day <= accrual.first_day:
        wrong.append((("accrual", "last_day"), f"{accrual.last_day} is not after the first day"))
    first = (plan.not_before - accrual.first_day).days
    if first <= protocol.horizon_days:
        wrong.append(
            (
                ("analysis", "not_before"),
                f"{plan.not_before} comes before any patient has passed the horizon",
            )
        )
    before = accrual.first_day
    for position, look in enumerate(plan.interim):
        if not before < look.not_before < plan.not_before:
            wrong.append(
                (
                    ("analysis", "interim", position, "not_before"),
                    f"{look.not_before} is not between {before} and {plan.not_before}",
                )
            )
        before = look.not_before
    if plan.interim and plan.events < 2:
        wrong.append(
            (("analysis", "events"), "interim looks need the planned number of events, 2 or more")
        )
    return wrong


def _wrong_endpoint(protocol: Protocol) -> _Found:
    wrong: _Found = []
    kinds = set(protocol.endpoint.codes.values())
    for needed in ("censored", "event"):
        if needed not in kinds:
            wrong.append((("endpoint", "codes"), f"no code means {needed!r}"))
    visits = protocol.endpoint.visits
    if any(not a < b for a, b in zip((0.0, *visits), visits, strict=False)):
        wrong.append((("endpoint", "visits"), "visits must be positive and ascend"))
    if protocol.analysis.dating == "grace" and protocol.endpoint.grace <= 0:
        wrong.append((("analysis", "dating"), "'grace' needs [endpoint] grace above 0"))
    return wrong


def _wrong_plan(protocol: Protocol) -> _Found:
    wrong: _Found = []
    plan = protocol.analysis
    cuts = plan.cutpoints
    if any(not a < b for a, b in zip((0.0, *cuts), (*cuts, 1.0), strict=True)):
        wrong.append((("analysis", "cutpoints"), "cutpoints must lie inside (0, 1) and ascend"))
    if not all(0.0 < p < 1.0 for p in plan.thresholds):
        wrong.append((("analysis", "thresholds"), "thresholds must lie inside (0, 1)"))
    if 0 < plan.bootstrap < 100:
        wrong.append((("analysis", "bootstrap"), "expected 0 (none) or 100 and more"))
    if protocol.design.auc <= plan.bound:
        wrong.append(
            (("design", "auc"), f"the hoped-for AUC is not above the bound {plan.bound:g}")
        )
    if protocol.design.risk + protocol.design.competing >= 1.0:
        wrong.append((("design", "risk"), "risk and competing add to 1 or more"))
    shares = [centre.planned_n for centre in protocol.centre]
    known = [n for n in shares if n is not None]
    if len(known) == len(shares) and sum(known) < protocol.study.planned_n:
        wrong.append((("study", "planned_n"), f"the centres together plan {sum(known)} only"))
    return wrong
