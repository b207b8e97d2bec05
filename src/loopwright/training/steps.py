"""One optimiser step: its passes, each loss divided by what the whole step holds, and what was seen on the way.

A pass adds its share of the sum; the divisor is the step's. So the gradient is that of the step, however it was cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from loopwright.core.errors import InputError, ModelError
from loopwright.core.model import FitJob
from loopwright.losses.registry import Batch
from loopwright.training.data import DRIFT, Count, Data
from loopwright.training.parameters import Parameters
from loopwright.training.reading import read

WEIGHT, SQUARED = "_weight", "_squared_weight"  # of sequences, policy over sampler


class Sums:
    """Means in the making, by name. Kept as tensors, so that a device is not waited for after every pass."""

    def __init__(self, known: Mapping[str, Sequence[float]] | None = None) -> None:
        self._held = {n: (torch.tensor(s, dtype=torch.float64), int(c)) for n, (s, c) in (known or {}).items()}

    def add(self, name: str, values: Tensor, mask: Tensor) -> None:
        """One number a unit; of numbers a token [B, T] those under the mask count."""
        values = values.detach()
        count = int(mask.sum()) if values.ndim == 2 else values.numel()
        total = (torch.where(mask, values, 0.0) if values.ndim == 2 else values).double().sum()
        before = self._held.get(name)
        self._held[name] = (total, count) if before is None else (before[0].to(total.device) + total, before[1] + count)

    def plain(self) -> dict[str, tuple[float, int]]:
        return {n: (s.item(), c) for n, (s, c) in self._held.items()}

    def means(self) -> dict[str, float]:
        """``ess`` is the effective sample size (Kish) over the samples, of the sequences' importance weights."""
        found = {n: s.item() / max(1, c) for n, (s, c) in self._held.items()}
        weight, squared = found.pop(WEIGHT, 0.0), found.pop(SQUARED, 0.0)
        return {**found, "ess": weight**2 / squared} if squared else found


def share(per_unit: Tensor, batch: Batch, job: FitJob, count: Count) -> Tensor:
    """A pass's part of the step's loss. per_unit: [B, T], [B] or [P], as the loss says; count: of the whole step."""
    if per_unit.ndim == 1:
        return per_unit.sum() / count.units
    if job.aggregation == "token":
        return batch.total(per_unit).sum() / count.tokens
    if job.aggregation == "sequence":
        return batch.mean(per_unit).sum() / count.sequences
    return batch.total(per_unit).sum() / (count.sequences * job.constant)


def accumulate(
    parameters: Parameters,
    data: Data,
    passes: Sequence[Sequence[int]],
    job: FitJob,
    references: Mapping[str, Sequence[Tensor]],
    *,
    drift: float | None = None,
    said: Sums | None = None,
    seen: Sums | None = None,
    where: str = "",
    alive: Callable[[], None] = lambda: None,
) -> float:
    """Add the gradient of one step, all its passes, to ``parameters.grad``; returns the step's loss.

    said, seen: take in what the loss tells, and the monitors. where: what an error calls this step.
    Raises ModelError where the loss is not a number, naming the units that made it so.
    """
    loss = data.loss
    count = data.counted([u for units in passes for u in units])
    total = 0.0
    for units in passes:
        alive()
        samples = [data.rows[r] for r in data.rows_of(units)]
        readings = read(
            parameters.view(),
            samples,
            temperature=job.temperature,
            logprobs=loss.logprobs,
            entropy="entropy" in loss.needs,
            scores="scores" in loss.needs,
            state_values="state_values" in loss.needs,
            dropout=job.dropout,
        )
        batch = data.batch(units, readings, references, drift)
        per_unit, stats = loss(batch)
        _check(per_unit, batch, data)
        part = share(per_unit, batch, job, count)
        value = part.item()
        if not math.isfinite(value):
            raise ModelError(
                f"the loss became {value} {where}, at {_blame(per_unit, batch, data, units)}: lower the learning rate "
                f"({job.learning_rate:g}) or look at these"
            )
        total += value
        if part.requires_grad:
            part.backward()
        if said is not None:
            for name, values in stats.items():
                said.add(name, values, batch.mask)
        if seen is not None:
            _monitor(seen, batch, sampled=loss.logprobs and batch.sampler is not None)
    return total


def _check(per_unit: Tensor, batch: Batch, data: Data) -> None:
    unit = data.loss.unit
    rows = len(batch.mask)
    expected = {"token": tuple(batch.mask.shape), "sequence": (rows,), "pair": (rows // 2,)}[unit]
    if tuple(per_unit.shape) != expected:
        raise InputError(
            f"the loss {data.loss.name!r} says it has one number per {unit}, {expected} here, and returned "
            f"{tuple(per_unit.shape)}"
        )


def _blame(per_unit: Tensor, batch: Batch, data: Data, units: Sequence[int]) -> str:
    wrong = ~per_unit.isfinite()
    if wrong.ndim == 2:
        wrong = (wrong & batch.mask).any(dim=1)
    named = [u for u, bad in zip(units, wrong.tolist(), strict=True) if bad] or list(units)
    return f"{'pairs' if data.paired else 'samples'} {sorted(named)}"


def _monitor(seen: Sums, batch: Batch, *, sampled: bool) -> None:
    if sampled and batch.sampler is not None:
        change = torch.where(batch.mask, batch.logprobs.detach() - batch.sampler, 0.0)
        seen.add("approx_kl", change.exp() - 1 - change, batch.mask)
        drifted = change.double().sum(dim=1).clamp(max=50).exp()  # importance weight of the sequence
        seen.add(WEIGHT, drifted, batch.mask)
        seen.add(SQUARED, drifted**2, batch.mask)
    if batch.entropy is not None:
        seen.add("entropy", batch.entropy, batch.mask)
    if batch.scores is not None and batch.scores.ndim == 2:
        seen.add("score", batch.scores, batch.mask)
    if batch.state_values is not None:
        seen.add("state_value", batch.state_values, batch.mask)
    for name, values in batch.values.items():
        seen.add(name, values.nan_to_num(), batch.mask & ~values.isnan() if values.ndim == 2 else batch.mask)
    if "advantage" in batch.values and DRIFT not in batch.values:
        size = batch.total(batch.per_token("advantage").abs())
        seen.add("zero_advantage", (size == 0).float(), batch.mask)
