"""The table of losses: a name, a pure function, and what the trainer must bring it.

A loss maps what is known of each written token to a per-token loss. The trainer does the rest: it computes the
log-probabilities, and it aggregates over the *global* token count of an optimiser step, so that cutting a batch into
smaller passes cannot change the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from loopwright.core.errors import UnknownName

Stats = dict[str, Tensor]  # per token [B, T], averaged by the trainer exactly as the loss is


class Batch(NamedTuple):
    """B sequences padded to T written tokens. All float32 but ``mask``; logarithms are natural."""

    logprobs: Tensor  # [B, T] of the policy being trained; carries the gradient
    mask: Tensor  # [B, T] bool: True where the policy wrote a token, False on padding
    weights: Tensor  # [B] of each sequence
    advantages: Tensor  # [B] of each sequence; positive means: make it more likely
    sampler_logprobs: Tensor  # [B, T] when it was sampled; zeros where the data has none
    reference_logprobs: Tensor  # [B, T] under the weights the adapter was made for; zeros unless the loss needs them


LossFunction = Callable[..., tuple[Tensor, Stats]]  # (batch, **options) -> (per-token loss [B, T], stats)


@dataclass(frozen=True)
class Loss:
    """One row. ``needs`` names the fields of Batch, beyond the first three, that must be real."""

    name: str
    function: LossFunction
    needs: frozenset[str] = frozenset()


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
