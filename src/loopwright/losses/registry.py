"""The table of losses: a name, a pure function, and what the trainer must bring it.

A loss maps what is known of the written tokens to one number per unit: per token, per sequence or per pair. The trainer
does the rest: it computes the log-probabilities, and it aggregates over the *global* count of an optimiser step, so that
cutting a batch into smaller passes cannot change the gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from loopwright.core.errors import InputError, UnknownName

Stats = dict[str, Tensor]  # one value per unit, detached; the trainer averages them over all units of the job
Unit = Literal["token", "sequence", "pair"]
Asks = Mapping[str, tuple[Literal["references", "values", "needs"], str]]


class Batch(NamedTuple):
    """B sequences padded to T written tokens. All float32 but ``mask``; logarithms are natural.

    Where the unit is a pair, B = 2P: rows 0 to P-1 are the chosen ones, rows P to 2P-1 the rejected, in the same order.
    """

    logprobs: Tensor  # [B, T] of the policy being trained, at the job's temperature; carries the gradient
    mask: Tensor  # [B, T] bool: True where the policy wrote a token, False on padding
    weights: Tensor  # [B] of each sequence, or [P] of each pair
    sampler: Tensor | None = None  # [B, T] log-probabilities when it was sampled
    references: Mapping[str, Tensor] = {}  # [B, T] log-probabilities under other weights, by name
    values: Mapping[str, Tensor] = {}  # [B] or [B, T] as the samples have them; those of a pair itself [P]
    scores: Tensor | None = None  # [B, T] the head's value after each token, [B, T, K] of a wide one; with gradient
    entropy: Tensor | None = None  # [B, T] of the distribution each token was drawn from; carries the gradient
    state_values: Tensor | None = None  # [B, T] the scalar head's value before each token; carries the gradient

    def value(self, name: str, *, of: Literal["pair", "sample"]) -> Tensor:
        """A number of each pair, [P], or of each sample, [B]. Raises InputError where it is missing or the other's."""
        count = len(self.mask) // 2 if of == "pair" else len(self.mask)
        value = self.values.get(name)
        if value is None or value.shape != (count,):
            where = "the pair itself, not of its two samples" if of == "pair" else "the samples, not of a pair or of tokens"
            raise _unlike(name, f"one number per {of}, [{count}]", value, f"give it among the values of {where}")
        return value

    def per_token(self, name: str) -> Tensor:
        """A number of each sample or of each of its tokens, as [B, T]. Raises InputError where it is missing or a pair's."""
        count, width = self.mask.shape
        value = self.values.get(name)
        if value is None or value.shape not in ((count,), (count, width)):
            wanted = f"one number per sample, [{count}], or per token, [{count}, {width}]"
            raise _unlike(name, wanted, value, "give it among the values of each sample, of both sides where it is a pair")
        return value if value.ndim == 2 else value[:, None].expand(count, width)

    def total(self, per_token: Tensor) -> Tensor:
        """Sum over the written tokens of each sequence: [B, T] to [B]."""
        return torch.where(self.mask, per_token, 0.0).sum(dim=1)

    def mean(self, per_token: Tensor) -> Tensor:
        """Mean over the written tokens of each sequence: [B, T] to [B]."""
        return self.total(per_token) / self.mask.sum(dim=1).clamp(min=1)

    def last(self, per_token: Tensor) -> Tensor:
        """What stands at the last written token, whichever side is padded: [B, T] to [B], [B, T, K] to [B, K]."""
        at = self.mask.shape[1] - 1 - self.mask.flip(1).int().argmax(dim=1)
        return per_token[torch.arange(len(at), device=at.device), at]

    def without_padding(self) -> Batch:
        """The same with zeros where the mask is False: what stood there, be it NaN, reaches neither loss nor gradient."""

        def blank(per_token: Tensor) -> Tensor:
            mask = self.mask.view(*self.mask.shape, *[1] * (per_token.ndim - 2))
            return torch.where(mask, per_token, 0.0)

        def maybe(per_token: Tensor | None) -> Tensor | None:
            return None if per_token is None else blank(per_token)

        return self._replace(
            logprobs=blank(self.logprobs),
            sampler=maybe(self.sampler),
            references={name: blank(value) for name, value in self.references.items()},
            values={name: value if value.ndim < 2 else blank(value) for name, value in self.values.items()},
            scores=maybe(self.scores),
            entropy=maybe(self.entropy),
            state_values=maybe(self.state_values),
        )


def _unlike(name: str, wanted: str, value: Tensor | None, remedy: str) -> InputError:
    arrived = "none" if value is None else f"{list(value.shape)}"
    return InputError(f"expected the value {name!r}, {wanted}, got {arrived}: {remedy}")


LossFunction = Callable[..., tuple[Tensor, Stats]]  # (batch, **options) -> (loss per unit, stats per unit)


@dataclass(frozen=True)
class Loss:
    """One row.

    unit: what the function returns one number for: token [B, T], sequence [B] or pair [P].
    references: names of the weights whose log-probabilities it reads.
    values: names it reads from Batch.values. ``drift`` is the trainer's own: [B], the mean over the optimiser step of
        log policy - log reference on completions put after another sample's prompt, at least 0, without gradient.
    needs: "sampler", "scores", "entropy" or "state_values": the fields of Batch that must be there.
    logprobs: whether it reads Batch.logprobs. Where not, they are zeros, and no logits are made.
    options: keyword arguments that make this row of a function that several share.
    asks: by the name of an option, what the row reads as well once that option is not zero, for instance
        ``{"kl": ("references", "reference")}``.
    paper: where the loss is from.

    Calling a row blanks the padding first, so no function needs to think of it.
    """

    name: str
    function: LossFunction
    unit: Unit = "token"
    references: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    logprobs: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    asks: Asks = field(default_factory=dict)
    paper: str = ""

    def __call__(self, batch: Batch, **options: Any) -> tuple[Tensor, Stats]:
        loss, stats = self.function(batch.without_padding(), **{**self.options, **options})
        if self.unit != "token":
            return loss, stats
        return torch.where(batch.mask, loss, 0.0), {n: torch.where(batch.mask, v, 0.0) for n, v in stats.items()}

    def given(self, options: Mapping[str, Any]) -> Loss:
        """This row with these options, and with all that it then reads. Raises InputError for an option it lacks."""
        known = [
            n for n, p in inspect.signature(self.function).parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY
        ]
        if unknown := sorted(set(options) - set(known)):
            raise InputError(
                f"the loss {self.name!r} has no option {unknown[0]!r}. It has: {', '.join(known) or 'none'}"
            )
        merged = {**self.options, **options}
        asked = [what for option, what in self.asks.items() if merged.get(option)]

        def also(kind: str, have: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(dict.fromkeys([*have, *(name for k, name in asked if k == kind)]))

        return replace(
            self,
            options=merged,
            references=also("references", self.references),
            values=also("values", self.values),
            needs=self.needs | {name for kind, name in asked if kind == "needs"},
        )


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
