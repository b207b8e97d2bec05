"""What weights say of sequences that are already written: log-probabilities, entropy, scores, states.

Shapes: B sequences, padded on the left to T written tokens; N written tokens in all; V the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.core.model import Sample
from loopwright.models.llama import LoraWeights
from loopwright.models.packing import Packed, pack
from loopwright.training.blob import Head

CHUNK = 1 << 23  # logits [rows, V] worked on at once: what a processor's last cache holds in float32
UNSEEN = "this architecture gives out logits and not the states before them: no scalar head, no scores, no features"


class Network(Protocol):
    """What training needs of a model: ``models.llama.Llama``, ``models.hf.HF``.

    hidden: what ``head`` makes logits of, [B, S, ...], for the unshared tokens, whatever else the model does to them.
    ``Bound`` is the network's own form of an adapter; nobody else looks into it. A network whose logits are nothing but
    the product of ``hidden`` with a matrix [V, hidden] has that as ``head_weight``, and then logits are never kept. One whose
    ``grouped`` is true is given ``Packed.groups`` as well.
    """

    device: torch.device
    context: int
    vocabulary: int

    def bind(self, weights: LoraWeights | None) -> Any: ...

    def hidden(self, packed: Packed, bound: Any, *, dropout: float = 0.0) -> Tensor: ...

    def head(self, hidden: Tensor) -> Tensor: ...


class View(NamedTuple):
    """Weights as the passes take them."""

    network: Network
    bound: Any = None
    head: Head | None = None


class Readings(NamedTuple):
    """Of B sequences; everything but the mask is float32, and None where it was not asked for."""

    mask: Tensor  # [B, T] bool
    logprobs: Tensor  # [B, T]
    entropy: Tensor | None = None  # [B, T] nats
    scores: Tensor | None = None  # [B, T] after each token, [B, T, K] of a head of width K > 1
    state_values: Tensor | None = None  # [B, T] the head's value before each token
    features: Tensor | None = None  # [B, hidden] after the last token


def read(
    view: View,
    samples: Sequence[Sample],
    *,
    temperature: float = 1.0,
    logprobs: bool = True,
    entropy: bool = False,
    scores: bool = False,
    state_values: bool = False,
    features: bool = False,
    dropout: float = 0.0,
) -> Readings:
    """One pass. Logits are computed at the written positions alone. Carries gradients to whatever the view was made of.

    Raises InputError where scores are asked of weights without a head, or states of a network that does not show them.
    """
    network = view.network
    written = [len(s.token_ids) for s in samples]
    width = max(written)
    ahead = scores or features  # states after the last token are wanted too, so it is read as well
    rows = [(*s.prompt_ids, *s.token_ids) if ahead else (*s.prompt_ids, *s.token_ids[:-1]) for s in samples]
    packed = pack(rows, network.device, own=[n + ahead for n in written], grouped=getattr(network, "grouped", False))
    states = network.hidden(packed, view.bound, dropout=dropout)
    order = torch.arange(width, device=network.device)
    mask = order >= torch.tensor([width - n for n in written], device=network.device)[:, None]
    end = states.shape[1] - ahead

    def placed(values: Tensor) -> Tensor:
        return torch.zeros(mask.shape, device=network.device).masked_scatter(mask, values)

    said = uncertain = None
    if logprobs or entropy:
        target = torch.tensor([t for s in samples for t in s.token_ids], device=network.device)
        said, uncertain = _distribution(network, states[:, end - width : end][mask], target, temperature, entropy)
    if (ahead or state_values) and states.shape[-1] == network.vocabulary:
        raise InputError(UNSEEN)

    def valued(part: Tensor) -> Tensor:
        if view.head is None:
            raise InputError("these weights have no scalar head: fit them with head=True first")
        if state_values and len(view.head[1]) > 1:
            raise InputError(f"values of states need a scalar head, this one has width {len(view.head[1])}")
        values = F.linear(part.float(), *view.head)
        where = mask.view(*mask.shape, 1)
        return torch.where(where, values, 0.0) if values.shape[-1] > 1 else torch.where(mask, values[..., 0], 0.0)

    return Readings(
        mask,
        placed(said) if said is not None else torch.zeros(mask.shape, device=network.device),
        placed(uncertain) if uncertain is not None else None,
        valued(states[:, -width:]) if scores else None,
        valued(states[:, end - width : end]) if state_values else None,
        states[:, -1].float() if features else None,
    )


def width(network: Network) -> int:
    """Size of the states that a scalar head reads. Raises InputError for a network that does not show them."""
    with torch.no_grad():
        size = network.hidden(pack([(0,)], network.device), None).shape[-1]
    if size == network.vocabulary:
        raise InputError(UNSEEN)
    return size


def _distribution(
    network: Network, states: Tensor, target: Tensor, temperature: float, entropy: bool
) -> tuple[Tensor, Tensor | None]:
    """Log-probability [N] of each target, and the entropy [N] where it is asked for."""
    weight: Tensor | None = getattr(network, "head_weight", None)
    if weight is not None and not entropy:
        return _LogProbs.apply(states, weight, target, temperature), None
    if not entropy:
        return -F.cross_entropy(network.head(states).float() / temperature, target, reduction="none"), None
    step = len(states) if torch.is_grad_enabled() else max(1, CHUNK // network.vocabulary)
    said, uncertain = [], []
    for part, goal in zip(states.split(step), target.split(step), strict=True):
        logs = (network.head(part).float() / temperature).log_softmax(dim=-1)
        said.append(logs.gather(1, goal[:, None])[:, 0])
        uncertain.append(-(logs.exp() * logs).sum(dim=-1))
    return torch.cat(said), torch.cat(uncertain)


class _LogProbs(torch.autograd.Function):
    """Log-probability of one target a row, without ever keeping [N, V].

    The gradient of a row's log-probability with respect to its state does not need what comes down from the loss but as
    a factor, so it is computed along with the logits while these are in the processor's cache.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, target: Tensor, temperature: float) -> Tensor:
        out = torch.empty(len(states), device=states.device)
        slope = torch.empty_like(states) if ctx.needs_input_grad[0] else None
        totals = torch.empty_like(out)
        step = max(1, CHUNK // len(weight))
        for at in range(0, len(states), step):
            part, goal = states[at : at + step], target[at : at + step, None]
            logits = F.linear(part, weight).float().div_(temperature)
            total = logits.logsumexp(dim=-1, keepdim=True)
            out[at : at + step] = (logits.gather(1, goal) - total)[:, 0]
            totals[at : at + step] = total[:, 0]
            if slope is not None:
                share = logits.sub_(total).exp_()
                share.scatter_add_(1, goal, share.new_full(goal.shape, -1.0))
                slope[at : at + step] = (share.to(weight.dtype) @ weight).div_(-temperature)
        ctx.save_for_backward(states, weight, target, totals, slope)
        ctx.temperature = temperature
        return out

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, target, totals, slope = ctx.saved_tensors
        to_states = (slope.float() * given[:, None]).to(states.dtype) if slope is not None else None
        if not ctx.needs_input_grad[1]:
            return to_states, None, None, None
        to_weight = torch.zeros(weight.shape, device=weight.device)
        step = max(1, CHUNK // len(weight))
        for at in range(0, len(states), step):
            part, goal = states[at : at + step], target[at : at + step, None]
            share = F.linear(part, weight).float().div_(ctx.temperature).sub_(totals[at : at + step, None]).exp_()
            share.scatter_add_(1, goal, share.new_full(goal.shape, -1.0))
            share.mul_((given[at : at + step] / -ctx.temperature)[:, None])
            to_weight += (share.to(weight.dtype).T @ part).float()
        return to_states, to_weight.to(weight.dtype), None, None
