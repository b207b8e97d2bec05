"""The table of losses: a name, a pure function, and what the trainer must bring it.

A loss maps what is known of the written tokens to one number per unit: per token, per sequence or per pair. The trainer
does the rest: it computes the log-probabilities, and it aggregates over the *global* count of an optimiser step, so that
cutting a batch into smaller passes cannot change the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from loopwright.core.errors import UnknownName

Stats = dict[str, Tensor]  # one value per unit, detached; the trainer averages them over all units of the job
Unit = Literal["token", "sequence", "pair"]


class Batch(NamedTuple):
    """B sequences padded to T written tokens. All float32 but ``mask``; logarithms are natural.

    Where the unit is a pair, B = 2P: rows 0 to P-1 are the chosen ones, rows P to 2P-1 the rejected, in the same order.
    """

    logprobs: Tensor  # [B, T] of the policy being trained, at the job's temperature; carries the gradient
    mask: Tensor  # [B, T] bool: True where the policy wrote a token, False on padding
    weights: Tensor  # [B] of each sequence, or [P] of each pair
    sampler: Tensor | None = None  # [B, T] log-probabilities when it was sampled
    references: Mapping[str, Tensor] = {}  # [B, T] log-probabilities under other weights, by name
    values: Mapping[str, Tensor] = {}  # [B] or [B, T] as the samples have them; of pairs [P]
    scores: Tensor | None = None  # [B, T] the scalar head's value after each token; carries the gradient
    entropy: Tensor | None = None  # [B, T] of the distribution each token was drawn from; carries the gradient

    def per_token(self, name: str) -> Tensor:
        """A value as [B, T], whether it was given per sequence or per token."""
        value = self.values[name]
        return value if value.ndim == 2 else value[:, None].expand(self.mask.shape)

    def total(self, per_token: Tensor) -> Tensor:
        """Sum over the written tokens of each sequence: [B, T] to [B]."""
        return torch.where(self.mask, per_token, 0.0).sum(dim=1)

    def mean(self, per_token: Tensor) -> Tensor:
        """Mean over the written tokens of each sequence: [B, T] to [B]."""
        return self.total(per_token) / self.mask.sum(dim=1).clamp(min=1)


LossFunction = Callable[..., tuple[Tensor, Stats]]  # (batch, **options) -> (loss per unit, stats per unit)


@dataclass(frozen=True)
class Loss:
    """One row.

    unit: what the function returns one number for: token [B, T], sequence [B] or pair [P].
    references: names of the weights whose log-probabilities it reads.
    values: names it reads from Batch.values. ``drift`` is the trainer's own: [B], the mean over the optimiser step of
        log policy - log reference on completions put after another sample's prompt, at least 0, without gradient.
    needs: "sampler", "scores" or "entropy": the fields of Batch that must be there.
    options: keyword arguments that make this row of a function that several share.
    """

    name: str
    function: LossFunction
    unit: Unit = "token"
    references: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, batch: Batch, **options: Any) -> tuple[Tensor, Stats]:
        return self.function(batch, **{**self.options, **options})


def table(*rows: Loss) -> Mapping[str, Loss]:
    """Rows by name. Raises ValueError where two have the same name."""
    out: dict[str, Loss] = {}
    for row in rows:
        if row.name in out:
            raise ValueError(f"two losses are called {row.name!r}")
        out[row.name] = row
    return out


def find(rows: Mapping[str, Loss], name: str) -> Loss:
    """The row of this name. Raises UnknownName with the nearest ones."""
    if name not in rows:
        raise UnknownName("loss", name, rows)
    return rows[name]
