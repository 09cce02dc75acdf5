"""The loss by which an encoder learns from pictures without labels: VICReg.

Two views of one tile shall have equal embeddings (invariance), no number of the embedding may be
the same for all tiles (variance), and no two numbers may say the same (covariance).  Nothing has to
be contrasted, so small batches serve, and nothing has to be averaged over time.

Source: Bardes, Ponce and LeCun 2022, "VICReg: Variance-invariance-covariance regularization for
self-supervised learning" (ICLR), equations 1 to 6, with the authors' weights; the squared distance
is divided by the dimension too, as in the authors' own runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["WEIGHTS", "VicregTerms", "vicreg"]

WEIGHTS = (25.0, 25.0, 1.0)
"""Of invariance, variance and covariance."""
_TARGET_SD = 1.0
_EPSILON = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class VicregTerms:
    """The parts of the loss, each a tensor without axes.

    Parameters
    ----------
    invariance : tensor
        Mean squared difference of the two views.
    variance : tensor
        How far standard deviations fall short of 1, mean over numbers and the two views.
    covariance : tensor
        Squared covariances of different numbers, summed and divided by how many numbers there are,
        of both views together.
    """

    invariance: torch.Tensor
    variance: torch.Tensor
    covariance: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Weighted sum, which is lowered."""
        invariance, variance, covariance = WEIGHTS
        return (
            invariance * self.invariance + variance * self.variance + covariance * self.covariance
        )


def vicreg(left: torch.Tensor, right: torch.Tensor) -> VicregTerms:
    """Compare the embeddings of two views of the same tiles.

    Parameters
    ----------
    left, right : tensor of shape (b, d)
        Of the first and the second view; b is at least 2.

    Returns
    -------
    VicregTerms
        The parts of the loss.

    Examples
    --------
    >>> views = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    >>> terms = vicreg(views, views)
    >>> terms.invariance.item(), terms.variance.item(), round(terms.covariance.item(), 4)
    (0.0, 0.0, 8.0)
    """
    views = (left, right)
    short = [
        torch.relu(_TARGET_SD - torch.sqrt(view.var(dim=0) + _EPSILON)).mean() for view in views
    ]
    return VicregTerms(
        invariance=(left - right).square().mean(),
        variance=(short[0] + short[1]) / 2,
        covariance=_off_diagonal(left) + _off_diagonal(right),
    )


def _off_diagonal(view: torch.Tensor) -> torch.Tensor:
    centred = view - view.mean(dim=0)
    covariance = centred.T @ centred / (len(view) - 1)
    off = covariance.square().sum() - covariance.diagonal().square().sum()
    return off / view.shape[1]
