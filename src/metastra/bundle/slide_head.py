"""What the outputs of a slide model mean, and the one score that is read off them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

__all__ = ["HEADS", "Head", "HeadKind"]

_Array = NDArray[np.float64]

HeadKind = Literal["cox", "discrete-hazard", "classification"]
HEADS: tuple[HeadKind, ...] = get_args(HeadKind)

_SMALLEST = 1e-12
"""Incidences are kept so far from 0 and 1, where their complementary log-log has no value."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """How outputs become a score.

    Parameters
    ----------
    kind : {"cox", "discrete-hazard", "classification"}
        ``cox``: one output, the log relative hazard.  ``discrete-hazard``: for each interval the
        logits of each cause against nothing happening.  ``classification``: one logit for each
        class; class 1 is the event.
    edges_days : ndarray of shape (j,)
        Ends of the intervals, with ``discrete-hazard``; the first begins at 0.
    primary_interval : int
        Intervals up to the horizon at which the score is read.

    Examples
    --------
    >>> Head(kind="classification").scores(np.array([[0.0, 2.0]])).tolist()
    [2.0]
    """

    kind: HeadKind
    edges_days: _Array = field(default_factory=lambda: np.empty(0))
    primary_interval: int = 0

    def scores(self, outputs: _Array) -> _Array:
        """Read the score.

        Parameters
        ----------
        outputs : ndarray of shape (k, o)
            Of k bags.

        Returns
        -------
        ndarray of shape (k,)
            Higher is worse: the log relative hazard; ``log(-log(1 - F))`` of the cumulative
            incidence F of the event by the primary horizon; the log odds of class 1.
        """
        if self.kind == "cox":
            return outputs[:, 0]
        if self.kind == "classification":
            others = np.delete(outputs, 1, axis=1)
            return np.asarray(outputs[:, 1] - logsumexp(others, axis=1), dtype=np.float64)
        incidence = self.incidence(outputs)[:, self.primary_interval - 1]
        inside = np.clip(incidence, _SMALLEST, 1.0 - _SMALLEST)
        return np.asarray(np.log(-np.log1p(-inside)), dtype=np.float64)

    def incidence(self, outputs: _Array) -> _Array:
        """Cumulative incidence of the event, with ``discrete-hazard``.

        Parameters
        ----------
        outputs : ndarray of shape (k, j * c)
            Logits of c causes in j intervals, the causes of an interval side by side.

        Returns
        -------
        ndarray of shape (k, j)
            By the end of each interval: ``F(j) = sum_{l <= j} h_1(l) prod_{m < l} (1 - h_1(m) -
            h_2(m) …)`` (Tutz and Schmid 2016, chapter 8).
        """
        n_intervals = self.edges_days.size
        logits = outputs.reshape(len(outputs), n_intervals, -1)
        padded = np.concatenate([np.zeros((*logits.shape[:2], 1)), logits], axis=2)
        log_shares = padded - logsumexp(padded, axis=2, keepdims=True)
        free = np.cumsum(log_shares[:, :, 0], axis=1)
        before = np.exp(np.concatenate([np.zeros((len(free), 1)), free[:, :-1]], axis=1))
        return np.asarray(np.cumsum(before * np.exp(log_shares[:, :, 1]), axis=1))

    def contradictions(self, n_outputs: int) -> list[str]:
        """Look for what cannot be a head.

        Parameters
        ----------
        n_outputs : int
            Of each member.

        Returns
        -------
        list of str
            Empty for a sound head.
        """
        found = []
        edges = self.edges_days
        if self.kind == "discrete-hazard":
            if edges.size == 0 or (np.diff(edges, prepend=0.0) <= 0.0).any():
                found.append("the ends of the intervals do not ascend from 0")
            if edges.size and n_outputs % edges.size:
                found.append(f"{n_outputs} outputs are no whole number for {edges.size} intervals")
            if not 1 <= self.primary_interval <= edges.size:
                found.append(f"interval {self.primary_interval} is none of {edges.size}")
        elif edges.size or self.primary_interval:
            found.append(f"intervals in a head of the kind {self.kind}")
        if self.kind == "cox" and n_outputs != 1:
            found.append(f"{n_outputs} outputs of a head of the kind cox")
        if self.kind == "classification" and n_outputs < 2:
            found.append(f"{n_outputs} outputs of a classification; at least 2 are needed")
        return found
