"""What the generators that are trained by gradients share: layers in one vector of weights, and Adam over it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from loopwright.core.errors import ModelError, StoreCorrupt
from loopwright.core.model import FitJob
from loopwright.training.parameters import rate
from loopwright.worlds.generators.arrays import Array

Layers = Sequence[tuple[int, int]]  # (inputs, outputs) of each


def size(layers: Layers) -> int:
    return sum((inputs + 1) * outputs for inputs, outputs in layers)


def fresh(layers: Layers, seed: int) -> Array:
    """Weights [p] at the start: normal, of variance 1 / inputs; biases 0."""
    rng = np.random.default_rng(seed)
    parts = [np.vstack([rng.standard_normal((i, o)) / math.sqrt(i), np.zeros((1, o))]).ravel() for i, o in layers]
    return np.concatenate(parts).astype(np.float32)


def cut(flat: Tensor, layers: Layers) -> list[tuple[Tensor, Tensor]]:
    """(weight [inputs, outputs], bias [outputs]) of each layer, as views."""
    out, at = [], 0
    for inputs, outputs in layers:
        part = flat[at : at + (inputs + 1) * outputs].view(inputs + 1, outputs)
        out.append((part[:-1], part[-1]))
        at += part.numel()
    return out


def through(x: Tensor, layers: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """A perceptron with SiLU between its layers: [..., inputs] to [..., outputs]."""
    for i, (weight, bias) in enumerate(layers):
        x = torch.addmm(bias, x, weight) if x.ndim == 2 else x @ weight + bias
        if i + 1 < len(layers):
            x = functional.silu(x)
    return x


def descend(
    weights: Array, job: FitJob, steps: Sequence[Array], loss: Callable[[Tensor, Array, int], Tensor], state: bytes | None
) -> tuple[Array, bytes | None, list[float]]:
    """AdamW by the job's options: ``loss(flat, units, step)`` for the units of each step.

    Returns the weights, the optimiser's state where the job keeps it, and the loss of every step. Raises ModelError
    where a loss is not a number.
    """
    flat = torch.tensor(weights, dtype=torch.float32, requires_grad=True)
    adam = torch.optim.AdamW([flat], lr=job.learning_rate, weight_decay=job.weight_decay)
    if state is not None:
        adam.state[flat] = _read(state, len(weights))
    history = []
    for number, units in enumerate(steps):
        value = loss(flat, units, number)
        if not math.isfinite(value.item()):
            raise ModelError(
                f"the loss became {value.item()} in step {number} of {len(steps)}: lower the rate ({job.learning_rate:g})"
            )
        (flat.grad,) = torch.autograd.grad(value, flat)
        torch.nn.utils.clip_grad_norm_([flat], job.max_grad_norm)
        for group in adam.param_groups:
            group["lr"] = rate(number, len(steps), job)
        adam.step()
        history.append(value.item())
    kept = _written(adam.state[flat]) if job.keep_state else None
    return flat.detach().numpy().copy(), kept, history


def _written(state: dict[str, Tensor]) -> bytes:
    moments = torch.cat([state["step"].reshape(1).float(), state["exp_avg"], state["exp_avg_sq"]])
    return moments.numpy().tobytes()


def _read(raw: bytes, count: int) -> dict[str, Tensor]:
    if len(raw) != 4 * (2 * count + 1):
        raise StoreCorrupt(f"an optimiser's state of {count} weights has {4 * (2 * count + 1)} bytes, got {len(raw)}")
    moments = torch.frombuffer(bytearray(raw), dtype=torch.float32).clone()
    return {"step": moments[0].clone(), "exp_avg": moments[1 : count + 1].clone(), "exp_avg_sq": moments[count + 1 :].clone()}
