"""Members of an ensemble side by side: tile embedding, gated attention or mean pooling, head.

A member computes ``head(sum_i w_i t_i / sum_i w_i)`` with tokens ``t_i = relu(x_i W + b)`` of the
tiles and weights ``w_i = exp(q · (tanh(t_i V + v) * sigmoid(t_i U + u)))`` (gated attention: Ilse,
Tomczak and Welling 2018, equation 9), or equal weights (mean pooling).
"""

from __future__ import annotations

import math

import torch
from torch import nn

from metastra.models.bags import PaddedBags

__all__ = ["Dropped", "Members"]


class Dropped:
    """What is left out and shifted in one training step.

    Parameters
    ----------
    generator : torch.Generator
        Of all draws.
    dropout : float
        Share of a patient's input features, and of each member's pooled features, that is set to
        0 (the others grow so that the mean stays).
    shift : float
        Standard deviation of a shift of each input feature, the same for all tiles of a patient.

    Notes
    -----
    Draws are made for each patient and not for each tile: all tiles of a slide share a scanner and
    a stain, and noise that differs between tiles would average out over a bag.
    """

    def __init__(self, generator: torch.Generator, *, dropout: float, shift: float) -> None:
        self._generator, self._dropout, self._shift = generator, dropout, shift

    def tiles(self, tiles: torch.Tensor) -> torch.Tensor:
        """Shift the tiles of each patient and leave features out.

        Parameters
        ----------
        tiles : tensor of shape (p, t, c)
            Of p patients.

        Returns
        -------
        tensor of shape (p, t, c)
            Padding is shifted too, and stays masked.
        """
        of_patient = (tiles.shape[0], 1, tiles.shape[2])
        moved = tiles + self._shift * torch.randn(of_patient, generator=self._generator)
        return moved * self._mask(of_patient)

    def pooled(self, pooled: torch.Tensor) -> torch.Tensor:
        """Leave pooled features out, for each member and patient anew.

        Parameters
        ----------
        pooled : tensor of shape (m, p, h)
            Of m members and p patients.

        Returns
        -------
        tensor of shape (m, p, h)
            Some are 0.
        """
        return pooled * self._mask(tuple(pooled.shape))

    def _mask(self, shape: tuple[int, ...]) -> torch.Tensor:
        kept = torch.rand(shape, generator=self._generator) >= self._dropout
        return kept / (1.0 - self._dropout)


class Members(nn.Module):
    """m models of one shape.

    Parameters
    ----------
    n_members : int
        m.
    n_inputs : int
        Features of a tile, c.
    embedding : int
        Width of a token, h.
    attention : int
        Width of the gate, a; 0 for mean pooling.
    start : tensor of shape (m, o)
        Outputs before the first step, for every patient.
    n_effects : int
        Outputs that depend on the tiles in ways of their own; o is a multiple of it, and output k
        has the effect of output ``k mod n_effects``.  So each cause has one effect in all
        intervals, on the logit scale.
    seeds : sequence of int
        One for each member: its first weights depend on nothing else.

    Notes
    -----
    The head and the attention's last layer begin at 0: before the first step all patients have
    the same outputs, and all tiles weigh the same.
    """

    def __init__(
        self,
        n_members: int,
        n_inputs: int,
        *,
        embedding: int,
        attention: int,
        start: torch.Tensor,
        n_effects: int,
        seeds: tuple[int, ...],
    ) -> None:
        super().__init__()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]

        def drawn(fan_in: int, fan_out: int) -> nn.Parameter:
            scale = 1.0 / math.sqrt(fan_in)
            blocks = [torch.randn(fan_in, fan_out, generator=one) for one in generators]
            return nn.Parameter(scale * torch.stack(blocks))

        def zero(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(n_members, *shape))

        self.embed_weight, self.embed_bias = drawn(n_inputs, embedding), zero(embedding)
        self.head_weight, self.head_bias = zero(embedding, n_effects), nn.Parameter(start.clone())
        self.attends = attention > 0
        if self.attends:
            self.value_weight, self.value_bias = drawn(embedding, attention), zero(attention)
            self.gate_weight, self.gate_bias = drawn(embedding, attention), zero(attention)
            self.gate_join = zero(attention)

    def tokens(self, tiles: torch.Tensor) -> torch.Tensor:
        """Embed tiles.

        Parameters
        ----------
        tiles : tensor of shape (p, t, c)
            Of p patients.

        Returns
        -------
        tensor of shape (m, p, t, h)
            One token for each tile and member.
        """
        m, c, h = self.embed_weight.shape
        flat = tiles.reshape(1, -1, c).expand(m, -1, -1)
        embedded = torch.baddbmm(self.embed_bias[:, None, :], flat, self.embed_weight)
        return torch.relu(embedded).view(m, *tiles.shape[:2], h)

    def weights(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Share a weight of 1 out among the tiles of each patient.

        Parameters
        ----------
        tokens : tensor of shape (m, p, t, h)
            Of the tiles.
        mask : tensor of shape (p, t), bool
            False for padding.

        Returns
        -------
        tensor of shape (m, p, t)
            0 in the padding.
        """
        m, p, t, h = tokens.shape
        if not self.attends:
            real = mask.to(tokens.dtype)
            return (real / real.sum(dim=1, keepdim=True)).expand(m, p, t)
        flat = tokens.reshape(m, p * t, h)
        value = torch.tanh(torch.baddbmm(self.value_bias[:, None, :], flat, self.value_weight))
        gate = torch.sigmoid(torch.baddbmm(self.gate_bias[:, None, :], flat, self.gate_weight))
        logits = torch.bmm(value * gate, self.gate_join[:, :, None]).view(m, p, t)
        return torch.softmax(logits.masked_fill(~mask, -math.inf), dim=2)

    def forward(self, bags: PaddedBags, dropped: Dropped | None = None) -> torch.Tensor:
        """Compute the outputs of all members for all patients.

        Parameters
        ----------
        bags : PaddedBags
            Tiles of p patients.
        dropped : Dropped, optional
            In training.

        Returns
        -------
        tensor of shape (m, p, o)
            Outputs of the head.
        """
        tiles = bags.tiles if dropped is None else dropped.tiles(bags.tiles)
        # what stands in the padding is taken out before it can become NaN times 0
        tiles = tiles.masked_fill(~bags.mask[:, :, None], 0.0)
        tokens = self.tokens(tiles)
        weights = self.weights(tokens, bags.mask)
        pooled = torch.matmul(weights[:, :, None, :], tokens)[:, :, 0, :]
        if dropped is not None:
            pooled = dropped.pooled(pooled)
        effects = torch.bmm(pooled, self.head_weight)
        repeats = self.head_bias.shape[1] // effects.shape[2]
        return effects.repeat(1, 1, repeats) + self.head_bias[:, None, :]
