"""Log-probabilities under weights that are not trained: computed once for all epochs, kept for the next fit, and drift."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.core.model import Sample
from loopwright.training.data import Data, cut
from loopwright.training.reading import View, read

UNSTORED = 4  # passes without gradient keep nothing for the way back, so they may be this many times as large


class Reference(NamedTuple):
    """Weights to compare with, and what they are known by: the hash of their blob, or "base"."""

    key: str
    view: View


class Memory:
    """Log-probabilities of passes that were computed before; the longest unused leave first.

    Whole passes are remembered and not sequences: in another company a sequence's last digits differ, and what a job
    makes must not depend on what the process did before.
    """

    def __init__(self, limit: int = 1 << 23) -> None:
        self.limit = limit  # float32 numbers, in all
        self._held: OrderedDict[bytes, list[Tensor]] = OrderedDict()
        self._size = 0

    def get(self, key: bytes) -> list[Tensor] | None:
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def put(self, key: bytes, rows: list[Tensor]) -> None:
        self._held[key] = rows
        self._size += sum(len(r) for r in rows)
        while self._size > self.limit:
            self._size -= sum(len(r) for r in self._held.popitem(last=False)[1])


def logprobs(
    reference: Reference,
    data: Data,
    temperature: float,
    limit: int,
    memory: Memory,
    alive: Callable[[], None],
) -> list[Tensor]:
    """For every row the log-probabilities of its written tokens, float32 on the CPU. ``alive`` is called before each pass."""
    out: list[Tensor] = [torch.empty(0)] * len(data.rows)
    with torch.no_grad():
        for units in data.passes(range(data.count), limit * UNSTORED):
            part = data.rows_of(units)
            samples = [data.rows[r] for r in part]
            key = _key(reference.key, samples, temperature)
            known = memory.get(key)
            if known is None:
                alive()
                said = read(reference.view, samples, temperature=temperature)
                known = list(said.logprobs[said.mask].cpu().split([data.lengths[r] for r in part]))
                memory.put(key, known)
            for r, values in zip(part, known, strict=True):
                out[r] = values
    return out


def _key(weights: str, samples: Sequence[Sample], temperature: float) -> bytes:
    hash = hashlib.sha256(f"{weights} {temperature!r}".encode())
    for sample in samples:
        hash.update(array("q", (len(sample.prompt_ids), *sample.prompt_ids, -1, *sample.token_ids)).tobytes())
    return hash.digest()


def drift(
    policy: View,
    reference: Reference,
    data: Data,
    units: Sequence[int],
    temperature: float,
    limit: int,
    context: int,
    alive: Callable[[], None],
) -> float:
    """Mean over a step's sequences of log policy - log reference of each after the prompt of another one; at least 0.

    The other is the next in the step that has another prompt, else the next in the data. Prompts that would not fit the
    context with their new completion lose their start. Raises InputError where the data has one prompt only.
    """
    rows = data.rows_of(units)
    strangers = []
    for place, row in enumerate(rows):
        own = data.rows[row]
        after = [*rows[place + 1 :], *rows[:place]]
        other = next((r for r in after if data.rows[r].prompt_ids != own.prompt_ids), None)
        if other is None:
            every = len(data.rows)
            far = (data.rows[(row + k) % every].prompt_ids for k in range(1, every))
            prompt = next((p for p in far if p != own.prompt_ids), None)
        else:
            prompt = data.rows[other].prompt_ids
        if prompt is None:
            raise InputError(
                f"the loss {data.loss.name!r} compares completions with those after other prompts, and all {every} samples "
                "have the same prompt: give it samples of at least two"
            )
        strangers.append(own.model_copy(update={"prompt_ids": prompt[-(context - len(own.token_ids)) :]}))
    lengths = {i: len(s.prompt_ids) + len(s.token_ids) for i, s in enumerate(strangers)}
    total = 0.0
    with torch.no_grad():
        for part in cut(range(len(strangers)), lengths, limit * UNSTORED):
            alive()
            samples = [strangers[i] for i in part]
            mine, theirs = (read(view, samples, temperature=temperature).logprobs for view in (policy, reference.view))
            total += (mine - theirs).double().sum().item()
    return max(0.0, total / len(strangers))
