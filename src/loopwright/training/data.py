"""A job's data as units (sequences or pairs), checked, cut into passes and laid out for a loss.

Rows are sequences: unit u of sequences is row u; unit u of pairs is rows 2u (chosen) and 2u + 1 (rejected).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from loopwright.core.errors import InputError
from loopwright.core.model import FitJob, Pair, Sample
from loopwright.losses.registry import Batch, Loss
from loopwright.models.packing import check_ids, common_start
from loopwright.training.reading import Network, Readings

DRIFT = "drift"  # the one value that the trainer computes itself


class Count(NamedTuple):
    """What an optimiser step is made of; its losses are divided by these, never by those of a pass."""

    tokens: int
    sequences: int
    units: int


class Data:
    """The data of a job for one loss. Raises InputError where it does not fit the loss or the network."""

    def __init__(self, job: FitJob, loss: Loss, network: Network) -> None:
        self.loss = loss
        self._grouped: bool = getattr(network, "grouped", False)
        self.paired = isinstance(job.data[0], Pair)
        if self.paired != (loss.unit == "pair"):
            wanted, given = ("pairs", "sequences") if loss.unit == "pair" else ("sequences", "pairs")
            raise InputError(f"the loss {loss.name!r} takes {wanted} ({_kind(loss)}), the data is {len(job.data)} {given}")
        if self.paired:
            self.pairs: tuple[Pair, ...] = cast("tuple[Pair, ...]", job.data)
            self.rows: tuple[Sample, ...] = tuple(s for p in self.pairs for s in (p.chosen, p.rejected))
        else:
            self.rows = cast("tuple[Sample, ...]", job.data)
            self.pairs = ()
        self.count = len(job.data)
        self.lengths = [len(s.token_ids) for s in self.rows]
        check(self.rows, network, self._name)
        self._check_values()
        self.values = self._known_values()
        self.sampled = self._check_sampler()

    def _name(self, row: int) -> str:
        if not self.paired:
            return f"sample {row}"
        return f"the {'rejected' if row % 2 else 'chosen'} side of pair {row // 2}"

    def _check_values(self) -> None:
        what = "pair" if self.paired else "sample"
        weights = [p.weight for p in self.pairs] if self.paired else [s.weight for s in self.rows]
        for i, weight in enumerate(weights):
            if not math.isfinite(weight):
                raise InputError(f"the weight of {what} {i} is {weight}: expected a number")
        needed = [n for n in self.loss.values if n != DRIFT]
        for i, values in enumerate(self._values()):
            missing = [n for n in needed if n not in values]
            if missing:
                given = ", ".join(f"{n!r}: [...]" for n in needed)
                raise InputError(
                    f"the loss {self.loss.name!r} needs the values {', '.join(needed)}; {what} {i} has "
                    f"{', '.join(sorted(values)) or 'none'}. The method that names the loss makes them, with one entry a "
                    f"{what}: ctx.fit(..., loss={self.loss.name!r}, values={{{given}}}); losses.{self.loss.function.__name__} "
                    "says what each means"
                )
        for i, pair in enumerate(self.pairs):
            self._check_numbers(pair.values, f"pair {i}", 0)
        for i, sample in enumerate(self.rows):
            self._check_numbers(sample.values, self._name(i), self.lengths[i])

    def _check_numbers(self, values: Mapping[str, float | tuple[float, ...]], whose: str, written: int) -> None:
        if DRIFT in values:
            raise InputError(f"{whose} has a value called {DRIFT!r}: that one is computed in training")
        for name, value in values.items():
            if not isinstance(value, tuple):
                if not math.isfinite(value):
                    raise InputError(f"{name} of {whose} is {value}: expected a number")
                continue
            if len(value) != written:
                raise InputError(f"{name} of {whose} has {len(value)} numbers for {written} written tokens")
            # A loss of sequences may be told of some of their tokens only, and NaN is how the others are left out.
            wrong = math.isinf if self.loss.unit != "token" else lambda x: not math.isfinite(x)
            bad = next((j for j, x in enumerate(value) if wrong(x)), None)
            if bad is not None:
                raise InputError(f"{name} of {whose} is {value[bad]} at token {bad}: expected a number")

    def _values(self) -> list[Mapping[str, float | tuple[float, ...]]]:
        """Of every unit: its own, and of a pair those that both sides have."""
        if not self.paired:
            return [s.values for s in self.rows]
        return [{**{n: v for n, v in p.chosen.values.items() if n in p.rejected.values}, **p.values} for p in self.pairs]

    def _known_values(self) -> dict[str, tuple[bool, bool]]:
        """Names that every unit has: whether the value is of the rows (else of the pair), whether any is per token."""
        every = self._values()
        out = {}
        for name in sorted(n for n in every[0] if all(n in v for v in every)):
            of_rows = not all(name in p.values for p in self.pairs) if self.paired else True
            out[name] = of_rows, of_rows and any(isinstance(s.values[name], tuple) for s in self.rows)
        return out

    def constant(self, name: str) -> bool:
        """Whether all rows have the same value of this name."""
        return name in self.values and all(s.values.get(name) == self.rows[0].values.get(name) for s in self.rows)

    def _check_sampler(self) -> bool:
        """Whether all rows have the sampler's log-probabilities."""
        for i, sample in enumerate(self.rows):
            given, written = len(sample.logprobs), len(sample.token_ids)
            if given == written:
                if not all(map(math.isfinite, sample.logprobs)):
                    raise InputError(f"a sampler's log-probability of {self._name(i)} is not a finite number")
            elif given or "sampler" in self.loss.needs:
                raise InputError(
                    f"the loss {self.loss.name!r} {'needs' if not given else 'was given'} the sampler's log-probabilities; "
                    f"{self._name(i)} has {given} for {written} tokens"
                )
        return all(s.logprobs for s in self.rows)

    def rows_of(self, units: Sequence[int]) -> list[int]:
        """Rows in the order a loss wants them: of pairs, all chosen ones first."""
        return [2 * u for u in units] + [2 * u + 1 for u in units] if self.paired else list(units)

    def counted(self, units: Sequence[int]) -> Count:
        rows = self.rows_of(units)
        return Count(sum(self.lengths[r] for r in rows), len(rows), len(units))

    def passes(self, units: Sequence[int], limit: int) -> list[list[int]]:
        """Cut units into passes of at most ``limit`` padded tokens (or one unit): of similar length, or of equal prompts.

        Whichever makes fewer tokens to read; ``models.packing`` then lays out each pass by the same rule.
        """
        rows = {u: self.rows_of([u]) for u in units}
        lengths = {u: max(len(self.rows[r].prompt_ids) + self.lengths[r] for r in own) for u, own in rows.items()}
        shared = common_start([self.rows[r].prompt_ids for own in rows.values() for r in own])
        size = 2 if self.paired else 1
        own = {u: n - shared for u, n in lengths.items()}
        plain = cut(units, own, limit // size)
        if not self._grouped:
            return plain
        candidates = [(sum(size * len(p) * max(own[u] for u in p) + shared for p in plain), plain)]
        written = {u: max(self.lengths[r] for r in rows[u]) for u in units}
        prompts = {u: self.rows[rows[u][0]].prompt_ids for u in units}
        longest: dict[tuple[int, ...], int] = {}
        for unit in units:
            longest[prompts[unit]] = max(written[unit], longest.get(prompts[unit], 0))
        for by_prompt in (False, True):
            sizes = {p: (len(p), n) if by_prompt else (n, len(p)) for p, n in longest.items()}
            order = sorted(units, key=lambda u: (sizes[prompts[u]], prompts[u], written[u], u))
            candidates.append(_fill(order, prompts, written, size, limit))
        return min(candidates, key=lambda c: c[0])[1]

    def batch(
        self,
        units: Sequence[int],
        read: Readings,
        references: Mapping[str, Sequence[Tensor]],
        drift: float | None = None,
    ) -> Batch:
        """What the loss is given of a pass. references: by name, per row [its tokens] float32 on the CPU."""
        mask = read.mask
        device = mask.device
        rows = self.rows_of(units)
        count = torch.zeros(mask.shape, device=device)

        def spread(numbers: Tensor) -> Tensor:
            return count.masked_scatter(mask, numbers.to(device))

        values: dict[str, Tensor] = {}
        for name, (of_rows, per_token) in self.values.items():
            if per_token:
                values[name] = spread(torch.tensor([x for r in rows for x in self._along(name, r)], dtype=torch.float32))
            else:
                given = [self.rows[r].values[name] for r in rows] if of_rows else [self.pairs[u].values[name] for u in units]
                values[name] = torch.tensor(given, dtype=torch.float32, device=device)
        if drift is not None:
            values[DRIFT] = torch.full((len(rows),), drift, device=device)
        weights = [self.pairs[u].weight for u in units] if self.paired else [self.rows[u].weight for u in units]
        sampler = None
        if self.sampled:
            sampler = spread(torch.tensor([x for r in rows for x in self.rows[r].logprobs], dtype=torch.float32))
        return Batch(
            logprobs=read.logprobs,
            mask=mask,
            weights=torch.tensor(weights, dtype=torch.float32, device=device),
            sampler=sampler,
            references={n: spread(torch.cat([of[r] for r in rows])) for n, of in references.items()},
            values=values,
            scores=read.scores,
            entropy=read.entropy,
            state_values=read.state_values,
        )

    def _along(self, name: str, row: int) -> Sequence[float]:
        value = self.rows[row].values[name]
        return value if isinstance(value, tuple) else [value] * self.lengths[row]


def check(rows: Sequence[Sample], network: Network, called: Callable[[int], str] = "sample {}".format) -> None:
    """Raises InputError for sequences that the network cannot read."""
    for i, sample in enumerate(rows):
        if not sample.prompt_ids:
            raise InputError(f"{called(i)} has no prompt_ids: the first written token needs something before it")
        length = len(sample.prompt_ids) + len(sample.token_ids)
        if length > network.context:
            raise InputError(f"{called(i)} has {length} tokens, more than the model's context of {network.context}")
        check_ids((*sample.prompt_ids, *sample.token_ids), network.vocabulary, called(i), "was it written by another model?")


def cut(units: Sequence[int], lengths: Mapping[int, int], limit: int) -> list[list[int]]:
    """Units by length, in passes of at most ``limit`` times the longest (or one)."""
    out: list[list[int]] = []
    for unit in sorted(units, key=lambda u: (lengths[u], u)):
        if out and (len(out[-1]) + 1) * lengths[unit] <= limit:
            out[-1].append(unit)
        else:
            out.append([unit])
    return out


def _fill(
    order: Sequence[int], prompts: Mapping[int, tuple[int, ...]], written: Mapping[int, int], size: int, limit: int
) -> tuple[int, list[list[int]]]:
    """Passes in this order, in each of which a prompt is read once, and how many padded tokens they are."""
    out: list[list[int]] = []
    total = cost = reach = width = 0
    held: set[tuple[int, ...]] = set()
    for unit in order:
        after = len(held | {prompts[unit]}) * max(reach, len(prompts[unit]))
        after += (len(out[-1]) + 1 if out else 1) * size * max(width, written[unit])
        if out and after <= limit:
            out[-1].append(unit)
        else:
            total += cost
            out.append([unit])
            held, reach, width = set(), 0, 0
            after = len(prompts[unit]) + size * written[unit]
        held.add(prompts[unit])
        reach, width, cost = max(reach, len(prompts[unit])), max(width, written[unit]), after
    return total + cost, out


def _kind(loss: Loss) -> str:
    return {"token": "a loss of tokens", "sequence": "a loss of sequences", "pair": "a loss of pairs"}[loss.unit]
