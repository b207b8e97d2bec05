"""Keys and values of rows being written: those of a prompt are kept once, however many rows go on from it.

Shapes: P prompts of T tokens, R rows, n the most rows of any one prompt, G key-value heads, D the head size, C columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 16  # columns added at a time: few shapes to prepare kernels for, and nothing to copy in between


class Cache:
    """What ``copies[i]`` rows each have read of prompt i, and then of their own.

    pad: [P] how many of the prompt's T columns are padding, which stands after the ``shared`` first ones.
    """

    def __init__(
        self,
        pad: Tensor,
        width: int,
        copies: Sequence[int],
        groups: int,
        size: int,
        dtype: torch.dtype,
        shared: int = 0,
    ) -> None:
        device = pad.device
        self._width = width
        self._groups = groups
        self._starts: list[tuple[Tensor, Tensor]] = []  # per layer, keys and values, [P, G, T, D]
        self._own: list[tuple[Tensor, Tensor]] = []  # [R, G, C, D]
        self._owner = torch.repeat_interleave(
            torch.arange(len(copies), device=device), torch.tensor(copies, device=device)
        )
        self._size = size
        self._column = 0
        columns = torch.arange(width, device=device)
        hidden = (columns >= shared) & (columns < shared + pad[self._owner, None])
        mask = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, float("-inf"))
        self._mask = mask[:, None, None]  # [R, 1, 1, T + C] additive
        self.positions = width - pad[self._owner]  # [R] of the next token
        self._regroup()

    def start(self, keys: Tensor, values: Tensor) -> None:
        """The next layer's of the prompts: [P, G, T, D]."""
        self._starts.append((keys.contiguous(), values.contiguous()))
        empty = keys.new_empty(len(self._owner), self._groups, 0, self._size)
        self._own.append((empty, empty))

    def open(self) -> None:
        """Make place for one more token of each row."""
        if self._width + self._column == self._mask.shape[-1]:
            rows = len(self._owner)
            new = self._mask.new_full((rows, 1, 1, BLOCK), float("-inf"))
            self._mask = torch.cat([self._mask, new], dim=-1)
            blank = new.new_zeros(rows, self._groups, BLOCK, self._size)  # not empty: 0 times NaN is NaN
            self._own = [(torch.cat([k, blank], dim=2), torch.cat([v, blank], dim=2)) for k, v in self._own]
        self._mask[..., self._width + self._column] = 0.0

    def close(self) -> None:
        """All layers have seen the token."""
        self._column += 1
        self.positions = self.positions + 1

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [R, H, 1, D] over everything its row has read, k and v [R, G, 1, D] included; returns [R, 1, H * D]."""
        rows, heads, _, size = q.shape
        keys, values = self._own[layer]
        keys[:, :, self._column], values[:, :, self._column] = k[:, :, 0], v[:, :, 0]
        first_keys, first_values = self._starts[layer]
        q = q.reshape(rows, self._groups, heads // self._groups, size) * (1 / math.sqrt(size))
        old = self._apart(torch.matmul(self._together(q), first_keys.transpose(-1, -2)))
        new = torch.matmul(q, keys.transpose(-1, -2))
        shares = torch.softmax(torch.cat([old, new], dim=-1).add_(self._mask), dim=-1)
        old, new = shares.split([self._width, keys.shape[2]], dim=-1)
        out = torch.matmul(new, values) + self._apart(torch.matmul(self._together(old), first_values))
        return out.view(rows, 1, heads * size)

    def select(self, rows: Tensor) -> None:
        """Keep these rows only, in this order, which must keep rows of a prompt together."""
        self._own = [(k[rows], v[rows]) for k, v in self._own]
        self._mask, self.positions = self._mask[rows], self.positions[rows]
        prompts, self._owner = torch.unique_consecutive(self._owner[rows], return_inverse=True)
        if len(prompts) < len(self._starts[0][0]):
            self._starts = [(k[prompts], v[prompts]) for k, v in self._starts]
        self._regroup()

    def _regroup(self) -> None:
        """Where each row sits in a table [P, n] of rows by prompt."""
        counts = torch.bincount(self._owner)
        self._table = (len(counts), int(counts.max()))
        order = torch.arange(len(self._owner), device=self._owner.device)
        place = order - (counts.cumsum(0) - counts)[self._owner]
        self._place = self._owner * self._table[1] + place
        self._full = math.prod(self._table) == len(order)
        self._line = order.new_zeros(math.prod(self._table))  # of places that no row has, any row
        self._line[self._place] = order

    def _together(self, x: Tensor) -> Tensor:
        """[R, G, h, X] to [P, G, n * h, X]."""
        _, groups, heads, last = x.shape
        x = x if self._full else x[self._line]
        return x.reshape(*self._table, groups, heads, last).transpose(1, 2).reshape(self._table[0], groups, -1, last)

    def _apart(self, x: Tensor) -> Tensor:
        """And back."""
        prompts, most = self._table
        x = x.view(prompts, self._groups, most, -1, x.shape[-1]).transpose(1, 2).flatten(0, 1)
        return x if self._full else x[self._place]
