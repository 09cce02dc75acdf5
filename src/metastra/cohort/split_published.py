"""Published fold files, read as they are: SurvPath, PORPOISE, CLAM, STAMP and our own JSON.

* one CSV per fold with the columns ``train`` and ``val`` (PORPOISE, MCAT, Patch-GCN, SurvPath),
  columns padded with blanks, with or without an index column; ``val`` is what they report, so it
  is the test part;
* the same with ``train``, ``val``, ``test`` (CLAM's ``splits_k.csv``): ``val`` chooses the model,
  so it is the tuning part;
* ``{"splits": [{"train_patients": [...], "test_patients": [...]}]}`` (STAMP's ``splits.json``);
* a split that metastra wrote.

Ids are compared with the cohort's in one Unicode form and without white space around them; the
folds keep the file's order and the cohort's spelling.
"""

from __future__ import annotations

import csv
import glob
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metastra.catalogue import problem
from metastra.cohort.split import Split
from metastra.cohort.split_fold import Fold
from metastra.cohort.split_units import Units
from metastra.errors import DataError, Problem, SchemaError, Where
from metastra.storage.encode import parse_json

__all__ = ["PublishedFolds", "matching_form", "read_published_folds"]

_FOLD = "{fold}"
_MAX_BYTES = 256 << 20
_FILE_ENDINGS = (
    ".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".czi", ".dcm", ".tif", ".tiff", ".h5", ".pt",
)  # fmt: skip
"""Of slides and feature files: an id that ends so names no patient."""
_COLUMNS = ("train", "tune", "val", "test")


@dataclass(frozen=True, kw_only=True)
class PublishedFolds:
    """Folds as a file gives them.

    Parameters
    ----------
    folds : tuple of Fold
        In the order of the file or of the fold numbers; only patients of the cohort.
    missing : tuple of str
        Ids that no patient of the cohort has, each once, in order of appearance.
    source : str
        Name of the file as the study gives it, without an absolute folder.
    """

    folds: tuple[Fold, ...]
    missing: tuple[str, ...]
    source: str


def matching_form(patient: str) -> str:
    """Bring an id into the form in which ids are compared.

    Parameters
    ----------
    patient : str
        As written.

    Returns
    -------
    str
        Unicode NFC, without white space around it.

    Examples
    --------
    >>> matching_form(" TCGA-3C-AALI ")
    'TCGA-3C-AALI'
    """
    return unicodedata.normalize("NFC", patient).strip()


def read_published_folds(
    fold_files: str, units: Units, *, folder: Path | None = None
) -> PublishedFolds:
    """Read published folds.

    Parameters
    ----------
    fold_files : str
        A path, with ``{fold}`` where the files of several folds have their number.
    units : Units
        All patients of the study.
    folder : Path, optional
        That a relative path starts from; the current folder when left out.

    Returns
    -------
    PublishedFolds
        Not yet checked against groupings and events.

    Raises
    ------
    DataError
        With every file that cannot be read (SP008).
    """
    source = Path(fold_files).name if Path(fold_files).is_absolute() else fold_files
    known = {matching_form(i): i for i in units.ids.tolist()}
    raw: list[Fold] = []
    problems: list[Problem] = []
    if len(known) < units.n:
        found = (
            "two patients of the cohort have ids that differ only in Unicode form or white space"
        )
        problems.append(_unreadable(found, source, hint="Make the ids of the tables differ."))
    try:
        paths = _fold_paths(fold_files, folder or Path(), source)
    except DataError as error:
        problems += error.problems
        paths = []
    for name, path in paths:
        shown = source.replace(_FOLD, name)
        try:
            raw += _read_file(path, name, shown)
        except DataError as error:
            problems += error.problems
    problems += [item for fold in raw for item in _id_problems(fold, source)]
    if not problems and not any(i in known for fold in raw for i in _ids_of(fold)):
        found = "none of its ids is a patient of the cohort"
        hint = "Fold files name patients as PATIENT of the clinical table does, not slides."
        problems.append(_unreadable(found, source, hint=hint))
    if problems:
        raise DataError("the published folds cannot be used", problems)
    missing = dict.fromkeys(i for fold in raw for i in _ids_of(fold) if i not in known)
    folds = tuple(_matched(fold, known) for fold in raw)
    return PublishedFolds(folds=folds, missing=tuple(missing), source=source)


def _fold_paths(fold_files: str, folder: Path, source: str) -> list[tuple[str, Path]]:
    """Find the files with the number of their fold; a single file has none."""
    if _FOLD not in fold_files:
        return [("", folder / fold_files)]
    whole = folder / fold_files
    depth = next(i for i, part in enumerate(whole.parts) if _FOLD in part)
    base = Path(*whole.parts[:depth])
    rest = whole.parts[depth:]
    pattern = "/".join(glob.escape(part).replace(_FOLD, "*") for part in rest)
    shape = re.escape("/".join(rest)).replace(re.escape(_FOLD), "(?P<k>[0-9]+)", 1)
    regex = re.compile(shape.replace(re.escape(_FOLD), "(?P=k)"))
    found: dict[int, tuple[str, Path]] = {}
    for path in sorted(base.glob(pattern)):
        hit = regex.fullmatch(path.relative_to(base).as_posix())
        if hit:
            found.setdefault(int(hit["k"]), (hit["k"], path))
    if not found:
        raise DataError(problems=[_unreadable("no file has this name with a number", source)])
    first, last = min(found), max(found)
    gaps = [k for k in range(first, last + 1) if k not in found]
    if gaps or first > 1:
        absent = ", ".join(map(str, gaps or range(first)))
        found_text = f"fold {absent} has no file, but fold {last} has"
        raise DataError(problems=[_unreadable(found_text, source, hint="Add the file.")])
    return [found[k] for k in sorted(found)]


