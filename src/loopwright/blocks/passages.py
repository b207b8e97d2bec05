"""Passages, as search tools give them: one text, a blank line between one and the next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

_NOTHING = re.compile(r"(?i)\s*(?:error:|nothing (?:was )?found\b)")


def passages_of(said: str) -> list[str]:
    """The passages in what a search said, best first; none where it found nothing or could not search."""
    return [part.strip() for part in re.split(r"\n\s*\n", said) if part.strip() and not _NOTHING.match(part)]


def interleaved(lists: Sequence[Sequence[str]], limit: int = 0) -> list[str]:
    """The first of each list, then the second of each, ..., every passage once; at most ``limit`` where that is not 0."""
    ranks = zip_longest(*lists)
    merged = list(dict.fromkeys(passage for rank in ranks for passage in rank if passage is not None))
    return merged[:limit] if limit else merged
