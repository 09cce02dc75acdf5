"""The losses of the heads, for members that are each fitted on patients of their own.

Each takes the outputs of m members for p patients and gives m numbers.  A member's loss sees only
the patients it is fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["ClassLoss", "CoxLoss", "HazardLoss"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxLoss:
    """Minus the log partial likelihood by event, with full risk sets and Efron's ties.

    Parameters
    ----------
    kept : tensor of shape (m, p), float64
        1 for the patients a member is fitted on, else 0.
    at_risk : tensor of shape (u, p), float64
        1 for patients at risk at each of the u distinct event times.
    tied : tensor of shape (u, p), float64
        1 for the patients with the event at that time.
    event_rows, event_times : tensor of shape (e,), int64
        Patient of each event, and its position among the event times.
    fraction : tensor of shape (m, e), float64
        Share of the tied events that has left the risk set, by member.

    Notes
    -----
    Cox 1972; Efron 1977.  All patients take part in every step, so that a risk set is never cut
    into pieces; what is drawn anew are the tiles.
    """

    kept: torch.Tensor
    at_risk: torch.Tensor
    tied: torch.Tensor
    event_rows: torch.Tensor
    event_times: torch.Tensor
    fraction: torch.Tensor

    @classmethod
    def of(
        cls,
        time: NDArray[np.float64],
        event: NDArray[np.bool_],
        kept: NDArray[np.bool_],
        entry: NDArray[np.float64] | None = None,
    ) -> CoxLoss:
        """Lay the risk sets out once.

        Parameters
        ----------
        time : ndarray of shape (p,)
            End of follow-up.
        event : ndarray of shape (p,), bool
            Whether it ended with the event.
        kept : ndarray of shape (m, p), bool
            Patients each member is fitted on, each with at least one event.
        entry : ndarray of shape (p,), optional
            Begin of follow-up; a patient is at risk after it.

        Returns
        -------
        CoxLoss
            Ready to be evaluated.
        """
        rows = np.flatnonzero(event)
        times, position = np.unique(time[rows], return_inverse=True)
        at_risk = time[None, :] >= times[:, None]
        if entry is not None:
            at_risk &= entry[None, :] < times[:, None]
        tied = np.zeros(at_risk.shape, dtype=np.bool_)
        tied[position, rows] = True
        fraction = np.zeros((len(kept), rows.size))
        for member, mine in enumerate(kept[:, rows]):
            for group in np.unique(position[mine]):
                own = np.flatnonzero(mine & (position == group))
                fraction[member, own] = np.arange(own.size) / own.size
        return cls(
            kept=torch.from_numpy(kept.astype(np.float64)),
            at_risk=torch.from_numpy(at_risk.astype(np.float64)),
            tied=torch.from_numpy(tied.astype(np.float64)),
            event_rows=torch.from_numpy(rows),
            event_times=torch.from_numpy(position),
            fraction=torch.from_numpy(fraction),
        )

    def __call__(self, outputs: torch.Tensor) -> torch.Tensor:
        """Evaluate the loss.

        Parameters
        ----------
        outputs : tensor of shape (m, p, 1)
            Log relative hazards.

        Returns
        -------
        tensor of shape (m,), float64
            By member.
        """
        scores = outputs[:, :, 0].double()
        top = scores.detach().amax(dim=1, keepdim=True)
        relative = torch.exp(scores - top) * self.kept
        sums = (relative @ self.at_risk.T)[:, self.event_times]
        together = (relative @ self.tied.T)[:, self.event_times]
        mine = self.kept[:, self.event_rows]
        left = torch.where(mine > 0.0, sums - self.fraction * together, 1.0)
        terms = (scores - top)[:, self.event_rows] - torch.log(left.clamp_min(1e-300))
        return -(terms * mine).sum(dim=1) / mine.sum(dim=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class HazardLoss:
    """Minus the log-likelihood of discrete-time hazards of several causes, by patient.

    Parameters
    ----------
    kept : tensor of shape (m, p), float64
        1 for the patients a member is fitted on, else 0.
    target : tensor of shape (p, j), int64
        What happened to a patient in an interval: 0 nothing, 1 the event, 2 a competing one.
    at_risk : tensor of shape (p, j), float64
        1 for the intervals that a patient lived through or had an event in.

    Notes
    -----
    Tutz and Schmid 2016, chapter 8; with one cause that of Gensheimer and Narasimhan 2019.
    """

    kept: torch.Tensor
    target: torch.Tensor
    at_risk: torch.Tensor

    def __call__(self, outputs: torch.Tensor) -> torch.Tensor:
        """Evaluate the loss.

        Parameters
        ----------
        outputs : tensor of shape (m, p, j * c)
            Logits of c causes in j intervals, the causes of an interval side by side.

        Returns
        -------
        tensor of shape (m,), float64
            By member.
        """
        m, p, _ = outputs.shape
        logits = outputs.double().view(m, p, self.target.shape[1], -1)
        shares = torch.log_softmax(torch.cat([torch.zeros_like(logits[..., :1]), logits], -1), -1)
        happened = self.target.expand(m, *self.target.shape)[..., None]
        terms = shares.gather(-1, happened)[..., 0] * self.at_risk
        return -(terms.sum(dim=2) * self.kept).sum(dim=1) / self.kept.sum(dim=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassLoss:
    """Weighted cross-entropy of classes.

    Parameters
    ----------
    kept : tensor of shape (m, p), float64
        Weight of the patients a member is fitted on, 0 for the others.
    target : tensor of shape (p,), int64
        Class of each patient; any where all weights are 0.
    """

    kept: torch.Tensor
    target: torch.Tensor

    def __call__(self, outputs: torch.Tensor) -> torch.Tensor:
        """Evaluate the loss.

        Parameters
        ----------
        outputs : tensor of shape (m, p, o)
            Logits of o classes.

        Returns
        -------
        tensor of shape (m,), float64
            By member.
        """
        shares = torch.log_softmax(outputs.double(), dim=-1)
        happened = self.target.expand(len(outputs), -1)[..., None]
        terms = shares.gather(-1, happened)[..., 0]
        return -(terms * self.kept).sum(dim=1) / self.kept.sum(dim=1)