def _read_file(path: Path, number: str, shown: str) -> list[Fold]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(problems=[_unreadable("it is larger than 256 MiB", shown)])
        data = path.read_bytes()
    except OSError as error:
        text = f"it cannot be opened: {error.strerror}"
        raise DataError(problems=[_unreadable(text, shown, hint="Check the path.")]) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is not UTF-8"
        raise DataError(problems=[_unreadable(found, shown)]) from None
    name = f"fold-{number or 0}"
    if path.suffix.lower() == ".json":
        return _from_json(text, number, shown)
    return [_from_table(text, name, shown)]


def _from_table(text: str, name: str, shown: str) -> Fold:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise DataError(problems=[_unreadable(f"it is no table: {error}", shown)]) from None
    columns = [cell.strip().lower() for cell in rows[0]] if rows else []
    where = {c: columns.index(c) for c in _COLUMNS if c in columns}
    if "train" not in where or not {"val", "test"} & set(where):
        found = f"the header has {', '.join(filter(None, columns)) or 'nothing'}"
        raise DataError(problems=[_unreadable(found, shown, expected="train and val, or test")])
    if len(set(filter(None, columns))) < len(list(filter(None, columns))):
        raise DataError(problems=[_unreadable("a column name occurs twice", shown)])
    long = [number for number, row in enumerate(rows, start=1) if len(row) > len(columns)]
    if long:
        found = "rows have more cells than the header"
        raise DataError(problems=[_unreadable(found, shown, rows=tuple(long))])
    parts = {
        column: tuple(
            matching_form(row[at]) for row in rows[1:] if len(row) > at and row[at].strip()
        )
        for column, at in where.items()
    }
    if {i.lower() for ids in parts.values() for i in ids} <= {"true", "false"}:
        hint = "CLAM writes a second file without _bool that lists the ids; give that one."
        raise DataError(problems=[_unreadable("it has true and false, no ids", shown, hint=hint)])
    test = parts.get("test", parts.get("val", ()))
    tune = parts.get("tune", parts.get("val", ()) if "test" in parts else ())
    return Fold(name=name, train=parts["train"], tune=tune, test=test)


def _from_json(text: str, number: str, shown: str) -> list[Fold]:
    try:
        value = parse_json(text.encode())
        if isinstance(value, dict) and "format" in value:
            return [_normalised(fold) for fold in Split.from_json(text).folds]
        return [
            Fold(
                name=f"fold-{number}.{k}" if number else f"fold-{k}",
                train=_id_list(entry, "train_patients", f"$.splits[{k}]"),
                test=_id_list(entry, "test_patients", f"$.splits[{k}]"),
            )
            for k, entry in enumerate(_split_list(value))
        ]
    except SchemaError as error:
        raise DataError(problems=[_unreadable(str(error), shown)]) from None
    except ValueError as error:
        found = f"it is no strict JSON: {error}"
        raise DataError(problems=[_unreadable(found, shown)]) from None


def _split_list(value: object) -> list[Any]:
    splits = value.get("splits") if isinstance(value, dict) else None
    if not isinstance(splits, list) or not splits:
        raise SchemaError("$ has no list of splits")
    return splits


def _id_list(entry: object, key: str, at: str) -> tuple[str, ...]:
    ids = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(ids, list) or not all(isinstance(i, str) and i.strip() for i in ids):
        raise SchemaError(f"{at}.{key} is not a list of ids")
    return tuple(map(matching_form, ids))


def _normalised(fold: Fold) -> Fold:
    return replace(
        fold,
        train=tuple(map(matching_form, fold.train)),
        tune=tuple(map(matching_form, fold.tune)),
        test=tuple(map(matching_form, fold.test)),
        inner=tuple(_normalised(inner) for inner in fold.inner),
    )


def _ids_of(fold: Fold) -> Iterable[str]:
    return fold.train + fold.tune + fold.test


def _id_problems(fold: Fold, source: str) -> Iterable[Problem]:
    files = [i for i in _ids_of(fold) if i.lower().endswith(_FILE_ENDINGS)]
    if files:
        yield _unreadable(
            f"{fold.name}: names of slide or feature files instead of ids: {len(files)}",
            source,
            expected="ids of patients",
            hint="Replace each file name by its patient and list every patient once.",
        )
        return
    for part, ids in (("train", fold.train), ("tune", fold.tune), ("test", fold.test)):
        if len(set(ids)) < len(ids):
            found = f"{fold.name}: repeated ids in {part}: {len(ids) - len(set(ids))}"
            yield _unreadable(found, source, hint="List every patient once.")


def _matched(fold: Fold, known: Mapping[str, str]) -> Fold:
    def present(ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(known[i] for i in ids if i in known)

    return replace(
        fold,
        train=present(fold.train),
        tune=present(fold.tune),
        test=present(fold.test),
        inner=tuple(_matched(inner, known) for inner in fold.inner),
    )


def _unreadable(
    found: str,
    file: str,
    *,
    expected: str = "",
    hint: str | None = None,
    rows: tuple[int, ...] = (),
) -> Problem:
    where = Where(file=file, rows=rows)
    return problem("SP008", found, where=where, expected=expected, hint=hint)
