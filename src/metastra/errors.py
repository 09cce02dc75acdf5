"""Every error that metastra raises, in one tree.

::

    MetastraError
    ├── ConfigError(ValueError)        a study file, an option or an argument is wrong     exit 2
    ├── DataError(ValueError)          data are refused; carries a list of `Problem`       exit 3
    │   ├── SchemaError                a product or table has another layout than declared
    │   ├── LeakageError               what is reported could have been seen in training
    │   └── SlideError                 one slide cannot be read; the batch goes on
    ├── NotEstimable(ValueError)       the data cannot support the number; a result, with its reason
    ├── MissingExtra(ImportError)      an optional dependency is needed                    exit 2
    ├── IntegrityError(ValueError)     a digest, a signature or a record does not hold     exit 5
    │   ├── BundleError            a bundle is refused; carries a list of `Problem`
    │   ├── DigestMismatch
    │   └── LockedError                a locked product would be changed
    ├── BusyError(RuntimeError)        another process holds the output                    exit 6
    └── ResourceError(OSError)         disk or memory ran out                              exit 7

Each is also the builtin in brackets, so a caller may catch either.  An error says what happened,
where, what was expected and what to do; data errors carry *all* problems, not the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "BundleError",
    "BusyError",
    "ConfigError",
    "DataError",
    "DigestMismatch",
    "IntegrityError",
    "LeakageError",
    "LockedError",
    "MetastraError",
    "MissingExtra",
    "NotEstimable",
    "Problem",
    "ResourceError",
    "SchemaError",
    "Severity",
    "SlideError",
    "Where",
]


class Severity(StrEnum):
    """How much a problem weighs."""

    REFUSE = "refuse"
    """The data are refused until it is mended, excluded or resolved in the study file."""
    WARN = "warn"
    """Work goes on; the warning reaches the report."""
    NOTE = "note"
    """A fact a reader should know; nothing has to be done."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """The place of a problem: file, rows and column.

    Parameters
    ----------
    file : str
        The file's name as the study file gives it, never an absolute path.
    rows : tuple of int
        1-based line numbers *as an editor shows them*: the header is row 1.
        Empty when the whole file or column is meant.
    column : str
        The column's name as the table spells it; empty when no one column is meant.
    cohort : str
        The cohort the file belongs to; empty for the study file.
    """

    file: str = ""
    rows: tuple[int, ...] = ()
    column: str = ""
    cohort: str = ""

    def __str__(self) -> str:
        parts = [self.file] if self.file else []
        if self.rows:
            shown = ", ".join(map(str, self.rows[:8]))
            more = f" and {len(self.rows) - 8} more" if len(self.rows) > 8 else ""
            parts.append(f"row{'s' if len(self.rows) > 1 else ''} {shown}{more}")
        if self.column:
            parts.append(f"column {self.column!r}")
        return ", ".join(parts) or "study"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong, with its place and its remedy.

    Parameters
    ----------
    code : str
        A stable code from `metastra.catalogue`, for instance ``"CO011"``.
    where : Where
        File, rows and column.
    found : str
        What stands there.  Patients appear as pseudonyms, never as study ids.
    expected : str
        What was expected instead.
    hint : str
        What to do about it.
    severity : Severity
        Whether the data are refused.
    patients : tuple of str
        Pseudonyms of the patients concerned, in the order of ``where.rows`` where rows are given.
    """

    code: str
    where: Where
    found: str
    expected: str = ""
    hint: str = ""
    severity: Severity = Severity.REFUSE
    patients: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Write the problem as plain values.

        Returns
        -------
        dict
            code, severity, cohort, file, rows, column, found, expected, hint, patients
            (pseudonyms); what is not given is None or empty.
        """
        return {
            "code": self.code,
            "severity": self.severity.value,
            "cohort": self.where.cohort or None,
            "file": self.where.file or None,
            "rows": list(self.where.rows),
            "column": self.where.column or None,
            "found": self.found,
            "expected": self.expected or None,
            "hint": self.hint or None,
            "patients": list(self.patients),
        }

    def __str__(self) -> str:
        text = f"{self.code} {self.where}: {self.found}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.hint:
            text += f"; {self.hint}"
        return text


class MetastraError(Exception):
    """Anything that metastra refuses or cannot do."""


class ConfigError(MetastraError, ValueError):
    """A study file, an option or an argument is wrong.

    Parameters
    ----------
    message : str
        What is wrong in one sentence; may be empty when problems are given.
    problems : sequence of Problem
        Each with its line in the study file.
    """

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(_with_problems(message, self.problems))


class DataError(MetastraError, ValueError):
    """Data are refused; every problem is listed.

    Parameters
    ----------
    message : str
        One sentence; when empty, the number of problems is said.
    problems : sequence of Problem
        All of them, not the first.
    """

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(_with_problems(message, self.problems))


class SchemaError(DataError):
    """A product or a table has another layout than declared."""


class LeakageError(DataError):
    """What is reported could have been seen in training."""


class SlideError(DataError):
    """One slide cannot be read, or not as it was asked; the rest of a batch goes on.

    Parameters
    ----------
    message : str
        One sentence; may be empty.
    problems : sequence of Problem
        At least one, with a code of the family SL.
    """

    @property
    def code(self) -> str:
        """The code of the first problem, for instance ``"SL004"``; empty without problems."""
        return self.problems[0].code if self.problems else ""


class NotEstimable(MetastraError, ValueError):
    """The data cannot support the number that was asked for.

    Parameters
    ----------
    reason : str
        Why, with the figures (for instance the last follow-up time and the horizon).
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class MissingExtra(MetastraError, ImportError):
    """An optional dependency is needed.

    Parameters
    ----------
    package : str
        The importable name that is missing.
    extra : str
        The extra of metastra that brings it.
    what_for : str
        What it was needed for, as half a sentence.
    """

    def __init__(self, package: str, *, extra: str, what_for: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"{what_for} needs {package}, which is not installed; "
            f"install it with: python -m pip install 'metastra[{extra}]'"
        )


class IntegrityError(MetastraError, ValueError):
    """A digest, a signature or a completion record does not hold."""


class BundleError(IntegrityError):
    """A bundle is refused; every problem is listed with its file.

    Parameters
    ----------
    message : str
        One sentence; when empty, the number of problems is said.
    problems : sequence of Problem
        All of them, not the first.
    """

    def __init__(self, message: str = "", problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(_with_problems(message, self.problems))


class DigestMismatch(IntegrityError):
    """A stored product is not what its record says."""


class LockedError(IntegrityError):
    """A locked product would be changed."""


class BusyError(MetastraError, RuntimeError):
    """Another process holds the output."""


class ResourceError(MetastraError, OSError):
    """Disk or memory ran out."""


def _with_problems(message: str, problems: Iterable[Problem]) -> str:
    problems = tuple(problems)
    if not problems:
        return message
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    lines = [f"{message} ({count})" if message else count]
    lines += [f"  {problem}" for problem in problems]
    return "\n".join(lines)
