"""What is measured; names only, so that the process which starts the others stays small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["CASES", "CHECKS", "STARTS", "Case", "Check", "Start"]

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table of calls.

    Parameters
    ----------
    key : str
        Of its builder in `benchmarks.pairs`.
    n : int
        Patients, or rows of a table.
    what : str
        What metastra does.
    against : str
        The other software's call; empty where there is none.
    rounds : int
        How often each side is sampled.
    limit_s : float, optional
        The stated limit, in seconds on one core.
    """

    key: str
    n: int
    what: str
    against: str
    rounds: int
    limit_s: float | None = None

    @property
    def name(self) -> str:
        """Name on the command line."""
        return f"{self.key}-{self.n}"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One row of the table of `metastra check`: an example's name, or a size to make."""

    name: str
    patients: int | None = None
    rounds: int = 3


@dataclass(frozen=True, kw_only=True)
class Start:
    """One row of the table of cold starts: what stands after ``python``."""

    what: str
    arguments: tuple[str, ...]


def _concordance(n: int) -> Case:
    return Case(
        key="concordance",
        n=n,
        what="Harrell's C, point estimate",
        against="lifelines `concordance_index`",
        rounds=7,
    )


def _panel(n: int, limit_s: float) -> Case:
    return Case(
        key="panel",
        n=n,
        what="1 000 bootstrap replicates of the whole panel",
        against="",
        rounds=3,
        limit_s=limit_s,
    )


def _other(key: str, n: int, what: str, against: str, rounds: int) -> Case:
    return Case(key=key, n=n, what=what, against=against, rounds=rounds)


_POINT = "Harrell's C, point estimate"
_SKSURV = "scikit-survival `concordance_index_censored`"
_TORCHSURV = "torchsurv `ConcordanceIndex`"

CASES = (
    _concordance(1_000),
    _concordance(10_000),
    _concordance(100_000),
    _other("concordance-untied", 100_000, f"{_POINT}, no ties", "lifelines", 5),
    _other("concordance-sksurv", 1_000, _POINT, _SKSURV, 5),
    _other("concordance-sksurv", 10_000, _POINT, _SKSURV, 3),
    _other("concordance-sksurv", 100_000, _POINT, _SKSURV, 1),
    _other("concordance-torchsurv", 1_000, "Harrell's C with standard error", _TORCHSURV, 3),
    _other("concordance-torchsurv", 10_000, "Harrell's C with standard error", _TORCHSURV, 1),
    _other(
        "auc",
        100_000,
        "AUC at three horizons, standard errors too",
        "scikit-survival `cumulative_dynamic_auc`, no standard errors",
        5,
    ),
    _other(
        "brier",
        100_000,
        "Brier score and IPA with standard errors",
        "scikit-survival `brier_score`, no standard errors",
        5,
    ),
    _panel(1_000, 2.0),
    _panel(10_000, 10.0),
    Case(
        key="kaplan-meier",
        n=100_000,
        what="Kaplan–Meier with limits",
        against="lifelines `KaplanMeierFitter`",
        rounds=5,
    ),
    Case(
        key="aalen-johansen",
        n=100_000,
        what="Aalen–Johansen with standard error",
        against="lifelines `AalenJohansenFitter`",
        rounds=3,
    ),
    Case(
        key="cox",
        n=10_000,
        what="Cox model, 20 covariates, Efron",
        against="lifelines `CoxPHFitter`",
        rounds=5,
    ),
    Case(
        key="table",
        n=153_056,
        what="Reading a packed CSV as text (MSK-MET mutations)",
        against="pandas `read_csv(dtype=str)`",
        rounds=5,
    ),
)

CHECKS = (
    Check(name="tcga-brca"),
    Check(name="breast-relapse"),
    Check(name="synthetic study", patients=20_000),
)

STARTS = (
    Start(what="`python -c pass`", arguments=("-c", "pass")),
    Start(what="`import metastra`", arguments=("-c", "import metastra")),
    Start(what="`metastra --help`", arguments=("-m", "metastra", "--help")),
)
