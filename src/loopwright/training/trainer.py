"""Fitting a LoRA adapter: FitJob in, adapter and figures out.

The forward pass is the sampler's. The base weights stay in their dtype; adapter and optimiser are float32. A batch is cut
into passes by length and memory only: every pass is divided by the token count of the whole batch, so the cut cannot
change the gradient. Token ids come from the sampler and are never made anew.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from loopwright import losses
from loopwright.core.errors import InputError, ModelError
from loopwright.core.model import FitJob, Sample
from loopwright.models.llama import Bound, LoraWeights, Packed, common_start, pack
from loopwright.training.lora import Adapter

PASS_TOKENS = (
    1024  # padded tokens in one forward and backward: about 0.7 GB of activations for a 135M model in bfloat16
)
SCHEDULES: dict[str, Callable[[float], float]] = {  # share of the steps after the warm-up -> share of the learning rate
    "linear": lambda done: 1 - done,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "constant": lambda done: 1.0,
}


class Network(Protocol):
    """What the trainer needs of a model; see ``models.llama.Llama``."""

    device: torch.device
    context: int

    def bind(self, weights: LoraWeights | None) -> Bound | None: ...

    def hidden(self, packed: Packed, bound: Bound | None, *, dropout: float = 0.0) -> Tensor: ...

    def head(self, hidden: Tensor) -> Tensor: ...


class Stopped(Exception):
    """The caller gave up; the thread stops at the next pass."""


@dataclass(frozen=True)
class Outcome:
    """A fitted adapter and its figures."""

    adapter: Adapter
    stats: dict[str, float]
    tokens: int  # read in all passes, prompts included


def token_logprobs(
    network: Network, bound: Bound | None, samples: Sequence[Sample], *, dropout: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Log-probabilities [B, T] float32 of what each sample wrote, and the mask [B, T]; padded on the left.

    Logits are computed at these positions alone. T is the longest completion of the samples.
    """
    written = [len(s.token_ids) for s in samples]
    packed = pack([(*s.prompt_ids, *s.token_ids)[:-1] for s in samples], network.device, own=written)
    width = max(written)
    order = torch.arange(width, device=network.device)
    mask = order >= torch.tensor([width - w for w in written], device=network.device)[:, None]
    at = network.hidden(packed, bound, dropout=dropout)[:, -width:][mask]
    target = torch.tensor([t for s in samples for t in s.token_ids], device=network.device)
    logprobs = -F.cross_entropy(network.head(at).float(), target, reduction="none")
    return torch.zeros(mask.shape, device=network.device).masked_scatter(mask, logprobs), mask


def passes(samples: Sequence[Sample], indices: Sequence[int], limit: int = PASS_TOKENS) -> list[list[int]]:
    """Cut indices into passes of similar length whose padded size is at most ``limit`` tokens (or one sample).

    The start that all of them share is computed once a pass and not counted.
    """
    shared = common_start([samples[i].prompt_ids for i in indices])

    def length(i: int) -> int:
        return len(samples[i].prompt_ids) + len(samples[i].token_ids) - shared

    out: list[list[int]] = []
    for i in sorted(indices, key=lambda i: (length(i), i)):
        if out and (len(out[-1]) + 1) * length(i) <= limit:
            out[-1].append(i)
        else:
            out.append([i])
    return out


def rate(step: int, steps: int, job: FitJob) -> float:
    """Learning rate of a step, counted from 0."""
    if job.schedule not in SCHEDULES:
        raise InputError(f"schedule must be one of {', '.join(SCHEDULES)}, got {job.schedule!r}")
    warm = math.ceil(job.warmup * steps)
    if step < warm:
        return job.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return job.learning_rate * SCHEDULES[job.schedule](done)


def check(network: Network, job: FitJob) -> None:
    """Raises InputError where the data does not fit the model or the loss."""
    row = losses.loss(job.loss)
    rate(0, 1, job)
    for i, sample in enumerate(job.data):
        if len(sample.prompt_ids) + len(sample.token_ids) > network.context:
            raise InputError(f"sample {i} has more tokens than the model's context of {network.context}")
        if not sample.prompt_ids:
            raise InputError(f"sample {i} has no prompt_ids: the first written token needs something before it")
        if "sampler" in row.needs and len(sample.logprobs) != len(sample.token_ids):
            raise InputError(
                f"the loss {job.loss!r} needs the sampler's log-probabilities; sample {i} has {len(sample.logprobs)} "
                f"for {len(sample.token_ids)} tokens"
            )


def _per_token(values: Sequence[Sequence[float]], mask: Tensor) -> Tensor:
    """Lists of one number per written token as [B, T]; an empty list is zeros."""
    rows = [[0.0] * (mask.shape[1] - len(v)) + list(v) for v in values]
    return torch.tensor(rows, device=mask.device)


