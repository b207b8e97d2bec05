"""Likelihood of single tokens: which to raise and which to lower."""

from __future__ import annotations

import torch
from torch import Tensor

from loopwright.losses.registry import Batch, Stats


def log1mexp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x < 0, precise at both ends. Mächler, "Accurately computing log(1 - exp(-|a|))", 2012."""
    near = x > -0.6931471805599453
    # each branch gets an argument it is smooth at: where() multiplies the other's gradient by zero, and 0 * inf is NaN
    small = torch.log(-torch.expm1(torch.where(near, x, -1.0)))
    return torch.where(near, small, torch.log1p(-torch.exp(torch.where(near, -1.0, x))))


def unlikelihood(batch: Batch, *, alpha: float = 1.0, floor: float = 1e-5) -> tuple[Tensor, Stats]:
    """Likelihood of what is wanted, unlikelihood of what is not. Welleck et al., arXiv:1908.04319, section 5.

    values: ``label``, [B] or [B, T]: 1 imitates the token, 0 avoids it, between them mixes the two.
    loss[b, t] = -weights[b] * (label * log p + alpha * (1 - label) * log(1 - p)), p = exp(logprobs[b, t]); minimise.
    Unlike a negative weight in ``sft``, it is bounded: the less likely a token is, the weaker it is pushed.
    1 - p counts as at least ``floor``, as in the authors' code: a token the policy is surer of gets no gradient.

    Returns the per-token loss [B, T] and ``nll`` [B, T] in nats.
    """
    label = batch.per_token("label")
    avoid = -log1mexp(batch.logprobs.clamp(max=-floor))
    loss = -label * batch.logprobs + alpha * (1 - label) * avoid
    return loss * batch.weights[:, None], {"nll": -batch.logprobs.detach()}
