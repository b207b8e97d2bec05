"""What is trained, as flat float32 memory, and its optimiser.

All tensors are views of one buffer and their gradients of another, so that clipping, a step of the optimiser, its state
and a checkpoint are each one operation on one long vector, however many small tensors an adapter has.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import torch
from safetensors.torch import save
from torch import Tensor

from loopwright.core.errors import InputError, StoreCorrupt
from loopwright.core.model import FitJob
from loopwright.models import whole
from loopwright.models.llama import Llama
from loopwright.training import lora
from loopwright.training.blob import HEAD, Weights
from loopwright.training.reading import Network, View

SCHEDULES: dict[str, Callable[[float], float]] = {  # share of the steps after the warm-up -> share of the learning rate
    "linear": lambda done: 1 - done,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "constant": lambda done: 1.0,
}
LAYOUT = "layout"
TOKENS = "tokens"


def rate(step: int, steps: int, job: FitJob) -> float:
    """Learning rate of a step, counted from 0."""
    if job.schedule not in SCHEDULES:
        raise InputError(f"schedule must be one of {', '.join(SCHEDULES)}, got {job.schedule!r}")
    warm = math.ceil(job.warmup * steps)
    if step < warm:
        return job.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, steps - warm)
    return job.learning_rate * SCHEDULES[job.schedule](done)


class Parameters:
    """The trained tensors, started from ``start``; its head is trained where ``head``, else carried along.

    flat, grad: [count] float32. Matrices come first (``decayed`` of them), so that weight decay can leave out the rest.
    Raises InputError for a full set on a network that cannot replace its weights.
    """

    def __init__(self, network: Network, start: Weights, *, head: bool) -> None:
        self._network = network
        self._start = start
        named: dict[str, Tensor] = {}
        if start.adapter is not None:
            for name, (a, b) in start.adapter.pairs.items():
                named[f"{name}.A"], named[f"{name}.B"] = a, b
            if start.adapter.rows is not None:
                named[TOKENS] = start.adapter.rows
        elif isinstance(network, Llama):
            named.update(whole.fuse(network, start.full or {}))
        else:
            raise InputError("all weights can be trained where our own forward pass runs the model; use tuning='lora'")
        if head:
            if start.head is None:
                raise InputError("there is no scalar head to train")
            named.update(zip(HEAD, start.head, strict=True))
        order = sorted(named, key=lambda n: (named[n].ndim < 2, n))  # a blob gives them in any order
        self.decayed = sum(t.numel() for t in named.values() if t.ndim >= 2)
        self.flat = torch.cat([named[n].detach().to(network.device, torch.float32).flatten() for n in order])
        self.grad = torch.zeros_like(self.flat)
        self.layout = json.dumps([[n, list(named[n].shape)] for n in order])
        self._leaves: dict[str, Tensor] = {}
        at = 0
        for name in order:
            end = at + named[name].numel()
            leaf = self.flat[at:end].view(named[name].shape).detach().requires_grad_()
            leaf.grad = self.grad[at:end].view(named[name].shape)
            self._leaves[name] = leaf
            at = end

    def view(self) -> View:
        """For one pass; gradients reach ``grad``."""
        head = self._start.head
        if HEAD[0] in self._leaves:
            head = (self._leaves[HEAD[0]], self._leaves[HEAD[1]])
        elif head is not None:
            head = (head[0].to(self._network.device), head[1].to(self._network.device))
        adapter = self._start.adapter
        if adapter is not None:
            pairs = {n: (self._leaves[f"{n}.A"], self._leaves[f"{n}.B"]) for n in adapter.pairs}
            network = self._network
            if TOKENS in self._leaves:
                assert isinstance(network, Llama)
                network = whole.retokened(network, adapter.tokens, self._leaves[TOKENS])
            return View(network, network.bind(replace(adapter, pairs=pairs).scaled()), head)
        assert isinstance(self._network, Llama)
        return View(whole.replaced(self._network, self._leaves), None, head)

    def result(self) -> Weights:
        """The weights as they are now, on the CPU and on their own."""
        now = {name: leaf.detach().cpu().clone() for name, leaf in self._leaves.items()}
        head = (now.pop(HEAD[0]), now.pop(HEAD[1])) if HEAD[0] in now else self._start.head
        adapter = self._start.adapter
        if adapter is not None:
            pairs = {n: (now[f"{n}.A"], now[f"{n}.B"]) for n in adapter.pairs}
            rows = now.get(TOKENS)
            return replace(self._start, adapter=replace(adapter, pairs=pairs, rows=rows), head=head)
        assert isinstance(self._network, Llama)
        return replace(self._start, full=whole.split(self._network, now), head=head)


class Optimiser:
    """AdamW over flat parameters, with a global limit on the gradient's norm."""

    def __init__(self, parameters: Parameters, job: FitJob) -> None:
        self._own = parameters
        self._clip = job.max_grad_norm
        cut = parameters.decayed
        self._parts: list[tuple[Tensor, int, int]] = []
        groups = []
        for start, end, decay in ((0, cut, job.weight_decay), (cut, len(parameters.flat), 0.0)):
            if start < end:
                part = parameters.flat[start:end].detach()
                part.grad = parameters.grad[start:end]
                self._parts.append((part, start, end))
                groups.append({"params": [part], "weight_decay": decay})
        self.steps = 0
        self.mean = torch.zeros_like(parameters.flat)
        self.square = torch.zeros_like(parameters.flat)
        quick = parameters.flat.device.type in ("cpu", "cuda")
        self._adam = torch.optim.AdamW(groups, lr=job.learning_rate, fused=quick or None)
        self._bind()

    def step(self, rate: float) -> float:
        """Clip, step, forget the gradient. Returns the norm before clipping, which may be no number: then nothing is done."""
        norm = float(torch.linalg.vector_norm(self._own.grad).item())
        if math.isfinite(norm):
            if norm > self._clip:
                self._own.grad.mul_(self._clip / norm)
            for group in self._adam.param_groups:
                group["lr"] = rate
            self._adam.step()
            self.steps += 1
        self._own.grad.zero_()
        return norm

    def load(self, steps: int, mean: Tensor, square: Tensor) -> None:
        """Go on from moments [count] and a number of steps."""
        self.steps = steps
        self.mean.copy_(mean)
        self.square.copy_(square)
        self._bind()

    def to_bytes(self) -> bytes:
        """Moments and step as a blob."""
        tensors = {"mean": self.mean.cpu(), "square": self.square.cpu(), "steps": torch.tensor(self.steps)}
        return save(tensors, metadata={LAYOUT: self._own.layout})

    def from_bytes(self, blob: bytes) -> None:
        """Go on from such a blob. Raises InputError for one of other parameters, StoreCorrupt for other bytes."""
        tensors, metadata = lora.read(blob)
        if LAYOUT not in metadata or {"mean", "square", "steps"} - set(tensors):
            raise StoreCorrupt("these bytes are not the state of an optimiser")
        if metadata[LAYOUT] != self._own.layout:
            raise InputError(
                "the optimiser's state is of other parameters than this job trains: rank, targets, head and weights "
                "(lora or full) must be those of the fit that kept it"
            )
        self.load(int(tensors["steps"]), tensors["mean"], tensors["square"])

    def _bind(self) -> None:
        for part, start, end in self._parts:
            self._adam.state[part] = {
                "step": torch.tensor(float(self.steps), device=part.device if part.is_cuda else "cpu"),
                "exp_avg": self.mean[start:end],
                "exp_avg_sq": self.square[start:end],
            }