def fit(
    network: Network,
    start: Adapter,
    job: FitJob,
    *,
    cancel: threading.Event | None = None,
    pass_tokens: int = PASS_TOKENS,
) -> Outcome:
    """Fit ``start`` to the data. The same job on the same machine gives the same bytes.

    Raises InputError for data or options that do not fit, ModelError where the loss is not a number (naming the batch).
    """
    check(network, job)
    row = losses.loss(job.loss)
    pairs = {
        n: (a.to(network.device).clone().requires_grad_(), b.to(network.device).clone().requires_grad_())
        for n, (a, b) in start.pairs.items()
    }
    adapter = replace(start, pairs=pairs)
    parameters = adapter.parameters()
    optimiser = torch.optim.AdamW(parameters, lr=job.learning_rate, weight_decay=job.weight_decay)
    generator = torch.Generator().manual_seed(job.seed % 2**63)
    steps = job.epochs * math.ceil(len(job.data) / job.batch)
    reference = _reference(network, start, job, pass_tokens) if row.references else {}
    history: list[float] = []
    sums: dict[str, float] = {}
    counted = read = 0
    norm = 0.0
    with torch.random.fork_rng(devices=[network.device] if network.device.type == "cuda" else []):
        torch.manual_seed(job.seed % 2**63)  # dropout draws from the global generator
        for epoch in range(job.epochs):
            order = torch.randperm(len(job.data), generator=generator).tolist()
            for first in range(0, len(order), job.batch):
                batch = order[first : first + job.batch]
                count = sum(len(job.data[i].token_ids) for i in batch)
                step = len(history)
                total = 0.0
                for indices in passes(job.data, batch, pass_tokens):
                    if cancel is not None and cancel.is_set():
                        raise Stopped
                    samples = [job.data[i] for i in indices]
                    logprobs, mask = token_logprobs(
                        network, network.bind(adapter.scaled()), samples, dropout=job.dropout
                    )
                    per_token, stats = row(_batch(samples, indices, logprobs, mask, reference), **job.loss_options)
                    loss = torch.where(mask, per_token, 0.0).sum() / count
                    total += loss.item()
                    if not math.isfinite(total):
                        raise ModelError(
                            f"the loss became {total} in epoch {epoch}, step {step} of {steps}, at samples "
                            f"{sorted(indices)}: lower the learning rate ({job.learning_rate:g}) or look at these samples"
                        )
                    loss.backward()
                    for name, values in stats.items():
                        sums[name] = sums.get(name, 0.0) + torch.where(mask, values, 0.0).sum().item()
                    read += sum(len(s.prompt_ids) + len(s.token_ids) for s in samples)
                counted += count
                norm = torch.nn.utils.clip_grad_norm_(parameters, job.clip).item()
                for group in optimiser.param_groups:
                    group["lr"] = rate(step, steps, job)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                history.append(total)
    tail = history[-math.ceil(len(job.data) / job.batch) :]
    figures = {
        "loss": sum(tail) / len(tail),  # over the last epoch
        "first_loss": history[0],
        "steps": float(steps),
        "tokens": float(counted),
        "gradient_norm": norm,
        **{name: value / counted for name, value in sums.items()},
    }
    fitted = {n: (a.detach().cpu(), b.detach().cpu()) for n, (a, b) in pairs.items()}
    return Outcome(replace(start, pairs=fitted), figures, read)


def _batch(
    samples: Sequence[Sample],
    indices: Sequence[int],
    logprobs: Tensor,
    mask: Tensor,
    reference: Mapping[int, Sequence[float]],
) -> losses.Batch:
    return losses.Batch(
        logprobs=logprobs,
        mask=mask,
        weights=torch.tensor([s.weight for s in samples], device=mask.device),
        sampler=_per_token([s.logprobs for s in samples], mask),
        references={"start": _per_token([reference.get(i, ()) for i in indices], mask)} if reference else {},
    )


def _reference(network: Network, start: Adapter, job: FitJob, pass_tokens: int) -> dict[int, list[float]]:
    """Log-probabilities of every sample under the starting weights, computed once for all epochs."""
    out: dict[int, list[float]] = {}
    with torch.no_grad():
        pairs = {n: (a.to(network.device), b.to(network.device)) for n, (a, b) in start.pairs.items()}
        bound = network.bind(replace(start, pairs=pairs).scaled())
        for indices in passes(job.data, range(len(job.data)), pass_tokens):
            logprobs, mask = token_logprobs(network, bound, [job.data[i] for i in indices])
            for i, values, known in zip(indices, logprobs, mask, strict=True):
                out[i] = values[known].tolist()
    return out
