"""Losses are pure: shape, sign and weights, by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from loopwright import losses  # noqa: E402
from loopwright.core.errors import UnknownName  # noqa: E402


def batch(logprobs, weights):
    return losses.Batch(logprobs, torch.ones_like(logprobs, dtype=torch.bool), weights)


def test_sft_is_the_weighted_negative_log_likelihood():
    logprobs = torch.tensor([[-1.0, -2.0], [-3.0, -4.0]], requires_grad=True)
    per_token, stats = losses.loss("sft").function(batch(logprobs, torch.tensor([1.0, 0.5])))
    assert per_token.tolist() == [[1.0, 2.0], [1.5, 2.0]]
    assert stats["nll"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    per_token.sum().backward()
    assert logprobs.grad.tolist() == [[-1.0, -1.0], [-0.5, -0.5]]


def test_an_unknown_loss_names_the_near_one():
    with pytest.raises(UnknownName, match="Did you mean sft"):
        losses.loss("sfft")


def test_two_losses_of_one_name_are_refused():
    from loopwright.losses.registry import Loss, table

    with pytest.raises(ValueError, match="two losses"):
        table(Loss("a", losses.sft), Loss("a", losses.sft))
