"""Imitation: raise the likelihood of what was written."""

from __future__ import annotations

from torch import Tensor

from loopwright.losses.registry import Batch, Stats


def sft(batch: Batch) -> tuple[Tensor, Stats]:
    """Weighted negative log-likelihood.

    loss[b, t] = -weights[b] * logprobs[b, t]. A weight of 0 drops a sequence from the gradient, not from the token
    count; a negative one would make it less likely without bound, so callers keep weights at or above 0.

    Returns the per-token loss [B, T] (minimise) and ``nll`` [B, T], the same without the weights, in nats.
    """
    assert batch.logprobs.ndim == 2 and batch.weights.ndim == 1, "expected logprobs [B, T] and weights [B]"
    nll = -batch.logprobs
    return nll * batch.weights[:, None], {"nll": nll.detach()}
