"""Sampling from a network: one prefill per prompt, then all rows together, each with its own random numbers.

A row's uniforms come from a counter-based generator keyed by (seed, sample index), and a token is the inverse of the
cumulative distribution at such a uniform; so what a row draws does not depend on its neighbours in the batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from loopwright.core.model import Sampling
from loopwright.models.constrained import Matcher, allowed
from loopwright.models.llama import Bound, Packed, pack

BLOCK = 256  # the inverse cumulative sum is taken in two levels: over blocks, then inside one block
TOP = 1024  # top_p looks here first; a full sort follows only where these do not hold enough mass
CHUNK = 1 << 16  # numbers of the distributions that are worked on at once, and
ROWS = 16  # at least so many rows of them
COMPACT = 0.7  # finished rows leave the batch when no more than this share is still alive


class Cache(Protocol):
    """What a network keeps of the rows that it has read."""

    def select(self, rows: Tensor) -> None: ...


class Network(Protocol):
    """What the sampler needs of a model; see ``models.llama.Llama`` and ``models.hf.HF``."""

    device: torch.device

    def prefill(
        self, packed: Packed, bound: Bound | None, copies: Sequence[int], room: int
    ) -> tuple[Tensor, Cache]: ...

    def step(self, tokens: Tensor, cache: Any, bound: Bound | None) -> Tensor: ...  # the cache is the network's own


@dataclass
class Row:
    """One sequence being written."""

    seed: int
    index: int
    sampling: Sampling
    matcher: Matcher | None = None  # of what it must fit
    uniforms: np.ndarray = field(init=False)
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: Literal["stop", "length"] = "length"

    def __post_init__(self) -> None:
        key = np.array([self.seed % 2**64, self.index], dtype=np.uint64)
        self.uniforms = np.random.Generator(np.random.Philox(key=key)).random(self.sampling.max_tokens)


class Cancelled(Exception):
    """The caller gave up; the thread stops at the next token."""


def draw(logits: Tensor, temperature: Tensor, top_p: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """One token per row by inverse cumulative distribution.

    logits [R, V]; temperature [R], 0 is greedy; top_p [R]; uniforms [R] in [0, 1). Returns token ids [R] and natural
    log-probabilities [R] float32. These are under the full distribution at the row's temperature (at 1 for a greedy
    row): top_p changes what is drawn, not what is reported, because that is the quantity a trainer can recompute.
    """
    chunk = max(ROWS, CHUNK // logits.shape[1])
    if len(logits) > chunk:  # a chunk's float32 copies stay in the processor's cache
        parts = zip(*(t.split(chunk) for t in (logits, temperature, top_p, uniforms)), strict=True)
        drawn = [draw(*part) for part in parts]
        return torch.cat([d[0] for d in drawn]), torch.cat([d[1] for d in drawn])
    greedy = temperature == 0
    divisor = torch.where(greedy, 1.0, temperature)[:, None]
    peak, best = logits.max(dim=-1)
    peak = peak.float()[:, None]
    weights = (logits.float() - peak).div_(divisor).exp_()
    rows, vocabulary = weights.shape
    padded = torch.nn.functional.pad(weights, (0, -vocabulary % BLOCK)) if vocabulary % BLOCK else weights
    blocks = padded.view(rows, -1, BLOCK)
    sums = blocks.sum(dim=-1)
    total = sums.sum(dim=-1)
    if bool(greedy.all()):
        return best, -total.log()
    narrow = (top_p < 1) & ~greedy
    cumulative = sums.double().cumsum(dim=-1)
    goal = uniforms * cumulative[:, -1]
    # Clamped: rounding may put the goal at the very end, and searchsorted would then answer "past the last".
    block = torch.searchsorted(cumulative, goal[:, None], right=True).clamp(max=sums.shape[1] - 1)
    before = torch.where(block > 0, cumulative.gather(1, (block - 1).clamp(min=0)), 0.0)
    inner = blocks.gather(1, block[:, :, None].expand(-1, -1, BLOCK))[:, 0].double().cumsum(dim=-1)
    within = torch.searchsorted(inner, goal[:, None] - before, right=True).clamp(max=BLOCK - 1)
    token = (block * BLOCK + within)[:, 0].clamp(max=vocabulary - 1)
    # Rounding between the two levels can land on a token of probability zero: take the most likely one instead.
    token = torch.where(weights.gather(1, token[:, None])[:, 0] > 0, token, best)
    token = torch.where(greedy, best, token)
    if bool(narrow.any()):
        chosen = narrow.nonzero()[:, 0]
        token[chosen] = _nucleus(weights[chosen], total[chosen], top_p[chosen], uniforms[chosen])
    reach = (logits.gather(1, token[:, None]).float() - peak) / divisor
    return token, reach[:, 0] - total.log()


def draw_allowed(
    logits: Tensor, temperature: Tensor, top_p: Tensor, uniforms: Tensor, may: Tensor
) -> tuple[Tensor, Tensor]:
    """As ``draw``, from the tokens in ``may`` [R, V] alone. Like top_p it changes what is drawn, not what is reported."""
    token, _ = draw(logits.masked_fill(~may, float("-inf")), temperature, top_p, uniforms)
    divisor = torch.where(temperature == 0, 1.0, temperature)[:, None]
    return token, torch.log_softmax(logits.float() / divisor, dim=-1).gather(1, token[:, None])[:, 0]


def _nucleus(weights: Tensor, total: Tensor, top_p: Tensor, uniforms: Tensor) -> Tensor:
    """Draw from the smallest set of most likely tokens that holds ``top_p`` of the mass."""
    count = min(TOP, weights.shape[1])
    while True:
        values, ids = weights.topk(count, dim=-1)
        cumulative = (values.double() / total.double()[:, None]).cumsum(dim=-1)
        if count == weights.shape[1] or bool((cumulative[:, -1] >= top_p).all()):
            break
        count = weights.shape[1]
    inside = (cumulative - values.double() / total.double()[:, None]) < top_p[:, None]
    last = inside.sum(dim=-1, keepdim=True) - 1
    goal = uniforms[:, None] * cumulative.gather(1, last)
    place = torch.minimum(torch.searchsorted(cumulative, goal, right=True), last)
    return ids.gather(1, place)[:, 0]


@torch.inference_mode()
def sample(
    network: Network,
    bound: Bound | None,
    prompts: Sequence[Sequence[int]],
    groups: Sequence[Sequence[Row]],
    ends: frozenset[int],
    stopped: Callable[[Row], bool],
    cancel: threading.Event,
) -> None:
    """Write the rows of ``groups[i]`` after ``prompts[i]``, in place.

    ends: token ids that end a text. stopped: whether a stop string now ends the row. Raises Cancelled when asked to.
    """
    rows = [row for group in groups for row in group]
    room = max(row.sampling.max_tokens for row in rows)
    device = network.device
    first, cache = network.prefill(pack(prompts, device), bound, [len(g) for g in groups], room)
    copies = torch.tensor([len(g) for g in groups], device=device)
    logits = first.repeat_interleave(copies, dim=0)
    uniforms = torch.tensor(
        np.stack([np.pad(r.uniforms, (0, room - len(r.uniforms))) for r in rows]), dtype=torch.float64, device=device
    )
    temperature = torch.tensor([r.sampling.temperature for r in rows], device=device)
    top_p = torch.tensor([r.sampling.top_p for r in rows], dtype=torch.float64, device=device)
    alive: list[int | None] = list(range(len(rows)))  # which row sits in each line of the batch; None has finished
    for position in range(room):
        if cancel.is_set():
            raise Cancelled
        tokens, logprobs = draw(logits, temperature, top_p, uniforms[:, position])
        held = {i: m for i, place in enumerate(alive) if place is not None and (m := rows[place].matcher) is not None}
        if held:
            at = torch.tensor(list(held), device=device)
            may = allowed(list(held.values()), logits.shape[1], device)
            tokens[at], logprobs[at] = draw_allowed(
                logits[at], temperature[at], top_p[at], uniforms[at, position], may
            )
        for line, (token, logprob) in enumerate(zip(tokens.tolist(), logprobs.tolist(), strict=True)):
            place = alive[line]
            if place is None:
                continue
            row = rows[place]
            row.token_ids.append(token)
            row.logprobs.append(min(logprob, 0.0))
            if row.matcher is not None:
                row.matcher.take(token)
            if token in ends or (row.sampling.stop and stopped(row)):
                row.finish = "stop"
                alive[line] = None
            elif len(row.token_ids) == row.sampling.max_tokens:
                alive[line] = None
        live = [line for line, place in enumerate(alive) if place is not None]
        if not live:
            return
        if len(live) <= COMPACT * len(alive):
            keep = torch.tensor(live, device=device)
            cache.select(keep)
            tokens, uniforms, temperature, top_p = tokens[keep], uniforms[keep], temperature[keep], top_p[keep]
            alive = [alive[line] for line in live]
        logits = network.step(tokens, cache, bound)
