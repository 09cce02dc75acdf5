"""Follow-up cut into periods within which a changing covariate is constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metastra.errors import DataError
from metastra.survival.outcome import Outcome

__all__ = ["PersonPeriods", "person_periods", "switch_periods"]

_Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonPeriods:
    """Start–stop rows: each patient's follow-up, cut where a covariate changes.

    Parameters
    ----------
    outcome : Outcome
        Of r rows, ``(entry, time]``; the event stands on a patient's last row.
    value : ndarray of shape (r,)
        The covariate during each row.
    patient : ndarray of shape (r,), int64
        Position of each row's patient.
    n : int
        Patients.
    n_too_late : int
        Changes at or after the end of follow-up: they have no row, since a value counts from just
        after its change.
    """

    outcome: Outcome
    value: _Array
    patient: NDArray[np.int64]
    n: int
    n_too_late: int

    def with_fixed(self, covariates: ArrayLike) -> _Array:
        """Put covariates that do not change beside the one that does.

        Parameters
        ----------
        covariates : array_like of shape (n, p)
            One row for each patient.

        Returns
        -------
        ndarray of shape (r, 1 + p)
            `value` first.

        Raises
        ------
        DataError
            When there is not one row for each patient.
        """
        fixed = np.asarray(covariates, dtype=np.float64)
        if fixed.ndim != 2 or fixed.shape[0] != self.n:
            raise DataError(f"covariates have shape {fixed.shape}; expected ({self.n}, p)")
        return np.column_stack([self.value, fixed[self.patient]])


def person_periods(
    outcome: Outcome,
    *,
    initial: ArrayLike,
    patient: ArrayLike,
    time: ArrayLike,
    value: ArrayLike,
) -> PersonPeriods:
    """Cut follow-up at every change of a covariate.

    Parameters
    ----------
    outcome : Outcome
        Of n patients; delayed entry is honoured.
    initial : array_like of shape (n,)
        The covariate before its first change.
    patient : array_like of shape (c,)
        Whose change it is: positions from 0 to n - 1.
    time : array_like of shape (c,)
        When each change became *known*, on the clock of `outcome`.
    value : array_like of shape (c,)
        The covariate from just after `time`.

    Returns
    -------
    PersonPeriods
        For ``fit_cox(rows.outcome, rows.with_fixed(x), cluster=rows.patient)``.

    Raises
    ------
    DataError
        When lengths differ, a value is missing, a patient is unknown, or one patient has two
        changes at one time; when a follow-up of 0 cannot hold a period.

    Notes
    -----
    The (start, stop] form of Andersen and Gill 1982.  A row of value v speaks of its period only,
    so nobody has a value before it was known.  A change at the moment of the event does not
    predict that event.

    Examples
    --------
    >>> rows = person_periods(
    ...     Outcome(time=[10, 6], event=[1, 0]), initial=[0, 0], patient=[0], time=[4], value=[1]
    ... )
    >>> rows.outcome.entry.tolist(), rows.outcome.time.tolist()
    ([0.0, 4.0, 0.0], [4.0, 10.0, 6.0])
    >>> rows.outcome.event.tolist(), rows.value.tolist()
    ([0, 1, 0], [0.0, 1.0, 0.0])
    """
    n = outcome.n
    first = np.asarray(initial, dtype=np.float64)
    who, when = np.asarray(patient), np.asarray(time, dtype=np.float64)
    new = np.asarray(value, dtype=np.float64)
    who = _check(first, who, when, new, n)
    begin = np.zeros(n) if outcome.entry is None else outcome.entry
    empty = np.flatnonzero(begin >= outcome.time) + 1
    if empty.size:
        raise DataError(
            f"follow-up of 0 in rows {empty[:8].tolist()} ({empty.size} in all) has no period; "
            "expected a time above 0"
        )
    late = when >= outcome.time[who]
    row_patient = np.concatenate([np.arange(n), who[~late]])
    row_from = np.concatenate([np.full(n, -np.inf), when[~late]])
    row_value = np.concatenate([first, new[~late]])
    order = np.lexsort((row_from, row_patient))
    row_patient, row_from, row_value = row_patient[order], row_from[order], row_value[order]
    last = np.append(row_patient[1:] != row_patient[:-1], True)
    stop = np.where(last, outcome.time[row_patient], np.append(row_from[1:], np.inf))
    start = np.maximum(row_from, begin[row_patient])
    keep = stop > start
    event = np.where(last, outcome.event[row_patient], 0)
    return PersonPeriods(
        outcome=Outcome(time=stop[keep], event=event[keep], entry=start[keep]),
        value=row_value[keep],
        patient=row_patient[keep],
        n=n,
        n_too_late=int(np.count_nonzero(late)),
    )


def switch_periods(outcome: Outcome, known_at: ArrayLike) -> PersonPeriods:
    """Cut follow-up where a state (recurrence, treatment started) became known.

    Parameters
    ----------
    outcome : Outcome
        Of n patients.
    known_at : array_like of shape (n,)
        When the state became known; infinite for patients in whom it never did.

    Returns
    -------
    PersonPeriods
        With value 0 before and 1 after.

    Raises
    ------
    DataError
        When a time is missing or the lengths differ.

    Examples
    --------
    >>> rows = switch_periods(Outcome(time=[10, 6], event=[1, 0]), [4, np.inf])
    >>> rows.value.tolist(), rows.patient.tolist()
    ([0.0, 1.0, 0.0], [0, 0, 1])
    """
    known = np.asarray(known_at, dtype=np.float64)
    if known.shape != (outcome.n,) or np.isnan(known).any():
        raise DataError(
            f"known_at has shape {known.shape}; expected ({outcome.n},), infinite where the state "
            "never became known, none missing"
        )
    switched = np.flatnonzero(np.isfinite(known))
    return person_periods(
        outcome,
        initial=np.zeros(outcome.n),
        patient=switched,
        time=known[switched],
        value=np.ones(switched.size),
    )


def _check(
    initial: _Array, patient: NDArray[np.generic], time: _Array, value: _Array, n: int
) -> NDArray[np.int64]:
    """Give the patients' positions back as integers."""
    reasons = []
    if initial.shape != (n,) or not np.isfinite(initial).all():
        reasons.append(f"initial has shape {initial.shape}; expected ({n},), none missing")
    if not (patient.ndim == 1 and patient.shape == time.shape == value.shape):
        reasons.append(
            f"patient, time and value have shapes {patient.shape}, {time.shape}, {value.shape}; "
            "expected one entry for each change"
        )
    elif not (np.isfinite(time).all() and np.isfinite(value).all()):
        reasons.append("time or value of a change is missing")
    who = patient.astype(np.int64)
    if not reasons and who.size:
        if (who != patient).any() or (who < 0).any() or (who >= n).any():
            reasons.append(f"patient holds positions outside 0 to {n - 1}")
        elif len(set(zip(who.tolist(), time.tolist(), strict=True))) != who.size:
            reasons.append("one patient has two changes at one time")
    if reasons:
        raise DataError("the changes cannot be used: " + "; ".join(reasons))
    return who
