"""Token sequences laid out for one pass, so that what several of them start with is computed once.

Shapes: B sequences, S tokens each; G starts of P tokens each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from loopwright.core.errors import InputError

WORTH = 0.95  # of the tokens: a layout by groups must need no more, since it is two products a layer instead of one


class Groups(NamedTuple):
    """Starts that some of the sequences share, padded on the left."""

    starts: Tensor  # [G, P]
    pad: Tensor  # [G] how many of the P are padding
    owner: Tensor  # [B] which start belongs to each sequence


class Packed(NamedTuple):
    """Sequences in one pass: what all share, or groups of them do, then the rest, padded on the left."""

    prefix: Tensor  # [P] ids that every sequence starts with; empty where there are groups
    ids: Tensor  # [B, S]
    pad: Tensor  # [B] how many of the S are padding
    groups: Groups | None = None


def check_ids(ids: Sequence[int], vocabulary: int, what: str, hint: str) -> None:
    """Raises InputError for token ids that have no embedding. what: whose they are, for the message."""
    if ids and not 0 <= min(ids) <= max(ids) < vocabulary:
        bad = next(i for i in ids if not 0 <= i < vocabulary)
        raise InputError(f"{what} has the token id {bad}, outside the vocabulary of {vocabulary}: {hint}")


def common_start(sequences: Sequence[Sequence[int]]) -> int:
    """How many tokens all sequences start with."""
    ordered = sorted(tuple(s) for s in sequences)
    first, last = ordered[0], ordered[-1]  # in order, so what these two share all do
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def pack(
    sequences: Sequence[Sequence[int]],
    device: torch.device | str = "cpu",
    *,
    own: Sequence[int] = (),
    share_from: int = 8,
    grouped: bool = False,
) -> Packed:
    """Lay out sequences. ``own[i]`` is how many last tokens of sequence i must stay out of the shared start (1 if empty).

    A common start shorter than ``share_from`` tokens is not worth a pass of its own. grouped: sequences that are the same
    up to their own tokens may be laid out as groups, where that is fewer tokens.
    """
    kept = own or [1] * len(sequences)
    longest = min(len(s) - keep for s, keep in zip(sequences, kept, strict=True))
    shared = min(common_start(sequences), longest)
    if len(sequences) == 1 or shared < share_from:
        shared = 0
    width = max(len(s) for s in sequences) - shared
    if grouped:
        starts = [tuple(s[: len(s) - keep]) for s, keep in zip(sequences, kept, strict=True)]
        places = {start: i for i, start in enumerate(dict.fromkeys(starts))}
        reach = max(map(len, places))
        if len(places) > 1 and len(places) * reach + len(sequences) * max(kept) < WORTH * (
            shared + len(sequences) * width
        ):
            first, first_pad = _left(list(places), reach, device)
            ids, pad = _left([s[len(s) - keep :] for s, keep in zip(sequences, kept, strict=True)], max(kept), device)
            owner = torch.tensor([places[start] for start in starts], device=device)
            return Packed(ids.new_empty(0), ids, pad, Groups(first, first_pad, owner))
    ids, pad = _left([s[shared:] for s in sequences], width, device)
    return Packed(torch.tensor(list(sequences[0][:shared]), dtype=torch.long, device=device), ids, pad)


def _left(rows: Sequence[Sequence[int]], width: int, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Ids [len(rows), width] padded on the left, and how much each is."""
    padded = [[0] * (width - len(row)) + list(row) for row in rows]
    return (
        torch.tensor(padded, dtype=torch.long, device=device),
        torch.tensor([width - len(row) for row in rows], dtype=torch.long, device=device),
    )
