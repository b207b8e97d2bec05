"""Random batches with all that a row reads, padded on either side, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from loopwright.losses import Batch, Loss

PAIR_VALUES = ("gap", "margin", "scale", "win_rate")  # belong to the pair where the unit is one
WIDTH = {"general-preference": 4}


def make(row: Loss, seed: int, *, count: int = 2, width: int = 5, left: bool = True, padding: float = 0.0) -> Batch:
    """A batch of ``count`` units whose padded positions all hold ``padding``."""
    draw = torch.Generator().manual_seed(seed)
    rows = 2 * count if row.unit == "pair" else count
    lengths = torch.randint(1, width + 1, (rows, 1), generator=draw)
    at = torch.arange(width)
    mask = at >= width - lengths if left else at < lengths

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    def padded(x: Tensor) -> Tensor:
        return torch.where(mask.view(*mask.shape, *[1] * (x.ndim - 2)), x, padding)

    def logprobs() -> Tensor:
        return padded(-0.05 - random(rows, width).abs())

    base = logprobs()

    def near() -> Tensor:  # other weights are never far: ratios stay around 1
        return padded(base + 0.3 * random(rows, width))

    def value(name: str) -> Tensor:
        n = count if name in PAIR_VALUES else rows
        coin = torch.rand(n, generator=draw, dtype=torch.float64)
        if name == "label" and row.name == "process-reward":
            label = torch.rand(n, width, generator=draw, dtype=torch.float64).round()
            return padded(torch.where(random(n, width) > 0.3, torch.nan, label))
        if name == "sign":
            return padded(random(n, width).sign())
        if name in ("returns", "old_values"):
            return padded(random(n, width))
        if name == "advantage":
            return padded(random(n, width)) if seed % 2 else random(n)
        if name in ("label", "reward", "refined"):
            return coin.round() if row.name != "reward-regression" else random(n)
        if name in ("win_rate", "rate"):
            return 0.1 + 0.8 * coin
        return {"drift": coin, "gap": random(n), "margin": coin, "scale": 0.5 + coin.round() / 2}[name]

    wide = WIDTH.get(row.name)
    return Batch(
        logprobs=base,
        mask=mask,
        weights=0.5 + torch.rand(count, generator=draw, dtype=torch.float64),
        sampler=near() if "sampler" in row.needs else None,
        references={name: near() for name in row.references},
        values={name: value(name) for name in row.values},
        scores=padded(random(rows, width, wide) if wide else random(rows, width)) if "scores" in row.needs else None,
        entropy=padded(random(rows, width).abs()) if "entropy" in row.needs else None,
        state_values=padded(random(rows, width)) if "state_values" in row.needs else None,
    )


def trained(batch: Batch) -> tuple[Batch, list[Tensor]]:
    """The batch with gradients asked of all that may carry one, and those tensors."""
    fields = {
        name: getattr(batch, name).clone().requires_grad_()
        for name in ("logprobs", "scores", "entropy", "state_values")
        if getattr(batch, name) is not None
    }
    return batch._replace(**fields), list(fields.values())


def flat(logprobs: Tensor, **fields: object) -> Batch:
    """A batch without padding, of weights 1 where none are given."""
    fields.setdefault("weights", torch.ones(len(logprobs), dtype=logprobs.dtype))
    return Batch(logprobs, torch.ones_like(logprobs, dtype=torch.bool), **fields)  # type: ignore[arg-type]
