"""A mutation corpus: whatever is done to a ledger from outside is found, and named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.ledger_study import BUNDLE, PROTOCOL, at, begin, played, protocol_in
from metastra.digest import canonical_json, digest_bytes
from metastra.errors import IntegrityError
from metastra.ledger.anchors import anchor
from metastra.ledger.entry import Entry
from metastra.ledger.opening import opened, writing
from metastra.ledger.verifying import LIMITS, verify_ledger


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return played(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def study(whole, tmp_path) -> Path:
    """A copy to break."""
    shutil.copytree(whole, tmp_path / "study")
    return tmp_path / "study"


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def write(path: Path, content: list[bytes]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in content))


def found(study: Path, **options) -> list[tuple[str, str]]:
    return [(p.code, p.found) for p in verify_ledger(study, **options).problems]


def edited(line: bytes, **changes) -> bytes:
    """Change fields of an entry and leave the hash as it was."""
    return canonical_json(json.loads(line) | changes).encode()


def resealed(line: bytes, **changes) -> bytes:
    """Change fields of an entry and its hash with them."""
    return replace(Entry.from_line(line), **changes).to_line()


def rewritten(entries: list[bytes], start: int) -> list[bytes]:
    """Link a chain anew from a position on, as somebody would who knows the layout."""
    made = [Entry.from_line(line) for line in entries[:start]]
    for line in entries[start:]:
        entry = Entry.from_line(line)
        made.append(replace(entry, previous=made[-1].hash, number=len(made) + 1))
    return [entry.to_line() for entry in made]


def test_a_sound_ledger_holds(whole):
    """Nothing is found in a ledger that only the commands wrote."""
    result = verify_ledger(whole)

    assert [str(p) for p in result.problems] == []
    assert result.holds
    assert result.simulated
    assert result.chains["north"]["entries"] == 13
    assert result.to_json()["limits"] == list(LIMITS)


NORTH = "centres/north.jsonl"


@pytest.mark.parametrize(
    ("name", "change", "code", "names"),
    [
        ("edit", lambda x: [*x[:4], edited(x[4], actor="somebody"), *x[5:]], "PR102", "north:5"),
        (
            "edit with its hash",
            lambda x: [*x[:4], resealed(x[4], actor="somebody"), *x[5:]],
            "PR103",
            "north:6",
        ),
        ("delete", lambda x: [*x[:4], *x[5:]], "PR103", "north:6"),
        ("delete, numbers", lambda x: [*x[:4], *x[5:]], "PR104", "north:6"),
        ("delete the first", lambda x: x[1:], "PR104", "north:2"),
        ("swap", lambda x: [*x[:4], x[5], x[4], *x[6:]], "PR103", "north:6"),
        ("repeat", lambda x: [*x[:5], x[4], *x[5:]], "PR104", "north:5"),
        (
            "two entries with one number",
            lambda x: [*x[:5], resealed(x[5], number=5), *x[6:]],
            "PR104",
            "north:5",
        ),
        ("back-date", lambda x: [*x[:-1], resealed(x[-1], time="2026-02-01T00:00:00Z")],
         "PR105", "north:13"),
        ("not an entry", lambda x: [*x[:4], b"{}", *x[5:]], "PR101", "north:5"),
        ("other spelling", lambda x: [*x[:4], x[4].replace(b":", b": ", 1), *x[5:]],
         "PR101", "north:5"),
        ("pass for real", lambda x: [*x[:4], resealed(x[4], simulated=False), *x[5:]],
         "PR106", "north:5"),
        ("truncate before an anchor", lambda x: x[:6], "PR111", "north:10"),
        ("truncate and rewrite", lambda x: rewritten([*x[:4], *x[5:]], 4), "PR111", "north:10"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)  # fmt: skip
def test_every_change_of_a_chain_is_found(study, name, change, code, names):
    """Edited, deleted, reordered, repeated, back-dated, truncated: each with its entry."""
    path = study / NORTH
    write(path, change(lines(path)))

    problems = found(study)

    assert any(c == code and f"entry {names}" in text for c, text in problems), problems
    assert not verify_ledger(study).holds


def test_a_damaged_ledger_is_not_written_to(study):
    """A command refuses to go on, and names the entry."""
    path = study / NORTH
    write(path, [*lines(path)[:4], *lines(path)[5:]])

    with pytest.raises(IntegrityError, match="entry north:6"), writing(study):
        pass


def test_an_entry_of_another_study_is_found(study, tmp_path):
    """The same protocol played again is another study."""
    other = played(tmp_path / "other")
    path = study / NORTH
    mine, theirs = lines(path), lines(other / NORTH)
    write(path, [*mine[:4], theirs[4], *mine[5:]])

    assert (
        "PR106",
        f"entry north:5 belongs to another study ({Entry.from_line(theirs[4]).study[:12]}…)",
    ) in found(study)


def test_an_entry_of_another_centre_is_found(study):
    """An entry cannot move between centres."""
    path = study / NORTH
    mine = lines(path)
    write(path, [*mine[:4], lines(study / "centres/south.jsonl")[4], *mine[5:]])

    assert ("PR106", "entry north:5 belongs to the chain 'south'") in found(study)


def test_the_chain_of_a_stranger_is_found(study):
    """A file of a centre that the protocol does not have."""
    shutil.copy(study / NORTH, study / "centres/west.jsonl")

    assert ("PR106", "the protocol has no centre 'west'") in found(study)


def test_a_swapped_bundle_is_found(study):
    """A prediction by another bundle, although its chain is linked anew."""
    path = study / NORTH
    mine = lines(path)
    other = "sha256:" + "cd" * 32
    entry = Entry.from_line(mine[7])
    assert entry.kind == "predict"
    changed = replace(entry, digests={**entry.digests, "bundle": other})
    write(path, rewritten([*mine[:7], changed.to_line(), *mine[8:]], 8))

    assert ("PR112", f"entry north:8 was predicted with the bundle {other}") in found(study)


def test_a_changed_protocol_is_found(study):
    """Bundle, criteria and plan are frozen with the first entry."""
    entry = opened(study).first
    path = study / "payloads" / f"{entry.commitment}.json"
    path.write_text(path.read_text().replace('"bound": 0.6', '"bound": 0.5'))

    problems = found(study)

    assert any(code in ("PR107", "PR108") for code, _ in problems), problems


@pytest.mark.parametrize("position", [0, 4, 7, 10], ids=["screen", "enrol", "predict", "outcome"])
def test_a_payload_can_neither_change_nor_vanish(study, position):
    """Values beside the ledger are bound to it."""
    entry = opened(study).entries("north")[position]
    path = study / "payloads" / f"{entry.commitment}.json"
    content = json.loads(path.read_text())
    if "sealed" in content:
        content["sealed"] = ("A" if content["sealed"][0] != "A" else "B") + content["sealed"][1:]
    else:
        content["payload"]["date"] = "2026-02-28"
    path.write_text(json.dumps(content))
    assert any(c == "PR108" and entry.name in text for c, text in found(study))

    path.unlink()
    assert ("PR107", f"entry {entry.name}: its payload is gone and nobody withdrew") in found(study)


def test_the_end_cut_off_is_found_with_a_receipt_from_outside(study, tmp_path):
    """Truncation of everything after the first anchor, copies and joins included."""
    with writing(study) as ledger:
        _, path = anchor(ledger, at("2028-06-01"), occasion="schedule")
    kept = tmp_path / "sponsor.json"
    shutil.copy(path, kept)
    write(study / "ledger.jsonl", lines(study / "ledger.jsonl")[:2])
    for name in ("north", "south"):
        write(study / "centres" / f"{name}.jsonl", lines(study / "centres" / f"{name}.jsonl")[:6])
    for path in (study / "anchors").glob("*.json"):
        if path.name != "receipt-000001.json":
            path.unlink()

    unnoticed = [p for p in verify_ledger(study).problems if p.code in ("PR110", "PR111")]
    noticed = found(study, receipts=[kept])

    assert unnoticed == []  # which is why `verify` says it and an anchor is kept outside
    assert "PR110" in {code for code, _ in noticed}, noticed
    assert any("study:5" in text and "cut off" in text for _, text in noticed), noticed
    assert any("north:13" in text for _, text in noticed)


def test_a_ledger_written_anew_is_found_with_a_receipt_from_outside(study, tmp_path):
    """Everything linked anew, as the holder of all files can do it."""
    kept = tmp_path / "sponsor.json"
    shutil.copy(sorted((study / "anchors").glob("*.json"))[-1], kept)
    other = played(tmp_path / "other")

    assert any("another study" in text for _, text in found(other, receipts=[kept]))


def test_verify_says_up_to_which_entry_an_anchor_holds(study, tmp_path):
    """Entries after the last anchor outside are not covered, and it is said."""
    kept = tmp_path / "sponsor.json"
    shutil.copy(sorted((study / "anchors").glob("*.json"))[-1], kept)

    alone = verify_ledger(study)
    held = verify_ledger(study, receipts=[kept])

    assert alone.chains["north"]["anchored"] == 0
    assert held.holds
    assert held.chains["north"] == alone.chains["north"] | {"anchored": 10}
    assert held.chains["study"]["anchored"] == 3


def test_a_copy_in_the_studys_own_folder_is_no_anchor_from_outside(study):
    """Who can rewrite the ledger can rewrite it too, however it is given."""
    own = sorted((study / "anchors").glob("*.json"))[-1]

    assert verify_ledger(study, receipts=[own]).chains["north"]["anchored"] == 0


def test_a_receipt_that_was_forged_does_not_hold(study, tmp_path):
    """A receipt with another hash names the entry."""
    kept = tmp_path / "sponsor.json"
    value = json.loads(sorted((study / "anchors").glob("*.json"))[-1].read_text())
    value["chains"]["north"][1] = digest_bytes(b"else")
    kept.write_text(json.dumps(value))

    assert any("entry north:10 is not the one" in t for _, t in found(study, receipts=[kept]))


def test_an_anchor_that_is_overdue_is_a_warning(study):
    """The protocol says every 90 days; what came since is not protected."""
    result = verify_ledger(study, now=datetime(2026, 9, 1, tzinfo=UTC))

    assert [(p.code, p.severity) for p in result.problems] == [("PR115", "warn")]
    assert result.holds


def test_a_cut_off_append_is_no_entry_and_no_damage(study):
    """Bytes without a newline are noted; the next entry takes their place."""
    path = study / NORTH
    before = path.read_bytes()
    path.write_bytes(before + lines(path)[-1][:40])

    assert [code for code, _ in found(study)] == ["PR116"]
    assert verify_ledger(study).holds


def test_a_stray_payload_is_noted(study):
    """A file that belongs to no entry."""
    (study / "payloads" / ("f" * 64 + ".json")).write_text('{"payload": {}, "salt": ""}')

    assert [code for code, _ in found(study)] == ["PR117"]


def test_signatures_are_needed_where_the_protocol_names_a_key(tmp_path):
    """A centre with a key: an entry without its signature, or with another's, is found."""
    from ledger.ledger_study import SCREENED, source
    from metastra.errors import ConfigError
    from metastra.ledger.recording import screen
    from metastra.signing import generate_key, load_private

    folder = tmp_path / "signed"
    folder.mkdir()
    generate_key(folder / "north.pem")
    generate_key(folder / "other.pem")
    text = PROTOCOL.replace('name = "north"', 'name = "north"\npublic_key = "north.pem.pub"')
    study = begin(folder, protocol_in(folder, text))
    key, other = load_private(folder / "north.pem"), load_private(folder / "other.pem")
    table = source(folder, "north", "s.csv", SCREENED.format(c="n"))
    with writing(study) as ledger:
        with pytest.raises(ConfigError, match="--sign-key"):
            screen(ledger, table, at("2026-02-04"))
        with pytest.raises(ConfigError, match="not with"):
            screen(ledger, table, at("2026-02-04", other))
        screen(ledger, table, at("2026-02-04", key))
    assert verify_ledger(study).holds

    path = study / NORTH
    mine = lines(path)
    entry = Entry.from_line(mine[-1])
    write(path, [*mine[:-1], replace(entry, signature=None).to_line()])
    assert any(c == "PR109" and "north:4 is not signed" in t for c, t in found(study))
    write(path, [*mine[:-1], replace(entry, actor="else").to_line()])
    assert any(c == "PR109" and "north:4 is signed wrongly" in t for c, t in found(study))


def test_a_real_study_does_not_pass_for_the_simulated_one(tmp_path):
    """The mark of a simulated study is in every line and in the verification."""
    folder = tmp_path / "real"
    protocol = protocol_in(folder, PROTOCOL.replace("simulated = true", "simulated = false"))
    study = begin(folder, protocol)

    assert verify_ledger(study).simulated is False
    assert b'"simulated":false' in (study / "ledger.jsonl").read_bytes()
    assert protocol.bundle.digest == BUNDLE
